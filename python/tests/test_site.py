"""The site holds every page, its navigation leads to each, its links lead somewhere, and its notebooks run."""

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

from conftest import ROOT
from sites import Page, built

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
    # the page names the processor
    [results] = re.findall(
        r"(?ms)^## AMD EPYC .*?(?=^## |\Z)", (ROOT / "bench" / "RESULTS.md").read_text(encoding="utf-8")
    )
    measured = re.findall(r"^\| Table of 8 JPEGs.*?\| 2 +\| (\d+) ms .*? ([\d.]+) x ", results, re.MULTILINE)
    assert re.findall(r"^\| .*? \| (\d+) \| ([\d.]+) \|$", page, re.MULTILINE) == measured


@pytest.fixture(scope="module")
def pages() -> dict[Path, Page]:
    return {path.resolve(): Page(path.resolve()) for path in built().rglob("*.html")}


def test_links_of_the_built_site(pages: dict[Path, Page]) -> None:
    assert len(pages) > 40
    wrong = []
    for path, page in pages.items():
        for link in page.links if path.name != "404.html" else []:  # whose links begin at the root of a server
            target = page.target(link)
            if target is None:
                continue
            file, anchor = target
            there = file.exists() and (not anchor or file.suffix != ".html" or anchor in pages[file].anchors)
            wrong += [] if there else [f"{path.name}: {link.address}"]
    assert wrong == []


def test_nothing_is_asked_for_from_elsewhere(pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        asked = [link.address for link in page.links if link.tag != "a" and page.target(link) is None]
        # Where the page lies, if it lies anywhere: that is said and not asked for.
        assert [address for address in asked if not address.startswith("data:")] == [], path.name
    for style in built().rglob("*.css"):
        assert not re.search(r"url\(\W?(?:https?:)?//|@import", style.read_text(encoding="utf-8")), style.name


def test_pictures_have_words(pages: dict[Path, Page]) -> None:
    pictures = [(path.name, picture) for path, page in pages.items() for picture in page.pictures]
    assert len(pictures) > 30
    assert [(name, picture["src"]) for name, picture in pictures if not picture.get("alt")] == []


def test_the_pages_are_the_ones_built(assemble: ModuleType, pages: dict[Path, Page]) -> None:
    expected = {assemble.page(source).replace(".md", ".html") for source in assemble.sources()}
    assert {path.relative_to(built()).as_posix() for path in pages} - {"404.html"} == expected


def test_search_from_the_disk_has_the_index() -> None:
    script = (built() / "search.js").read_text(encoding="utf-8")
    first, second, _ = script.split("\n", 2)
    index = json.loads(first.removeprefix("var __index = ").removesuffix(";"))
    assert index == json.loads((built() / "search.json").read_text(encoding="utf-8"))
    [worker] = built().glob("assets/javascripts/workers/search.*.js")
    assert json.loads(second.removeprefix("const __worker = ").removesuffix(";")) == worker.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def outputs() -> ModuleType:
    sys.path.append(str(ROOT / "docs"))
    return importlib.import_module("outputs")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path: Path, outputs: ModuleType) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "clear the outputs before committing"
    kept = outputs.stored()[path.stem]
    fresh = outputs.outline(path, outputs.run(path))
    assert outputs.agree(kept, fresh), f"run make docs: {fresh}"
    assert len(outputs.pictures(kept)) >= 2
    assert outputs.seen(kept)


def test_outputs_of_notebooks_are_small_and_of_no_machine(outputs: ModuleType) -> None:
    kept = outputs.stored()
    assert kept.keys() == {path.stem for path in NOTEBOOKS}
    text = outputs.STORED.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.])/(?:home|tmp|usr|work|root|Users)\b|0x[0-9a-f]{6}|Traceback", text)
    named = {picture for notebook in kept.values() for picture in outputs.pictures(notebook)}
    there = {f"pictures/{path.name}": path.stat().st_size for path in outputs.PICTURES.iterdir()}
    assert {picture for picture in named if picture != "../label.jpg"} == there.keys()
    assert sum(there.values()) < 250_000


def test_what_agrees_among_outputs(outputs: ModuleType) -> None:
    def agree(one: str, other: str) -> bool:
        return outputs.agree({"code": "a", "cells": [one]}, {"code": "a", "cells": [other]})

    assert agree("Mask(area=118312)", "Mask(area=118500)")
    assert agree("│ coffee.jpg │ 0.97 │", "│  coffee.jpg  │ 0.96 │")
    assert not agree("Mask(area=118312)", "Mask(area=128312)")
    assert not agree("Mask(area=118312)", "Box(area=118312)")
    assert not outputs.agree({"code": "a", "cells": []}, {"code": "b", "cells": []})


def test_outputs_stand_below_their_cells(assemble: ModuleType) -> None:
    cells = [
        {"cell_type": "markdown", "id": "a", "source": ["# Title"]},
        {"cell_type": "code", "id": "b", "source": ["show()"]},
    ]
    kept = {"b": [{"text": "1 row"}, {"picture": "pictures/x.webp", "alt": "Mask([1])"}]}
    page = assemble.from_notebook(json.dumps({"cells": cells}), "x.ipynb", kept)
    assert page.endswith("```python\nshow()\n```\n\n```text\n1 row\n```\n\n![Mask((1))](pictures/x.webp)\n")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_of_notebooks(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / link).exists(), link
