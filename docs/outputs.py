"""Runs the notebooks of docs/notebooks, and keeps what their cells return for the site: outputs.json there, and
pictures. The notebooks themselves stay without outputs. `make docs` calls it; galleries take a browser.

As results.py does, it keeps what is there as long as the new outputs agree with it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import sys
from html import unescape
from pathlib import Path
from typing import Any

from results import near

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "notebooks"
STORED = FOLDER / "outputs.json"
PICTURES = FOLDER / "pictures"

WIDGETS = "application/vnd.jupyter.widget-view+json"
SIDE = 640
"""The longer side of a picture."""
WIDTH = 760
"""The width of the cells in which galleries are shown."""
WIDGET = {"picture": "../label.jpg", "alt": "The photograph, its prompts and its masks in the widget"}
"""What stands for a widget, which lives in notebooks only."""


def run(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Run a notebook in the root of the repository; return the outputs of its cells by their ids, as Jupyter has them.

    Masks are computed in f32, as in results.py. Bars that show how far a query is are left out: they come and go with
    the time that it takes.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT)}})
    client.execute(env={**os.environ, "SAM_PRECISION": "f32"})
    cells = {cell["id"]: [each for each in cell.get("outputs", []) if not is_bar(each)] for cell in notebook.cells}
    return {cell: outputs for cell, outputs in cells.items() if outputs}


def is_bar(output: dict[str, Any]) -> bool:
    """Tell whether an output is DuckDB's bar."""
    return output["output_type"] == "display_data" and WIDGETS in output["data"]


def outline(path: Path, outputs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return what is kept of a notebook: a digest of its code, and of its cells texts and the names of pictures."""
    cells = {
        cell: [one(output, f"{path.stem}-{cell}-{number}") for number, output in enumerate(those)]
        for cell, those in outputs.items()
    }
    return {"code": digest(path), "cells": cells}


def digest(path: Path) -> str:
    """Return the digest of the code of a notebook."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return hashlib.sha256("\0".join(code).encode()).hexdigest()


def one(output: dict[str, Any], name: str) -> dict[str, str]:
    """Return what is kept of an output."""
    data = output.get("data", {})
    if WIDGETS in data:
        return WIDGET
    if "text/html" in data:
        caption = re.search(r"<figcaption>(.*?)</figcaption>", data["text/html"], re.DOTALL)
        alone = caption and "image/png" in data  # the pictures of a gallery have captions as well
        alt = unescape(re.sub("<[^>]*>", "", caption[1])) if alone else data["text/plain"]
        return {"picture": f"pictures/{name}.webp", "alt": alt}
    return {"text": output.get("text", data.get("text/plain", "")).rstrip("\n")}


def agree(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two outlines of a notebook are the same, but for what a processor makes of numbers."""
    return one["code"] == other["code"] and near(tokens(one["cells"]), tokens(other["cells"]), 0)


def tokens(value: Any) -> Any:
    """Return a value with its texts cut into words and numbers, and lines of tables of any width."""
    if isinstance(value, dict):
        return {key: tokens(each) for key, each in value.items()}
    if isinstance(value, list):
        return [tokens(each) for each in value]
    parts = re.split(r"(?<![\w.])(\d+(?:\.\d+)?)(?!\w)", re.sub(r"[\s─]+", " ", value))
    return [[float(part)] if place % 2 else part for place, part in enumerate(parts)]


def stored() -> dict[str, Any]:
    """Return the outputs that are kept."""
    return json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}


def update() -> None:
    """Run all notebooks, and write what no longer agrees with what is kept."""
    kept, found = stored(), {}
    PICTURES.mkdir(exist_ok=True)
    for path in sorted(FOLDER.glob("*.ipynb")):
        outputs = run(path)
        found[path.stem] = outline(path, outputs)
        if path.stem in kept and agree(kept[path.stem], found[path.stem]) and seen(kept[path.stem]):
            found[path.stem] = kept[path.stem]
        else:
            draw(found[path.stem], outputs)
    names = {picture for notebook in found.values() for picture in pictures(notebook)}
    for path in PICTURES.iterdir():
        if f"pictures/{path.name}" not in names:
            path.unlink()
    STORED.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def pictures(notebook: dict[str, Any]) -> list[str]:
    """Return the pictures of an outline, by their paths beside the notebooks."""
    return [each["picture"] for those in notebook["cells"].values() for each in those if "picture" in each]


def seen(notebook: dict[str, Any]) -> bool:
    """Tell whether the pictures of an outline are there."""
    return all((FOLDER / picture).exists() for picture in pictures(notebook))


def draw(notebook: dict[str, Any], outputs: dict[str, list[dict[str, Any]]]) -> None:
    """Write the pictures of an outline."""
    for picture in pictures(notebook):
        match = re.search(r"(cell-\w+)-(\d+)\.webp$", picture)
        if match is None:  # WIDGET's
            continue
        data = outputs[match[1]][int(match[2])]["data"]
        png = base64.b64decode(data["image/png"]) if "image/png" in data else photographed(data["text/html"])
        (FOLDER / picture).write_bytes(webp(png))


def webp(png: bytes) -> bytes:
    """Return a picture as it is kept."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        small = image.convert("RGB")
        small.thumbnail((SIDE, 2 * SIDE))
        written = io.BytesIO()
        small.save(written, "WEBP", quality=70, method=6)
    return written.getvalue()


def photographed(html: str) -> bytes:
    """Return what a browser shows of the HTML of a cell, as a PNG."""
    sys.path.append(str(ROOT / "python" / "tests"))
    from playwright.sync_api import sync_playwright

    import browser

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.provide(), args=list(browser.SWITCHES))
        page = chromium.new_page(viewport={"width": WIDTH, "height": 600}, color_scheme="light")
        page.set_content(f"<!doctype html><body style='margin: 8px; font: 14px sans-serif'>{html}")
        page.wait_for_timeout(300)
        png = page.screenshot(full_page=True)
        chromium.close()
    return png
