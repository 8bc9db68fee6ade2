"""Keys: the columns that tell rows apart, by which a job knows what it has done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from duckdb_sam.optional import needed
from duckdb_sam.quoting import identifier

Key = Any
"""The value of a key of one column, a tuple for several."""


def key_names(key: str | Sequence[str] | None, columns: Sequence[str]) -> list[str]:
    """Return the names of the key's columns, which must be among ``columns``."""
    if key is None:
        raise TypeError(
            f"key= is missing: name the column, or a list of columns, that tells rows apart, of {', '.join(columns)}"
        )
    names = [key] if isinstance(key, str) else list(key)
    if not names or not all(isinstance(name, str) for name in names):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"key must be the name of a column or a list of them, not {key!r}")
    for name in names:
        if name not in columns:
            raise ValueError(f"key: the source has no column {name!r}; its columns are {', '.join(columns)}")
        if names.count(name) > 1:
            raise ValueError(f"key names the column {name!r} twice")
    return names


def check_types(schema: Any, names: Sequence[str]) -> None:
    """Refuse keys of types that do not come back from DuckDB and Parquet as the values they were."""
    types = needed("pyarrow", "jobs", "run").types
    for name in names:
        kind = schema.field(name).type
        plain = kind.value_type if types.is_dictionary(kind) else kind
        whole = types.is_integer(plain) or types.is_boolean(plain) or types.is_decimal(plain) or types.is_date(plain)
        # Equal moments of two time zones differ in Python, and different ones may be equal where clocks are set back.
        moment = types.is_timestamp(plain) and plain.unit != "ns" and plain.tz is None
        if not (whole or moment or kind_of(kind) in ("text", "bytes")):
            raise TypeError(
                f"key: the column {name!r} holds {kind}; a key is text, bytes, whole numbers, decimals, dates or "
                "timestamps (of microseconds, without a time zone): cast it to one of them in the source, such as "
                f"CAST({identifier(name)} AS VARCHAR)"
            )


def kind_of(kind: Any) -> str:
    """Return a word for an Arrow type that is the same for all forms of its values."""
    types = needed("pyarrow", "jobs", "run").types
    plain = kind.value_type if types.is_dictionary(kind) else kind
    if types.is_integer(plain):
        return "whole numbers"
    if str(plain) in ("string", "large_string", "string_view"):
        return "text"
    if str(plain) in ("binary", "large_binary", "binary_view") or types.is_fixed_size_binary(plain):
        return "bytes"
    return "date32[day]" if types.is_date(plain) else str(plain)


def keys_of(table: Any, names: Sequence[str]) -> list[Key]:
    """Return the keys of an Arrow table, row by row. Raises ValueError for dates that Python does not have."""
    columns: list[list[Any]] = [_values(table[name], name) for name in names]
    return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))


def _values(column: Any, name: str) -> list[Any]:
    pa = needed("pyarrow", "jobs", "run")
    try:
        return column.to_pylist()
    except (OverflowError, ValueError, pa.ArrowException) as error:
        raise ValueError(
            f"key: the column {name!r} holds a {column.type} that cannot be compared, such as infinity or one before "
            f"the year 1 or after 9999 ({error}): cast it to text in the source, CAST({identifier(name)} AS VARCHAR)"
        ) from None


class Unique:
    """Looks at keys as they come, and refuses one that is NULL or was there before."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names, self._seen = names, set[Key]()

    def check(self, keys: Iterable[Key]) -> None:
        """Raise ValueError for the first key that does not tell a row apart."""
        for key in keys:
            if key is None or (isinstance(key, tuple) and None in key):
                raise ValueError(
                    f"key {self._what()} is NULL in a row of the source: a key must be there in every row; filter such "
                    "rows out, or name other columns"
                )
            if key in self._seen:
                raise ValueError(
                    f"key {self._what()} is not unique: {key!r} is there twice in the source; name a column that tells "
                    "all rows apart, or several as a list"
                )
            self._seen.add(key)

    def _what(self) -> str:
        return self._names[0] if len(self._names) == 1 else f"({', '.join(self._names)})"
