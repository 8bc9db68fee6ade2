"""Settings from the environment, which are read when the extension is loaded: each in a process of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from PIL import Image

import duckdb_sam
from conftest import PHOTOS, ROOT

SCRIPT = """
import json, sys
import duckdb_sam

con = duckdb_sam.connect()
con.execute("SET enable_progress_bar = false")  # it would stand in the output of a query that takes seconds
query = "SELECT sam_segment('nano', content, NULL, NULL, [0.31, 0.02, 0.64, 0.6]).mask FROM read_blob(?)"
mask = con.execute(query, [sys.argv[1]]).fetchone()[0]
print(json.dumps([p > 0.5 for p in mask]))
"""


def run(**settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(PHOTOS / "coffee.jpg")],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def mask(**settings: str) -> list[bool]:
    done = run(**settings)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_precision_changes_little_and_threads_nothing() -> None:
    exact = mask(SAM_PRECISION="f32", SAM_THREADS="1")
    assert mask(SAM_PRECISION="f32", SAM_THREADS="3") == exact
    rounded = mask(SAM_PRECISION="bf16")
    both = sum(a and b for a, b in zip(exact, rounded, strict=True))
    either = sum(a or b for a, b in zip(exact, rounded, strict=True))
    assert either > 10_000
    assert both / either > 0.98


def test_the_portable_kernels_give_the_same_mask() -> None:
    exact = mask(SAM_PRECISION="f32")
    portable = mask(SAM_PRECISION="f32", SAM_ISA="portable")
    assert sum(a != b for a, b in zip(exact, portable, strict=True)) <= 5e-4 * len(exact)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"SAM_PRECISION": "f16"}, "SAM_PRECISION: precision 'f16' is unknown; it is one of auto, f32, bf16"),
        ({"SAM_THREADS": "0"}, "SAM_THREADS = '0' is not a number between 1 and 256"),
        ({"SAM_ISA": "sse9"}, "instruction set 'sse9' is unknown; SAM_ISA can be one of: "),
    ],
)
def test_unusable_settings_are_named(settings: dict[str, str], text: str) -> None:
    done = run(**settings)
    assert done.returncode != 0
    assert text in done.stderr


def test_no_model_file_is_opened_without_external_access() -> None:
    """DuckDB before 1.5.6 does not tell an extension, so there is a setting of our own, which cannot be undone."""
    script = """
import duckdb, duckdb_sam
con = duckdb_sam.connect()
print(con.execute("SELECT name FROM sam_load('extension/model/assets/nano.safetensors')").fetchall())
con.execute("CALL sam_configure(external_access := false)")
for query in (
    "CALL sam_load('extension/model/assets/nano.safetensors')",
    "CALL sam_configure(external_access := true)",
):
    try:
        con.execute(query)
    except duckdb.Error as error:
        print(error)
print(con.execute("SELECT name FROM sam_load('nano')").fetchall(), con.execute("FROM sam_models()").fetchall()[1:])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines() == [
        "[('nano',)]",
        "Invalid Input Error: sam_load: model 'extension/model/assets/nano.safetensors' would be read from a file, and "
        "external_access of sam_configure is off; use 'nano', which is built in",
        "Invalid Input Error: sam_configure: external_access is off in this database, and stays off",
        "[('nano',)] []",
    ]


def test_databases_differ_in_external_access() -> None:
    with duckdb_sam.connect() as closed, duckdb_sam.connect() as open_:
        closed.execute("SET enable_external_access = false")
        query = "SELECT sam_model_info('extension/model/assets/nano.safetensors').name"
        with pytest.raises(duckdb.InvalidInputException, match="enable_external_access is off"):
            closed.execute(query)
        assert open_.execute(query).fetchone() == ("nano",)


BAD = "SELECT sam_annotate('nano', 'no picture'::BLOB, [0.5, 0.5]) IS NULL"


def value(con: duckdb.DuckDBPyConnection, setting: str) -> str:
    return con.execute("SELECT value FROM sam_configure() WHERE setting = ?", [setting]).fetchone()[0]


def messages(con: duckdb.DuckDBPyConnection) -> list[str]:
    return [message[:25] for (message,) in con.execute("SELECT message FROM sam_errors()").fetchall()]


def test_databases_have_settings_and_errors_of_their_own() -> None:
    with duckdb_sam.connect() as one, duckdb_sam.connect() as other:
        one.execute("CALL sam_configure(on_error := 'null', image_megapixels := 3, external_access := false)")
        assert one.execute(BAD).fetchone() == (True,)
        assert one.cursor().execute(BAD).fetchone() == (True,)
        with pytest.raises(duckdb.InvalidInputException, match="not a picture"):
            other.execute(BAD)
        assert messages(one) == ["not a picture that can be"] * 2
        assert messages(other) == []
        counted = "SELECT value FROM sam_stats() WHERE counter = 'errors'"
        assert [con.execute(counted).fetchone()[0] for con in (one, other)] == [2, 0]
        assert [value(con, "image_megapixels") for con in (one, other)] == ["3", "100"]
        assert other.execute("SELECT name FROM sam_load('extension/model/assets/nano.safetensors')").fetchone()
        # What is the process's, all see.
        threads = value(other, "threads")
        one.execute("CALL sam_configure(threads := 3)")
        assert value(other, "threads") == "3"
        one.execute(f"CALL sam_configure(threads := {threads})")


def test_models_are_found_where_their_database_says(tmp_path: Path) -> None:
    (tmp_path / "mine.safetensors").write_bytes((ROOT / "extension/model/assets/nano.safetensors").read_bytes())
    with duckdb_sam.connect() as one, duckdb_sam.connect() as other:
        one.execute("SET sam_model_dir = ?", [str(tmp_path)])
        other.execute("CALL sam_configure(model_dir := '~/nowhere')")
        assert one.execute("SELECT sam_model_info('mine').name").fetchone() == ("mine",)
        with pytest.raises(duckdb.InvalidInputException, match="unknown model 'mine'"):
            other.execute("SELECT sam_model_info('mine').name")
        assert one.execute("CALL sam_unload('mine')").fetchone() == (True,)


def test_set_is_for_a_connection_and_set_global_for_the_database() -> None:
    with duckdb_sam.connect() as con:
        other = con.cursor()
        con.execute("SET sam_on_error = 'null'")
        assert (value(con, "on_error"), value(other, "on_error")) == ("null", "fail")
        assert con.execute(BAD).fetchone() == (True,)
        with pytest.raises(duckdb.InvalidInputException, match="not a picture"):
            other.execute(BAD)
        listed = "SELECT value FROM duckdb_settings() WHERE name = 'sam_on_error'"
        assert [it.execute(listed).fetchone() for it in (con, other)] == [("null",), (None,)]
        con.execute("RESET sam_on_error")
        assert value(con, "on_error") == "fail"
        con.execute("SET GLOBAL sam_on_error = 'null'")
        assert (value(other, "on_error"), value(con.cursor(), "on_error")) == ("null", "null")
        picture = io.BytesIO()
        Image.new("RGB", (3000, 1000)).save(picture, "PNG")
        con.execute("SET sam_image_megapixels = 2")
        with pytest.raises(duckdb.InvalidInputException, match="the limit is 2000000"):
            con.execute("SELECT image_thumbnail(?, 10)", [picture.getvalue()])
        assert value(other, "image_megapixels") == "100"


def test_what_set_gives_is_checked_and_has_precedence() -> None:
    with duckdb_sam.connect() as con:
        con.execute("SET sam_on_error = 'never'")
        text = "sam_on_error = 'never' is unknown; it is 'fail' or 'null'"
        for query, function in ((BAD, "sam_annotate"), ("FROM sam_stats()", "sam_stats")):
            with pytest.raises(duckdb.BinderException, match=f"{function}: {text}"):
                con.execute(query)
        con.execute("SET sam_on_error = 'fail'")
        with pytest.raises(duckdb.InvalidInputException, match="RESET sam_on_error first"):
            con.execute("CALL sam_configure(on_error := 'null')")
        con.execute("RESET sam_on_error")
        con.execute("CALL sam_configure(on_error := 'null')")
        assert con.execute(BAD).fetchone() == (True,)
        with pytest.raises(duckdb.Error, match="INT64"):
            con.execute("SET sam_image_side = 'wide'")


def test_locked_settings_stay() -> None:
    with duckdb_sam.connect() as con:
        con.execute("SET lock_configuration = true")
        with pytest.raises(duckdb.InvalidInputException, match="locked by lock_configuration"):
            con.execute("CALL sam_configure(cache_mb := 10)")
        with pytest.raises(duckdb.Error, match="locked"):
            con.execute("SET sam_on_error = 'null'")
        assert value(con, "on_error") == "fail"
