"""Photos by their paths, which may be written in several ways: prompts that are there already are found again."""

from __future__ import annotations

import os

import duckdb

from duckdb_sam.cursors import beside
from duckdb_sam.jobs.sink_table import parts_of, resolve
from duckdb_sam.jobs.source_paths import COLUMN
from duckdb_sam.labelling.rows import Rows, of_paths
from duckdb_sam.quoting import identifier


def respelled(rows: Rows, con: duckdb.DuckDBPyConnection, into: str) -> tuple[Rows, list[str]]:
    """Give photos the paths that the table of prompts has for the same files, and say what it has twice.

    ``photos/a.jpg``, ``./photos/a.jpg`` and its absolute path are one photo.
    """
    known = _known(con, into) if rows.paths else []
    if not rows.paths or not known:
        return rows, []
    files: dict[str, list[str]] = {}
    for path in known:
        files.setdefault(_file(path), []).append(path)
    found: list[str] = []
    several = 0
    for path in rows.paths:
        ways = files.get(_file(path), [path])
        several += len(ways) > 1
        found.append(path if path in ways else ways[0])
    notes = [
        f"{several:,} photo{'' if several == 1 else 's'} of {into} {'has' if several == 1 else 'have'} objects under "
        "several spellings of the path: those of one are shown"
    ]
    return of_paths(found, rows.title), notes if several else []


def _known(con: duckdb.DuckDBPyConnection, into: str) -> list[str]:
    """Return the paths that a table has, the ones with the most objects first."""
    with beside(con) as cursor:
        name = identifier(*resolve(cursor, parts_of(into)))
        query = (
            f"SELECT CAST({COLUMN} AS VARCHAR) FROM {name} WHERE {COLUMN} IS NOT NULL GROUP BY {COLUMN} "
            f"ORDER BY count(*) DESC, {COLUMN}"
        )
        try:
            return [path for (path,) in cursor.execute(query).fetchall()]
        except (duckdb.CatalogException, duckdb.BinderException):  # there is none, or it has another key
            return []


def _file(path: str) -> str:
    return path if "://" in path else os.path.realpath(os.path.expanduser(path))
