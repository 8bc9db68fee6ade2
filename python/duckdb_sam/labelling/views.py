"""Pictures as they are sent to be looked at: upright JPEGs of the size of a screen, and thumbnails."""

from __future__ import annotations

import threading
from typing import NamedTuple

from duckdb_sam.labelling.answers import Answers
from duckdb_sam.labelling.errors import Refused
from duckdb_sam.labelling.kept import Kept
from duckdb_sam.labelling.pictures import Pictures, Unreadable

SIDES = (1024, 2048, 4096, 8192)
"""Longer sides in pixels in which a picture is sent."""
THUMBNAIL = 192
_HELD = 64_000_000

_SMALL = "image_convert(image_thumbnail(?::BLOB, ?), 'jpeg')"


class Look(NamedTuple):
    """What is known of a picture: width and height of the upright one, or why it cannot be shown."""

    width: int
    height: int
    error: str | None = None
    version: str = ""
    """Another one once the picture is another one."""


class View(NamedTuple):
    """A picture as it is sent."""

    data: bytes
    version: str


class Views:
    """Views of pictures, one at a time so that masks do not wait for them; the latest are kept."""

    def __init__(self, pictures: Pictures, answers: Answers) -> None:
        self._pictures, self._answers = pictures, answers
        self._held: Kept[tuple[int, str, int]] = Kept(_HELD)
        self._working = threading.Lock()

    def look(self, place: int) -> Look:
        """Read the header of a picture; the rest is looked at when it is shown."""
        try:
            version, data = self._pictures.current(place)
            info = self._answers.value("image_info(?::BLOB)", data)
            if info is None:
                return Look(0, 0, self._wrong(data), version)
            return Look(info["width"], info["height"], None, version)
        except (Unreadable, ValueError) as error:
            return Look(0, 0, str(error))

    def jpeg(self, place: int, side: int) -> View:
        """Return a picture as a JPEG whose longer side has at most so many pixels. Refused if it cannot be read."""
        if side != THUMBNAIL:
            side = next((each for each in SIDES if each >= side), SIDES[-1])
        try:
            version, data = self._pictures.current(place)
            kept = (place, version, side)
            found = self._held.get(kept)
            if found is not None:
                return View(found, version)
            with self._working:
                found = self._answers.value(_SMALL, data, side)
        except (Unreadable, ValueError) as error:
            raise Refused(str(error)) from error
        if found is None:
            raise Refused(self._wrong(data))
        self._held.put(kept, found)
        return View(found, version)

    def _wrong(self, data: bytes) -> str:
        return str(self._answers.value("image_error(?::BLOB)", data) or "it cannot be read")
