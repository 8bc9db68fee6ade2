"""Where ``run`` writes: a table of a DuckDB database, a Parquet file, or a folder of Parquet files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import duckdb

import duckdb_sam
from duckdb_sam.engine import quiet
from duckdb_sam.inputs import DATABASES, connection_of
from duckdb_sam.jobs.errors import JobError, writing
from duckdb_sam.jobs.keys import Key
from duckdb_sam.jobs.record import Record
from duckdb_sam.jobs.sink_parquet import ParquetSink
from duckdb_sam.jobs.sink_table import TableSink

TABLE = "masks"

_READ_BY = "v1.0.0"
"""The oldest DuckDB that reads databases which are made here; those that are there stay as they are."""


class Sink(Protocol):
    """Results and errors of a job. What it holds is the only account of what has been done."""

    into: str
    """Where the results are, in words."""
    errors: str

    def open(self, rows: Any, failures: Any, record: Record, restart: bool) -> None:
        """Lock it, and begin with Arrow schemas, or check that it is of the same job. ``restart`` empties it."""
        ...

    def done(self, names: Sequence[str]) -> set[Key]:
        """Return the keys of all results and errors."""
        ...

    def forget_errors(self) -> None:
        """Remove the errors, so that their rows are tried again."""
        ...

    def write(self, rows: Any, failures: Any) -> None:
        """Write a batch, so that it is there as a whole or not at all, whatever happens."""
        ...

    def finish(self) -> None:
        """Put what was written into its final form."""
        ...

    def close(self) -> None:
        """Unlock it."""
        ...


class Place:
    """What ``into``, ``table``, ``errors`` and ``con`` mean together, and the connection that comes of it."""

    def __init__(
        self,
        into: str | os.PathLike[str],
        table: str | None,
        errors: str | os.PathLike[str] | None,
        con: Any,
        threads: int | None,
    ) -> None:
        try:
            self._text = os.fsdecode(into)
        except TypeError:
            self._text = ""
        if not self._text:
            raise TypeError(f"into must be a table, a database file, a .parquet file or a folder, not {into!r}")
        if "\0" in self._text:
            raise ValueError(f"into={self._text!r} holds a NUL character, which no name has")
        self._errors = None if errors is None else os.fsdecode(errors)
        self._con = connection_of(con)
        self._threads = threads
        self._opened: dict[str, duckdb.DuckDBPyConnection] = {}
        suffix = Path(self._text).suffix.lower()
        separated = self._text.endswith(("/", os.sep)) or any(sign in self._text for sign in ("/", os.sep))
        if suffix == ".parquet":
            self.kind = "file"
        elif isinstance(into, str) and con is not None and not separated and suffix not in DATABASES:
            self.kind = "table"
        elif suffix in DATABASES:
            self.kind = "database"
        elif separated or isinstance(into, os.PathLike) or os.path.isdir(self._text):
            self.kind = "folder"
        else:
            raise ValueError(
                f"into={self._text!r} is a table if con= is given; else give a Parquet file ({self._text}.parquet), a "
                f"folder of them ({self._text}/) or a database ({self._text}.db, with table=)"
            )
        if table is not None and self.kind != "database":
            raise TypeError(f"table= belongs to a database file as into=, not to into={self._text!r}")
        if self.kind == "database" and con is not None:
            raise TypeError(f"give either con=, with the name of a table as into=, or into={self._text!r}, not both")
        self._table = table or TABLE

    def connection(self) -> duckdb.DuckDBPyConnection:
        """Return what a source is asked on: the user's connection, or one to the database that is written to.

        If there is no such database yet, it is one in memory, so that a source that is wrong leaves no file behind.
        """
        file = os.path.expanduser(self._text)
        return self._connection(file if self.kind == "database" and os.path.exists(file) else ":memory:")

    def _connection(self, database: str) -> duckdb.DuckDBPyConnection:
        if self._con is not None:
            return self._con
        if database not in self._opened:
            config: dict[str, Any] = {} if self._threads is None else {"threads": self._threads}
            try:
                if database != ":memory:" and not os.path.exists(database):
                    config |= {"storage_compatibility_version": _READ_BY}
                    os.makedirs(os.path.dirname(os.path.abspath(database)), exist_ok=True)
                self._opened[database] = duckdb_sam.connect(database, config=config)
                quiet(self._opened[database])  # there is a bar of our own, and not on stdout
            except duckdb_sam.LoadError as error:
                raise JobError(
                    f"{database} is open in this process: give that connection as con=, and a table as into="
                ) from error
            except duckdb.IOException as error:
                if "lock" in str(error):
                    raise JobError(
                        f"{database} is open in another process, maybe in another run of a job: {error}"
                    ) from error
                with writing(database):
                    raise
            except (duckdb.Error, OSError):
                with writing(database):
                    raise
        return self._opened[database]

    def folder(self) -> str | None:
        """Return the folder in which the output lies; None for a table of the user's connection."""
        return None if self.kind == "table" else os.path.dirname(os.path.abspath(os.path.expanduser(self._text))) or "/"

    def sink(self) -> Sink:
        """Return what writes there."""
        if self.kind == "table":
            return TableSink(self._connection(""), self._text, self._errors)
        if self.kind == "database":
            database = self._connection(os.path.expanduser(self._text))
            return TableSink(database, self._table, self._errors, self._text)
        return ParquetSink(Path(self._text).expanduser(), self.kind == "file", self._errors)

    def is_own(self, path: str) -> bool:
        """Whether a file is one that a job writes here: a pattern that matches it does not mean it."""
        if self.kind not in ("file", "folder") or not path.endswith(".parquet"):
            return False
        sink = self.sink()
        names = [Path(name).absolute() for name in (sink.into, sink.errors, f"{sink.into}.parts")]
        file = Path(path).absolute()
        return file in names or any(name in file.parents for name in names)

    def close(self) -> None:
        """Close the connection if it is not the user's."""
        for con in self._opened.values():
            con.close()
        self._opened.clear()
