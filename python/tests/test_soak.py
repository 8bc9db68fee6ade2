"""The long tests of test/soak, for seconds: that they work, and that nothing is wrong in that time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conftest import ROOT


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("soak.py", ["--seconds", "4", "--threads", "4", "--models", "1"]),
        ("memory.py", ["--small", "60", "--large", "2"]),
    ],
)
def test_soak(script: str, arguments: list[str]) -> None:
    command = [sys.executable, str(ROOT / "test" / "soak" / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
