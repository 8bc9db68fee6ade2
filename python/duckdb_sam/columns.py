"""Columns of images in all forms that Arrow has for them, as one of bytes for the extension."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from duckdb_sam.engine import Engine
from duckdb_sam.images import Embedding, is_embedding, picture
from duckdb_sam.optional import needed

Failures = dict[int, str]
"""What is wrong with a row, by its number."""

ENCODED = "lance.arrow.encoded_image"
URI = "lance.arrow.image_uri"
_TENSORS = ("arrow.fixed_shape_tensor", "lance.arrow.fixed_shape_image_tensor")
_NAME, _METADATA = b"ARROW:extension:name", b"ARROW:extension:metadata"


def image_column(table: Any, name: str, failures: Failures) -> Any:
    """Return the column ``name`` of an Arrow table as one of bytes; what cannot be read becomes NULL and a failure.

    Bytes are not copied. An extension type is recognised whether or not its library has registered it.
    """
    pa = needed("pyarrow", "arrow", "a column of images")
    extension, metadata, column = _storage(pa, table.schema.field(name), table[name])
    if extension in _TENSORS:
        return _encoded(pa, _tensors(pa, column, json.loads(metadata)), failures)
    column = plain(pa, column)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_null(kind):
        return column.cast(pa.binary())
    if pa.types.is_struct(kind):
        return _of_structs(pa, column, kind, name, failures)
    if "list" not in str(kind) and "binary" in str(kind):  # large, fixed, a dictionary
        return column
    if "list" not in str(kind) and "string" in str(kind):
        return _encoded(pa, column.to_pylist(), failures)
    if is_list(pa, kind) and is_list(pa, kind.value_type):
        return _encoded(pa, _nested(pa, column), failures)
    raise ValueError(f"column {name!r} holds no images but {column.type}: give binary, struct<bytes, path> or paths")


def as_table(pa: Any, given: Any) -> Any:
    """Return any kind of Arrow table as a ``pyarrow.Table``; None for what is none."""
    if isinstance(given, pa.Table):
        return given
    if isinstance(given, pa.RecordBatch):
        return pa.Table.from_batches([given])
    return pa.table(given) if hasattr(given, "__arrow_c_stream__") else None


def column_of(table: Any, name: str) -> Any:
    """Return a column of an Arrow table."""
    if name not in table.column_names:
        raise ValueError(f"the table has no column {name!r}; its columns are {', '.join(table.column_names)}")
    return table[name]


def sizes(pa: Any, engine: Engine, images: Any) -> list[tuple[int, int] | None]:
    """Return height and width of every image in a column of bytes; None for what is not one."""
    rows = pa.table({"row": pa.array(range(len(images)), pa.int64()), "image": images})
    info = "SELECT row, image_info(image) AS i FROM rows"
    query = f"SELECT CASE WHEN i IS NOT NULL THEN [i.height, i.width] END FROM ({info}) ORDER BY row"
    with engine.query(query, rows=rows) as result:
        found = [size for (size,) in result.fetchall()]
    for row, size in enumerate(found):
        if size is None and is_embedding(data := images[row].as_py() or b""):
            found[row] = Embedding(data).size
    return found


def is_list(pa: Any, kind: Any) -> bool:
    """Tell whether a type is one of Arrow's kinds of lists."""
    names = ("is_list", "is_large_list", "is_fixed_size_list", "is_list_view", "is_large_list_view")
    return any(getattr(pa.types, name)(kind) for name in names if hasattr(pa.types, name))


def plain(pa: Any, column: Any) -> Any:
    """Return views and run-ends, which DuckDB reads since 1.5, in the form that all releases read."""
    compute = needed("pyarrow.compute", "arrow", "a column of images")
    if str(column.type).startswith("run_end_encoded"):
        column = pa.chunked_array([compute.run_end_decode(chunk) for chunk in column.chunks], column.type.value_type)
    if str(column.type) in ("binary_view", "string_view"):
        column = column.cast(pa.large_binary() if "binary" in str(column.type) else pa.large_string())
    return column


def in_one_piece(pa: Any, table: Any) -> Any:
    """Return an Arrow table whose columns are one array each, from its beginning on.

    Of a slice, as it comes of columns with different chunks too, DuckDB (1.5.6) reads structs in structs from the
    beginning of the array: the values of other rows.
    """
    table = table.combine_chunks()
    rows = pa.array(range(len(table)), pa.int64())
    for place, column in enumerate(table.columns):
        if pa.types.is_nested(column.type) and any(chunk.offset for chunk in column.chunks):
            table = table.set_column(place, table.schema.field(place), column.take(rows))
    return table


def plain_type(pa: Any, kind: Any) -> Any:
    """Return a type without views, such as Polars has, which Parquet, Arrow's filters and older releases lack."""
    if str(kind) in ("binary_view", "string_view"):
        return pa.large_binary() if "binary" in str(kind) else pa.large_string()
    if pa.types.is_dictionary(kind) and "view" in str(kind.value_type):  # Polars' categories
        return pa.dictionary(kind.index_type, plain_type(pa, kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(plain_type(pa, field.type)) for field in kind])
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(plain_type(pa, kind.value_type)), kind.list_size)
    for test, make in ((pa.types.is_list, pa.list_), (pa.types.is_large_list, pa.large_list)):
        if test(kind):
            return make(kind.value_field.with_type(plain_type(pa, kind.value_type)))
    return kind


def plain_schema(schema: Any) -> Any:
    """Return an Arrow schema with ``plain_type`` for all types."""
    pa = needed("pyarrow", "arrow", "a column of images")
    return pa.schema([field.with_type(plain_type(pa, field.type)) for field in schema])


def plain_table(table: Any) -> Any:
    """Return an Arrow table with ``plain_type`` for all types."""
    schema = plain_schema(table.schema)
    return table if schema.equals(table.schema) else table.cast(schema)


def lance_images(table: Any, *columns: str) -> Any:
    """Return an Arrow table whose ``columns`` are marked as images, as Lance and Daft know them by their type.

        table = con.sql("SELECT name, image_overlay(image, seg) AS overlay FROM masks").to_arrow_table()
        lance.write_dataset(lance_images(table, "overlay"), "overlays.lance")

    Binary columns become ``lance.arrow.encoded_image``, strings ``lance.arrow.image_uri``. Nothing is copied.
    """
    pa = needed("pyarrow", "arrow", "lance_images")
    for name in columns:
        column = plain(pa, column_of(table, name))
        place = table.schema.get_field_index(name)
        kind = ENCODED if "binary" in str(column.type) else URI
        if str(column.type) not in ("binary", "large_binary", "string", "large_string"):
            raise ValueError(f"column {name!r} holds {column.type}, neither images (binary) nor their paths (string)")
        field = table.schema.field(place).with_type(column.type)
        field = field.with_metadata({**(field.metadata or {}), _NAME: kind.encode(), _METADATA: b""})
        table = table.set_column(place, field, column)
    return table


def _storage(pa: Any, field: Any, column: Any) -> tuple[str, str, Any]:
    """Return the name and metadata of an extension type, empty without one, and the column as it is stored."""
    if isinstance(column.type, pa.BaseExtensionType):
        given = column.type
        metadata = ""
        if given.extension_name == _TENSORS[0]:  # pyarrow's own class, which does not show its metadata
            parts = {"shape": given.shape, "permutation": given.permutation, "dim_names": given.dim_names}
            metadata = json.dumps(parts)
        elif hasattr(given, "__arrow_ext_serialize__"):
            metadata = given.__arrow_ext_serialize__().decode(errors="replace")
        return (
            given.extension_name,
            metadata,
            pa.chunked_array([chunk.storage for chunk in column.chunks], given.storage_type),
        )
    known: dict[bytes, bytes] = field.metadata or {}
    return known.get(_NAME, b"").decode(), known.get(_METADATA, b"").decode(errors="replace"), column


def _tensors(pa: Any, column: Any, metadata: Any) -> Iterator[Any]:
    """Give the arrays of tensors of one shape, as views of Arrow's memory."""
    shape: list[int] = metadata["shape"]
    order: list[int] | None = metadata.get("permutation")
    given: list[Any] = metadata.get("dim_names") or []
    names = [str(name).lower()[:1] for name in given]
    for chunk in column.chunks:
        arrays = iter(chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, *shape))
        for valid in chunk.is_valid().to_pylist():
            array = next(arrays) if valid else None
            if array is not None and order:
                array = array.transpose(order)
            if array is not None and sorted(names) == ["c", "h", "w"]:
                ordered = [names[axis] for axis in order] if order else names
                array = array.transpose([ordered.index(axis) for axis in "hwc"])
            yield array


def _of_structs(pa: Any, column: Any, kind: Any, name: str, failures: Failures) -> Any:
    """Take Hugging Face's images, or Daft's, which have their pixels."""
    compute = needed("pyarrow.compute", "arrow", "a column of images")
    fields = [field.name for field in kind]
    if {"data", "height", "width"} <= set(fields):
        return _encoded(pa, _pixels(compute, column, fields), failures)
    if "bytes" not in fields:
        raise ValueError(f"images in a struct have the fields bytes and path; those of column {name!r} are {fields}")
    data = compute.struct_field(column, "bytes")
    lacking = compute.any(compute.and_(compute.is_valid(column), compute.is_null(data))).as_py()
    if not lacking:
        return plain(pa, data)
    # Where a struct has no bytes but a path, the file is read.
    rows: list[Any] = column.to_pylist()
    return _encoded(pa, (row and (row["bytes"] or row.get("path")) for row in rows), failures)


def _pixels(compute: Any, column: Any, fields: list[str]) -> Iterator[Any]:
    """Give the arrays of structs of data (a list), height, width and channel."""
    channel = next((name for name in ("channel", "channels") if name in fields), None)
    columns = [
        compute.struct_field(column, name) for name in ("data", "height", "width", *([channel] if channel else []))
    ]
    for data, height, width, *channels in zip(*columns, strict=True):
        if not data.is_valid:
            yield None
            continue
        values = data.values.to_numpy(zero_copy_only=False)
        shape = [height.as_py(), width.as_py(), *(each.as_py() for each in channels)]
        yield values.reshape(shape if len(shape) == 3 else [*shape, -1])


def _nested(pa: Any, column: Any) -> Iterator[Any]:
    """Give the arrays of lists of rows (of lists of channels), as Hugging Face's Array2D and Array3D are stored."""
    compute = needed("pyarrow.compute", "arrow", "a column of images")
    for row in column:
        if not row.is_valid:
            yield None
            continue
        values, shape = row.values, [len(row)]
        while is_list(pa, values.type):
            lengths = compute.unique(compute.list_value_length(values)).to_pylist()
            shape.append(lengths[0] if len(lengths) == 1 and lengths[0] is not None else -1)
            values = values.flatten()
        yield values.to_numpy(zero_copy_only=False).reshape(shape)


def _encoded(pa: Any, images: Iterable[Any], failures: Failures) -> Any:
    """Return a column of the bytes of images that are given in any way."""
    found: list[bytes | None] = []
    given = iter(images)
    row = 0
    while True:
        data = None
        try:
            image = next(given)
            data = None if image is None else picture(image).data
        except StopIteration:
            break
        except (OSError, ValueError) as error:
            failures[row] = str(error)
        found.append(data)
        row += 1
    return pa.chunked_array([pa.array(found, pa.large_binary())])
