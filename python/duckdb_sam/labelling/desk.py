"""What a front end may ask: the same requests and answers for the page and for the notebook."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import duckdb

from duckdb_sam.labelling.answers import Answers
from duckdb_sam.labelling.errors import Refused
from duckdb_sam.labelling.pictures import Pictures, Unreadable
from duckdb_sam.labelling.rows import open_rows
from duckdb_sam.labelling.schema import MOST
from duckdb_sam.labelling.shown import CHANGED, Shown, shown
from duckdb_sam.labelling.spelling import respelled
from duckdb_sam.labelling.store import Object, Store
from duckdb_sam.labelling.views import THUMBNAIL, Views

_PAGE = 200
"""Most names of pictures in one answer."""
_AHEAD = (0, 1, 2, -1, 3)
"""Which pictures are encoded when somebody opens one, counted from it."""


class Reply(NamedTuple):
    """An answer: values for JSON, or the bytes of a JPEG."""

    values: dict[str, Any]
    data: bytes | None = None


class Desk:
    """Pictures, their prompts in a table, and a model that answers. Any number of threads may ask."""

    def __init__(
        self,
        source: Any,
        into: str,
        *,
        con: duckdb.DuckDBPyConnection,
        model: str | os.PathLike[str] = "nano",
        classes: Sequence[str] = (),
        key: str | Sequence[str] | None = None,
        image: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self._classes = _names(classes)
        rows, self._notes = respelled(open_rows(source, con), con, into)
        self.pictures = Pictures(rows, key, image)
        self.store = Store(con, into, self.pictures.columns)
        self.answers = Answers(os.fspath(model), self.pictures, settings)
        self._views = Views(self.pictures, self.answers)
        self._shown = Shown(self.answers)
        self._writing = threading.Lock()
        self._requests: dict[str, Callable[[Mapping[str, Any]], Reply]] = {
            "open": self._open, "list": self._list, "objects": self._objects, "picture": self._picture,
            "thumbnail": self._thumbnail, "put": self._put, "drop": self._drop, "state": self._state,
        }  # fmt: skip
        self.answers.ahead([self._begin()])

    def ask(self, request: str, given: Mapping[str, Any]) -> Reply:
        """Answer a request. What cannot be done is Refused; Gone if that is so until the table is back."""
        if request not in self._requests:
            raise Refused(f"there is no request {request!r}")
        return self._requests[request](given)

    def notes(self) -> list[str]:
        """Return what a person must know of the table of prompts before the work begins."""
        counts = self.store.counts()
        total = sum(counts.values())
        found = sum(counts.get(key, 0) for key in self.pictures.keys)
        notes = [*self._notes, *self.store.notes]
        if total and (self.store.others or not found):
            other = f", whose key has another type: {'; '.join(self.store.others)}" if self.store.others else ""
            notes.append(
                f"{found:,} of {total:,} objects in {self.store.into} are of these pictures, {total - found:,} are of "
                f"none of them{other}"
            )
        return notes

    def close(self) -> None:
        """Close what is open; the connection that was given stays."""
        self.answers.close()
        self.store.close()
        self.pictures.close()

    def _begin(self) -> int:
        """Return the first picture without objects, or the first one."""
        counts = self.store.counts()
        return next((place for place, key in enumerate(self.pictures.keys) if not counts.get(key)), 0)

    def _open(self, _given: Mapping[str, Any]) -> Reply:
        used = self.store.classes()
        return Reply(
            {
                "title": self.pictures.title, "into": self.store.into, "model": self.answers.model,
                "count": len(self.pictures), "begin": self._begin(), "state": self.store.state(), "notes": self.notes(),
                "classes": [*self._classes, *(name for name in used if name not in self._classes)],
            }
        )  # fmt: skip

    def _list(self, given: Mapping[str, Any]) -> Reply:
        begin = max(0, _whole(given, "from"))
        end = min(len(self.pictures), begin + min(_whole(given, "count"), _PAGE))
        counts = self.store.counts()
        keys = self.pictures.keys
        listed = [
            {"name": self.pictures.name(place), "objects": counts.get(keys[place], 0)} for place in range(begin, end)
        ]
        return Reply({"from": begin, "pictures": listed, "done": sum(1 for key in keys if counts.get(key))})

    def _objects(self, given: Mapping[str, Any]) -> Reply:
        place = self._place(given)
        look = self._views.look(place)
        key = self.pictures.keys[place]
        if look.error is None and not given.get("again"):
            self.answers.ahead([place + step for step in _AHEAD])
        state = self.store.state()  # before the objects: a change in between is seen the next time
        objects, said = self._shown.objects(place, look, self.store.objects(key))
        return Reply(
            {
                "place": place, "key": list(key), "name": self.pictures.name(place), **look._asdict(), "state": state,
                "objects": objects, "notice": _together(said),
            }
        )  # fmt: skip

    def _picture(self, given: Mapping[str, Any]) -> Reply:
        view = self._views.jpeg(self._place(given), _whole(given, "side"))
        return Reply({"version": view.version}, view.data)

    def _thumbnail(self, given: Mapping[str, Any]) -> Reply:
        view = self._views.jpeg(self._place(given), THUMBNAIL)
        return Reply({"version": view.version}, view.data)

    def _put(self, given: Mapping[str, Any]) -> Reply:
        begin = time.perf_counter()
        key = self._key(given)
        place = self.pictures.place(key)
        prompt = self.answers.prompt(given.get("points"), given.get("labels"), given.get("box"))
        version, data = self._current(place, given)
        mask = None
        if prompt.points is not None or prompt.box is not None:
            mask = self.answers.mask(data, prompt)
        elif given.get("mask") is not None:  # one without a prompt stays as it is, with another class
            look = self._views.look(place)
            mask = self.answers.checked(given["mask"], (look.height, look.width))
        kind, changed = given.get("class"), given.get("changed")
        new = Object(_number(given), None if kind is None else _text(kind), prompt, mask, changed and _text(changed))
        with self._writing:
            before = self.store.state()
            written = self.store.put(key, new, self.answers.model, keep=given.get("keep") is True)
            after = self.store.state()
        if given.get("keep") is not True:
            self._shown.wrote(place, version, written.object.number, mask)
        took = (time.perf_counter() - begin) * 1000
        return Reply(
            {"object": shown(written.object), "other": written.other, "before": before, "state": after, "ms": took}
        )

    def _current(self, place: int, given: Mapping[str, Any]) -> tuple[str, bytes]:
        """Return version and bytes of a picture, which must be the one that ``given`` is for."""
        try:
            version, data = self.pictures.current(place, hurry=True)
        except Unreadable as error:
            raise Refused(str(error)) from error
        wanted = given.get("version")
        if wanted is not None and wanted != version:
            raise Refused(CHANGED)
        return version, data

    def _drop(self, given: Mapping[str, Any]) -> Reply:
        changed = given.get("changed")
        with self._writing:
            before = self.store.state()
            self.store.drop(self._key(given), _number(given), changed and _text(changed))
            return Reply({"before": before, "state": self.store.state()})

    def _state(self, given: Mapping[str, Any]) -> Reply:
        values: dict[str, Any] = {"state": self.store.state()}
        if "place" in given:
            try:
                values["version"] = self.pictures.version(self._place(given))
            except Unreadable:
                values["version"] = ""
        return Reply(values)

    def _place(self, given: Mapping[str, Any]) -> int:
        place = _whole(given, "place")
        if not 0 <= place < len(self.pictures):
            raise Refused(f"there is no picture {place}: {self.pictures.title} has {len(self.pictures)}")
        return place

    def _key(self, given: Mapping[str, Any]) -> tuple[str, ...]:
        key = given.get("key")
        if not isinstance(key, list):
            raise Refused("key must be a list of texts")
        found = tuple(map(_text, key))  # pyright: ignore[reportUnknownArgumentType]
        self.pictures.place(found)
        return found


def _together(said: Sequence[str]) -> str | None:
    """Return what is said of several objects as one notice."""
    more = f" And {len(said) - 1:,} more objects." if len(said) > 1 else ""
    return f"{said[0]}.{more}" if said else None


def _names(classes: Sequence[str]) -> list[str]:
    if isinstance(classes, str) or not all(isinstance(name, str) and name for name in classes):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"classes must be a list of names, not {classes!r}")
    return list(dict.fromkeys(classes))


def _whole(given: Mapping[str, Any], name: str) -> int:
    value = given.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused(f"{name} must be a whole number, not {value!r}")
    return value


def _number(given: Mapping[str, Any]) -> int:
    number = _whole(given, "object")
    if abs(number) > MOST:  # those of tables of others may be anything else
        raise Refused(f"objects are numbered up to {MOST:,}, not {str(number)[:40]}")
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 10_000:
        raise Refused(f"not a text: {str(value)[:100]!r}")
    return value
