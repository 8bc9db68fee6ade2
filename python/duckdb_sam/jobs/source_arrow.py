"""Arrow's tables, datasets and readers, and Parquet files: streamed, never read as a whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from duckdb_sam.columns import plain_schema, plain_table
from duckdb_sam.jobs.keys import Key, Unique, keys_of, kind_of
from duckdb_sam.optional import needed

_READ = 16
"""Rows that are read of a file at a time."""
_READ_KEYS = 65_536
_BUFFER = 1 << 20


def parquet(files: list[str]) -> Rows:
    """Return the rows of Parquet files."""
    return Rows(needed("pyarrow.dataset", "jobs", "run").dataset(files, format="parquet"))


class Rows:
    """The rows of a dataset, which can be read again and again: keys first."""

    refused: Mapping[str, str] = MappingProxyType({})
    passed = 0

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self.schema = plain_schema(dataset.schema)

    def keys(self, names: Sequence[str]) -> list[Key] | None:
        """Return all keys."""
        found: list[Key] = []
        for batch in self._read(names, _READ_KEYS):
            found.extend(keys_of(batch, names))
        return found

    def chunks(
        self, columns: Sequence[str], names: Sequence[str], done: Collection[Key], rows: Callable[[], int]
    ) -> Iterator[Any]:
        """Read the rows that are not done, in their order."""
        yield from _sized((new for new, _ in _new(self._read(columns, _READ), columns, names, done, None)), rows)

    def _read(self, columns: Sequence[str], size: int) -> Iterator[Any]:
        parquet = needed("pyarrow.dataset", "jobs", "run").ParquetFileFragment
        try:
            fragments = list(self._dataset.get_fragments())
        except ValueError:  # of a dataset with a filter there are none
            fragments = []
        if not all(isinstance(each, parquet) and {*columns} <= {*each.physical_schema.names} for each in fragments):
            fragments = []  # columns may be told by the names of folders
        for fragment in fragments:
            yield from self._stream(fragment, columns, size)
        if not fragments:
            yield from self._dataset.to_batches(
                columns=list(columns), batch_size=size, batch_readahead=1, fragment_readahead=1, use_threads=False
            )

    def _stream(self, fragment: Any, columns: Sequence[str], size: int) -> Iterator[Any]:
        """Read a Parquet file in small steps: Arrow's scanner would keep gigabytes of images at once."""
        pa = needed("pyarrow", "jobs", "run")
        parquet = needed("pyarrow.parquet", "jobs", "run")
        schema = pa.schema([self._dataset.schema.field(name) for name in columns])
        groups = [group.id for group in fragment.row_groups]
        with fragment.open() as opened, parquet.ParquetFile(opened, pre_buffer=False, buffer_size=_BUFFER) as file:
            for batch in file.iter_batches(size, groups, list(columns), use_threads=False):
                yield pa.Table.from_batches([batch]).select(list(columns)).cast(schema)


class Stream:
    """Rows that come by only once: a reader, or anything that gives Arrow tables."""

    refused: Mapping[str, str] = MappingProxyType({})

    def __init__(self, schema: Any, batches: Iterable[Any]) -> None:
        self.schema, self._batches = plain_schema(schema), batches
        self.passed = 0

    def keys(self, names: Sequence[str]) -> list[Key] | None:
        """Nobody knows."""
        return None

    def chunks(
        self, columns: Sequence[str], names: Sequence[str], done: Collection[Key], rows: Callable[[], int]
    ) -> Iterator[Any]:
        """Read on; a key that comes again is refused then."""
        yield from _sized(self._unknown(columns, names, done), rows)

    def _unknown(self, columns: Sequence[str], names: Sequence[str], done: Collection[Key]) -> Iterator[Any]:
        for new, old in _new(self._alike(columns), columns, names, done, Unique(names)):
            self.passed += old
            yield new

    def _alike(self, columns: Sequence[str]) -> Iterator[Any]:
        """Give the tables with the columns and types of the first one."""
        pa = needed("pyarrow", "jobs", "run")
        schema = pa.schema([self.schema.field(name) for name in columns])
        for batch in self._batches:
            table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
            try:
                table = plain_table(table.select(list(columns)))
                if list(map(kind_of, table.schema.types)) != list(map(kind_of, schema.types)):
                    raise KeyError  # a cast would do what nobody asked for
                yield table.cast(schema)
            except (KeyError, pa.ArrowException) as error:
                raise ValueError(
                    f"the tables of the source differ: one has {_columns(table.schema)}, the first {_columns(schema)}"
                ) from error


def _columns(schema: Any) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)


def _new(
    batches: Iterable[Any], columns: Sequence[str], names: Sequence[str], done: Collection[Key], unique: Unique | None
) -> Iterator[tuple[Any, int]]:
    """Leave out of each batch what is done, and say how many rows that were."""
    pa = needed("pyarrow", "jobs", "run")
    for batch in batches:
        table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
        table = plain_table(table.select(list(columns)))
        keys = keys_of(table, names)
        if unique is not None:
            unique.check(keys)
        new = [row for row, key in enumerate(keys) if key not in done]
        yield table if len(new) == len(keys) else table.take(pa.array(new, pa.int64())), len(keys) - len(new)


def _sized(tables: Iterable[Any], rows: Callable[[], int]) -> Iterator[Any]:
    """Join or cut tables of any length to tables of ``rows()`` rows."""
    pa = needed("pyarrow", "jobs", "run")
    waiting: list[Any] = []
    for table in tables:
        while len(table):
            room = max(rows() - sum(map(len, waiting)), 1)
            waiting.append(table.slice(0, room))
            table = table.slice(room)
            if sum(map(len, waiting)) >= rows():
                yield pa.concat_tables(waiting)
                waiting.clear()
    if waiting:
        yield pa.concat_tables(waiting)
