"""The extension in the DuckDB command line, without Python's help."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import duckdb_cli

from conftest import PHOTOS

CLI = Path(duckdb_cli.__file__).with_name("duckdb")

QUERY = """
SELECT parse_filename(filename) AS name, s.iou_score > 0.3 AS good, len(s.mask) AS pixels
FROM (SELECT filename, sam_segment('nano', content, [0.55, 0.65]) AS s FROM read_blob('{folder}/co*.jpg'))
ORDER BY name
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([CLI, *arguments], capture_output=True, text=True, check=False, timeout=120)


def test_segments(extension: Path) -> None:
    done = run("-unsigned", "-json", "-c", f"LOAD '{extension}'", "-c", QUERY.format(folder=PHOTOS))
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [(row["name"], row["pixels"]) for row in rows] == [("coffee.jpg", 600 * 400), ("coins.jpg", 384 * 303)]


def test_a_bad_prompt_is_an_error_and_not_a_crash(extension: Path) -> None:
    query = QUERY.format(folder=PHOTOS).replace("0.65", "650")
    done = run("-unsigned", "-json", "-c", f"LOAD '{extension}'", "-c", query)
    assert done.returncode == 1
    assert "sam_segment: " in done.stderr
    assert "divide x by the width" in done.stderr


def test_needs_the_flag(extension: Path) -> None:
    done = run("-c", f"LOAD '{extension}'")
    assert done.returncode == 1
    assert "-unsigned" in done.stderr
