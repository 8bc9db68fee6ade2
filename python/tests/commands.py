"""The command ``duckdb-sam`` for its tests: in a process of its own, or within the test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from conftest import PHOTOS
from duckdb_sam.cli.app import execute


class Done(NamedTuple):
    """A call that has ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def process(*arguments: object, folder: Path, given: str | bytes = "", **environment: str) -> Done:
    """Run it as users do."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "duckdb_sam", *map(os.fspath, map(str, arguments))],
        cwd=folder,
        input=given.encode() if isinstance(given, str) else given,
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
        timeout=120,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


class Command:
    """Runs it within the test, where nothing has to be imported again."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: object) -> Done:
        self._capture.readouterr()
        status = execute([str(each) for each in arguments])
        out, err = self._capture.readouterr()
        return Done(status, out, err)


def two_photos(folder: Path, below: str) -> None:
    """Make the folder photos with two photos, one of them in a folder ``below``."""
    (folder / "photos" / below).mkdir(parents=True)
    shutil.copy(PHOTOS / "coffee.jpg", folder / "photos")
    shutil.copy(PHOTOS / "coins.jpg", folder / "photos" / below)


def copies(folder: Path, count: int, name: str = "coffee.jpg") -> Path:
    """Make a folder of images that look the same and are others to the cache: their files differ in the end."""
    folder.mkdir(parents=True, exist_ok=True)
    data = (PHOTOS / name).read_bytes()
    for number in range(count):
        (folder / f"{number:02}.jpg").write_bytes(data + bytes([number]))
    return folder
