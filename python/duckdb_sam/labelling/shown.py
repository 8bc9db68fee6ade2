"""Objects as a page may draw them: what is wrong with one, or of a picture as it was before, is told and not drawn."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, cast

from duckdb_sam.labelling.answers import Answers
from duckdb_sam.labelling.errors import Refused
from duckdb_sam.labelling.store import Object
from duckdb_sam.labelling.views import Look
from duckdb_sam.prompts import Prompt

CHANGED = "the picture has changed in the table since it was shown"
_BEFORE = "its mask is of the picture as it was before it changed in the table"

_Known = dict[int, str]
"""Run lengths of the masks of a picture, by the numbers of their objects."""


class Shown:
    """What was shown of pictures, so that masks of one that changes are not taken for those of the new one."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._lock = threading.Lock()
        self._known: dict[int, tuple[str, _Known]] = {}
        self._old: dict[int, _Known] = {}

    def objects(self, place: int, look: Look, objects: Sequence[Object]) -> tuple[list[dict[str, Any]], list[str]]:
        """Return objects for a page, and what there is to say about them."""
        with self._lock:
            self._look(place, look.version)
            old = dict(self._old.get(place, {}))
        found: list[dict[str, Any]] = []
        said: list[str] = []
        masks = [each.mask for each in objects if each.mask is not None]
        wrong = iter(
            self._answers.wrong(masks, (look.height, look.width)) if look.error is None else [None] * len(masks)
        )
        for each in objects:
            fault = None if each.mask is None else next(wrong)
            if each.mask is not None and old.get(each.number) == _counts(each.mask):
                fault = _BEFORE
            shown, notice = self._checked(each, fault)
            found.append(shown)
            if notice:
                said.append(notice)
        with self._lock:
            self._known[place] = (look.version, _known(objects))
        return found, said

    def wrote(self, place: int, version: str, number: int, mask: Mapping[str, Any] | None) -> None:
        """Remember that an object has a mask of this version of a picture."""
        with self._lock:
            self._look(place, version)
            self._old.get(place, {}).pop(number, None)
            known = self._known.setdefault(place, (version, {}))[1]
            if mask is not None:
                known[number] = _counts(mask)

    def _look(self, place: int, version: str) -> None:
        """Take note of a picture that is another one: the masks known until now are of the one before."""
        before, known = self._known.get(place, (version, {}))
        if before != version:
            self._old[place] = {**self._old.get(place, {}), **known}
            self._known[place] = (version, {})

    def _checked(self, given: Object, wrong: str | None) -> tuple[dict[str, Any], str]:
        """Return an object that may be drawn, and what is wrong with it; ``wrong`` is what is wrong with its mask."""
        points, labels, box = given.prompt
        asked = points is not None or box is not None
        try:
            if asked:
                self._answers.prompt(points, labels, box)
        except Refused as error:
            bare = given._replace(prompt=Prompt(None, None, None))
            return {**shown(bare), "wrong": str(error)}, f"The prompt of object {given.number} cannot be used: {error}"
        if wrong is None:
            return {**shown(given), "wrong": None}, ""
        hint = "click to make it anew" if not asked else "move a point to make it anew"
        said = f"The mask of object {given.number} is not shown, as {wrong}: {hint}"
        return {**shown(given._replace(mask=None)), "wrong": None if asked else wrong}, said


def shown(given: Object) -> dict[str, Any]:
    """Return an object as JSON has it."""
    mask = given.mask
    if mask is not None:  # JSON has no NaN
        mask = {name: None if isinstance(value, float) and value != value else value for name, value in mask.items()}
    return {
        "object": given.number, "class": given.kind, **given.prompt._asdict(), "mask": mask, "changed": given.changed,
    }  # fmt: skip


def _known(objects: Sequence[Object]) -> _Known:
    return {each.number: _counts(each.mask) for each in objects if each.mask is not None}


def _counts(mask: Mapping[str, Any]) -> str:
    return str(cast("Mapping[str, Any]", mask.get("segmentation") or {}).get("counts"))
