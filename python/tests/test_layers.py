"""What ARCHITECTURE.md promises of the crates: arrows that point down, and a runtime that knows no host."""

from __future__ import annotations

import re
import subprocess
import sys

from conftest import ROOT

# A file of weights that is a database is called by its name.
RECOGNISED = 'b"DUCK", "a DuckDB database"'


def test_no_circle_of_files() -> None:
    done = subprocess.run([sys.executable, ROOT / "test" / "layers.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_only_one_crate_knows_duckdb() -> None:
    for crate in ("kernels", "imaging", "model", "runtime"):
        folder = ROOT / "extension" / crate
        for path in [folder / "Cargo.toml", *(folder / "src").rglob("*.rs")]:
            text = path.read_text(encoding="utf-8").replace(RECOGNISED, "")
            if path.name == "Cargo.toml":
                text = re.sub(r"#.*", "", text)
            assert not re.search(r"(?i:duckdb|sam_configure)|\bSQL\b|\bVARCHAR\b|sam_embed|read_parquet\(", text), path
