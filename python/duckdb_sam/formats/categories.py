"""Categories: names or numbers in rows, and the numbers that a format has for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, cast

from duckdb_sam.formats.checks import text

Category = str | int
Categories = Sequence[str] | Mapping[int, str] | Mapping[str, int]
"""All categories: names in their order, or names by number, or numbers by name."""

ONE = "object"
"""The category of all masks where there is no column of categories."""


def category(given: Any, where: str) -> Category | None:
    """Return a row's category as a str or an int; None where it is missing."""
    if given is None or isinstance(given, str):
        return text(given, f"{where}: category") if given else None
    if isinstance(given, int) and not isinstance(given, bool):
        return given  # also where a float would not be exact
    number = float("inf") if isinstance(given, bool) or not isinstance(given, Real) else float(cast(float, given))
    if number != number:  # NaN, a missing number in pandas
        return None
    if not number.is_integer():
        raise TypeError(f"{where}: a category is a name or a whole number, not {given!r}")
    return int(number)


class Numbering:
    """Which number each category has."""

    def __init__(self, numbers: Mapping[Category, int], names: Mapping[int, str], default: int | None = None) -> None:
        """``default`` is the number of masks without a category."""
        self._numbers = numbers
        self._default = default
        self.names = dict(sorted(names.items()))
        """Names by number, in the order of the numbers."""

    def __getitem__(self, given: Category | None) -> int:
        """Return the number. Raises ValueError for what is not among the categories."""
        number = self._default if given is None else self._numbers.get(given)
        if number is not None:
            return number
        if given is not None:
            raise ValueError(f"category {given!r} is not among the categories given: {_shown(self.names.values())}")
        raise ValueError(
            f"a mask has no category, and there are others that have one of {_shown(self.names.values())}: "
            "fill the column category=..., or leave such rows out"
        )

    def dense(self) -> Numbering:
        """Return the same with the numbers 0, 1, 2, ... in the same order, as YOLO wants them."""
        place = {number: index for index, number in enumerate(self.names)}
        return Numbering(
            {given: place[number] for given, number in self._numbers.items()},
            {place[number]: name for number, name in self.names.items()},
            None if self._default is None else place[self._default],
        )


def numbering(found: Iterable[Category | None], given: Categories | None, first: int) -> Numbering:
    """Number the categories ``given``, or else those ``found``: names by the alphabet, from ``first`` on."""
    values = {value for value in found if value is not None}
    if given is not None:
        return _given(given, first, alone=not values)
    if not values:
        return Numbering({}, {first: ONE}, first)
    if all(isinstance(value, int) for value in values):
        numbers = sorted(cast("set[int]", values))
        return Numbering({number: number for number in numbers}, {number: str(number) for number in numbers})
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"categories are either names or numbers; these are both: {_shown(sorted(values, key=str))}")
    names = sorted(cast("set[str]", values))
    return Numbering({name: first + place for place, name in enumerate(names)}, dict(enumerate(names, first)))


def _given(given: Categories, first: int, *, alone: bool) -> Numbering:
    if isinstance(given, str):
        raise TypeError(f"categories are a list of names or a dict of names by number, not {given!r}")
    pairs = list(given.items()) if isinstance(given, Mapping) else list(enumerate(given, first))
    names: dict[int, str] = {}
    numbers: dict[Category, int] = {}
    for left, right in pairs:
        number, name = (right, left) if isinstance(left, str) else (left, right)
        if not isinstance(name, str) or not isinstance(number, int) or isinstance(number, bool):
            raise TypeError(f"categories are names by number, such as {{1: 'cat'}}; not {left!r}: {right!r}")
        if number in names or name in numbers:
            raise ValueError(f"category {name!r} or its number {number} is given twice")
        names[number] = name
        numbers[name] = number
    if not names:
        raise ValueError("categories is empty: leave it out, or give at least one")
    if isinstance(given, Mapping):
        numbers |= {number: number for number in names}
    return Numbering(numbers, names, next(iter(names)) if alone and len(names) == 1 else None)


def _shown(values: Iterable[Any]) -> str:
    listed = [str(value) for value in values]
    return ", ".join(listed[:10]) + (f" and {len(listed) - 10} more" if len(listed) > 10 else "")
