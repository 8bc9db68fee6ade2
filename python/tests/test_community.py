"""What goes to DuckDB's community repository: the description of the extension, and how it is built there."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import PHOTOS, ROOT
from pages import run_sql

COMMUNITY = ROOT / "extension" / "community"
CARGO = (ROOT / "Cargo.toml").read_text(encoding="utf-8")


def cargo(key: str) -> str:
    return re.search(rf'^{key} = "(.+?)"', CARGO, re.MULTILINE)[1]


@pytest.fixture(scope="module")
def description() -> dict:
    return yaml.safe_load((COMMUNITY / "description.yml").read_text(encoding="utf-8"))


def test_description_agrees_with_the_project(description: dict) -> None:
    extension, repository = description["extension"], description["repo"]
    assert extension["name"] == "sam"
    assert (extension["version"], extension["license"]) == (cargo("version"), cargo("license"))
    assert repository == {
        "github": cargo("repository").removeprefix("https://github.com/"),
        "ref": f"v{cargo('version')}",
    }


def test_hello_world_runs(description: dict, extension: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").symlink_to(PHOTOS)
    rows = run_sql(f"LOAD '{extension}';\n{description['docs']['hello_world']}", extension, tmp_path).splitlines()
    assert len(rows) == 1 + len(list(PHOTOS.glob("*.jpg")))
    assert (tmp_path / "overlay.jpg").read_bytes().startswith(b"\xff\xd8")


def test_descriptions_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("describe", COMMUNITY / "describe.py")
    describe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(describe)
    assert describe.PATH.read_text(encoding="utf-8") == describe.descriptions(), "run make docs"


def test_the_build_runs_on_the_python_of_its_containers() -> None:
    for path in (COMMUNITY / "build.py", ROOT / "extension" / "duckdb" / "append_footer.py"):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 6))


def test_platforms_without_a_build_are_refused(description: dict) -> None:
    for platform in description["extension"]["excluded_platforms"].split(";"):
        command = [sys.executable, str(COMMUNITY / "build.py"), "build", "release"]
        done = subprocess.run(command, env={"DUCKDB_PLATFORM": platform}, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr == f"the extension is not built for {platform}: see excluded_platforms in description.yml\n"
