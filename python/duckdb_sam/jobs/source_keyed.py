"""Queries: their keys are read first, then the rows of a few keys at a time.

Reading a result as a stream would not do: DuckDB's vectors have 2,048 rows, which may be gigabytes of images. A filter
on the key reaches the scan below, which then reads the images of these rows only. The keys are looked through each
time, which is nothing beside segmentation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from duckdb_sam.jobs.errors import JobError
from duckdb_sam.jobs.keys import Key, keys_of
from duckdb_sam.optional import needed
from duckdb_sam.quoting import identifier, literal

Bounds = list[tuple[str, Any, Any]]
"""Columns of the key, each with the lowest and the highest value that is wanted."""


class _Keyed(ABC):
    """Rows that are found by their key."""

    schema: Any
    passed = 0

    def __init__(self) -> None:
        self._known: list[Key] = []

    @abstractmethod
    def _all(self, names: Sequence[str]) -> Any:
        """Return the columns of the key as an Arrow table, sorted."""

    @abstractmethod
    def _some(self, columns: Sequence[str], names: Sequence[str], keys: list[Key], bounds: Bounds) -> Any:
        """Return the rows with these keys as an Arrow table; others within the bounds are allowed."""

    def _is_ordered(self, name: str) -> bool:
        """Whether the source compares the values of a column as Python does."""
        return True

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
            parts = [wanted] if len(names) == 1 else list(zip(*wanted, strict=True))
            ordered = [pair for pair in zip(names, parts, strict=True) if self._is_ordered(pair[0])]
            bounds = [(name, min(part), max(part)) for name, part in ordered]
            table = self._some(columns, names, wanted, bounds)
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


class RelationRows(_Keyed):
    """The rows of a DuckDB relation."""

    def __init__(self, relation: Any) -> None:
        super().__init__()
        self._relation = relation
        self._types = dict(zip(relation.columns, map(str, relation.types), strict=True))
        self.schema = relation.limit(0).to_arrow_table().schema

    def _all(self, names: Sequence[str]) -> Any:
        columns = ", ".join(map(identifier, names))
        return self._relation.select(columns).order(columns).to_arrow_table()

    def _some(self, columns: Sequence[str], names: Sequence[str], keys: list[Key], bounds: Bounds) -> Any:
        tests = [
            f"{identifier(name)} >= {self._literal(name, low)} AND {identifier(name)} <= {self._literal(name, high)}"
            for name, low, high in bounds
        ]
        if len(names) == 1:
            values = ", ".join(self._literal(names[0], key) for key in keys)
            tests.append(f"{identifier(names[0])} IN ({values})")
        else:
            rows = ["(" + " AND ".join(self._equal(names, key)) + ")" for key in keys]
            tests.append(f"({' OR '.join(rows)})")
        chosen = self._relation.filter(" AND ".join(tests))
        return chosen.select(", ".join(map(identifier, columns))).to_arrow_table()

    def _is_ordered(self, name: str) -> bool:
        return not self._types[name].startswith("ENUM")

    def _equal(self, names: Sequence[str], key: Key) -> list[str]:
        return [f"{identifier(name)} = {self._literal(name, value)}" for name, value in zip(names, key, strict=True)]

    def _literal(self, name: str, value: Any) -> str:
        text = "".join(f"\\x{byte:02X}" for byte in value) if isinstance(value, bytes) else str(value)
        return f"CAST({literal(text)} AS {self._types[name]})"


class IbisRows(_Keyed):
    """The rows of an Ibis table expression, on any backend."""

    def __init__(self, table: Any) -> None:
        super().__init__()
        self._table = table
        self.schema = table.schema().to_pyarrow()

    def _all(self, names: Sequence[str]) -> Any:
        return self._table.select(list(names)).order_by(list(names)).to_pyarrow()

    def _some(self, columns: Sequence[str], names: Sequence[str], keys: list[Key], bounds: Bounds) -> Any:
        tests = [self._table[name].between(low, high) for name, low, high in bounds]
        if len(names) == 1:
            tests.append(self._table[names[0]].isin(keys))
            return self._table.filter(tests).select(list(columns)).to_pyarrow()
        found = self._table.filter(tests).select(list(columns)).to_pyarrow()
        wanted = set(keys)
        rows = [row for row, key in enumerate(keys_of(found, names)) if key in wanted]
        return found.take(needed("pyarrow", "jobs", "run").array(rows, "int64"))
