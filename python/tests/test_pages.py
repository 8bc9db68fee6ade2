"""What README.md and the pages of docs/ show can be typed, and their links lead somewhere.

The walk, and the recipes for files, are in test_docs.py; the other recipes in test_recipes_*.py.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import duckdb
import pytest
from PIL import Image

import duckdb_sam
from conftest import ROOT
from pages import code, run_python, run_sh, run_sql

PAGES = sorted(path.stem for path in (ROOT / "docs").glob("*.md") if path.stem != "walk")
RUN = {"sql", "python"}
NOT_RUN = {"sh", "json", "yaml"}  # commands that build, but those of docs/command-line.md; what stands in a file

LINKED = [
    "README.md",
    "docs/**/*.md",
    "ARCHITECTURE.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "bench/README.md",
    "training/*.md",
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder to run pages in: the photographs, and a file of weights with the name that the pages use."""
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    (tmp_path / "weights").mkdir()
    shutil.copy(ROOT / "test" / "reference" / "vit_tiny" / "plain.pt", tmp_path / "weights" / "mobile_sam.pt")
    return tmp_path


def photos() -> str:
    """Return the part of the README that loads the extension and makes the table that the pages use."""
    statements = code("README.md", "sql").split("\n\n")
    assert statements[0].startswith("LOAD ")
    assert statements[1].startswith("CREATE TABLE photos ")
    return "\n".join(statements[:2]) + "\n"


def test_readme(checkout: Path, extension: Path) -> None:
    rows = run_sql(code("README.md", "sql"), extension, checkout).splitlines()
    assert rows[0] == "name,area,bbox,iou"
    assert len(rows) == 1 + len(list((ROOT / "demo" / "photos").glob("*.jpg")))
    with Image.open(checkout / "coffee_mask.jpg") as overlay, Image.open(ROOT / "demo/photos/coffee.jpg") as photo:
        assert overlay.size == photo.size
    (checkout / "coffee_mask.jpg").unlink()
    shown = run_python(code("README.md", "python"), checkout)
    assert all(f" {photo.name} " in shown for photo in (ROOT / "demo" / "photos").glob("*.jpg"))
    assert len(shown.splitlines()) < 20
    with Image.open(checkout / "coffee_mask.jpg") as overlay:
        assert overlay.size == (600, 400)


def with_code(language: str) -> list[str]:
    return [page for page in PAGES if code(f"docs/{page}.md", language)]


@pytest.mark.parametrize("page", with_code("sql"))
def test_sql(page: str, checkout: Path, extension: Path) -> None:
    run_sql(photos() + code(f"docs/{page}.md", "sql"), extension, checkout)


@pytest.mark.parametrize("page", with_code("python"))
def test_python(page: str, checkout: Path) -> None:
    run_python(code(f"docs/{page}.md", "python"), checkout)


def test_commands(checkout: Path) -> None:
    shown = run_sh(code("docs/command-line.md", "sh"), checkout)
    assert f"duckdb-sam {duckdb_sam.__version__}" in map(" ".join, map(str.split, shown.splitlines()))
    assert len(json.loads((checkout / "photos.json").read_text())) == 6
    assert (checkout / "out" / "coffee.jpg").is_file()
    assert (checkout / "dataset" / "labels" / "coffee.txt").read_text()
    [readme] = [line for line in code("README.md", "sh").splitlines() if line.startswith("duckdb-sam ")]
    quick = readme.replace("demo/photos", "demo/photos/coffee.jpg") + " --option points_per_side=4"
    assert "overlay  out (1 picture)" in run_sh(f"rm -r masks.parquet out\n{quick}", checkout)


def test_no_code_escapes() -> None:
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        opened = re.findall(r"^ *```(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)[::2]
        assert set(opened) <= RUN | NOT_RUN, path.name


def test_the_readme_lists_every_page() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "docs").glob("*.md"):
        assert f"](docs/{path.name})" in readme


def test_the_recipes_list_every_page() -> None:
    listed = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    for path in (ROOT / "docs" / "recipes").iterdir():
        assert f"](recipes/{path.name})" in listed


def test_every_setting_is_in_the_table(con: duckdb.DuckDBPyConnection) -> None:
    table = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for setting, variable in con.execute("SELECT setting, variable FROM sam_configure()").fetchall():
        assert f"\n| `{setting}` | `{variable}` |" in table


def test_what_may_be_stated_beside_weights() -> None:
    stated = json.loads(code("docs/models.md", "json"))
    assert stated.keys() == {"image_size", "pixel_mean", "pixel_std"}


def anchors(page: Path) -> set[str]:
    """Return what can stand after # in a link to a page, as GitHub makes it of the headings."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "page", sorted({path for pattern in LINKED for path in ROOT.glob(pattern)}), ids=lambda path: path.name
)
def test_links(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name} links to {link}, which does not exist"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {link}: there is no such heading"
