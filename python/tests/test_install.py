"""The wheel in an environment of its own, with nothing but DuckDB beside it: installed, used, and taken away again."""

from __future__ import annotations

import subprocess
from pathlib import Path

from conftest import PHOTOS
from environment import Environment

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
    if module.name.endswith("__main__") or module.name.startswith("duckdb_sam.cli."):
        continue  # the command itself tells
    try:
        __import__(module.name)
    except ImportError as error:
        assert "duckdb-sam[" in str(error), (module.name, error)
        print("needs an extra:", module.name)
print("used")
"""


def test_installed_used_and_uninstalled(wheel: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "env")
    before = environment.files()
    environment.pip("install", "--no-index", str(wheel))
    assert any(path.endswith("sam.duckdb_extension") for path in environment.files() - before)
    used = environment.run("-W", "error", "-c", USE, str(PHOTOS / "coffee.jpg"))
    assert used[-1] == "used"
    command = subprocess.run(
        [str(environment.python), "-m", "duckdb_sam", "models"],
        cwd=tmp_path,
        env=environment.environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    told = "duckdb-sam: the command line needs click: pip install 'duckdb-sam[cli]'\n"
    assert (command.returncode, command.stdout, command.stderr) == (1, "", told)
    environment.pip("uninstall", "--yes", "duckdb-sam")
    assert environment.files() == before
