"""The site holds every page, its navigation leads to each, and its notebooks run, beside what `make site` checks."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbclient import NotebookClient

from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def assemble() -> ModuleType:
    if sys.version_info < (3, 11):
        pytest.skip("the site is built by Python 3.11 or newer: it reads TOML")
    spec = importlib.util.spec_from_file_location("assemble", ROOT / "docs" / "assemble.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(assemble: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    assemble.write(folder)
    return folder / "pages"


def test_every_page_is_in_the_navigation_once(assemble: ModuleType, site: Path) -> None:
    pages = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.md"))
    assert sorted(assemble.navigation()) == pages
    assert {assemble.page(path.relative_to(ROOT).as_posix()) for path in (ROOT / "docs").rglob("*.md")} <= set(pages)


def test_links_lead_somewhere(site: Path) -> None:
    for page in site.rglob("*.md"):
        text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)\s#]+)", text):
            repository, inside, name = link.partition("/duckdb-sam/duckdb-sam/")
            if inside and name.startswith(("blob/main/", "tree/main/")):
                assert (ROOT / name.split("/", 2)[2]).exists(), f"{page}: {link}"
            elif "://" not in link:
                assert (page.parent / link).exists(), f"{page}: {link}"


def test_links_of_pages_are_those_of_the_repository(assemble: ModuleType) -> None:
    def linked(text: str) -> str:
        return assemble.linked(text, "docs/a.md", {"README.md", "docs/a.md", "docs/b.md"})

    assert linked("[x](../README.md#h) [y](b.md) [z](#h)") == "[x](../index.md#h) [y](b.md) [z](#h)"
    assert linked("![p](gallery.jpg) [c](https://duckdb.org/a)") == "![p](gallery.jpg) [c](https://duckdb.org/a)"
    there = f"[d]({assemble.REPOSITORY}/tree/main/extension) [f]({assemble.REPOSITORY}/blob/main/Makefile)"
    assert linked("[d](../extension) [f](../Makefile)") == there
    assert linked("`[x](../README.md)`") == "`[x](../README.md)`"


def test_the_loop_is_the_one_that_was_measured() -> None:
    page = re.sub(r"```.*?```", "", (ROOT / "docs" / "why.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    worker = (ROOT / "bench" / "worker.py").read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", page, re.MULTILINE)
    functions = [block.strip("\n") for text in blocks for block in re.split(r"\n\n(?=    def )", text) if block.strip()]
    assert len(functions) == 2
    for function in functions:
        assert function in worker, textwrap.dedent(function).splitlines()[0]


def test_times_are_those_of_the_benchmark() -> None:
    page = (ROOT / "docs" / "why.md").read_text(encoding="utf-8")
    results = (ROOT / "bench" / "RESULTS.md").read_text(encoding="utf-8")
    measured = re.findall(r"^\| Table of 8 JPEGs.*?\| 2 +\| (\d+) ms .*? ([\d.]+) x ", results, re.MULTILINE)
    assert re.findall(r"^\| .*? \| (\d+) \| ([\d.]+) \|$", page, re.MULTILINE) == measured


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "clear the outputs before committing"
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "<img" in json.dumps(output) or "image/" in json.dumps(output)]
    assert len(pictures) >= 2
    if path.stem == "photos-to-coco":
        assert "('coins.jpg', " in outputs[-1]["data"]["text/plain"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_of_notebooks(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / link).exists(), link
