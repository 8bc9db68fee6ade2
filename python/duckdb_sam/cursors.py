"""Other connections to a database, on which names mean what they mean on the first one; rows of relations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import duckdb

from duckdb_sam.quoting import literal

_PART = r'"(?:[^"]|"")*"|[^".]+'


def search_path(con: duckdb.DuckDBPyConnection) -> str:
    """Return where names are looked up on a connection, as ``USE`` or ``SET search_path`` has left it."""
    [(path,)] = con.execute("SELECT current_setting('search_path')").fetchall()
    return path or ""


def beside(con: duckdb.DuckDBPyConnection, path: str | None = None) -> duckdb.DuckDBPyConnection:
    """Open another connection that looks names up as ``con`` does: a cursor alone begins without its ``USE``.

    ``path`` is the ``search_path`` of ``con`` where it is known already.
    """
    path = search_path(con) if path is None else path
    cursor = con.cursor()
    if path:
        try:
            cursor.execute(f"SET search_path = {literal(path)}")
        except BaseException:
            cursor.close()
            raise
    return cursor


def schemas(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Return the databases and schemas in which a name without either is looked up, in their order."""
    [(database, path)] = con.execute("SELECT current_database(), current_setting('search_path')").fetchall()
    found: list[tuple[str, str]] = []
    for entry in re.findall(r'(?:"(?:[^"]|"")*"|[^",])+', path or ""):
        parts = [part[1:-1].replace('""', '"') if part[0] == '"' else part for part in re.findall(_PART, entry.strip())]
        if len(parts) in (1, 2):
            found.append((parts[-2] if len(parts) == 2 else database, parts[-1]))
    return [*dict.fromkeys([*found, (database, "main")])]


def rows_of(relation: Any, at_once: int) -> Iterator[tuple[Any, ...]]:
    """Give the rows of a relation, which runs once; so many are taken out at a time."""
    if hasattr(duckdb.DuckDBPyRelation, "iter_rows"):  # from DuckDB 2 on relations have no fetchmany
        yield from relation.iter_rows(at_once)
        return
    while rows := relation.fetchmany(at_once):
        yield from rows
