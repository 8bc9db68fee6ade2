"""Lays out what the site is made of, in build/pages: the Markdown of the repository in its own folders, so that links
between pages are those of the repository. Called by `make site`; needs Python 3.11 alone.

- README.md is the page index.md of its folder.
- Links to files that are no page lead to the repository on the web.
- A notebook becomes a page, with its outputs of docs/outputs.py and a link to the notebook itself.
- A page with columns has the whole width.
"""

from __future__ import annotations

import json
import posixpath
import re
import shutil
import sys
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = "https://github.com/duckdb-sam/duckdb-sam"
OUTPUTS = ROOT / "docs" / "notebooks" / "outputs.json"
CONFIG = ROOT / "docs" / "zensical.toml"
PAGES = [
    "*.md",
    "bench/*.md",
    "demo/photos/LICENSES.md",
    "docs/**/*.md",
    "docs/notebooks/*.ipynb",
    "training/*.md",
]
FILES = [
    "docs/*.jpg",
    "docs/pictures/*.webp",
    "docs/notebooks/pictures/*.webp",
    "docs/site.css",
    "training/figures/*.jpg",
]

# What stands side by side needs the room of the lists of pages and headings.
WIDE = {"docs/why.md"}
HIDE = "---\nhide: [navigation, toc]\n---\n\n"

LINK = re.compile(r"(```.*?```|`[^`\n]*`)|(\]\()([^)\s#]+)(#[^)\s]*)?(?=\))", re.DOTALL)


def sources() -> list[str]:
    """Return the paths of what becomes a page, in the repository."""
    return sorted(path.relative_to(ROOT).as_posix() for pattern in PAGES for path in ROOT.glob(pattern))


def page(source: str) -> str:
    """Return the path of a page on the site, by its path in the repository."""
    folder, name = posixpath.split(source)
    name = "index.md" if name == "README.md" else f"{name.removesuffix('.ipynb').removesuffix('.md')}.md"
    return posixpath.join(folder, name)


def navigation() -> list[str]:
    """Return the pages that the navigation of the site leads to."""
    found: list[str] = []

    def collect(entries: list) -> None:
        for entry in entries:
            for value in entry.values():
                collect(value) if isinstance(value, list) else found.append(value)

    collect(project()["nav"])
    return found


def project() -> dict:
    """Return the settings of the site."""
    return tomllib.loads(CONFIG.read_text(encoding="utf-8"))["project"]


def linked(text: str, source: str, pages: set[str]) -> str:
    """Return the text of a page with its links as the site has them."""

    def replace(match: re.Match[str]) -> str:
        code, opening, name, anchor = match.groups()
        if code or re.match(r"[a-z]+:", name):
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), name))
        if target in pages:
            name = posixpath.relpath(page(target), posixpath.dirname(source))
        elif not any(Path(target).match(pattern) for pattern in FILES):
            kind = "tree" if (ROOT / target).is_dir() else "blob"
            name = f"{REPOSITORY}/{kind}/main/{target}"
        return f"{opening}{name}{anchor or ''}"

    return LINK.sub(replace, text)


def from_notebook(text: str, name: str, outputs: dict[str, list[dict[str, str]]]) -> str:
    """Return the cells of a notebook with their outputs as Markdown, with a link to the notebook after the heading."""
    cells = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        cells.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        cells += map(output, outputs.get(cell["id"], []))
    heading, _, rest = "\n\n".join(cells).partition("\n")
    return f"{heading}\n\n*This page is a notebook: [{name}]({name}).*\n{rest}\n"


def output(kept: dict[str, str]) -> str:
    """Return an output of a cell, as docs/outputs.py keeps it, as Markdown."""
    if "picture" in kept:
        return f"![{kept['alt'].replace('[', '(').replace(']', ')')}]({kept['picture']})"
    return f"```text\n{kept['text']}\n```"


def write(folder: Path) -> None:
    """Write the pages and the settings of the site into a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    pages = set(sources())
    for source in sorted(pages):
        text = (ROOT / source).read_text(encoding="utf-8")
        if source.endswith(".ipynb"):
            outputs = json.loads(OUTPUTS.read_text(encoding="utf-8"))[Path(source).stem]["cells"]
            text = linked(from_notebook(text, posixpath.basename(source), outputs), source, pages - {source})
            text = text.replace(f"{REPOSITORY}/blob/main/{source}", posixpath.basename(source))
            copy(source, folder)
        else:
            text = linked(HIDE + text if source in WIDE else text, source, pages)
        target = folder / "pages" / page(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    for pattern in FILES:
        for path in ROOT.glob(pattern):
            copy(path.relative_to(ROOT).as_posix(), folder)
    shutil.copy(CONFIG, folder)


def copy(source: str, folder: Path) -> None:
    """Copy a file of the repository beside the pages."""
    target = folder / "pages" / source
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / source, target)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
