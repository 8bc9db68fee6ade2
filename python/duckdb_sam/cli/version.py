"""``duckdb-sam version``."""

from __future__ import annotations

import platform

import click

from duckdb_sam.cli.options import Command, as_json
from duckdb_sam.cli.output import document
from duckdb_sam.cli.streams import say


@click.command(cls=Command)
@as_json
def command(json: bool) -> None:
    """Print the versions of the package, the extension, DuckDB and Python: what belongs into a report of a fault."""
    import duckdb

    import duckdb_sam

    with duckdb_sam.connect() as con:
        row = con.execute("SELECT sam_version()").fetchone()
    versions = {
        "duckdb-sam": duckdb_sam.__version__,
        "extension": row[0] if row else None,
        "duckdb": duckdb.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    if json:
        document(versions)
    else:
        for name, value in versions.items():
            say(f"{name:<11}{value}")
