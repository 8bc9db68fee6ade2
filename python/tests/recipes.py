"""The environment of the pages of docs/recipes/: build/recipes, which the Makefile makes of recipes.txt."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import duckdb_sam
from conftest import ROOT
from pages import PATH

HOME = ROOT / "build" / "recipes"
EXTENSIONS = ("ducklake", "httpfs", "spatial")


def files(page: str) -> dict[str, str]:
    """Return the files that ``page`` shows: blocks after a line which is a path in backticks and a colon."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return {path: textwrap.dedent(block) for path, block in blocks}


class Recipes:
    """Runs what the pages show, in a folder, with the package that is tested and DuckDB's own extensions at home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "demo").symlink_to(ROOT / "demo")
        self.scripts = HOME / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.scripts / "python"
        home = folder / "home"
        self.environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SAM_", "AWS_"))
        }
        self.environ |= {"HOME": str(home), "PYTHONPATH": str(home / "python")}
        (home / "python").mkdir(parents=True)
        (home / "python" / "duckdb_sam").symlink_to(Path(duckdb_sam.__file__).parent)
        ask = "import duckdb; print(duckdb.__version__, *duckdb.sql('PRAGMA platform').fetchone())"
        version, platform = self.run(ask).split()
        # Where INSTALL puts them: it then finds them there, and asks no network.
        installed = home / ".duckdb" / "extensions" / f"v{version}" / platform
        installed.mkdir(parents=True)
        for name in EXTENSIONS:
            file = f"{name}.duckdb_extension"
            [path] = HOME.rglob(f"duckdb_extension_{name}/extensions/v{version}/{file}")
            (installed / file).symlink_to(path)

    def call(self, *command: str, **variables: str) -> str:
        """Run a command in the folder; return what it prints."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environ | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def run(self, statements: str, **variables: str) -> str:
        """Run Python."""
        return self.call(str(self.python), "-c", statements, **variables)

    def sql(self, statements: str, database: str = ":memory:") -> None:
        """Run SQL in the release of DuckDB that has the extensions."""
        script = self.folder / "page.sql"
        script.write_text(statements.replace(PATH, str(duckdb_sam.extension_path())), encoding="utf-8")
        self.run(
            "import duckdb, pathlib, sys\n"
            f"with duckdb.connect({database!r}, config={{'allow_unsigned_extensions': 'true'}}) as con:\n"
            "    con.execute(pathlib.Path('page.sql').read_text())"
        )


@pytest.fixture
def recipes(tmp_path: Path) -> Recipes:
    if not (HOME / ".stamp").exists() and "CI" not in os.environ:
        pytest.skip("there is no build/recipes: make build/recipes/.stamp")
    return Recipes(tmp_path)


from_python_311 = pytest.mark.skipif(sys.version_info < (3, 11), reason="zarr and roifile need Python 3.11")
