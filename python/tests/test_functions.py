"""The function reference and the Ibis expressions are what the extension says about itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import duckdb
import pytest

from conftest import ROOT


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_files_are_up_to_date(generate: ModuleType) -> None:
    for path, text in generate.files().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.relative_to(ROOT)} is out of date: run make docs"


def test_every_function_is_described(con: duckdb.DuckDBPyConnection) -> None:
    ours = "function_name SIMILAR TO '(sam|image|masks?|box|points?|embedding)_.*'"
    registered = f"SELECT DISTINCT function_name FROM duckdb_functions() WHERE {ours}"
    described = "SELECT DISTINCT function_name FROM sam_functions()"
    assert set(con.execute(registered).fetchall()) == set(con.execute(described).fetchall())
    for name, description, example in con.execute(
        "SELECT function_name, description, example FROM sam_functions()"
    ).fetchall():
        assert len(description) > 20, name
        assert f"{name}(" in example, name


def test_examples_are_valid(con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # one writes a file
    mask = "STRUCT(size INTEGER[], counts VARCHAR)"
    con.execute(f"CREATE TABLE t (image BLOB, mask {mask}, other {mask}, masks {mask}[], bbox FLOAT[])")
    for (example,) in con.execute("SELECT DISTINCT example FROM sam_functions()").fetchall():
        query = example if example.startswith(("SELECT", "FROM", "CALL")) else f"SELECT {example} FROM t"
        con.execute(query).fetchall()
