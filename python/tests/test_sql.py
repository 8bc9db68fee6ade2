"""The SQL surface, as test/sql/*.test specify it."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import ROOT
from sqllogic import Runner

FILES = sorted((ROOT / "test" / "sql").rglob("*.test"))


def test_there_are_files() -> None:
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT / "test" / "sql").as_posix())
def test_sql(path: Path, extension: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # files of the tests are named from there
    Runner(extension).run(path)
