"""The wheel in an environment of its own, with nothing but DuckDB beside it: installed, used, and taken away again."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest

from conftest import PHOTOS, ROOT

USE = """
import pkgutil, sys
import duckdb_sam

con = duckdb_sam.connect()
[area] = con.execute("SELECT sam_annotate('nano', content, [0.5, 0.6]).area FROM read_blob(?)", sys.argv[1:]).fetchone()
assert 0 < area < 600 * 400
assert duckdb_sam.Segmenter("nano").predict(sys.argv[1], [0.5, 0.6]).area == area
assert all(hasattr(duckdb_sam, name) for name in duckdb_sam.__all__)

# What needs more than DuckDB says so, and how to get it.
for module in pkgutil.walk_packages(duckdb_sam.__path__, "duckdb_sam."):
    if module.name.endswith("__main__"):
        continue
    try:
        __import__(module.name)
    except ImportError as error:
        assert "duckdb-sam[" in str(error), (module.name, error)
        print("needs an extra:", module.name)
print("used")
"""


class Environment:
    """A virtual environment whose only package is DuckDB: this environment's own, linked."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=os.name != "nt", with_pip=False)
        self.folder = folder
        self.python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        [self.packages] = [
            Path(path) for path in self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
        ]
        duckdb = metadata.distribution("duckdb")
        for name in {file.parts[0] for file in duckdb.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            (self.packages / name).symlink_to(duckdb.locate_file(name))

    def run(self, *arguments: str) -> list[str]:
        """Run Python there, without this process's paths; return the lines that it prints."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SAM_"))}
        done = subprocess.run(
            [str(self.python), *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return done.stdout.splitlines()

    def pip(self, *arguments: str) -> None:
        """Run this environment's pip for that one."""
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "--disable-pip-version-check", *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"

    def files(self) -> set[str]:
        """Return all that is there, but what is behind links."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}


@pytest.fixture(scope="module")
def wheel() -> Path:
    wheels = list((ROOT / "dist").glob("duckdb_sam-*.whl"))
    if not wheels and "CI" not in os.environ:
        pytest.skip("there is no wheel in dist: make build")
    [wheel] = wheels
    return wheel


def test_installed_used_and_uninstalled(wheel: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "env")
    before = environment.files()
    environment.pip("install", "--no-index", str(wheel))
    assert any(path.endswith("sam.duckdb_extension") for path in environment.files() - before)
    used = environment.run("-W", "error", "-c", USE, str(PHOTOS / "coffee.jpg"))
    assert used[-1] == "used"
    environment.pip("uninstall", "--yes", "duckdb-sam")
    assert environment.files() == before
