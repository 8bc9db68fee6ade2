"""Prompts and masks in their table. Each change is a transaction of its own: what was answered is on disk."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from itertools import count
from typing import Any, NamedTuple, TypeVar

import duckdb

from duckdb_sam.cursors import beside
from duckdb_sam.jobs.sink_table import parts_of, resolve
from duckdb_sam.labelling.errors import Gone, Refused
from duckdb_sam.labelling.keys import Column
from duckdb_sam.labelling.pictures import Key
from duckdb_sam.labelling.schema import COLUMNS, RECORD, prepare
from duckdb_sam.prompts import Prompt
from duckdb_sam.quoting import identifier

_TRIES = 5
_AGAIN = 0.02
"""Seconds after which a transaction is tried again that has met another one."""


_USUAL = 1_000_000
"""New objects follow the highest number, up to this one."""

_MARK = "coalesce(changed::VARCHAR, '') || '/' || hash(class::VARCHAR, points, labels, box, mask)"
"""SQL that is another text once a row is another one, also where whoever changed it has left ``changed`` as it was."""

_changing = threading.Lock()
"""Held by what writes prompts: two desks of one process, on one table, would both see that a number is free."""

_T = TypeVar("_T")


class Object(NamedTuple):
    """A row of the table, without its key."""

    number: int
    kind: str | None
    prompt: Prompt
    mask: Mapping[str, Any] | None
    changed: str | None
    """When, and a hash of its contents after a stroke, which tell whether somebody else has changed it since; empty
    where it is not known."""


class Written(NamedTuple):
    """What became of an object."""

    object: Object
    other: bool
    """Whether somebody else had changed it since, whose change is lost now."""


class Store:
    """The table of prompts of some pictures. Any number of threads may use it."""

    def __init__(self, con: duckdb.DuckDBPyConnection, into: str, keys: Sequence[Column]) -> None:
        self._con = beside(con)  # with transactions of its own
        self._lock = threading.Lock()
        self._last = datetime.min
        self.into = into
        table = resolve(self._con, parts_of(into))
        prepared = prepare(self._con, table, keys, f"the table {into}")
        self.notes = prepared.notes
        """What people must know about a table that was there."""
        self.name = identifier(*table)
        self._keys = [identifier(key.name) for key in keys]
        self._types = prepared.types
        self.others = [
            f"{key.name} is {kind} in {into} and {key.type} in the pictures"
            for key, kind in zip(keys, self._types, strict=True)
            if kind != key.type
        ]
        """Columns of the key whose types differ."""
        # A key is compared as the text that it is known by: CAST would take '07' for 7, and fail for other texts.
        tests = [
            f"{key} = CAST(? AS {kind})" if kind == column.type else f"CAST({key} AS VARCHAR) = ?"
            for key, column, kind in zip(self._keys, keys, self._types, strict=True)
        ]
        self._of_picture = " AND ".join(tests)

    def objects(self, key: Key) -> list[Object]:
        """Return the objects of a picture, by their numbers."""
        rows = self._fetched(
            f"SELECT object, class::VARCHAR, points, labels, box, mask, {_MARK} "
            f"FROM {self.name} WHERE {self._of_picture} ORDER BY object",
            list(key),
        )
        return [Object(row[0], row[1], Prompt(*row[2:5]), row[5], row[6]) for row in rows]

    def counts(self) -> dict[Key, int]:
        """Return how many objects each picture has."""
        texts = ", ".join(f"CAST({key} AS VARCHAR)" for key in self._keys)
        return {row[:-1]: row[-1] for row in self._fetched(f"SELECT {texts}, count(*) FROM {self.name} GROUP BY ALL")}

    def classes(self) -> list[str]:
        """Return the names of classes that are in use."""
        query = f"SELECT DISTINCT class::VARCHAR FROM {self.name} WHERE class IS NOT NULL ORDER BY ALL LIMIT 1000"
        return [row[0] for row in self._fetched(query)]

    def state(self) -> str:
        """Return a text that is another one after any change of prompts, whoever made it."""
        parts = ", ".join((*self._keys, "object", "class", "points", "labels", "box", "changed"))
        [(count, mixed)] = self._fetched(f"SELECT count(*), coalesce(bit_xor(hash({parts})), 0) FROM {self.name}")
        return f"{count}-{mixed}"

    def put(self, key: Key, new: Object, model: str, *, keep: bool = False) -> Written:
        """Write an object in the place of the one with its number, and tell how it is there now.

        ``new.changed`` is that of the object which it is to replace. None stands for an object that was not there
        before: if its number is taken meanwhile, it gets the next one that is free. ``keep`` leaves the prompt and the
        mask that are there as they are. Of two pages, the last one that writes wins; what was changed without a new
        time in ``changed``, as by hand in SQL, is Refused and stays.
        """
        values = {
            "class": new.kind, "points": new.prompt.points, "labels": new.prompt.labels, "box": new.prompt.box,
            "mask": new.mask, "iou_score": None if new.mask is None else new.mask["predicted_iou"],
            "model": None if new.mask is None else model, "changed": self._now(),
        }  # fmt: skip
        marks = {column: f"?::{RECORD if column == 'mask' else COLUMNS[column]}" for column in values}
        columns = ", ".join([*self._keys, "object", *map(identifier, values)])
        keys = [f"CAST(? AS {kind})" for kind in self._types]
        insert = f"INSERT INTO {self.name} ({columns}) VALUES ({', '.join([*keys, '?', *marks.values()])})"
        changed = [column for column in values if not keep or column in ("class", "changed")]
        settings = ", ".join(f"{identifier(column)} = {marks[column]}" for column in changed)
        update = f"UPDATE {self.name} SET {settings} WHERE {self._of_picture} AND object = ?"

        def write(con: duckdb.DuckDBPyConnection) -> Written:
            number, old = new.number, self._old(con, key, new.number)
            if old is not None and new.changed is None and not _begins(old.prompt, new.prompt):
                number, old = self._free(con, key), None
            _check_known(old, new.changed)
            if old is None:
                con.execute(insert, [*key, number, *values.values()])
            else:  # columns of the user's own keep their values
                con.execute(update, [*(values[column] for column in changed), *key, number])
            now = self._old(con, key, number)
            if now is None:
                raise Refused(
                    f"the table {self.into} cannot hold the key {', '.join(key)}: {'; '.join(self.others)}. Give the "
                    "column the type of the pictures, or name another table"
                )
            other = old is not None and new.changed is not None and old.changed != new.changed
            return Written(new._replace(number=number, changed=now.changed), other)

        try:
            return self._write(write)
        except (duckdb.ConversionException, duckdb.ConstraintException) as error:  # of columns that others made
            raise Refused(f"the table {self.into} does not take it: {error}") from error

    def drop(self, key: Key, number: int, changed: str | None = None) -> None:
        """Remove an object; one that is not there is removed already. ``changed`` is as in ``put``."""
        query = f"DELETE FROM {self.name} WHERE {self._of_picture} AND object = ?"

        def write(con: duckdb.DuckDBPyConnection) -> None:
            _check_known(self._old(con, key, number), changed)
            con.execute(query, [*key, number])

        self._write(write)

    def _free(self, con: duckdb.DuckDBPyConnection, key: Key) -> int:
        """Return a number for another object of a picture."""
        query = f"SELECT object FROM {self.name} WHERE {self._of_picture}"
        taken = {number for (number,) in con.execute(query, list(key)).fetchall()}
        number = max(taken, default=0) + 1
        return number if 0 < number <= _USUAL else next(each for each in count(1) if each not in taken)

    def _old(self, con: duckdb.DuckDBPyConnection, key: Key, number: int) -> Object | None:
        """Return an object without its mask."""
        rows = con.execute(
            f"SELECT class::VARCHAR, points, labels, box, {_MARK} "
            f"FROM {self.name} WHERE {self._of_picture} AND object = ?",
            [*key, number],
        ).fetchall()
        return Object(number, rows[0][0], Prompt(*rows[0][1:4]), None, rows[0][4]) if rows else None

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._con.close()

    def _now(self) -> datetime:
        """Return the time in UTC, later than any before."""
        with self._lock:
            now = datetime.now(timezone.utc).replace(tzinfo=None)
            self._last = max(now, self._last + timedelta(microseconds=1))
            return self._last

    def _fetched(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock, self._told():
            return self._con.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _told(self) -> Generator[None]:
        """Say plainly that others have removed the table, or changed its columns."""
        try:
            yield
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            raise Gone(
                f"The table {self.into} is no longer as it was: bring it back, or start again "
                f"({str(error).splitlines()[0]})."
            ) from error

    def _write(self, work: Callable[[duckdb.DuckDBPyConnection], _T]) -> _T:
        """Do ``work`` in a transaction, and anew if somebody else changes the same rows at this moment."""
        for left in reversed(range(_TRIES)):
            with _changing, self._lock, self._told():
                try:
                    self._con.begin()
                    done = work(self._con)
                    self._con.commit()
                    return done
                except BaseException as error:
                    with contextlib.suppress(duckdb.Error):
                        self._con.rollback()
                    if not left or not isinstance(error, duckdb.TransactionException):
                        raise
            time.sleep(_AGAIN)
        raise AssertionError


def _check_known(old: Object | None, changed: str | None) -> None:
    """Refuse to write over what somebody has changed by hand, without a new time; ``changed`` is what was read last."""
    if old is None or not changed or not old.changed:
        return
    (time_now, _, hash_now), (time_read, _, hash_read) = old.changed.rpartition("/"), changed.rpartition("/")
    if time_now == time_read and hash_now != hash_read:
        raise Refused(f"object {old.number} was changed elsewhere, in SQL perhaps; this is how it is now")


def _begins(old: Prompt, new: Prompt) -> bool:
    """Whether a prompt is what another one was before: its first answer did not arrive, and it has grown since."""
    points, more = old.points or [], new.points or []
    return points == more[: len(points)] and (old.box is None or old.box == new.box)
