"""The command ``duckdb-sam``: one module for each of its commands, which ``app.COMMANDS`` lists.

The modules import what is slow to import within functions, so that ``--help`` and completion are instant.
"""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command with the arguments of the process, and end the process with its status."""
    try:
        try:
            import click  # noqa: F401  # pyright: ignore[reportUnusedImport]
        except ImportError:
            print("duckdb-sam: the command line needs click: pip install 'duckdb-sam[cli]'", file=sys.stderr)
            raise SystemExit(1) from None
        from duckdb_sam.cli.app import execute
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(execute(sys.argv[1:]))
