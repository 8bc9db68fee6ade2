"""The code that README.md and the pages of docs/ show, and how it is run."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import duckdb_cli

from conftest import ROOT

CLI = Path(duckdb_cli.__file__).with_name("duckdb")
PATH = "/path/to/sam.duckdb_extension"
"""What the pages load; readers put their own path there."""


def code(page: str, language: str) -> str:
    """Return the fenced blocks of ``page`` in one language, one after the other; empty if there are none."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(rf"^ *```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return "\n".join(map(textwrap.dedent, blocks))


def run_sql(statements: str, extension: Path, folder: Path, database: str = ":memory:") -> str:
    """Run ``statements`` in the command line of DuckDB, in ``folder``; return what it prints, as CSV."""
    script = folder / "page.sql"
    script.write_text(statements.replace(PATH, str(extension)), encoding="utf-8")
    return _run([str(CLI), "-unsigned", "-bail", "-csv", database, "-f", script.name], folder)


def run_python(statements: str, folder: Path) -> str:
    """Run ``statements`` in a Python of their own, in ``folder``; return what they print."""
    return _run([sys.executable, "-c", statements], folder)


def run_sh(commands: str, folder: Path) -> str:
    """Run commands in a shell that has ``duckdb-sam``, in ``folder``; the first that fails ends it."""
    script = f"duckdb-sam() {{ '{sys.executable}' -m duckdb_sam \"$@\"; }}\n{commands}"
    return _run(["bash", "-e", "-o", "pipefail", "-c", script], folder)


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{done.stderr}\n{done.stdout}"
    # DuckDB draws a bar beside queries that take seconds on a busy machine.
    lines = [line for line in done.stdout.replace("\r", "\n").splitlines(keepends=True) if "\u2595" not in line]
    return "".join(lines).lstrip("\n")
