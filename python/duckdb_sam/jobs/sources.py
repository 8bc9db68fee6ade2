"""What ``run`` reads: sources of any kind, as Arrow tables of a few rows at a time."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol, cast

import duckdb

from duckdb_sam.inputs import PARQUET, QUERY, is_one_select
from duckdb_sam.jobs.keys import Key
from duckdb_sam.jobs.source_arrow import Rows, Stream, parquet
from duckdb_sam.jobs.source_keyed import IbisRows, RelationRows
from duckdb_sam.jobs.source_paths import COLUMN, SUFFIXES, Paths, in_folder
from duckdb_sam.optional import needed


class Source(Protocol):
    """Rows to segment."""

    @property
    def schema(self) -> Any:
        """The Arrow schema of the rows."""
        ...

    @property
    def refused(self) -> Mapping[str, str]:
        """Columns whose values cannot be read as they are, and why, with what to do."""
        ...

    @property
    def passed(self) -> int:
        """How many rows that are done were met so far, where rows can be read only once."""
        ...

    def keys(self, names: Sequence[str]) -> list[Key] | None:
        """Return the keys of all rows without reading an image; None where rows can be read only once."""
        ...

    def chunks(
        self, columns: Sequence[str], names: Sequence[str], done: Collection[Key], rows: Callable[[], int]
    ) -> Iterator[Any]:
        """Read the rows whose keys are not ``done``, as tables of ``columns`` with at most ``rows()`` rows each."""
        ...


def open_source(source: Any, con: Callable[[], duckdb.DuckDBPyConnection], is_own: Callable[[str], bool]) -> Source:
    """Find out what ``source`` is. ``con`` gives the connection on which a query runs.

    ``is_own`` tells of a file that it is the job's output.
    """
    needed("pyarrow", "jobs", "run")
    if isinstance(source, duckdb.DuckDBPyRelation):
        return RelationRows(source)
    if isinstance(source, str):
        return _text(source, con, is_own)
    if isinstance(source, os.PathLike):
        return _path(os.fsdecode(source), source, is_own)  # pyright: ignore[reportUnknownArgumentType]
    if hasattr(source, "to_pyarrow") and hasattr(source, "select"):  # Ibis, xorq
        return IbisRows(source)
    found = _arrow(source)
    if found is not None:
        return found
    if isinstance(source, Iterable) and not isinstance(source, (bytes, bytearray, dict)):
        return _iterable(source)  # pyright: ignore[reportUnknownArgumentType]
    raise TypeError(
        "source must be a DuckDB relation, a query, an Ibis expression, an Arrow table, dataset or reader, a data "
        f"frame, Parquet files, a folder, or paths of images, not {_kind(cast(object, source))}{_hint(source)}"
    )


def _text(source: str, con: Callable[[], duckdb.DuckDBPyConnection], is_own: Callable[[str], bool]) -> Source:
    """Take a text for a query, a path or pattern that leads somewhere, or the name of a table: in this order."""
    if QUERY.match(source) and not os.path.exists(source):
        if not is_one_select(con(), source):
            raise ValueError(f"source must be one query, a SELECT, not {source!r}")
        return RelationRows(con().sql(source))
    if os.path.exists(os.path.expanduser(source)) or re.search(r"[*?\[/\\]", source):
        return _path(source, source, is_own)
    try:
        return RelationRows(con().table(source))
    except (duckdb.CatalogException, duckdb.IOException, duckdb.HTTPException):
        raise FileNotFoundError(
            f"{source!r} is no file, folder or pattern of files here, no query, and no table of the connection (con=)"
        ) from None


def _path(path: str, given: Any, is_own: Callable[[str], bool]) -> Source:
    path = os.path.expanduser(path)
    if os.path.isdir(path):
        images = in_folder(path)
        if images:
            return Paths(images)
        files = sorted(glob.glob(os.path.join(glob.escape(path), "**", "*.parquet"), recursive=True))
        files = [file for file in files if not is_own(file)]
        if files:
            return parquet(files)
        raise FileNotFoundError(f"the folder {path} holds no images ({', '.join(SUFFIXES)}) and no Parquet files")
    if os.path.isfile(path):
        files = [path]
    else:
        files = sorted(each for each in glob.glob(path, recursive=True) if os.path.isfile(each) and not is_own(each))
    if not files and "://" in path:
        raise FileNotFoundError(f"{given!r} is no file of this machine: give a query of it, such as \"FROM '{path}'\"")
    if not files:
        raise FileNotFoundError(f"no file matches {given!r}")
    tables = [file.lower().endswith(PARQUET) for file in files]
    if all(tables):
        return parquet(files)
    if any(tables):
        odd = files[tables.index(False)]
        raise ValueError(f"{given!r} matches both Parquet files and others, such as {odd}: give one kind at a time")
    return Paths(files)


def _arrow(source: Any) -> Source | None:
    pa = needed("pyarrow", "jobs", "run")
    dataset = needed("pyarrow.dataset", "jobs", "run")
    if isinstance(source, pa.RecordBatchReader):
        return Stream(source.schema, source)
    if isinstance(source, dataset.Dataset):
        return Rows(source)
    if isinstance(source, pa.RecordBatch):
        source = pa.Table.from_batches([source])
    elif type(source).__module__.startswith("pandas.") or hasattr(source, "__arrow_c_stream__"):  # Polars
        source = _of_frame(pa, source)
    return Rows(dataset.InMemoryDataset(source)) if isinstance(source, pa.Table) else None


def _of_frame(pa: Any, source: Any) -> Any:
    is_pandas = type(source).__module__.startswith("pandas.")
    try:
        if not is_pandas:
            return pa.table(source)
        named = any(name is not None for name in source.index.names)
        return pa.Table.from_pandas(source.reset_index() if named else source, preserve_index=False)
    except (pa.ArrowException, OverflowError, ValueError, TypeError) as error:
        raise TypeError(
            f"the data frame cannot be read as an Arrow table: {error}; convert the column first"
        ) from error


def _iterable(source: Iterable[Any]) -> Source:
    """Take paths, or Arrow tables; whatever is read only once is known by its first element."""
    if isinstance(source, (list, tuple)) and not source:
        return Paths([])
    iterator = iter(source)
    first = next(iterator, None)
    if first is None:
        return Paths([])
    if isinstance(first, (str, os.PathLike)):
        whole = isinstance(source, (list, tuple, set, frozenset))
        return Paths(list(source) if whole else chain([first], iterator), first)  # pyright: ignore[reportUnknownArgumentType]
    pa = needed("pyarrow", "jobs", "run")
    if isinstance(first, (pa.RecordBatch, pa.Table)):
        return Stream(first.schema, chain([first], iterator))
    raise TypeError(f"source gives {type(first).__qualname__} objects: give paths of images, or Arrow tables")


def image_column(image: str | None, schema: Any) -> str:
    """Return the name of the column of images: as given, or the one that must be meant."""
    names: list[str] = schema.names
    if image is not None:
        if image not in names:
            raise ValueError(f"image: the source has no column {image!r}; its columns are {', '.join(names)}")
        return image
    for name in ("image", "content"):  # what read_blob has
        if name in names:
            return name
    if names == [COLUMN]:
        return COLUMN
    fitting = [field.name for field in schema if "binary" in str(field.type)]
    if len(fitting) == 1:
        return fitting[0]
    raise ValueError(f"image= is missing: name the column that holds the images or their paths, of {', '.join(names)}")


def _hint(source: Any) -> str:
    if isinstance(source, duckdb.DuckDBPyConnection):
        return "; con.sql(...) gives a relation"
    if hasattr(source, "collect"):
        return "; .collect() it first"
    return "; pyarrow.table(...) makes a table of it" if isinstance(source, dict) else ""


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
