"""What type checkers see: the package and a user's file pass pyright in strict mode, and mistakes do not."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT

USER = Path(__file__).with_name("typing_user.py")

pytestmark = pytest.mark.skipif(importlib.util.find_spec("pyright") is None, reason="pip install 'pyright[nodejs]'")


def problems(*arguments: str) -> list[dict[str, Any]]:
    """Return what pyright says; node comes from a wheel, and nothing is looked up."""
    environment = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    command = [sys.executable, "-m", "pyright", "--outputjson", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    return json.loads(done.stdout)["generalDiagnostics"]


def said(problem: dict[str, Any]) -> str:
    line = problem["range"]["start"]["line"] + 1
    return f"{Path(problem['file']).name}:{line}: {problem['message'].splitlines()[0]} ({problem.get('rule')})"


def test_the_package_passes_in_strict_mode() -> None:
    assert [said(problem) for problem in problems()] == []


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[int, set[str]]:
    """The rules that the user's file breaks, by line, where the package is only installed."""
    project = tmp_path_factory.mktemp("project")
    settings = {
        "include": ["user.py"],
        "typeCheckingMode": "strict",
        "extraPaths": [str(ROOT / "python")],
        "venvPath": str(ROOT),
        "venv": ".venv",
        "reportMissingTypeStubs": False,  # of Ibis
    }
    (project / "user.py").write_text(USER.read_text(encoding="utf-8"), encoding="utf-8")
    (project / "pyrightconfig.json").write_text(json.dumps(settings))
    rules: dict[int, set[str]] = {}
    for problem in problems("--project", str(project)):
        rules.setdefault(problem["range"]["start"]["line"] + 1, set()).add(problem.get("rule", problem["message"]))
    return rules


def test_what_users_write_passes_and_mistakes_do_not(found: dict[int, set[str]]) -> None:
    lines = enumerate(USER.read_text(encoding="utf-8").splitlines(), start=1)
    expected = {
        number: set(re.split(r",\s*", line.partition("# error: ")[2])) for number, line in lines if "# error: " in line
    }
    wrong = {
        number: (expected.get(number), found.get(number))
        for number in expected.keys() | found.keys()
        if number not in expected or not expected[number] & found.get(number, set())
    }
    assert wrong == {}
