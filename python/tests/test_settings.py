"""Settings from the environment, which are read when the extension is loaded: each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import duckdb
import pytest

import duckdb_sam
from conftest import PHOTOS, ROOT

SCRIPT = """
import json, sys
import duckdb_sam

con = duckdb_sam.connect()
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
        "Invalid Input Error: sam_configure: external_access is off, and stays off as long as the process runs",
        "[('nano',)] []",
    ]


def test_databases_differ_in_external_access() -> None:
    with duckdb_sam.connect() as closed, duckdb_sam.connect() as open_:
        closed.execute("SET enable_external_access = false")
        query = "SELECT sam_model_info('extension/model/assets/nano.safetensors').name"
        with pytest.raises(duckdb.InvalidInputException, match="enable_external_access is off"):
            closed.execute(query)
        assert open_.execute(query).fetchone() == ("nano",)
