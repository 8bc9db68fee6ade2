"""Prompts in the columns of a row: points with their labels, and boxes, as fractions of the image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, cast

POINTS = ("point", "points", "click", "clicks")
LABELS = ("labels", "point_labels")
BOXES = ("box", "boxes")
CORNERED = ("bbox", "bboxes")
"""COCO's, which have a width and a height."""
PROMPTS = ("prompt", "prompts")

ALL = (*POINTS, *LABELS, *BOXES, *CORNERED, *PROMPTS)

_NUMBERS = (int, float, Decimal)
_SLACK = 1.05
"""Coordinates of a column that are all within it are fractions; others are pixels."""


class Point(NamedTuple):
    """A point in fractions of width and height; ``inside`` tells whether it is in the object."""

    x: float
    y: float
    inside: bool


class Box(NamedTuple):
    """Two corners in fractions of width and height."""

    x0: float
    y0: float
    x1: float
    y1: float


def is_prompt(name: str, value: Any) -> bool:
    """Tell by its name and its value whether a column holds prompts."""
    name = name.lower()
    if name in PROMPTS:
        return _is_prompts(value)
    if name in POINTS:
        return bool(_pairs(value, 2))
    return name in (*BOXES, *CORNERED) and bool(_pairs(value, 4))


def is_labels(name: str, value: Any) -> bool:
    """Tell by its name and its value whether a column tells of points whether they are in the object."""
    return name.lower() in LABELS and labels_of(value, len(_list(value) or ())) is not None


def labels_of(value: Any, count: int) -> list[bool] | None:
    """Return labels as bools, if the value is as many of them as there are points."""
    values = _list(value)
    if values is None or len(values) != count or any(each not in (0, 1) for each in values):
        return None
    return [bool(each) for each in values]


def drawn(name: str, value: Any, labels: Any, size: tuple[int, int]) -> tuple[list[Point], list[Box]]:
    """Return the points and boxes in a column for which ``is_prompt`` holds; ``size`` is that of the image."""
    name = name.lower()
    if name in POINTS:
        return _points(value, labels, size), []
    if name in (*BOXES, *CORNERED):
        return [], _boxes(value, size, name in CORNERED)
    points: list[Point] = []
    boxes: list[Box] = []
    for prompt in _list(value) or [value]:
        if isinstance(prompt, Mapping):
            fields = cast("Mapping[str, Any]", prompt)
            points += _points(fields.get("points", fields.get("point")), fields.get("labels"), size)
            boxes += _boxes(fields.get("box"), size, False)
    return points, boxes


def _is_prompts(value: Any) -> bool:
    values = [cast("Any", value)] if isinstance(value, Mapping) else _list(value)
    fields = {"points", "point", "box"}
    return bool(values) and all(isinstance(each, Mapping) and fields & each.keys() for each in values or ())


def _points(value: Any, labels: Any, size: tuple[int, int]) -> list[Point]:
    pairs = _pairs(value, 2)
    inside = labels_of(labels, len(pairs)) or [True] * len(pairs)
    width, height = _unit(pairs, size)
    return [Point(x / width, y / height, each) for (x, y), each in zip(pairs, inside, strict=True)]


def _boxes(value: Any, size: tuple[int, int], cornered: bool) -> list[Box]:
    fours = _pairs(value, 4)
    width, height = _unit(fours, size)
    found: list[Box] = []
    for x0, y0, x1, y1 in fours:
        right, below = (x0 + x1, y0 + y1) if cornered else (x1, y1)
        found.append(Box(x0 / width, y0 / height, right / width, below / height))
    return found


def _unit(rows: Sequence[Sequence[float]], size: tuple[int, int]) -> tuple[float, float]:
    if all(abs(value) <= _SLACK for row in rows for value in row):
        return 1.0, 1.0
    return float(size[1]), float(size[0])


def _pairs(value: Any, count: int) -> list[list[float]]:
    """Return ``[x, y]`` or ``[[x, y], ...]`` as rows of ``count`` numbers; empty for anything else."""
    rows = _list(value)
    if rows and all(isinstance(each, _NUMBERS) and not isinstance(each, bool) for each in rows):
        rows = [rows]
    found: list[list[float]] = []
    for row in rows or ():
        numbers = _list(row)
        if numbers is None and row is None:
            continue
        if numbers is None or len(numbers) != count:
            return []
        if not all(isinstance(each, _NUMBERS) and math.isfinite(each) for each in numbers):
            return []
        found.append([float(each) for each in numbers])
    return found


def _list(value: Any) -> list[Any] | None:
    return list(cast("Sequence[Any]", value)) if isinstance(value, (list, tuple)) else None
