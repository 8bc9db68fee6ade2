"""A database in memory that has the extension, for the objects of this package that compute something.

It is opened when it is first needed, and anew in a forked child, which must not touch its parent's. Models and the
cache belong to the process, so that several of them cost a few milliseconds each and no more.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import weakref
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import duckdb

import duckdb_sam
from duckdb_sam.interrupt import as_interrupts, interruptible
from duckdb_sam.quoting import literal

_opening = threading.Lock()
"""Held while a database is opened or closed, and by a fork: DuckDB's own locks must be free then, for the child."""

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


def _forked() -> None:
    """In a forked child, forget the parent's connections, and never close them.

    That could wait for threads that the child does not have, or end it, at the latest when the interpreter ends.
    """
    for engine in list(_engines):
        engine.abandon()
    # DuckDB opens a database of its own when it is imported, and would join its threads when the child ends.
    with contextlib.suppress(duckdb.Error):
        _keep(duckdb.default_connection())
    _opening.release()


def _keep(con: duckdb.DuckDBPyConnection) -> None:
    """See to it that nothing ever frees a connection."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(con))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_forked)


class _Opened:
    """A database that is open, and by how many it is used: closing it would end the queries that run in it."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con
        self.users = 0
        self.is_over = False

    def close_if_unused(self) -> None:
        """Close it, unless others still use it, of whom the last does; to be called under ``_opening``."""
        if self.is_over and not self.users:
            self.con.close()


class Engine:
    """Connections to one database in memory; any number of threads may ask, and one may close it, at once."""

    def __init__(self, settings: Mapping[str, Any] | None = None, *, stoppable: bool = True) -> None:
        """Take what ``sam_configure`` is to be called with. Nothing is opened yet.

        ``stoppable`` lets Ctrl-C in the main thread stop a query within the time of one image; it costs 0.35 ms.
        """
        self._settings = dict(settings or {})
        self._stoppable = stoppable
        self._opened: _Opened | None = None
        _engines.add(self)

    @contextlib.contextmanager
    def cursor(self) -> Generator[duckdb.DuckDBPyConnection, None, None]:
        """Give a connection of one's own to the database, which stays open as long as it is used."""
        with _opening:
            if self._opened is None:
                with as_interrupts():
                    self._opened = _Opened(self._open())
            opened = self._opened
            cursor = opened.con.cursor()
            opened.users += 1
        try:
            yield cursor
        finally:
            with _opening:
                cursor.close()
                opened.users -= 1
                opened.close_if_unused()

    def _open(self) -> duckdb.DuckDBPyConnection:
        con = duckdb_sam.connect()
        try:
            # One thread: those of the extension do the work, and DuckDB's would wait for them busily.
            con.execute("SET threads = 1")
            quiet(con)
            if self._settings:
                given = ", ".join(f"{name} := {literal(value)}" for name, value in self._settings.items())
                con.execute(f"CALL sam_configure({given})").fetchall()
        except (duckdb.InvalidInputException, duckdb.BinderException) as error:
            con.close()
            raise ValueError(_reason(error)) from error
        except BaseException:
            con.close()
            raise
        return con

    @contextlib.contextmanager
    def query(
        self, statement: str, values: Sequence[Any] = (), **tables: Any
    ) -> Generator[duckdb.DuckDBPyConnection, None, None]:
        """Run ``statement``, in which the Arrow ``tables`` have their names, and give its result to read.

        What the extension refuses is a ValueError.
        """
        with self.cursor() as cursor, interruptible(cursor) if self._stoppable else contextlib.nullcontext():
            # Within the block, too: DuckDB imports what may know the tables, and takes Ctrl-C for a failed import.
            for name, table in tables.items():
                cursor.register(name, table)
            try:
                cursor.execute(statement, values)
            except duckdb.InvalidInputException as error:
                raise ValueError(_reason(error)) from error
            yield cursor

    def value(self, expression: str, *values: Any) -> Any:
        """Return the value of one SQL expression in which ``values`` stand for ``?``."""
        with self.query(f"SELECT {expression}", values) as result:
            row = result.fetchone()
        return row[0] if row else None

    def close(self) -> None:
        """Close the database as soon as the queries of other threads have ended; the next one opens another."""
        with _opening:
            opened, self._opened = self._opened, None
            if opened is not None:
                opened.is_over = True
                opened.close_if_unused()

    def abandon(self) -> None:
        """Forget the database without closing it."""
        if self._opened is not None:
            _keep(self._opened.con)
            self._opened = None


def quiet(con: duckdb.DuckDBPyConnection) -> None:
    """Turn DuckDB's progress bar off: it goes to stdout, even where that is no terminal, and stays at 0 for us.

    In a notebook without ipywidgets DuckDB has none, and refuses to be asked about it.
    """
    with contextlib.suppress(duckdb.InvalidInputException):
        con.execute("SET enable_progress_bar = false")


def _reason(error: duckdb.Error) -> str:
    """Return what the extension says, without the names of DuckDB's class of errors and of the SQL function."""
    kind, _, text = str(error).partition(": ")
    function, colon, rest = text.partition(": ")
    return rest if colon and function.isidentifier() else text or kind


shared = Engine(stoppable=False)
"""For the functions of masks and images, which need no model and no settings."""
