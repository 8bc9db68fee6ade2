"""Values of other people's files and rows, checked: nothing is rounded or cut to make it fit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from numbers import Real
from operator import index
from pathlib import Path
from typing import Any, SupportsIndex, cast

MOST_PIXELS = 2**31 - 1
"""Of a side of an image."""


def whole(value: Any, what: str, least: int = -(2**63), most: int = 2**63 - 1) -> int:
    """Return a whole number, which may be written as 640.0. Raises TypeError or ValueError that begin with ``what``."""
    try:
        if isinstance(value, bool) or type(value).__name__ == "bool_":  # NumPy's
            raise TypeError(value)
        if isinstance(value, float) and not value.is_integer():
            raise ValueError(f"{what} must be a whole number, not {short(value)}")
        number = int(value) if isinstance(value, float) else index(cast(SupportsIndex, value))
    except TypeError:
        raise TypeError(f"{what} must be a whole number, not {short(value)}") from None
    if not least <= number <= most:
        raise ValueError(f"{what} must be a whole number from {least} to {most}, not {short(number)}")
    return number


def side(value: Any, what: str) -> int:
    """Return the width or height of an image in pixels."""
    return whole(value, what, 1, MOST_PIXELS)


def flag(value: Any, what: str) -> bool:
    """Return what is true or false, 1 or 0."""
    if value is True or value is False:
        return value
    return bool(whole(value, what, 0, 1))


def number(value: Any, what: str) -> float:
    """Return a finite number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{what} must be a number, not {short(value)}")
    try:
        found = float(cast(float, value))
    except OverflowError:
        found = float("inf")
    if not isfinite(found):
        raise ValueError(f"{what} must be a finite number, not {short(value)}")
    return found


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """Return an object of JSON."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{what} must be an object, not {short(value)}")
    return cast("Mapping[str, Any]", value)


def sequence(value: Any, what: str) -> Sequence[Any]:
    """Return a list."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{what} must be a list, not {short(value)}")
    return cast("Sequence[Any]", value)


def label(value: Any, what: str) -> str:
    """Return the name of a category. Whole numbers are names too; of other numbers the spelling is lost."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(whole(value, what))
    if isinstance(value, (float, bool)):
        raise TypeError(f"{what} must be a text, not {short(value)}: put it in quotes")
    return text(value, what)


def text(value: Any, what: str) -> str:
    """Return a text that is not empty, and is Unicode as all tables have it."""
    if not isinstance(value, str) or not value:
        raise TypeError(f"{what} must be a text, not {short(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} is {value!a}, which is not Unicode: give it another name") from None
    return value


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, with or without the mark at its beginning."""
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text in UTF-8: {error.reason} at byte {error.start}") from None


def read_json(path: Path) -> Any:
    """Return what a file of JSON has; encodings are told by its beginning, as RFC 8259 had them first."""
    try:
        return json.loads(path.read_bytes())
    except RecursionError:
        raise ValueError(f"{path} is not JSON that can be read: lists within lists without end") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not JSON: no UTF-8 at byte {error.start}") from None
    except ValueError as error:
        raise ValueError(f"{path} is not JSON that can be read: {error}") from None


def short(value: Any) -> str:
    """Return a value for a message."""
    try:
        shown = repr(value)
    except ValueError:  # a number with more digits than Python writes
        return "a number of thousands of digits"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
