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
from duckdb_sam.interrupt import interruptible
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
    _opening.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_forked)


class Engine:
    """Connections to one database in memory; any number of threads may ask at once."""

    def __init__(self, settings: Mapping[str, Any] | None = None, *, stoppable: bool = True) -> None:
        """Take what ``sam_configure`` is to be called with. Nothing is opened yet.

        ``stoppable`` lets Ctrl-C in the main thread stop a query within the time of one image; it costs 0.35 ms.
        """
        self._settings = dict(settings or {})
        self._stoppable = stoppable
        self._con: duckdb.DuckDBPyConnection | None = None
        _engines.add(self)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a connection of one's own to the database; close it after use."""
        with _opening:
            if self._con is None:
                self._con = self._open()
            return self._con.cursor()

    def _open(self) -> duckdb.DuckDBPyConnection:
        con = duckdb_sam.connect()
        try:
            # One thread: those of the extension do the work, and DuckDB's would wait for them busily.
            con.execute("SET threads = 1")
            quiet(con)
            if self._settings:
                given = ", ".join(f"{name} := {literal(value)}" for name, value in self._settings.items())
                con.execute(f"CALL sam_configure({given})").fetchall()
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
        with self.cursor() as cursor:
            for name, table in tables.items():
                cursor.register(name, table)
            with interruptible(cursor) if self._stoppable else contextlib.nullcontext():
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
        """Close the database; the next query opens a new one."""
        with _opening:
            if self._con is not None:
                self._con.close()
                self._con = None

    def abandon(self) -> None:
        """Forget the database without closing it."""
        if self._con is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._con))  # so that nothing ever frees it
            self._con = None


def quiet(con: duckdb.DuckDBPyConnection) -> None:
    """Turn DuckDB's progress bar off: it goes to stdout, even where that is no terminal, and stays at 0 for us."""
    con.execute("SET enable_progress_bar = false")


def _reason(error: duckdb.Error) -> str:
    """Return what the extension says, without the names of DuckDB's class of errors and of the SQL function."""
    kind, _, text = str(error).partition(": ")
    function, colon, rest = text.partition(": ")
    return rest if colon and function.isidentifier() else text or kind


shared = Engine(stoppable=False)
"""For the functions of masks and images, which need no model and no settings."""
