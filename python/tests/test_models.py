"""Where models are found, what they are called, and how they are let go of."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from conftest import ROOT

WEIGHTS = ROOT / "test" / "reference" / "vit_tiny" / "plain.pt"
DISC = ROOT / "test" / "data" / "disc.png"


def mask(con: duckdb.DuckDBPyConnection, model: str) -> object:
    query = "SELECT sam_annotate(?, content, [0.333, 0.4375]) FROM read_blob(?)"
    return con.execute(query, [model, str(DISC)]).fetchone()


def unload(con: duckdb.DuckDBPyConnection, name: str) -> bool:
    return con.execute("FROM sam_unload(?)", [name]).fetchone()[0]


def loaded(con: duckdb.DuckDBPyConnection) -> set[str]:
    return {path for (path,) in con.execute("SELECT path FROM sam_models() WHERE loaded AND path NOT NULL").fetchall()}


def test_a_name_in_the_working_directory(con, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = mask(con, str(WEIGHTS))
    for name in ("lightning.ckpt", "pytorch_model.bin", "weights"):
        shutil.copy(WEIGHTS, tmp_path / name)
        assert mask(con, name) == mask(con, f"./{name}") == expected
    (tmp_path / "hf").mkdir()
    shutil.copy(WEIGHTS, tmp_path / "hf" / "pytorch_model.bin")
    assert mask(con, "hf") == mask(con, str(tmp_path / "hf")) == expected


def test_the_model_folder(con, tmp_path, monkeypatch):
    folder, here = tmp_path / "models", tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    for name in ("one.ckpt", "two.pt", "two.pth", "nano.pt"):
        shutil.copy(WEIGHTS, folder / name)
    (folder / "three").mkdir()
    shutil.copy(WEIGHTS, folder / "three" / "pytorch_model.bin")
    (folder / "notes").mkdir()
    before = con.execute("SELECT value FROM sam_configure() WHERE setting = 'model_dir'").fetchone()[0]
    con.execute("CALL sam_configure(model_dir := ?)", [str(folder)])
    try:
        names = [
            name
            for (name,) in con.execute("SELECT name FROM sam_models() WHERE path LIKE ?", [f"{folder}%"]).fetchall()
        ]
        assert sorted(names) == ["nano.pt", "one", "three", "two.pt", "two.pth"]
        expected = mask(con, str(WEIGHTS))
        assert all(mask(con, name) == expected for name in names)
        with pytest.raises(duckdb.Error, match=r"the name 'two' means several models: .*two\.pt', .*two\.pth'; give"):
            mask(con, "two")
        shutil.copy(WEIGHTS, here / "one.ckpt")
        with pytest.raises(duckdb.Error, match=r"the name 'one\.ckpt' means several models"):
            mask(con, "one.ckpt")
        assert mask(con, "./one.ckpt") == expected
    finally:
        con.execute("CALL sam_configure(model_dir := ?)", [before])


def test_home(tmp_path):
    (tmp_path / "models").mkdir()
    shutil.copy(WEIGHTS, tmp_path / "models" / "tiny.pt")
    script = """
import duckdb_sam
con = duckdb_sam.connect()
for name in ("tiny", "~/models/tiny.pt"):
    print(con.execute("SELECT name FROM sam_load(?)", [name]).fetchone())
con.execute("CALL sam_configure(model_dir := '~/other')")
print(con.execute("SELECT value FROM sam_configure() WHERE setting = 'model_dir'").fetchone()[0])
"""
    environment = os.environ | {"HOME": str(tmp_path), "SAM_MODEL_DIR": "~/models"}
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["('tiny',)", "('tiny',)", str(tmp_path / "other")]


def test_without_external_access(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(WEIGHTS, tmp_path / "sam.ckpt")
    script = """
import duckdb, duckdb_sam
con = duckdb_sam.connect()
con.execute("CALL sam_configure(external_access := false)")
for name in ("sam.ckpt", "./sam.ckpt", "~/x", "."):
    try:
        con.execute("SELECT sam_model_info(?)", [name])
    except duckdb.Error as error:
        print("would be read from a file" in str(error))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True"] * 4


def test_a_file_that_has_gone_is_unloaded(con, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("by_name.pt", "by_path.pt", "by_stem.pt", "renamed.pt"):
        shutil.copy(WEIGHTS, tmp_path / name)
    mask(con, "by_name.pt")
    for name in ("by_path.pt", "by_stem.pt", "renamed.pt"):
        mask(con, str(tmp_path / name))
    for name in ("by_name.pt", "by_path.pt", "by_stem.pt"):
        (tmp_path / name).unlink()
    (tmp_path / "renamed.pt").rename(tmp_path / "other.pt")
    mask(con, str(tmp_path / "other.pt"))
    ours = {str(tmp_path / f"{name}.pt") for name in ("by_name", "by_path", "by_stem", "renamed", "other")}
    assert ours <= loaded(con)
    assert unload(con, "by_name.pt")
    assert unload(con, str(tmp_path / "by_path.pt"))
    assert unload(con, "by_stem")
    assert unload(con, "renamed.pt")
    assert ours & loaded(con) == {str(tmp_path / "other.pt")}
    assert unload(con, "other.pt") and not unload(con, "other.pt")
    with pytest.raises(duckdb.Error, match="unknown model 'by_name'"):
        unload(con, "by_name")


def test_a_name_of_several_loaded_models_is_refused(con, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy(WEIGHTS, tmp_path / folder / "same.pt")
        mask(con, str(tmp_path / folder / "same.pt"))
    with pytest.raises(
        duckdb.Error, match=r"the name 'same' means several loaded models: '.*a/same\.pt', '.*b/same\.pt'"
    ):
        unload(con, "same")
    assert unload(con, str(tmp_path / "a" / "same.pt"))
    assert unload(con, "same")


def test_what_is_stated_beside_the_weights_is_part_of_the_model(con, tmp_path):
    path = tmp_path / "tiny.pt"
    shutil.copy(WEIGHTS, path)
    info = "SELECT sam_model_info(?).sha256"
    plain, digest = mask(con, str(path)), con.execute(info, [str(path)]).fetchone()
    path.with_suffix(".json").write_text(json.dumps({"pixel_mean": [0, 0, 0], "pixel_std": [255, 255, 255]}))
    assert mask(con, str(path)) != plain
    assert con.execute(info, [str(path)]).fetchone() != digest
    path.with_suffix(".json").unlink()
    assert mask(con, str(path)) == plain


def test_nothing_is_printed(tmp_path):
    path = tmp_path / "nested.pt"
    path.write_bytes(b"PK\x03\x04" + b"\0" * 100)
    script = """
import duckdb, duckdb_sam, sys
con = duckdb_sam.connect()
try:
    con.execute("SELECT sam_model_info(?)", [sys.argv[1]])
except duckdb.Error as error:
    print(str(error).splitlines()[0])
"""
    environment = os.environ | {"RUST_BACKTRACE": "1"}
    for file in (path, Path(ROOT / "test" / "reference" / "vit_tiny" / "legacy.pth")):
        run = subprocess.run(
            [sys.executable, "-c", script, file], env=environment, capture_output=True, text=True, check=True
        )
        assert run.stderr == ""
        assert len(run.stdout.splitlines()) == 1
