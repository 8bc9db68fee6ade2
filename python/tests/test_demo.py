"""The demo runs, and shows what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from browser import violations
from conftest import ROOT
from galleries import parsed


def test_demo(tmp_path: Path, page: Any) -> None:
    out, sheet = tmp_path / "gallery.html", tmp_path / "sheet.jpg"
    command = [sys.executable, "-W", "error", str(ROOT / "demo" / "run.py"), "--out", str(out), "--sheet", str(sheet)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    # One of the pictures of the second query is known from the first, and those of the fourth all are.
    for pictures, prompts in ((3, 3), (2, 3), (0, 2), (0, 768), (1, 6)):
        assert done.stdout.count(f"{pictures} pictures encoded, {prompts} prompts decoded") == 1
    text = out.read_text(encoding="utf-8")
    assert "://" not in text  # it needs nothing from elsewhere
    assert len(text) < 1_000_000
    rows = parsed(text).rows
    assert [len(row.images) for row in rows] == [1] * 12 + [0] * 3
    assert sum(len(row.dots) for row in rows[:6]) == 3 + 4 + 1
    assert sum(len(row.boxes) for row in rows[:6]) == 2
    assert [row.name for row in rows[6:8]] == ["before", "after three more clicks"]
    assert [len(row.paths) for row in rows[:8]] == [1] * 8
    assert all(len(row.paths) == len(row.chips) > 3 for row in rows[8:12])
    assert [row.maps for row in rows[12:]] == [1, 1, 1]
    with Image.open(sheet) as picture:
        assert picture.width == 1400
    page.goto(out.as_uri())
    page.set_viewport_size({"width": 390, "height": 800})
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
