"""The command ``duckdb-sam``: one module for each of its commands, which ``app.COMMANDS`` lists.

The modules import what is slow to import within functions, so that ``--help`` and completion are instant.
"""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command with the arguments of the process, and end the process with its status."""
    try:
        status = _status()
    except KeyboardInterrupt:  # while modules are imported, or again while the first is told
        status = 130
    raise SystemExit(status)


def interruption(failure: BaseException) -> KeyboardInterrupt | None:
    """Return Ctrl-C where an error comes of it: click makes another of it, and so may modules that are imported."""
    chain: BaseException | None = failure
    while chain is not None and not isinstance(chain, KeyboardInterrupt):
        chain = chain.__cause__ or chain.__context__
    return chain


def _status() -> int:
    from duckdb_sam.cli.streams import note, prepare

    prepare()
    try:
        import click  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as failure:
        if stop := interruption(failure):
            raise stop from None
        note("duckdb-sam: the command line needs click: pip install 'duckdb-sam[cli]'")
        return 1
    from duckdb_sam.cli.app import execute

    return execute(sys.argv[1:])
