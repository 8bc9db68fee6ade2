"""How many rows a batch has: as many as memory and patience allow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from duckdb_sam.columns import plain
from duckdb_sam.images import local_path
from duckdb_sam.optional import needed

SECONDS = 10.0
"""What a batch aims to take, so that being killed costs no more than that, whatever the model."""

_FIRST = 8
_GROWTH = 4


class Pace:
    """Sizes the next batch by what the last ones took."""

    def __init__(self, rows: int, length: float) -> None:
        """Take the limits: rows, and bytes of images."""
        self._most, self._length = rows, length
        self._next = float(min(rows, _FIRST))
        self._row_bytes = 0.0

    def rows(self) -> int:
        """Return how many rows to read next."""
        by_bytes = self._length / self._row_bytes if self._row_bytes else self._next
        return max(1, int(min(self._next, by_bytes, self._most)))

    def note(self, rows: int, length: float, seconds: float) -> None:
        """Note what a batch was and took."""
        self._row_bytes = max(length / rows, self._row_bytes * 0.9)  # slow to forget that images are large
        by_time = SECONDS * rows / max(seconds, 1e-6)
        self._next = max(1.0, min(by_time, rows * _GROWTH, self._most))

    def cut(self, table: Any, image: str) -> Iterator[tuple[Any, float]]:
        """Cut rows that were read into batches within the limits, each with the bytes of its images."""
        start, total = 0, 0.0
        lengths = _lengths(table, image)
        for row, length in enumerate(lengths):
            if row > start and (total + length > self._length or row - start >= self.rows()):
                yield table.slice(start, row - start), total
                start, total = row, 0.0
            total += length
        if start < len(lengths):
            yield table.slice(start), total


def _lengths(table: Any, image: str) -> list[float]:
    """Return how many bytes each row's image has; of a path, those of the file."""
    pa = needed("pyarrow", "jobs", "run")
    compute = needed("pyarrow.compute", "jobs", "run")
    column = table[image]
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if str(kind) in ("string", "large_string", "string_view"):
        return [_file_length(path) for path in column.to_pylist()]
    if pa.types.is_struct(kind) and {"bytes", "path"} <= {field.name for field in kind}:
        inside = _sizes(pa, compute.struct_field(column, "bytes"))
        paths = compute.struct_field(column, "path").to_pylist()
        return [_file_length(path) if size is None else size for size, path in zip(inside, paths, strict=True)]
    if str(kind).startswith(("binary", "large_binary", "fixed_size_binary")):
        return [size or 0 for size in _sizes(pa, column)]
    return [column.nbytes / max(len(column), 1)] * len(column)


def _sizes(pa: Any, column: Any) -> list[int | None]:
    """Return how many bytes each value of a binary column has; None for NULL."""
    compute = needed("pyarrow.compute", "jobs", "run")
    if pa.types.is_null(column.type):
        return [None] * len(column)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return compute.binary_length(plain(pa, column)).to_pylist()


def _file_length(path: str | None) -> float:
    try:
        return local_path(path).stat().st_size if path else 0
    except (OSError, ValueError, TypeError):  # a failure of this row, later
        return 0
