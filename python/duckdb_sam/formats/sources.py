"""Whatever users have as rows, read one by one with only the columns that are needed."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import duckdb

from duckdb_sam.cursors import rows_of
from duckdb_sam.engine import shared
from duckdb_sam.masks import Mask
from duckdb_sam.optional import needed
from duckdb_sam.options import short
from duckdb_sam.quoting import identifier

Rows = Any
"""Rows with a column of masks: a DuckDB relation, a connection with a result, an Arrow table, batch, reader or dataset,
a pandas or Polars frame, an Ibis table, the path of Parquet files, a list of dicts; or masks by the name of their
image,
``{"a.jpg": masks}``; or ``Mask`` and ``Masks`` objects of images that were given by their path."""

Row = dict[str, Any]

_BATCH = 1000
"""Rows that are held at once; a column of images may be among theirs."""
_ACCEPTED = (
    "a DuckDB relation, an Arrow table, a pandas or Polars frame, an Ibis table, the path of Parquet files, "
    "a list of dicts, masks by the name of their image ({'a.jpg': masks}), or a list of Mask objects"
)


class Source(NamedTuple):
    """Rows that have not been read yet."""

    columns: list[str]
    read: Callable[[Sequence[str]], Iterator[Row]]
    """Gives the rows with the columns asked for. It may be called once."""


def _no_rows(_columns: Sequence[str]) -> Iterator[Row]:
    return iter(())


_NONE = Source(["name", "mask"], _no_rows)


def source(rows: Rows) -> Source:
    """Recognise ``rows``. Raises TypeError for what is none, ValueError for Masks that do not know their image."""
    if isinstance(rows, duckdb.DuckDBPyRelation):
        return _relation(rows)
    if isinstance(rows, duckdb.DuckDBPyConnection):
        return _result(rows)
    if isinstance(rows, (str, os.PathLike)):
        return _parquet(os.fspath(cast("str | os.PathLike[str]", rows)))
    if isinstance(rows, Mask):
        return _dicts([_of_object(0, rows)])
    if isinstance(rows, Mapping):
        return _by_name(cast("Mapping[Any, Any]", rows))
    if hasattr(rows, "iloc") and hasattr(rows, "columns"):
        return _pandas(rows)
    if any(hasattr(rows, name) for name in ("__arrow_c_stream__", "__arrow_c_array__", "to_batches")):
        return _arrow(rows)
    if isinstance(rows, Iterable) and not isinstance(rows, bytes):
        return _listed_rows(list(cast("Iterable[Any]", rows)))
    raise TypeError(f"rows must be {_ACCEPTED}; not {type(rows).__module__}.{type(rows).__qualname__}")


def _dicts(rows: Sequence[Mapping[str, Any]]) -> Source:
    columns = list(dict.fromkeys(column for row in rows for column in row))

    def read(names: Sequence[str]) -> Iterator[Row]:
        return ({name: row.get(name) for name in names} for row in rows)

    return Source(columns, read)


def _by_name(rows: Mapping[Any, Any]) -> Source:
    if {"size", "counts"} <= rows.keys() or "segmentation" in rows:
        raise ValueError("a single record does not say of what image it is: give masks by name, {'a.jpg': record}")
    for key in rows:
        if not isinstance(key, (str, os.PathLike)):
            raise TypeError(f"masks are given by the name of their image, {{'a.jpg': masks}}; {short(key)} is no name")
    return _dicts([{"name": name, "mask": masks} for name, masks in rows.items()]) if rows else _NONE


def _listed_rows(rows: list[Any]) -> Source:
    if all(isinstance(row, Mapping) for row in rows):
        return _dicts(rows) if rows else _NONE
    return _dicts([_of_object(number, row) for number, row in enumerate(rows)])


def _of_object(number: int, given: Any) -> Row:
    """Return a row for a Mask, or for the Masks of one image, which know where their image is."""
    masks = cast("list[Any]", given) if isinstance(given, list) else [given]
    if not all(isinstance(mask, Mask) for mask in masks):
        raise TypeError(f"rows must be {_ACCEPTED}; row {number} is {short(cast('object', given))}")
    images = {mask.image for mask in masks} or {getattr(cast("Any", given), "image", None)}
    if not all(isinstance(image, str) for image in images):
        raise ValueError(
            f"row {number} does not say what image its masks are of: give masks by name, {{'a.jpg': masks}}; "
            "only those of an image that was given by its path know it"
        )
    if len(images) > 1:
        raise ValueError(f"row {number} has masks of several images: {', '.join(sorted(map(str, images)))}")
    return {"path": images.pop(), "mask": masks}


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(identifier, columns))


def _fetched(result: Any, columns: Sequence[str]) -> Iterator[Row]:
    while batch := result.fetchmany(_BATCH):
        for values in batch:
            yield dict(zip(columns, values, strict=True))


def _relation(relation: duckdb.DuckDBPyRelation) -> Source:
    def read(columns: Sequence[str]) -> Iterator[Row]:
        chosen: Any = relation.project(_listed(columns))
        return (dict(zip(columns, values, strict=True)) for values in rows_of(chosen, _BATCH))

    return Source(relation.columns, read)


def _result(con: duckdb.DuckDBPyConnection) -> Source:
    if not con.description:
        raise ValueError(
            "this connection has no result to read: give con.sql('SELECT ...') or con.execute('SELECT ...')"
        )
    have = [str(column[0]) for column in con.description]

    def read(columns: Sequence[str]) -> Iterator[Row]:
        for row in _fetched(con, have):
            yield {name: row[name] for name in columns}

    return Source(have, read)


def _parquet(path: str) -> Source:
    path = os.path.expanduser(path)
    if Path(path).is_dir():
        path = os.path.join(path, "**", "*.parquet")
    if not path.endswith((".parquet", ".pq")):
        raise ValueError(
            f"rows are read from Parquet files or a folder of them: {path!r} is neither (paths end in .parquet)"
        )
    try:
        with shared.query("DESCRIBE FROM read_parquet(?)", [path]) as result:
            have = [row[0] for row in result.fetchall()]
    except duckdb.IOException as error:
        raise FileNotFoundError(f"rows cannot be read from {path!r}: {error}") from error

    def read(columns: Sequence[str]) -> Iterator[Row]:
        with shared.query(f"SELECT {_listed(columns)} FROM read_parquet(?)", [path]) as result:
            yield from _fetched(result, columns)

    return Source(have, read)


def _pandas(frame: Any) -> Source:
    """Read a pandas frame, in which NaN, NaT and NA stand for what is missing."""

    def value(given: Any) -> Any:
        kind = type(given).__name__
        return None if kind in ("NAType", "NaTType") or (isinstance(given, float) and math.isnan(given)) else given

    def read(columns: Sequence[str]) -> Iterator[Row]:
        for values in zip(*(frame[column] for column in columns), strict=True):
            yield {name: value(each) for name, each in zip(columns, values, strict=True)}

    return Source([str(column) for column in frame.columns], read)


def _arrow(given: Any) -> Source:
    pa = needed("pyarrow", "arrow", "reading an Arrow table")
    if isinstance(given, pa.RecordBatch):
        given = pa.Table.from_batches([given])
    if hasattr(given, "to_batches") and hasattr(given, "schema"):  # a table or a dataset
        columns: list[str] = given.schema.names

        def batches(names: Sequence[str]) -> Iterator[Any]:
            if isinstance(given, pa.Table):
                yield from given.select(list(names)).to_batches(max_chunksize=_BATCH)
            else:
                yield from given.to_batches(columns=list(names), batch_size=_BATCH)
    else:
        reader = given if isinstance(given, pa.RecordBatchReader) else pa.RecordBatchReader.from_stream(given)
        columns = reader.schema.names

        def batches(names: Sequence[str]) -> Iterator[Any]:
            for batch in reader:
                yield batch.select(list(names))

    def read(names: Sequence[str]) -> Iterator[Row]:
        for batch in batches(names):
            for start in range(0, batch.num_rows, _BATCH):
                yield from batch.slice(start, _BATCH).to_pylist()

    return Source(columns, read)
