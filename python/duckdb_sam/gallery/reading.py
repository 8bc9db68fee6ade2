"""Rows of any kind, the first few of them, without computing the others."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Any, NamedTuple, cast

import duckdb

from duckdb_sam.columns import as_table, image_column, in_one_piece, is_list
from duckdb_sam.cursors import rows_of
from duckdb_sam.engine import Engine
from duckdb_sam.formats.entries import MASKS
from duckdb_sam.formats.sources import source
from duckdb_sam.gallery.cells import LIST, UNREAD, is_image
from duckdb_sam.gallery.outlines import DENSE
from duckdb_sam.gallery.places import at_place
from duckdb_sam.jobs.source_paths import SUFFIXES
from duckdb_sam.masks import Mask, held
from duckdb_sam.optional import needed

_AT_ONCE = 16
"""Rows that are taken out of a result at a time."""
_DENSE = ("FLOAT[]", "DOUBLE[]", "UTINYINT[]", "BOOLEAN[]")
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_LISTED = rf"({'|'.join(_NUMBERS)}|FLOAT|DOUBLE|DECIMAL\([0-9, ]*\))\[(\d*)\]"
_PASSED = ("BLOB", "VARCHAR", "BOOLEAN", "FLOAT", "DOUBLE", "JSON", *_NUMBERS)
"""Types of values that are read as they are; other scalars are read as text."""
_OF_A_ROW = (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.OutOfRangeException)
"""What DuckDB raises for the values of a row, which ``TRY`` makes NULL."""
_FEW = 16
"""Numbers of a list that are read."""


class Rows(NamedTuple):
    """The first rows of something."""

    columns: list[str]
    rows: Iterator[Sequence[Any]]
    more: bool | None
    """Whether there are more; None if nobody knows without computing them."""
    note: str = ""


def first_rows(x: Any, limit: int, con: Any, table: str | None, engine: Engine, held: ExitStack) -> Rows:
    """Read the first ``limit`` rows of ``x``. Raises TypeError for what has no rows.

    What has to be closed after reading goes to ``held``.
    """
    if isinstance(x, (str, os.PathLike)):
        text = os.fsdecode(cast("str | os.PathLike[str]", x))
        found = at_place(text, con, engine, table, held)
        return _relation(found.relation, limit)._replace(note=found.note)
    if isinstance(x, duckdb.DuckDBPyRelation):
        return _relation(x, limit)
    if isinstance(x, duckdb.DuckDBPyConnection):
        names = source(x).columns  # refused where there is no result
        some = list(_told(lambda: x.fetchmany(limit + 1)))
        return Rows(names, iter(some[:limit]), len(some) > limit)
    if hasattr(x, "to_pyarrow") and hasattr(x, "limit"):  # Ibis, xorq
        return _arrow(_ibis(x, limit), limit, engine, known=False)
    if type(x).__module__.startswith("polars."):
        few = x.head(limit + 1)
        return _arrow(few.collect() if hasattr(few, "collect") else few, limit, engine)
    if not hasattr(x, "iloc") and any(
        hasattr(x, name) for name in ("__arrow_c_stream__", "__arrow_c_array__", "to_batches")
    ):
        return _arrow(_some(x, limit), limit, engine)
    return _others(x, limit)


def _others(x: Any, limit: int) -> Rows:
    """Read frames of pandas, of which two columns may have one name, and rows that are Python objects."""
    names: list[str] | None = None
    if hasattr(x, "iloc") and hasattr(x, "columns"):
        names = [str(name) for name in x.columns]
        x = x.head(limit + 1).set_axis([str(place) for place in range(len(names))], axis=1)
    given = source(_of_masks(x) or _of_images(x) or x)
    found = [[row[name] for name in given.columns] for row in islice(given.read(given.columns), limit + 1)]
    return Rows(names if names is not None else given.columns, iter(found[:limit]), len(found) > limit)


def _of_masks(x: Any) -> list[dict[str, Any]] | None:
    """Return rows for masks of a ``Segmenter`` of which some do not know the path of their image; None for others."""
    if not isinstance(x, (list, tuple)) or not x:
        return None
    all_given = list(cast("Sequence[Any]", x))
    listed = [cast("list[Any]", each if isinstance(each, list) else [each]) for each in all_given]
    if not all(isinstance(mask, Mask) for masks in listed for mask in masks):
        return None
    rows: list[dict[str, Any]] = []
    for given, masks in zip(all_given, listed, strict=True):
        images = {mask.image for mask in masks} or {getattr(given, "image", None)}
        if len(images) > 1:  # which is told with its row
            return None
        where = images.pop()
        rows.append({"path": where if isinstance(where, str) else None, "image": held(where), "mask": masks})
    if all(row["path"] for row in rows):
        return None
    return [{name: value for name, value in row.items() if name != "path" or value} for row in rows]


def _of_images(x: Any) -> list[dict[str, Any]] | None:
    """Return rows for an array or a Pillow image, or a list of images or their paths; None for others."""
    given = list(cast("Sequence[Any]", x)) if isinstance(x, (list, tuple)) else [x]
    if not given or not all(map(_is_picture, given)):
        return None
    return [{"image": each} for each in given]


def _is_picture(value: Any) -> bool:
    if isinstance(value, (str, os.PathLike)):
        return os.fsdecode(cast("str | os.PathLike[str]", value)).lower().endswith(SUFFIXES)
    return isinstance(value, (bytes, bytearray)) or (is_image(value) and not hasattr(value, "iloc"))


def _relation(relation: duckdb.DuckDBPyRelation, limit: int) -> Rows:
    names, kinds = list(relation.columns), [str(kind) for kind in relation.types]
    some = relation.limit(limit)
    try:
        result = some.project(_chosen(names, kinds, dense=True))
    except duckdb.CatalogException:  # a connection without the extension
        result = some.project(_chosen(names, kinds, dense=False))
    return Rows(names, _told(lambda: rows_of(result, _AT_ONCE)) if limit else iter(()), None)


def _told(read: Callable[[], Iterable[Sequence[Any]]]) -> Iterator[Sequence[Any]]:
    """Read rows; where the query fails in one of them, say how the others can be shown."""
    try:
        yield from read()
    except _OF_A_ROW as error:
        raise type(error)(
            f"{error}\n\nA query that fails in one row has no rows to show. If the others are to be shown, put "
            "TRY(...) around what fails: its value is NULL in that row"
        ) from error


def _chosen(names: Sequence[str], kinds: Sequence[str], *, dense: bool) -> str:
    """Return the SQL of all columns, c1, c2 and so on."""
    places = enumerate(zip(names, kinds, strict=True), 1)
    return ", ".join(f"{_value(f'#{place}', name, kind, dense)} AS c{place}" for place, (name, kind) in places)


def _value(column: str, name: str, kind: str, dense: bool) -> str:
    """Return the SQL of a column, in a form that is small and that Python can have."""
    if dense and kind.startswith("STRUCT(mask ") and kind.split("mask ")[1].split(",")[0] in _DENSE:
        mask, score = f"struct_extract({column}, 'mask')", f"struct_extract({column}, 'iou_score')"
        runs = f"{{'{DENSE}': mask_to_rle({mask}, len({mask}), 1), 'iou_score': {score}}}"
        return f"CASE WHEN {mask} IS NULL THEN NULL ELSE {runs} END"
    if name.lower() in MASKS and kind in _DENSE:
        runs = f"CASE WHEN {column} IS NULL THEN NULL ELSE {{'{DENSE}': mask_to_rle({column}, len({column}), 1)}} END"
        return runs if dense else column
    listed = re.fullmatch(_LISTED, kind)
    if listed is not None:
        inner = "DOUBLE" if listed[1].startswith("DECIMAL") else listed[1]
        whole = f"{column}::{inner}[]"
        if not listed[2]:
            # A few numbers may be a prompt, and are all read.
            return f"{{'{LIST}': ({whole})[1:{_FEW}], 'length': len({column})}}"
        few = f"{{'{LIST}': ({whole})[1:{_FEW}], 'length': {listed[2]}}}"
        return f"CASE WHEN {column} IS NULL THEN NULL ELSE {few} END"
    if kind.startswith("GEOMETRY"):
        return f"ST_AsWKB({column})"
    if "TIME ZONE" in kind:  # Python's needs pytz
        return f"{column}::VARCHAR"
    nested = kind.endswith("]") or kind.startswith(("STRUCT(", "MAP(", "UNION("))
    return column if nested or kind in _PASSED else f"{column}::VARCHAR"


def _ibis(expression: Any, limit: int) -> Any:
    return expression.limit(limit).to_pyarrow()


def _some(given: Any, limit: int) -> Any:
    """Return the first rows of Arrow's tables, batches, readers and data sets, and one more if there is one."""
    pa = needed("pyarrow", "arrow", "showing an Arrow table")
    if isinstance(given, (pa.Table, pa.RecordBatch)):
        return as_table(pa, given.slice(0, limit + 1))
    if hasattr(given, "to_batches") and hasattr(given, "head"):  # a data set
        return given.head(limit + 1)
    reader = given if isinstance(given, pa.RecordBatchReader) else pa.RecordBatchReader.from_stream(given)
    batches: list[Any] = []
    for batch in reader:
        batches.append(batch)
        if sum(map(len, batches)) > limit:
            break
    return pa.Table.from_batches(batches, reader.schema).slice(0, limit + 1)


def _arrow(given: Any, limit: int, engine: Engine, *, known: bool = True) -> Rows:
    pa = needed("pyarrow", "arrow", "showing an Arrow table")
    table = as_table(pa, given)
    more = len(table) > limit if known else None
    table = table.slice(0, limit)
    names: list[str] = table.column_names
    unread: dict[int, dict[int, str]] = {}
    columns: list[Any] = []
    for place, field in enumerate(table.schema):
        column = table.column(place)
        if _is_pixels(pa, field):
            unread[place] = {}
            column = image_column(pa.table([column], schema=pa.schema([field.with_name("c")])), "c", unread[place])
        elif isinstance(column.type, pa.BaseExtensionType):
            column = column.cast(column.type.storage_type)
        columns.append(column)
    # Names may be there twice in Arrow.
    renamed = pa.table(columns, names=[f"c{place}" for place in range(len(columns))])
    renamed = in_one_piece(pa, renamed)
    return Rows(names, _from_arrow(renamed, names, unread, engine), more)


def _from_arrow(
    table: Any, names: list[str], unread: dict[int, dict[int, str]], engine: Engine
) -> Iterator[Sequence[Any]]:
    with engine.cursor() as cursor:
        cursor.register("rows", table)
        relation = cursor.table("rows")
        kinds = [str(kind) for kind in relation.types]
        result = relation.project(_chosen(names, kinds, dense=True)) if names else None
        for number, row in enumerate(() if result is None else rows_of(result, _AT_ONCE)):
            values = list(row)
            for place, failures in unread.items():
                if number in failures:
                    values[place] = {UNREAD: failures[number]}
            yield values


def _is_pixels(pa: Any, field: Any) -> bool:
    """Whether a column holds images as pixels, in one of the forms that ``Segmenter.batch`` takes."""
    metadata: dict[bytes, bytes] = field.metadata or {}
    kind: Any = field.type
    own = isinstance(kind, pa.BaseExtensionType)
    known: str = kind.extension_name if own else metadata.get(b"ARROW:extension:name", b"").decode()
    if known.endswith(("fixed_shape_tensor", "fixed_shape_image_tensor")):
        return True
    if pa.types.is_struct(kind):
        return {"data", "height", "width"} <= {each.name for each in kind}
    nested = is_list(pa, kind) and is_list(pa, kind.value_type)
    return nested and field.name.lower() in ("image", "img", "picture", "pixels")
