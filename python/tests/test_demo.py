"""The demo runs, and shows what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from conftest import ROOT


def test_demo(tmp_path: Path) -> None:
    page = tmp_path / "gallery.html"
    command = [sys.executable, str(ROOT / "demo" / "run.py"), "--out", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    # One of the pictures of the second query is known from the first.
    assert done.stdout.count("3 pictures encoded, 3 prompts decoded") == 1
    assert done.stdout.count("2 pictures encoded, 3 prompts decoded") == 1
    text = page.read_text()
    assert text.count("<figure") == 6
    assert text.count("data:image/jpeg;base64,") == 6
    assert "://" not in text  # it needs nothing from elsewhere
    assert text.count("<circle") == 3 + 4 + 1
    assert text.count("<rect") == 2
