"""Results in a table of DuckDB: each batch, with its errors, is one transaction."""

from __future__ import annotations

import contextlib
import re
import threading
import uuid
from collections.abc import Generator, Sequence
from typing import Any

import duckdb

from duckdb_sam.cursors import beside
from duckdb_sam.jobs.errors import JobError, check_fits
from duckdb_sam.jobs.keys import Key, keys_of, kind_of
from duckdb_sam.jobs.record import Record, changes, check, dump, parse
from duckdb_sam.quoting import identifier, literal

_NAME = r'("(?:[^"]|"")+"|[^".]+)'

_running: set[str] = set()
_guard = threading.Lock()
"""The ids of jobs that run in this process; of other processes DuckDB keeps the file."""


class TableSink:
    """A table and another one for errors; the record of the job is the comment of both."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, table: str, errors: str | None, where: str | None = None
    ) -> None:
        """Take the names of tables, with schema or database before them where needed."""
        self._table, self._errors = (resolve(con, parts) for parts in tables(table, errors))
        if self._errors == self._table:
            raise ValueError(f"errors: {errors} is the table of the results")
        self._con = beside(con)  # with transactions of its own
        self._id: str | None = None
        said = f" in {where}" if where else ""
        self.into, self.errors = f"{table}{said}", f"{errors or self._errors[2]}{said}"

    def open(self, rows: Any, failures: Any, record: Record, restart: bool) -> None:
        """Create both tables, or look whether they are this job's."""
        self._schema = rows
        for schema in (rows, failures):
            check_fits(schema, self._read, "a table")
        try:
            with self._transaction():
                old = self._record(self._table)
                if old is not None and (restart or self._is_futile(old, record)):
                    self._lock(old["id"])
                    for table in (self._table, self._errors):
                        if (self._record(table) or {}).get("id") == old["id"]:
                            self._con.execute(f"DROP TABLE {identifier(*table)}")
                    self._unlock()
                    old = None
                if old is None and not self._exists(self._table):
                    old = {**record, "id": uuid.uuid4().hex}
                    self._create(self._table, rows, old)
                check(f"the table {self.into}", old, record)
                assert old is not None
                self._lock(old["id"])
                if not self._exists(self._errors):
                    self._create(self._errors, failures, old)
                elif (self._record(self._errors) or {}).get("id") != old["id"]:
                    raise JobError(f"the table {self.errors} is not of this job: give another name as errors=")
        except duckdb.TransactionException as error:
            self._unlock()
            raise JobError(f"another run of a job is creating {self.into} at this moment: {error}") from error
        except BaseException:
            self._unlock()
            raise

    def done(self, names: Sequence[str]) -> set[Key]:
        """Return the keys in both tables. Raises JobError if somebody has given them another type."""
        columns = ", ".join(map(identifier, names))
        found: set[Key] = set()
        for table in (self._table, self._errors):
            relation: Any = self._con.sql(f"SELECT {columns} FROM {identifier(*table)}")
            keys = relation.to_arrow_table()
            for name in names:
                before, now = (kind_of(schema.field(name).type) for schema in (self._schema, keys.schema))
                if before != now:
                    raise JobError(
                        f"the column {name!r} of the table {table[2]} holds {now} now, and {before} in the source: "
                        "give it its type back, or give another into="
                    )
            found.update(keys_of(keys, names))
        return found

    def forget_errors(self) -> None:
        """Empty the table of errors."""
        self._con.execute(f"DELETE FROM {identifier(*self._errors)}")

    def write(self, rows: Any, failures: Any) -> None:
        """Insert results and errors in one transaction."""
        with self._transaction():
            for table, new in ((self._table, rows), (self._errors, failures)):
                if len(new):
                    with self._registered(new) as name:
                        self._con.execute(f"INSERT INTO {identifier(*table)} BY NAME FROM {name}")

    def finish(self) -> None:
        """Nothing is left to do."""

    def close(self) -> None:
        """Let others write."""
        self._unlock()
        self._con.close()

    def _is_futile(self, old: Record, record: Record) -> bool:
        """Whether a job with other options has no results, so that nothing is lost if these options are right."""
        if not changes("", old, record):
            return False
        return not self._con.execute(f"SELECT 1 FROM {identifier(*self._table)} LIMIT 1").fetchall()

    def _read(self, table: Any) -> None:
        with self._registered(table) as name:
            self._con.execute(f"FROM {name}").fetchall()

    def _create(self, table: tuple[str, ...], schema: Any, record: Record) -> None:
        with self._registered(schema.empty_table()) as name:
            self._con.execute(f"CREATE TABLE {identifier(*table)} AS FROM {name}")
        self._con.execute(f"COMMENT ON TABLE {identifier(*table)} IS {literal(dump(record))}")

    @contextlib.contextmanager
    def _registered(self, table: Any) -> Generator[str]:
        name = f"duckdb_sam_{uuid.uuid4().hex}"
        self._con.register(name, table)
        try:
            yield name
        finally:
            with contextlib.suppress(duckdb.TransactionException):  # DuckDB 2, after what has failed and is told
                self._con.unregister(name)

    @contextlib.contextmanager
    def _transaction(self) -> Generator[None]:
        self._con.begin()
        try:
            yield
            self._con.commit()
        except BaseException:
            with contextlib.suppress(duckdb.Error):  # a commit that failed has ended it
                self._con.rollback()
            raise

    def _exists(self, table: tuple[str, ...]) -> bool:
        query = "SELECT 1 FROM information_schema.tables WHERE "
        names = ("table_catalog", "table_schema", "table_name")
        return bool(self._con.execute(query + _same(names), list(table)).fetchall())

    def _record(self, table: tuple[str, ...]) -> Record | None:
        query = "SELECT comment FROM duckdb_tables() WHERE "
        names = ("database_name", "schema_name", "table_name")
        rows = self._con.execute(query + _same(names), list(table)).fetchall()
        return parse(rows[0][0]) if rows else None

    def _lock(self, job: str) -> None:
        with _guard:
            if job in _running:
                raise JobError(f"another run writes into {self.into} at this moment: wait for it, or stop it")
            _running.add(job)
        self._id = job

    def _unlock(self) -> None:
        with _guard:
            if self._id is not None:
                _running.discard(self._id)
                self._id = None


def tables(table: str, errors: str | None) -> tuple[list[str], list[str]]:
    """Return the parts of the names of results and errors, which are beside the results if they are not given."""
    results = parts_of(table)
    return results, parts_of(errors) if errors else [*results[:-1], f"{results[-1]}_errors"]


def parts_of(name: str) -> list[str]:
    """Return the parts of a name, which may have a schema and a database before it."""
    if not re.fullmatch(rf"{_NAME}(\.{_NAME}){{0,2}}", name):
        raise ValueError(f'{name!r} is no name of a table: names with a dot or quotes are written as "..." within it')
    return [part[1:-1].replace('""', '"') if part[0] == '"' else part for part in re.findall(_NAME, name)]


def resolve(con: duckdb.DuckDBPyConnection, parts: list[str]) -> tuple[str, str, str]:
    """Return database, schema and table of a name."""
    name = ".".join(parts)
    # All rows are fetched, else the result stays open, and with it what the connection sees of the database.
    [(database, schema)] = con.execute("SELECT current_database(), current_schema()").fetchall()
    if len(parts) == 2:
        known = con.execute("SELECT database_name FROM duckdb_databases()").fetchall()
        if (parts[0],) in known:
            parts.insert(1, "main")
    parts = [database, schema][: 3 - len(parts)] + parts
    if parts[0] == "temp":
        raise ValueError(f"{name!r} would be a temporary table, which ends with its connection: name another")
    return parts[0], parts[1], parts[2]


def _same(names: Sequence[str]) -> str:
    """Return a condition; DuckDB's names are the same in upper and lower case."""
    return " AND ".join(f"lower({name}) = lower(?)" for name in names)
