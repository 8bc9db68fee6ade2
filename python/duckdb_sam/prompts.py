"""Prompts as they are given, checked and turned into what the SQL functions take: fractions of width and height."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any, Literal, NamedTuple, cast, get_args

from duckdb_sam.options import short

Unit = Literal["fraction", "pixel"]
BoxFormat = Literal["xyxy", "xywh"]

_POINT_SLACK = 0.001
BOX_SLACK = 0.05
"""How far outside the image, as a fraction of its side, the extension takes to its edge."""


ANNOTATE = "sam_annotate(?, ?::BLOB, ?::DOUBLE[][], ?::BIGINT[], ?::DOUBLE[])"
"""SQL that takes a model, the bytes of an image and the fields of a ``Prompt``."""


class Prompt(NamedTuple):
    """A prompt in fractions, x first: points, their labels (1 in the object, 0 not), a box of two corners."""

    points: list[list[float]] | None
    labels: list[int] | None
    box: list[float] | None


class Form(NamedTuple):
    """In what coordinates are given, and where an image's height and width come from if they are needed."""

    unit: Unit
    box_format: BoxFormat
    size: Callable[[], tuple[int, int] | None]
    calls: bool = True
    """Whether who reads an error calls a function, and can give it other arguments."""


def check_form(unit: str, box_format: str) -> None:
    """Refuse an unknown unit or form of boxes."""
    for what, value, known in (("unit", unit, get_args(Unit)), ("box_format", box_format, get_args(BoxFormat))):
        if value not in known:
            raise ValueError(f"{what} must be {' or '.join(map(repr, known))}, not {value!r}")


def check_given(point: object, points: object, labels: object, box: object) -> None:
    """Refuse a call without a prompt, and arguments that exclude each other."""
    if point is None and points is None and box is None:
        raise TypeError("give a prompt: point=[x, y], points=[[x, y], ...] or box=[x0, y0, x1, y1]")
    if point is not None and points is not None:
        raise TypeError("give either point or points, not both")
    if labels is not None and points is None:
        raise TypeError("labels belong to points: give points=[[x, y], ...] with one label each")


def prompt(point: Any, points: Any, labels: Any, box: Any, form: Form) -> Prompt:
    """Check one prompt. Wrong types are a TypeError, wrong values a ValueError that shows them."""
    rows: list[list[float]] | None = None
    marks: list[int] | None = None
    if point is not None:
        rows = [_point("point", point, form)]
    elif points is not None:
        names = "points[{0}]" if form.calls else "point {1}"
        given = enumerate(_sequence("points", points))
        rows = [_point(names.format(index, index + 1), each, form) for index, each in given]
        if not rows:
            raise ValueError("points is empty: give at least one point [x, y]")
        if labels is not None:
            marks = [_label(index, each) for index, each in enumerate(_sequence("labels", labels))]
            if len(marks) != len(rows):
                raise ValueError(f"{len(marks)} labels for {len(rows)} points: give one label for each point")
    return Prompt(rows, marks, None if box is None else _box(box, form))


def check_constants(prompts: Mapping[str, Any], unit: Unit, box_format: BoxFormat) -> None:
    """Refuse what is wrong for every image, of prompts as ``batch`` takes them: a name of a column is none.

    Coordinates in pixels are checked as far as they can be without the size of an image.
    """
    form = Form(unit, box_format, lambda: None)
    constant = {name: None if isinstance(value, str) else value for name, value in prompts.items()}
    boxes, labels = constant.pop("boxes"), constant.pop("labels")
    together = labels if constant["points"] is not None else None
    prompt(constant["point"], constant["points"], together, constant["box"], form)
    for index, each in enumerate([] if labels is None else _sequence("labels", labels)):
        _label(index, each)
    for index, each in enumerate([] if boxes is None else _sequence("boxes", boxes)):
        try:
            _box(each, form)
        except (TypeError, ValueError) as error:
            raise type(error)(f"boxes[{index}]: {error}") from None


def prompt_of(index: int, given: Any, form: Form) -> Prompt:
    """Check a prompt in the form of ``sam_annotate_many``: {"points", "labels", "box"}, other keys ignored."""
    if not isinstance(given, Mapping):
        raise TypeError(f"prompts[{index}] must be a dict with points, labels and box, not {given!r}")
    fields = cast(Mapping[str, Any], given)
    points, labels, box = (fields.get(key) for key in ("points", "labels", "box"))
    if points is None and box is None:
        raise ValueError(f"prompts[{index}] has neither points nor a box: {given!r}")
    return prompt(None, points, labels, box, form)


def _point(what: str, given: Any, form: Form) -> list[float]:
    hint = "point=[x, y] is one point; several are points=[[x, y], ...]" if form.calls else "a point is [x, y]"
    x, y = _numbers(what, given, 2, hint)
    width, height = _extent(form)
    for value, side in ((x, width), (y, height)):
        if not -_POINT_SLACK * side <= value <= side * (1 + _POINT_SLACK):
            raise ValueError(f"{what} {[x, y]} lies outside the image{_where(form, value)}")
    return [x / width, y / height]


def _box(given: Any, form: Form) -> list[float]:
    numbers = _numbers("box", given, 4, f"a box is {_CORNERS[form.box_format]}")
    x0, y0, x1, y1 = numbers
    if form.box_format == "xywh":
        x1, y1 = x0 + x1, y0 + y1
    if not (x0 < x1 and y0 < y1):
        other = {"xyxy": "xywh", "xywh": "xyxy"}[form.box_format]
        hint = f"; {_CORNERS[cast(BoxFormat, other)]} is box_format={other!r}" if form.calls else ""
        raise ValueError(f"box {numbers} has no area: it is read as {_CORNERS[form.box_format]}{hint}")
    width, height = _extent(form)
    if form.unit == "pixel":  # as box_from_pixels of SQL: detectors overshoot
        x0, y0, x1, y1 = max(x0, 0.0), max(y0, 0.0), min(x1, width), min(y1, height)
        if not (x0 < x1 and y0 < y1):
            raise ValueError(f"box {numbers} lies outside the image{_where(form, 0.0)}")
    for value, side in ((x0, width), (y0, height), (x1, width), (y1, height)):
        if not -BOX_SLACK * side <= value <= side * (1 + BOX_SLACK):
            raise ValueError(f"box {numbers} reaches outside the image{_where(form, value)}")
    return [x0 / width, y0 / height, x1 / width, y1 / height]


_CORNERS: dict[BoxFormat, str] = {"xyxy": "[x0, y0, x1, y1]", "xywh": "[x, y, width, height]"}


def _extent(form: Form) -> tuple[float, float]:
    """Return width and height in the unit of the prompt."""
    if form.unit == "fraction":
        return 1.0, 1.0
    size = form.size()
    if size is None:  # not an image: whatever is passed on, the extension says what is wrong with it
        return math.inf, math.inf
    return float(size[1]), float(size[0])


def _where(form: Form, value: float) -> str:
    if form.unit == "pixel":
        width, height = _extent(form)
        if math.isinf(width):
            return ""
        return f", which has {width:.0f} x {height:.0f} pixels"
    pixels = "; for pixels give unit='pixel'" if form.calls else ", and these look like pixels"
    hint = pixels if abs(value) > 1.5 else ""
    return f": coordinates are fractions of its width and height, 0 to 1{hint}"


def _label(index: int, given: Any) -> int:
    if not isinstance(given, Real):  # bool among them
        raise TypeError(f"labels[{index}] must be 1 (in the object) or 0 (not in it), not {given!r}")
    if given not in (0, 1):
        raise ValueError(f"labels[{index}] must be 1 (in the object) or 0 (not in it), not {given!r}")
    return int(cast(float, given))


def _numbers(what: str, given: Any, count: int, hint: str) -> list[float]:
    values = _sequence(what, given)
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (Real, Decimal)):  # DuckDB's 0.5 is a decimal
            raise TypeError(f"{what} must hold {count} numbers, not {short(given)}; {hint}")
    if len(values) != count:
        raise ValueError(f"{what} has {len(values)} numbers, not {count}: {short(given)}; {hint}")
    try:
        numbers = [float(value) for value in values]
    except OverflowError:
        numbers = [math.inf]
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"{what} must hold finite numbers, not {short(given)}")
    return numbers


def _sequence(what: str, given: Any) -> Sequence[Any]:
    if hasattr(given, "tolist"):  # NumPy, PyTorch
        given = given.tolist()
    if isinstance(given, (str, bytes)) or not isinstance(given, Sequence):
        raise TypeError(f"{what} must be a list, not {given!r}")
    return cast("Sequence[Any]", given)
