"""The output of a job, read again: what overlays and exports are made of, also where an earlier run has written it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

import duckdb_sam
from duckdb_sam.cli.errors import Mistake
from duckdb_sam.cli.photos import inside
from duckdb_sam.engine import quiet
from duckdb_sam.formats.ledger import ENDING, Ledger
from duckdb_sam.jobs.sink_parquet import place_of_errors
from duckdb_sam.jobs.sink_table import tables
from duckdb_sam.jobs.sinks import TABLE, Place
from duckdb_sam.quoting import identifier, literal

_AT_ONCE = 64
"""Rows that are held at a time."""


class Where(NamedTuple):
    """A place of results or errors, and the SQL that reads it."""

    database: str
    rows: str
    errors: str
    name: str | None = None
    """Of the table, where it is one."""


def where(into: str, table: str | None, errors: str | None) -> Where:
    """Say where a job with these options writes."""
    kind = Place(into, table, errors, None, None).kind
    path = Path(into).expanduser()
    if kind == "database":
        name = table or TABLE
        rows, failed = (identifier(*parts) for parts in tables(name, errors))
        return Where(str(path), rows, failed, name)
    other = place_of_errors(path, errors)
    inside = "" if kind == "file" else "/*.parquet"
    return Where(":memory:", *(f"read_parquet({literal(f'{escaped(str(each))}{inside}')})" for each in (path, other)))


def begun(into: str, table: str | None) -> bool:
    """Whether there is something of a job already."""
    path = Path(into).expanduser()
    if Place(into, table, None, None, None).kind != "database":
        return (
            path.is_file() or path.with_name(f"{path.name}.parts").is_dir() or (path.is_dir() and any(path.iterdir()))
        )
    if not path.is_file():
        return False
    try:
        with duckdb_sam.connect(path) as con:
            return _exists(con, where(into, table, None).rows)
    except duckdb.IOException:  # locked, or no database: the job says it better
        return True


def ledger(into: str, table: str | None, *, overwrite: bool) -> Ledger:
    """Return the account of what a job with these options has written beside its results."""
    path = Path(into).expanduser()
    job = (table or TABLE).lower() if Place(into, table, None, None, None).kind == "database" else ""
    return Ledger(path.with_name(path.name + ENDING), job, overwrite=overwrite)


class Results:
    """Results and errors of a job."""

    def __init__(self, con: duckdb.DuckDBPyConnection, place: Where) -> None:
        self.con, self._place = con, place
        self._failed = _exists(con, place.errors)
        columns: list[str] = con.sql(f"FROM {place.rows}").columns
        self.columns = columns
        kind = str(con.sql(f"SELECT mask FROM {place.rows}").types[0])
        self.many = kind.endswith("[]")

    def select(self, columns: str) -> duckdb.DuckDBPyRelation:
        """Return columns of the results."""
        return self.con.sql(f"SELECT {columns} FROM {self._place.rows}")

    def count(self) -> tuple[int, int, int]:
        """Return how many images have a result, how many masks that are, and how many images failed."""
        masks = "coalesce(sum(len(mask)), 0)::BIGINT" if self.many else "count(mask)"
        rows, found = self.con.sql(f"SELECT count(*), {masks} FROM {self._place.rows}").fetchall()[0]
        failed = self.con.sql(f"SELECT count(*) FROM {self._place.errors}").fetchall()[0][0] if self._failed else 0
        return rows, found, failed

    def failed_of(self, paths: Sequence[str]) -> int:
        """Return how many of these images failed, in whatever run."""
        if not self._failed:
            return 0
        query = f"SELECT count(*) FROM {self._place.errors} WHERE path IN (SELECT unnest(?::VARCHAR[]))"
        return self.con.execute(query, [list(paths)]).fetchall()[0][0]

    def failures(self, limit: int) -> list[tuple[str, str]]:
        """Return path and reason of the first images that failed."""
        if not self._failed:
            return []
        return self.con.sql(f"SELECT path, reason FROM {self._place.errors} ORDER BY path LIMIT {limit}").fetchall()

    def root(self, folder: str | None) -> str:
        """Return the folder that all images are in: ``folder`` if it is one, else the lowest.

        The output may have images of earlier runs, from other folders.
        """
        query = f"SELECT DISTINCT regexp_replace(path, '[^/\\\\]*$', '') FROM {self._place.rows}"
        folders = [os.path.abspath(path) for (path,) in self.con.sql(query).fetchall()]
        if folder is not None and all(inside(each, folder) for each in folders):
            return folder
        try:
            return os.path.commonpath(folders) if folders else os.curdir
        except ValueError as error:  # of Windows
            raise Mistake(
                f"the photos are on several drives, so that exports would have no common folder: {error}"
            ) from error

    def masks(self) -> Iterator[tuple[str, list[Any]]]:
        """Give path and masks of all images, in the order in which they were written; images without masks too."""
        with self.con.cursor() as cursor:
            cursor.execute(f"SELECT path, mask FROM {self._place.rows}")
            while rows := cursor.fetchmany(_AT_ONCE):
                for path, mask in rows:
                    masks = mask if self.many else [mask]
                    yield path, [each for each in masks or [] if each is not None]


@contextlib.contextmanager
def opened(place: Where) -> Generator[Results]:
    """Open the output of a job that has written something."""
    with duckdb_sam.connect(place.database) as con:
        quiet(con)
        yield Results(con, place)


def _exists(con: duckdb.DuckDBPyConnection, rows: str) -> bool:
    try:
        con.sql(f"FROM {rows} LIMIT 0")
    except (duckdb.CatalogException, duckdb.IOException):
        return False
    return True


def escaped(path: str) -> str:
    """Keep DuckDB from taking a path for a pattern."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in path)
