"""The worked changes of CONTRIBUTING.md can be made to the tree as it is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS = (part.partition("\n") for part in PAGE.split("\n### ")[1:])
CHANGES = {heading: text.partition("```diff\n")[2].partition("\n```")[0] + "\n" for heading, _, text in SECTIONS}


def test_there_is_one_of_each_kind() -> None:
    assert list(CHANGES) == ["A SQL function", "A kernel", "A model family"]
    assert PAGE.count("```diff\n") == len(CHANGES)
    assert all("tests" in change or "/test/" in change for change in CHANGES.values())


@pytest.mark.parametrize("change", CHANGES)
def test_applies(change: str, tmp_path: Path) -> None:
    """Applies a diff to copies of its files, in a folder that is no git checkout: this tree need not be one either."""
    for name in re.findall(r"^\+\+\+ b/(.+)$", CHANGES[change], re.MULTILINE):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():  # a new file must not be there yet: git refuses to create it then
            shutil.copy(ROOT / name, tmp_path / name)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", "apply", "--verbose", "-"],
        input=CHANGES[change].encode(),
        cwd=tmp_path,
        env={**environment, "GIT_CEILING_DIRECTORIES": str(tmp_path.resolve().parent)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, f"bring the diff of '{change}' up to date:\n{done.stderr.decode()}"
