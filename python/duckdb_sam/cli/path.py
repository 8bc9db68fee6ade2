"""``duckdb-sam path``."""

from __future__ import annotations

import click

from duckdb_sam.cli.options import Command
from duckdb_sam.cli.streams import say


@click.command(cls=Command)
def command() -> None:
    """Print the path of the extension, for LOAD in any client of DuckDB that allows unsigned extensions.

    \b
    Example:
      duckdb -unsigned -cmd "LOAD '$(duckdb-sam path)'"
    """
    from duckdb_sam import extension_path

    say(str(extension_path()))
