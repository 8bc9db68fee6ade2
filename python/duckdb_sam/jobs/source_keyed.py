"""Queries: their keys are read first, then the rows of a few keys at a time.

Reading a result as a stream would not do: DuckDB's vectors have 2,048 rows, which may be gigabytes of images. A filter
on the key reaches the scan below, which then reads the images of these rows only. The keys are looked through each
time, which is nothing beside segmentation.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from duckdb_sam.columns import plain_schema, plain_table
from duckdb_sam.jobs.errors import JobError
from duckdb_sam.jobs.keys import Key, keys_of
from duckdb_sam.optional import needed
from duckdb_sam.quoting import identifier, literal


class _Keyed(ABC):
    """Rows that are found by their key."""

    schema: Any
    refused: Mapping[str, str]
    passed = 0

    def __init__(self) -> None:
        self._known: list[Key] = []
        self.refused = {}

    @abstractmethod
    def _all(self, names: Sequence[str]) -> Any:
        """Return the columns of the key as an Arrow table, sorted."""

    @abstractmethod
    def _some(self, columns: Sequence[str], names: Sequence[str], keys: list[Key]) -> Any:
        """Return the rows with these keys as an Arrow table; others are allowed if they are few."""

    def keys(self, names: Sequence[str]) -> list[Key] | None:
        """Return all keys."""
        self._known = keys_of(self._all(names), names)
        return self._known

    def chunks(
        self, columns: Sequence[str], names: Sequence[str], done: Collection[Key], rows: Callable[[], int]
    ) -> Iterator[Any]:
        """Read the rows of the keys that are not done, in the order of the keys."""
        pa = needed("pyarrow", "jobs", "run")
        todo = (key for key in self._known if key not in done)
        while wanted := list(islice(todo, rows())):
            table = plain_table(self._some(columns, names, wanted))
            places: dict[Key, int] = {}
            for place, key in enumerate(keys_of(table, names)):
                if places.setdefault(key, place) != place:
                    raise JobError(f"the source has changed while it was read: its key {key!r} is there twice now")
            missing = [key for key in wanted if key not in places]
            if missing:
                raise JobError(
                    f"the source gave other rows when it was read again: key {missing[0]!r} is missing. A query must "
                    "give the same rows each time (no random(), no LIMIT without ORDER BY) and nobody may change what "
                    "it reads meanwhile: else make a table of it first"
                )
            yield table.take(pa.array([places[key] for key in wanted], pa.int64()))


_LOST = re.compile(r"(BIT|UHUGEINT|BIGNUM|VARINT)(\[\d*\])*")
"""Types whose values come out of DuckDB as others, or as bytes of its own."""


class RelationRows(_Keyed):
    """The rows of a DuckDB relation."""

    def __init__(self, relation: Any) -> None:
        super().__init__()
        self._relation = relation
        self._types: dict[str, str] = dict(zip(relation.columns, map(str, relation.types), strict=True))
        # From DuckDB 2 on, limit() gives other names to columns whose names are one to DuckDB.
        self.schema = plain_schema(relation.limit(0).to_arrow_table().rename_columns(relation.columns).schema)
        self.refused = {
            name: f"holds {kind}, which Arrow lacks: cast it in the source, CAST({identifier(name)} AS VARCHAR)"
            for name, kind in self._types.items()
            if _LOST.fullmatch(kind)
        }

    def _all(self, names: Sequence[str]) -> Any:
        columns = ", ".join(map(identifier, names))
        table = self._relation.select(columns).order(columns).to_arrow_table()
        for name in names:
            if self._types[name] == "HUGEINT" and any(
                value is not None and not -(10**38) < value < 10**38 for value in table[name].to_pylist()
            ):
                raise ValueError(
                    f"key: the column {name!r} holds numbers of more than 38 digits: cast it in the source, "
                    f"CAST({identifier(name)} AS VARCHAR)"
                )
        return table

    def _some(self, columns: Sequence[str], names: Sequence[str], keys: list[Key]) -> Any:
        parts = [keys] if len(names) == 1 else list(zip(*keys, strict=True))
        tests: list[str] = []
        for name, part in zip(names, parts, strict=True):
            low, high = (self._literal(name, bound(part)) for bound in (min, max))
            tests.append(f"{self._compared(name)} >= {low} AND {self._compared(name)} <= {high}")
        if len(names) == 1:
            values = ", ".join(self._literal(names[0], key) for key in keys)
            tests.append(f"{self._compared(names[0])} IN ({values})")
        else:
            rows = ["(" + " AND ".join(self._equal(names, key)) + ")" for key in keys]
            tests.append(f"({' OR '.join(rows)})")
        chosen = self._relation.filter(" AND ".join(tests))
        return chosen.select(", ".join(map(identifier, columns))).to_arrow_table()

    def _equal(self, names: Sequence[str], key: Key) -> list[str]:
        return [
            f"{self._compared(name)} = {self._literal(name, value)}" for name, value in zip(names, key, strict=True)
        ]

    def _is_text(self, name: str) -> bool:
        return self._types[name] == "VARCHAR" or self._types[name].startswith("ENUM(")

    def _compared(self, name: str) -> str:
        """Return a column so that it is compared as Python does: not by a collation, nor by the places in an ENUM."""
        if not self._is_text(name):
            return identifier(name)
        return f"CAST({identifier(name)} AS VARCHAR) COLLATE POSIX"

    def _literal(self, name: str, value: Any) -> str:
        if isinstance(value, str) and "\0" in value:  # which ends a statement before DuckDB 2
            text = f"decode({_blob(value.encode())})"
        elif isinstance(value, bytes):
            text = _blob(value)
        else:
            text = literal(format(value, "f") if isinstance(value, Decimal) else value)
        return text if self._is_text(name) else f"CAST({text} AS {self._types[name]})"


def _blob(value: bytes) -> str:
    return "CAST('" + "".join(f"\\x{byte:02X}" for byte in value) + "' AS BLOB)"


class IbisRows(_Keyed):
    """The rows of an Ibis table expression, on any backend."""

    def __init__(self, table: Any) -> None:
        super().__init__()
        self._table = table
        self.schema = plain_schema(table.schema().to_pyarrow())

    def _all(self, names: Sequence[str]) -> Any:
        table = self._table.select(list(names)).order_by(list(names)).to_pyarrow()
        if any("\0" in value for key in keys_of(table, names) for value in _texts(key)):
            raise ValueError(
                "key: a text holds a NUL character, which Ibis cannot ask for: make a DuckDB relation of it"
            )
        return table

    def _some(self, columns: Sequence[str], names: Sequence[str], keys: list[Key]) -> Any:
        # Equal by the backend's rules, which may be looser than Python's (collations), and not within bounds by them.
        parts = [keys] if len(names) == 1 else list(zip(*keys, strict=True))
        tests = [self._table[name].isin(list(set(part))) for name, part in zip(names, parts, strict=True)]
        found = self._table.filter(tests).select(list(columns)).to_pyarrow()
        wanted = set(keys)
        rows = [row for row, key in enumerate(keys_of(found, names)) if key in wanted]
        return found.take(needed("pyarrow", "jobs", "run").array(rows, "int64"))


def _texts(key: Key) -> list[str]:
    return [value for value in (key if isinstance(key, tuple) else (key,)) if isinstance(value, str)]  # pyright: ignore
