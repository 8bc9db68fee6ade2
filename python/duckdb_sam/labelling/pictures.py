"""The pictures of a table, by their place in it."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import duckdb

from duckdb_sam.images import local_path, picture
from duckdb_sam.labelling.errors import Refused
from duckdb_sam.labelling.kept import Kept
from duckdb_sam.labelling.keys import Column, keyed
from duckdb_sam.labelling.rows import Rows
from duckdb_sam.quoting import identifier

_HELD = 128_000_000
"""Bytes of pictures that are kept, so that a click does not read them again."""

_REST = 10
"""For how many times as long as it took to look whether a picture is another one nobody looks again."""
_DEAR = 0.05
"""Seconds after which a person notices that a click waits."""

Key = tuple[str, ...]
"""The values of the key's columns as text, which leads back to them."""


class Unreadable(Exception):
    """A picture that is NULL or cannot be read; the text says why."""


class _Seen(NamedTuple):
    """What is known of a picture without its bytes."""

    version: str
    until: float
    """When to look again."""
    is_dear: bool
    """Whether looking takes so long that a click would wait."""


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
        self._path = _path_in(self._image, found.image.type)
        texts = ", ".join(f"CAST({identifier(column.name)} AS VARCHAR)" for column in self.columns)
        self.keys: list[Key] = self._con.execute(f"SELECT {texts} FROM {rows.query}").fetchall()
        self._places = {key: place for place, key in enumerate(self.keys)}
        self._held: Kept[tuple[int, str]] = Kept(_HELD)
        self._seen: dict[int, _Seen] = {}

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

    def version(self, place: int, *, hurry: bool = False) -> str:
        """Return a text that is another one once the picture is another one. Raises Unreadable.

        Bytes are compared by a hash, files by their size and time. In a ``hurry`` nobody looks where that takes long:
        the page asks again and again while nobody clicks.
        """
        seen = self._seen.get(place)
        if seen is not None and (time.monotonic() < seen.until or (hurry and seen.is_dear)):
            return seen.version
        with self._lock:
            begin = time.monotonic()
            [(mark, path)] = self._read(place, f"hash({self._image}), {self._path}")
            version = str(mark) if path is None else f"{mark}-{_file(path)}"
            end = time.monotonic()
            self._seen[place] = _Seen(version, end + _REST * (end - begin), end - begin > _DEAR)
        return version

    def data(self, place: int) -> bytes:
        """Return the bytes of a picture as it is now. Raises Unreadable."""
        return self.current(place)[1]

    def current(self, place: int, *, hurry: bool = False) -> tuple[str, bytes]:
        """Return version and bytes of a picture; ``hurry`` as in ``version``. Raises Unreadable."""
        kept = (place, self.version(place, hurry=hurry))
        data = self._held.get(kept)
        if data is None:
            with self._lock:
                [(value,)] = self._read(place, self._image)
            data = _bytes(value)
            self._held.put(kept, data)
        return kept[1], data

    def _read(self, place: int, columns: str) -> list[Any]:
        tests = " AND ".join(f"{identifier(column.name)} = CAST(? AS {column.type})" for column in self.columns)
        query = f"SELECT {columns} FROM {self._query} WHERE {tests} LIMIT 1"
        try:
            found = self._con.execute(query, list(self.keys[place])).fetchall()
        except duckdb.Error as error:
            said = str(error).splitlines()[0]  # and not the SQL, which nobody has written
            if isinstance(error, (duckdb.CatalogException, duckdb.BinderException)):
                said = f"it is no longer as it was ({said.partition(': ')[2] or said})"
            raise Unreadable(f"{self.title} cannot be read: {said}") from error
        if not found:
            raise Unreadable("its row is no longer in the table")
        return found

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


def _path_in(image: str, kind: str) -> str:
    """Return the SQL of the path that a picture is read from; NULL where its bytes are at hand."""
    if kind == "VARCHAR":
        return image
    plain = kind.replace('"', "")
    if plain.startswith("STRUCT(") and "path VARCHAR" in plain:
        path = f"struct_extract({image}, 'path')"
        return f"CASE WHEN struct_extract({image}, 'bytes') IS NULL THEN {path} END" if "bytes " in plain else path
    return "NULL"


def _file(path: str) -> str:
    """Return what changes with a file; what is not there is told of when it is read."""
    try:
        found = os.stat(local_path(path))
    except (OSError, ValueError):
        return ""
    return f"{found.st_size}-{found.st_mtime_ns}"


def _regular(path: str) -> bool:
    """Whether it is not a pipe, which would be waited for; what is not there is told of when it is read."""
    try:
        mode = os.stat(os.path.expanduser(path)).st_mode
    except (OSError, ValueError):
        return True
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
