"""Prompts and their masks; and the pictures that come next, encoded before anybody asks for them."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import duckdb

from duckdb_sam.engine import Engine
from duckdb_sam.labelling.errors import Refused
from duckdb_sam.labelling.pictures import Pictures, Unreadable
from duckdb_sam.masks import Mask
from duckdb_sam.prompts import ANNOTATE, Form, Prompt, prompt

_EMBED = "octet_length(sam_embed(?, ?::BLOB))"
_FRACTIONS = Form("fraction", "xyxy", lambda: None, calls=False)

_PATIENCE = 0.25
"""Seconds without a question for a mask, before the next picture is encoded: clicks come in quick succession."""


class Answers:
    """Masks of one model. What the encoder makes of a picture is in the cache of the process."""

    def __init__(self, model: str, pictures: Pictures, settings: Mapping[str, Any] | None = None) -> None:
        """Load the model; an unknown one is a ValueError."""
        self.model = model
        self._pictures = pictures
        # Threads other than the main one ask; Ctrl-C ends the server, or the cell, and not a single answer.
        self._engine = Engine({**(settings or {}), "on_error": "fail"}, stoppable=False)
        self._engine.value("sam_model_info(?)", model)
        self._wanted: list[int] = []
        self._asked = 0
        self._urgent = False  # the first of the wanted ones is the one that somebody looks at
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="duckdb-sam-label", daemon=True)
        self._thread.start()
        atexit.register(self.close)  # a thread that is inside of DuckDB when Python ends would end the process loudly

    def prompt(self, points: Any, labels: Any, box: Any) -> Prompt:
        """Check a prompt as it comes from a front end."""
        try:
            return prompt(None, points or None, labels if points else None, box, _FRACTIONS)
        except (ValueError, TypeError) as error:
            raise Refused(str(error)) from error

    def mask(self, data: bytes, given: Prompt) -> Mapping[str, Any]:
        """Return the record of ``sam_annotate`` for a picture and a prompt with points or a box."""
        try:
            with self._first():
                return self._engine.value(ANNOTATE, self.model, data, given.points, given.labels, given.box)
        except ValueError as error:
            raise Refused(str(error)) from error

    def checked(self, record: Any, size: tuple[int, int]) -> Mapping[str, Any]:
        """Check a record as it comes from a front end, which has it from the table. ``size`` is height and width."""
        try:
            found = Mask.from_record(record).to_dict()
        except (TypeError, ValueError, AttributeError, KeyError, IndexError, OverflowError, duckdb.Error) as error:
            raise Refused("the mask that was sent is no record of sam_annotate") from error
        [wrong] = self.wrong([found], size)
        if wrong:
            raise Refused(wrong)
        return found

    def wrong(self, records: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> list[str | None]:
        """Return of each record why it is no mask of a picture of this height and width; None for one that is."""
        found = [_of_another(record, size) for record in records]
        some = [place for place, wrong in enumerate(found) if wrong is None]
        query = "SELECT mask_error(unnest(?::STRUCT(size INTEGER[], counts VARCHAR)[]))"
        if some:
            with self._engine.query(query, [[records[place]["segmentation"] for place in some]]) as result:
                for place, (wrong,) in zip(some, result.fetchall(), strict=True):
                    found[place] = f"its mask is none: {wrong}" if wrong else None
        return found

    def value(self, expression: str, *values: Any) -> Any:
        """Return the value of an expression of SQL, of an image for example. Raises ValueError."""
        return self._engine.value(expression, *values)

    def ahead(self, places: Sequence[int]) -> None:
        """Encode pictures in the background, the first at once, and no others any more."""
        with self._changed:
            self._wanted = [place for place in places if 0 <= place < len(self._pictures)]
            self._urgent = True
            self._changed.notify_all()

    def close(self) -> None:
        """End the work in the background, and close the database."""
        atexit.unregister(self.close)
        with self._changed:
            self._ended, self._wanted = True, []
            self._changed.notify_all()
        while self._thread.is_alive():
            with self._engine.query("CALL sam_cancel()"):  # within the time of one image
                self._thread.join(0.2)
        self._engine.close()

    @contextmanager
    def _first(self) -> Generator[None]:
        """Let the background wait."""
        with self._changed:
            self._asked += 1
        try:
            yield
        finally:
            with self._changed:
                self._asked -= 1
                self._changed.notify_all()

    def _next(self) -> int | None:
        """Wait until a picture is to be encoded and nobody waits for a mask; None in the end."""
        with self._changed:
            while not self._ended:
                if self._asked or not self._wanted:
                    self._changed.wait()
                elif self._changed.wait(0 if self._urgent else _PATIENCE):
                    continue  # something has changed: look again
                elif self._wanted:
                    self._urgent = False
                    return self._wanted.pop(0)
            return None

    def _work(self) -> None:
        while (place := self._next()) is not None:
            try:
                self._engine.value(_EMBED, self.model, self._pictures.data(place))
            except (Unreadable, ValueError, duckdb.Error):
                continue  # told when somebody looks at it


def _of_another(record: Mapping[str, Any], size: tuple[int, int]) -> str | None:
    sides = cast("Mapping[str, Any]", record.get("segmentation") or {}).get("size")
    if isinstance(sides, list) and sides == [*size]:
        return None
    said = " x ".join(str(side)[:20] for side in reversed(cast("list[Any]", sides or []))) or "no size"
    return f"its mask is of a picture of {said}, not of {size[1]} x {size[0]} pixels"
