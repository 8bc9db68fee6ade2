"""The pictures of a table, by their place in it."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Sequence
from typing import Any, cast

import duckdb

from duckdb_sam.images import picture
from duckdb_sam.labelling.errors import Refused
from duckdb_sam.labelling.kept import Kept
from duckdb_sam.labelling.keys import Column, keyed
from duckdb_sam.labelling.rows import Rows
from duckdb_sam.quoting import identifier

_HELD = 128_000_000
"""Bytes of pictures that are kept, so that a click does not read them again."""

Key = tuple[str, ...]
"""The values of the key's columns as text, which leads back to them."""


class Unreadable(Exception):
    """A picture that is NULL or cannot be read; the text says why."""


class Pictures:
    """Pictures are counted from 0, in the order in which the table gives them; their keys are read once."""

    def __init__(self, rows: Rows, key: str | Sequence[str] | None = None, image: str | None = None) -> None:
        self._con = rows.connect()
        self._lock = threading.Lock()
        self._query = rows.query
        self.title = rows.title
        found = keyed(self._con, rows, key, image)
        self.columns: list[Column] = found.keys
        self._image = identifier(found.image.name)
        texts = ", ".join(f"CAST({identifier(column.name)} AS VARCHAR)" for column in self.columns)
        self.keys: list[Key] = self._con.execute(f"SELECT {texts} FROM {rows.query}").fetchall()
        self._places = {key: place for place, key in enumerate(self.keys)}
        self._held: Kept[int] = Kept(_HELD)

    def __len__(self) -> int:
        return len(self.keys)

    def place(self, key: Sequence[str]) -> int:
        """Return where a picture is."""
        try:
            return self._places[tuple(key)]
        except KeyError:
            raise Refused(f"there is no picture {', '.join(key)} in {self.title}: reload the page") from None

    def name(self, place: int) -> str:
        """Return what people call a picture."""
        return ", ".join(self.keys[place])

    def data(self, place: int) -> bytes:
        """Return the bytes of a picture. Raises Unreadable."""
        data = self._held.get(place)
        if data is None:
            with self._lock:
                try:
                    value = self._read(place)
                except duckdb.Error as error:
                    raise Unreadable(str(error)) from error
            data = _bytes(value)
            self._held.put(place, data)
        return data

    def _read(self, place: int) -> Any:
        tests = " AND ".join(f"{identifier(column.name)} = CAST(? AS {column.type})" for column in self.columns)
        found = self._con.execute(
            f"SELECT {self._image} FROM {self._query} WHERE {tests} LIMIT 1", list(self.keys[place])
        ).fetchall()
        if not found:
            raise Unreadable("its row is no longer in the table")
        return found[0][0]

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._con.close()


def _bytes(value: Any) -> bytes:
    if value is None:
        raise Unreadable("the picture is NULL")
    try:
        path = value
        if isinstance(value, dict):  # {"bytes", "path"}
            record = cast("dict[str, Any]", value)
            path = record.get("path") if record.get("bytes") is None else None
        if isinstance(path, str) and not path.startswith("file:") and not _regular(path):
            raise Unreadable(f"{path} is no file")
        return picture(cast(object, value)).data
    except OSError as error:
        raise Unreadable(f"{error.filename or value}: {error.strerror or error}") from error
    except (ValueError, TypeError) as error:
        raise Unreadable(str(error)) from error


def _regular(path: str) -> bool:
    """Whether it is not a pipe, which would be waited for; what is not there is told of when it is read."""
    try:
        mode = os.stat(os.path.expanduser(path)).st_mode
    except (OSError, ValueError):
        return True
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
