"""Where pictures come from: a table, a query, a relation, a data frame, Parquet files, a folder of photos."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple, cast

import duckdb

from duckdb_sam.cursors import beside, schemas, search_path
from duckdb_sam.images import irregular
from duckdb_sam.inputs import PARQUET, QUERY, is_one_select
from duckdb_sam.jobs.sink_table import parts_of, resolve
from duckdb_sam.jobs.source_paths import COLUMN, SUFFIXES, as_text, plain_path, walked
from duckdb_sam.labelling.errors import LabelError
from duckdb_sam.quoting import identifier, literal

_FRAME = "duckdb_sam_pictures"
"""The name that a data frame, or a list of paths, has on the connections that read it."""


class Rows(NamedTuple):
    """Rows that can be asked for again and again, by several threads."""

    connect: Callable[[], duckdb.DuckDBPyConnection]
    """Opens a connection of one's own that knows them."""
    query: str
    """What stands after ``FROM``."""
    title: str
    """What people call them."""
    table: tuple[str, str, str] | None = None
    """Database, schema and name, of a table."""
    paths: list[str] | None = None
    """Of photos that were given by their paths, which are their keys."""


def open_rows(source: Any, con: duckdb.DuckDBPyConnection | None) -> Rows:
    """Find out what ``source`` is. ``con`` is where its tables are."""
    if isinstance(source, duckdb.DuckDBPyRelation):
        return _query(source.sql_query(), "the relation", _own(con, "a relation"))
    if isinstance(source, (str, os.PathLike)):
        text = os.fsdecode(source)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        there = os.path.exists(os.path.expanduser(text))
        if isinstance(source, str) and QUERY.match(source) and not there:
            return _query(source.strip().rstrip(";"), "the query", _own(con, "a query"))
        if there or any(sign in text for sign in "/\\*?["):
            return _files(text)
        return _table(text, _own(con, "a table"))
    if any(hasattr(source, name) for name in ("__arrow_c_stream__", "__dataframe__", "iloc")):
        return _frame(source)
    if isinstance(source, Iterable) and not isinstance(source, (bytes, dict)):
        return of_paths(list(map(os.fsdecode, cast("Iterable[str]", source))), "the list of paths")
    raise TypeError(
        "give a table, a query, a DuckDB relation, a data frame, Parquet files, a folder or paths of photos, not "
        f"{type(cast(object, source)).__module__}.{type(cast(object, source)).__qualname__}"
    )


def _own(con: duckdb.DuckDBPyConnection | None, what: str) -> duckdb.DuckDBPyConnection:
    if con is None:
        raise TypeError(f"{what} needs the connection that knows it: con=")
    return con


def _query(query: str, title: str, con: duckdb.DuckDBPyConnection) -> Rows:
    rows = Rows(partial(beside, con, search_path(con)), f"({query})", title)
    with rows.connect() as cursor:
        if not is_one_select(cursor, query):
            raise ValueError(f"{title} must be one SELECT, not {query!r}")
        try:
            cursor.execute(f"DESCRIBE FROM {rows.query}").fetchall()
        except duckdb.CatalogException as error:
            raise LabelError(
                f"{title} cannot be read again from another connection to the database: {error}. Temporary tables and "
                "Python variables are known to one connection only: make a table or a view of it, or give the data "
                "frame itself"
            ) from error
    return rows


def _table(name: str, con: duckdb.DuckDBPyConnection) -> Rows:
    connect = partial(beside, con, search_path(con))
    with connect() as cursor:
        found = _located(con, cursor, name)
        try:
            cursor.execute(f"DESCRIBE FROM {identifier(*found)}").fetchall()
        except duckdb.CatalogException as error:
            known = ", ".join(sorted(str(row[0]) for row in cursor.execute("SHOW TABLES").fetchall()))
            raise LabelError(
                f"there is no table, file or folder {name!r}; the tables are: {known or 'none'}. A temporary table is "
                "known to its own connection only: make a table or a view of it"
            ) from error
    return Rows(connect, identifier(*found), name, found)


def _located(con: duckdb.DuckDBPyConnection, cursor: duckdb.DuckDBPyConnection, name: str) -> tuple[str, str, str]:
    """Return database, schema and table of a name as a query on ``con`` would find it."""
    parts = parts_of(name)
    first = resolve(cursor, list(parts))
    if len(parts) > 1:
        return first
    passing = "SELECT 1 FROM information_schema.tables WHERE table_catalog = 'temp' AND lower(table_name) = lower(?)"
    if con.execute(passing, parts).fetchall():
        raise LabelError(
            f"{name} is a temporary table or view, which is known to its own connection only: make a table or a view "
            "of it"
        )
    there = (
        "SELECT 1 FROM information_schema.tables WHERE table_catalog = ? AND table_schema = ? "
        "AND lower(table_name) = lower(?)"
    )
    places = [(database, schema, parts[0]) for database, schema in schemas(cursor)]
    return next((place for place in places if cursor.execute(there, list(place)).fetchall()), first)


def _files(path: str) -> Rows:
    path = os.path.expanduser(path)
    if os.path.isdir(path):
        images, others = walked(path)
        if images:
            return of_paths(images, path)
        files = sorted(each for each in others if each.lower().endswith(".parquet"))
        if not files:
            raise LabelError(f"the folder {path} holds no photos ({', '.join(SUFFIXES)}) and no Parquet files")
    else:
        files = [path] if os.path.isfile(path) else sorted(filter(os.path.isfile, glob.glob(path, recursive=True)))
    if not files:
        odd = irregular(path)
        raise LabelError(f"{path!r} is {odd}" if odd else f"no file matches {path!r}")
    if not all(file.lower().endswith(PARQUET) for file in files):
        return of_paths(files, path)
    listed = ", ".join(map(literal, files))
    return Rows(_memory, f"read_parquet([{listed}])", path)


def _memory() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def of_paths(paths: list[str], title: str) -> Rows:
    """Return rows of photos by their paths, each once; those whose names are not UTF-8 by their URIs."""
    unique = list(dict.fromkeys(as_text(path if "://" in path else plain_path(path)) for path in paths))
    con = _memory()
    con.execute(f"CREATE TABLE {_FRAME} AS SELECT unnest(?::VARCHAR[]) AS {identifier(COLUMN)}", [unique])
    return Rows(con.cursor, _FRAME, title, None, unique)


def _frame(frame: Any) -> Rows:
    def connect() -> duckdb.DuckDBPyConnection:
        con = _memory()
        con.register(_FRAME, frame)
        return con

    return Rows(connect, _FRAME, "the data frame")
