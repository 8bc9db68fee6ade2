"""Python values and expressions as arguments of a SQL function: whether they fit a type, and what they become.

Nothing is tried out: a value fits a type or not, and of the types that it fits one is the nearest.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from types import ModuleType
from typing import Any, SupportsIndex, cast

from duckdb_sam.masks import Mask

_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = 60


def is_deferred(value: Any) -> bool:
    """Whether an expression waits for its table."""
    kind = cast("type[Any]", type(value))
    return kind.__name__ == "Deferred" and kind.__module__.endswith("ibis.common.deferred")


def is_expression(value: Any) -> bool:
    """Whether a value is a column or a value of Ibis or xorq."""
    return not is_deferred(value) and hasattr(value, "op") and hasattr(value, "type")


def holds_expression(value: Any) -> bool:
    """Whether a value is an expression, or holds one."""
    return is_expression(value) or any(map(holds_expression, _items(value)))


def is_xorq(value: Any) -> bool:
    """Whether a value is an expression of xorq's, or holds one."""
    return type(value).__module__.startswith("xorq.") or any(map(is_xorq, _items(value)))


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return cast("Mapping[Any, Any]", value).values()
    return cast("Sequence[Any]", value) if isinstance(value, (list, tuple)) else ()


def plain(value: Any) -> Any:
    """Return an argument with arrays as lists, and masks as records."""
    if is_deferred(value) or is_expression(value):
        return value
    if isinstance(value, Mask):
        return value.rle
    if hasattr(value, "tolist"):  # NumPy
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in cast("Sequence[Any]", value)]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    return value


def distance(value: Any, wanted: Any) -> int | None:
    """Return how far a value is from Ibis's type ``wanted``: 0 if it fits exactly, None if it does not fit.

    Between is a struct that lacks fields or has others, by their number: the extension ignores those.
    """
    if value is None or is_deferred(value):
        return 0
    if is_expression(value):
        return _between(value.type(), wanted)
    if wanted.is_array() and isinstance(value, list):
        return _sum(distance(item, wanted.value_type) for item in cast("list[Any]", value))
    if wanted.is_map() and isinstance(value, dict):
        entries = cast("dict[Any, Any]", value)
        keys = _sum(distance(key, wanted.key_type) for key in entries)
        return _sum([keys, *(distance(item, wanted.value_type) for item in entries.values())])
    if wanted.is_struct() and isinstance(value, dict):
        fields = cast("dict[Any, Any]", value)
        same = [name for name in wanted.names if name in fields]
        return _sum([_apart(fields, wanted.names), *(distance(fields[name], wanted[name]) for name in same)])
    return 0 if _fits(value, wanted) else None


def _fits(value: Any, wanted: Any) -> bool:
    """Whether a Python value that holds no others fits a type."""
    if wanted.is_boolean():
        return isinstance(value, bool)
    if wanted.is_binary():
        return isinstance(value, (bytes, bytearray, memoryview))
    if wanted.is_string():
        return isinstance(value, str)
    if wanted.is_integer():
        whole = isinstance(value, SupportsIndex) and not isinstance(value, bool)
        return whole and wanted.bounds.lower <= value.__index__() <= wanted.bounds.upper
    if wanted.is_floating():
        return not isinstance(value, bool) and isinstance(value, (Real, Decimal))
    return not (wanted.is_array() or wanted.is_map() or wanted.is_struct())  # of other types Ibis knows


def _between(found: Any, wanted: Any) -> int | None:
    """Return the distance of two types of Ibis: what DuckDB casts without being asked has none."""
    if found.is_null():
        return 0
    if wanted.is_array():
        return _between(found.value_type, wanted.value_type) if found.is_array() else None
    if wanted.is_map():
        both = found.is_map()
        pairs = [(found.key_type, wanted.key_type), (found.value_type, wanted.value_type)] if both else []
        return _sum(_between(*pair) for pair in pairs) if both else None
    if wanted.is_struct():
        if not found.is_struct():
            return None
        same = [name for name in wanted.names if name in found.names]
        return _sum([_apart(found.names, wanted.names), *(_between(found[name], wanted[name]) for name in same)])
    if wanted.is_floating():
        return 0 if found.is_numeric() and not found.is_boolean() else None
    if wanted.is_integer():
        return 0 if found.is_integer() else None
    if wanted.is_string():
        return 0 if found.is_string() or found.is_json() else None
    return 0 if str(found).lstrip("!") == str(wanted) else None  # "!" is a column without NULL


def _apart(some: Iterable[Any], others: Iterable[Any]) -> int | None:
    """Return how many names only one of two structs has; None if they have none in common."""
    return len(set(some) ^ set(others)) if set(some) & set(others) else None


def _sum(distances: Iterable[int | None]) -> int | None:
    total = 0
    for each in distances:
        if each is None:
            return None
        total += each
    return total


def build(flavour: ModuleType, value: Any, wanted: Any) -> Any:
    """Return a value that fits the type ``wanted`` as an expression of ``flavour``, Ibis or xorq's copy of it."""
    if value is None:
        return flavour.null(wanted)
    if is_expression(value):
        return value
    if not holds_expression(value):
        return flavour.literal(_normal(value, wanted), type=wanted)
    if wanted.is_array():
        return flavour.array([build(flavour, item, wanted.value_type) for item in value])
    if wanted.is_map():
        values = [build(flavour, item, wanted.value_type) for item in value.values()]
        return flavour.map(flavour.literal(list(value), type=f"array<{wanted.key_type}>"), flavour.array(values))
    return flavour.struct({name: build(flavour, value.get(name), wanted[name]) for name in wanted.names})


def _normal(value: Any, wanted: Any) -> Any:
    """Return a Python value that fits a type in the very form that Ibis takes for it."""
    if value is None:
        return None
    if wanted.is_array():
        return [_normal(item, wanted.value_type) for item in value]
    if wanted.is_map():
        return {key: _normal(item, wanted.value_type) for key, item in value.items()}
    if wanted.is_struct():
        return {name: _normal(value.get(name), wanted[name]) for name in wanted.names}
    if wanted.is_binary():
        return bytes(value)
    if wanted.is_integer():
        return value.__index__()
    return float(value) if wanted.is_floating() else value


def shown(value: Any) -> str:
    """Return what an error says of a value: the type of an expression, the text of others."""
    if is_expression(value):
        return str(value.type())
    if isinstance(value, (str, os.PathLike)):
        return f"{type(cast(object, value)).__name__} {_SHOWN.repr(str(cast(object, value)))}"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"{len(cast('bytes', value))} bytes"
    return _SHOWN.repr(value)
