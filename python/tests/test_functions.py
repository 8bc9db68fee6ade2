"""The function reference and the Ibis expressions are what the extension says about itself, and its examples return."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

import duckdb
import pytest
from PIL import Image

from conftest import ROOT


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stored(generate: ModuleType) -> dict[str, dict]:
    return generate.results.stored()


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


def test_every_example_has_a_result(con: duckdb.DuckDBPyConnection, stored: dict[str, dict]) -> None:
    examples = dict(con.execute("SELECT function_name, first(example) FROM sam_functions() GROUP BY ALL").fetchall())
    assert {name: result["example"] for name, result in stored.items()} == examples
    for name, result in stored.items():
        nothing = all(value is None for row in result["rows"] for value in row)
        assert not nothing or result.get("note"), f"{name} shows nothing: NOTES in docs/results.py has to say why"


@pytest.fixture(scope="module")
def fresh(generate: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict]]:
    folder = tmp_path_factory.mktemp("results")
    return folder, generate.results.fresh(folder)


def test_results_are_those_of_the_extension(
    generate: ModuleType, stored: dict[str, dict], fresh: tuple[Path, dict[str, dict]]
) -> None:
    folder, results = fresh
    assert results.keys() == stored.keys()
    for name, result in results.items():
        assert generate.results.agree(stored[name], result), f"{name}: run make docs\n{stored[name]}\n{result}"
        picture = result.get("picture")
        if picture:
            with Image.open(folder / picture) as one, Image.open(generate.results.PICTURES / picture) as other:
                assert one.size == other.size, name


def test_what_agrees_is_kept_and_the_rest_written(
    generate: ModuleType,
    stored: dict[str, dict],
    fresh: tuple[Path, dict[str, dict]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module, (folder, results) = generate.results, fresh

    def again(target: Path) -> dict[str, dict]:
        shutil.copytree(folder, target, dirs_exist_ok=True)
        return results

    pictures = shutil.copytree(module.PICTURES, tmp_path / "pictures")
    (pictures / "of_a_function_that_is_gone.webp").touch()
    (pictures / "mask_union.webp").unlink()
    changed = {**stored, "mask_iou": {**stored["mask_iou"], "rows": [[0.9]]}}
    (tmp_path / "results.json").write_text(module.as_json(changed), encoding="utf-8")
    monkeypatch.setattr(module, "fresh", again)
    monkeypatch.setattr(module, "PICTURES", pictures)
    monkeypatch.setattr(module, "STORED", tmp_path / "results.json")
    module.update()
    assert module.stored() == {**stored, "mask_iou": results["mask_iou"]}
    kept = {path.name: path.read_bytes() for path in pictures.iterdir()}
    assert kept.pop("mask_union.webp") == (folder / "mask_union.webp").read_bytes()
    assert kept == {name: (ROOT / "docs" / "pictures" / name).read_bytes() for name in kept}
    assert "of_a_function_that_is_gone.webp" not in kept


def test_what_agrees(generate: ModuleType) -> None:
    near = generate.results.near
    for one, other in [
        (1000, 1019),
        (0.5, 0.519),
        ([86.0, 400.0], [93.0, 400.0]),
        ({"$mask": [2, 3]}, {"$mask": [2, 3]}),
        ({"$text": 90, "first": "POLYGON ((1 2"}, {"$text": 80, "first": "POLYGON ((3 2"}),
        ([True, None, "a"], [True, None, "a"]),
    ]:
        assert near(one, other, 0), (one, other)
    for one, other in [
        (1000, 1030),
        (0.5, 0.53),
        ([86.0, 400.0], [95.0, 400.0]),
        ({"$mask": [2, 3]}, {"$mask": [200, 3]}),
        ({"$text": 90, "first": "POLYGON ((1 2"}, {"$text": 90, "first": "MULTIPOLYGON (("}),
        (13511678729449846327, 13511678729449846326),
        (True, False),
        (1, None),
        ("a", "b"),
    ]:
        assert not near(one, other, 0), (one, other)


def test_pictures_are_small_and_shown(generate: ModuleType, stored: dict[str, dict]) -> None:
    page = (ROOT / "docs" / "functions.md").read_text(encoding="utf-8")
    files = {path.name: path.stat().st_size for path in generate.results.PICTURES.iterdir()}
    assert set(re.findall(r"\]\(pictures/([^)]+)\)", page)) == files.keys()
    assert sum(files.values()) < 400_000
    assert len([result for result in stored.values() if "picture" in result]) >= 20


def test_how_values_are_printed(generate: ModuleType) -> None:
    printed, broken, cell = generate.shown.printed, generate.shown.broken, generate.shown.cell
    assert printed(None) == "NULL"
    assert printed(True) == "true"
    assert printed("it's") == "it's"
    assert printed(["it's", 1.5]) == "['it''s', 1.5]"
    assert printed({"$blob": 33120}) == "BLOB (33,120 bytes)"
    assert printed({"$blob": 9, "format": "png", "width": 2, "height": 1}) == "BLOB (PNG, 2 x 1, 9 bytes)"
    assert printed({"a": {"$mask": [2, 3]}}) == "{'a': {'size': [2, 3], 'counts': '…'}}"
    assert printed({"$list": 4000, "first": [0.1, 0.2]}) == "[0.1, 0.2, … 4,000 in all]"
    assert printed({"$text": 1200, "first": "POLYGON"}) == "POLYGON… 1,200 characters"
    assert cell("a | b") == "`a \\| b`"
    words = ["word"] * 40
    assert broken({"a": 1, "b": words}).splitlines()[:3] == ["{", "  'a': 1,", "  'b': ["]
    assert max(map(len, broken({"a": 1, "b": words}).splitlines())) < 110
