"""``duckdb-sam shell``."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from duckdb_sam.cli.errors import Mistake
from duckdb_sam.cli.options import Command
from duckdb_sam.inputs import is_database


@click.command(cls=Command, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", metavar="[DATABASE] [ARGUMENTS OF DUCKDB]...", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Start DuckDB's own command line with the extension loaded.

    All arguments are DuckDB's. Its start-up file ~/.duckdbrc is read as ever.

    \b
    Examples:
      duckdb-sam shell
      duckdb-sam shell photos.db
      duckdb-sam shell -c "SELECT path, mask.area FROM 'masks.parquet'"
      duckdb-sam shell photos.db -readonly -json -c "FROM masks_errors"
    """
    from duckdb_sam import extension_path
    from duckdb_sam.quoting import literal

    given = list(arguments)
    if "--" in given:
        given.remove("--")
    called = [executable(), "-unsigned", "-cmd", f"LOAD {literal(extension_path())}", *given]
    _check_age(called[0], given)
    sys.stdout.flush()
    if sys.platform == "win32":
        import subprocess

        raise SystemExit(subprocess.call(called))
    os.execv(called[0], called)


def _check_age(shell: str, arguments: list[str]) -> None:
    """Refuse a database that is too new for the command line, which would tell it in many words and no remedy."""
    import subprocess

    for path in filter(is_database, arguments):
        look = [shell, "-init", os.devnull, "-readonly", path, "-c", "SELECT 1"]
        done = subprocess.run(look, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if "version number" in done.stdout + done.stderr:
            found = subprocess.run([shell, "--version"], capture_output=True, text=True, check=False).stdout.split()
            raise Mistake(
                f"{path} was written by a newer DuckDB than the command line {shell} ({' '.join(found[:1])}): "
                "pip install --upgrade duckdb-cli"
            )


def executable() -> str:
    """Return DuckDB's command line: of the package duckdb-cli in this environment, else the one in PATH."""
    spec = find_spec("duckdb_cli")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for name in ("duckdb", "duckdb.exe"):
            if os.access(Path(folder) / name, os.X_OK):
                return str(Path(folder) / name)
    found = shutil.which("duckdb")
    if found is None:
        raise Mistake("DuckDB's command line is neither in this environment nor in PATH: pip install duckdb-cli")
    return found
