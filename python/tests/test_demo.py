"""The demo and what the README says can be typed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import duckdb_sam
import duckdb_sam.ibis
from conftest import ROOT

README = (ROOT / "README.md").read_text()


def section(title: str) -> str:
    return README.split(f"## {title}\n")[1].split("\n## ")[0]


def code(title: str) -> str:
    """Return what is indented in a section of the README."""
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", section(title), re.MULTILINE)
    return "\n".join(re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in blocks)


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


def test_readme_sql(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    statements = code("In SQL").split("LOAD '/path/to/sam.duckdb_extension';")[1]
    with duckdb_sam.connect() as con:
        con.execute("SELECT setseed(0.5)")
        con.execute(statements)
        assert len(con.fetchall()) == 6
        assert {row[0] for row in con.execute("SHOW TABLES").fetchall()} == {"photos", "masks"}


@pytest.mark.parametrize("title", ["In Python", "In Ibis"])
def test_readme_python(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    statements = code(title).replace("pip install '.[ibis]'", "")
    exec(compile(statements, title, "exec"), {"__name__": "readme"})


def test_readme_lists_the_functions() -> None:
    table = section("Functions")
    with duckdb_sam.connect() as con:
        rows = con.execute("SELECT function_name, parameters FROM sam_functions()").fetchall()
    for name, parameters in rows:
        if any(parameter.endswith(" :=") for parameter in parameters):
            parameters = ["name := value", "..."]
        assert f"`{name}({', '.join(parameters)})`" in table
