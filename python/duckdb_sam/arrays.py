"""Dense masks as NumPy arrays, without a list of Python numbers on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import duckdb

from duckdb_sam.columns import Failures, as_table, column_of, image_column, is_list, plain, sizes
from duckdb_sam.engine import shared
from duckdb_sam.masks import to_array
from duckdb_sam.optional import needed
from duckdb_sam.reading import arrow

if TYPE_CHECKING:
    import numpy

_COMMON = ("mask", "masks", "seg", "segmentation")


def dense(
    table: Any,
    column: str | None = None,
    *,
    size: str | tuple[int, int] | None = None,
    image: str | None = None,
) -> list[numpy.ndarray[Any, Any] | None]:
    """Return the masks in a column as arrays (height, width), one for each row; None for NULL.

        rel = con.sql("SELECT image, sam_segment('nano', image, [0.5, 0.6]) AS mask FROM photos")
        for probabilities in dense(rel, "mask"):
            ...

    ``column`` may hold what ``sam_segment`` returns, or its ``mask``: the arrays are then float32, read-only, and views
    of Arrow's memory, which is not copied. Or compact masks (of ``sam_annotate``, COCO's run lengths): arrays of bool;
    and lists of them (of ``sam_generate``): arrays of bool (n, height, width). It is found if it is named mask, masks,
    seg or segmentation.

    Probabilities do not tell the size of their image. It comes from ``size``, (height, width) for all or the name of a
    column of such pairs; or the columns ``height`` and ``width``; or the column of images, ``image``. Raises ValueError
    where none is there or it does not fit.

    ``table`` is a DuckDB relation, or an Arrow table, batch, or anything with ``__arrow_c_stream__``.
    """
    pa = needed("pyarrow", "arrow", "dense")
    np = needed("numpy", "arrow", "dense")
    whole = _table(pa, table)
    name = column if column is not None else next((each for each in _COMMON if each in whole.column_names), None)
    if name is None or name not in whole.column_names:
        named = f"no column {name!r}" if name is not None else "no column named mask"
        raise ValueError(f"the table has {named}; its columns are {', '.join(whole.column_names)}")
    masks = whole[name]
    compute = needed("pyarrow.compute", "arrow", "dense")
    fields = [field.name for field in masks.type] if pa.types.is_struct(masks.type) else []
    if "mask" in fields:
        masks = compute.struct_field(masks, "mask")
    elif is_list(pa, masks.type) and pa.types.is_struct(masks.type.value_type):
        return [None if row is None else _stack(np, row) for row in masks.to_pylist()]
    elif {"segmentation", "counts"} & set(fields):
        return [None if row is None else _decoded(row) for row in masks.to_pylist()]
    if not is_list(pa, masks.type):
        raise ValueError(f"column {name!r} holds no masks but {masks.type}")
    sizes = _sizes(pa, whole, size, image)
    found: list[Any] = []
    for flat, height_width in zip(_flat(pa, masks), sizes, strict=True):
        found.append(None if flat is None else _shaped(flat, height_width, len(found)))
    return found


def _table(pa: Any, table: Any) -> Any:
    if isinstance(table, (duckdb.DuckDBPyRelation, duckdb.DuckDBPyConnection)):
        return arrow(table)
    whole = as_table(pa, table)
    if whole is not None:
        return whole
    raise TypeError(
        f"dense takes a DuckDB relation or an Arrow table, not {type(table).__module__}.{type(table).__qualname__}"
    )


def _flat(pa: Any, masks: Any) -> Any:
    """Give the values of each row as a view."""
    for chunk in masks.chunks:
        if pa.types.is_fixed_size_list(chunk.type):
            width = chunk.type.list_size
            ends = [(chunk.offset + row) * width for row in range(len(chunk) + 1)]
        else:
            ends = chunk.offsets.to_numpy(zero_copy_only=False)
        values = chunk.values
        flat = values.to_numpy(zero_copy_only=values.null_count == 0 and not pa.types.is_boolean(values.type))
        for row, valid in enumerate(chunk.is_valid().to_pylist()):
            yield flat[ends[row] : ends[row + 1]] if valid else None


def _shaped(flat: Any, size: Any, row: int) -> Any:
    if size is None:
        raise ValueError(f"row {row}: the size of the mask is not known: its image is NULL or cannot be read")
    height, width = size
    if height * width != len(flat):
        raise ValueError(f"row {row}: a mask of {len(flat)} values is not one of {width} x {height} pixels")
    return flat.reshape(height, width)


def _sizes(pa: Any, whole: Any, size: str | tuple[int, int] | None, image: str | None) -> Sequence[Any]:
    """Return height and width of each row."""
    if isinstance(size, str):
        return cast("Sequence[Any]", plain(pa, column_of(whole, size)).to_pylist())
    if size is not None:
        height, width = size
        return [(int(height), int(width))] * len(whole)
    if image is None and {"height", "width"} <= set(whole.column_names):
        return list(zip(whole["height"].to_pylist(), whole["width"].to_pylist(), strict=True))
    name = image if image is not None else "image"
    if image is None and name not in whole.column_names:
        raise ValueError(
            "probabilities do not tell the size of their image: give size=(height, width) or the name of a column of "
            "such pairs, or select the column of images too (image=...)"
        )
    column_of(whole, name)
    failures: Failures = {}
    return sizes(pa, shared, image_column(whole, name, failures))


def _decoded(record: dict[str, Any]) -> Any:
    rle = record.get("segmentation", record)
    counts = rle["counts"]
    height, width = rle["size"]
    return to_array((height, width), counts.decode("ascii") if isinstance(counts, bytes) else counts)


def _stack(np: Any, records: list[Any]) -> Any:
    arrays = [_decoded(record) for record in records if record is not None]
    return np.stack(arrays) if arrays else np.zeros((0, 0, 0), bool)
