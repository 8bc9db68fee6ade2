"""GeoParquet 1.1: ``to_geoparquet``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, cast

import duckdb

from duckdb_sam.columns import in_one_piece, is_list
from duckdb_sam.engine import shared
from duckdb_sam.formats.checks import number, short
from duckdb_sam.formats.entries import MASKS
from duckdb_sam.formats.files import AnyPath, replaced
from duckdb_sam.formats.sources import Rows, source
from duckdb_sam.masks import Mask
from duckdb_sam.optional import needed
from duckdb_sam.reading import arrow
from duckdb_sam.wkb import spans

_AT_ONCE = 2000
"""Rows whose outlines are held at once; each such part is a row group."""
_TYPES = {3: "Polygon", 6: "MultiPolygon"}
_SPREAD = ("category", "categories", "score", "scores")
_SIDES = ("xmin", "ymin", "xmax", "ymax")


def to_geoparquet(
    rows: Rows,
    path: AnyPath,
    *,
    mask: str | None = None,
    columns: Sequence[str] | None = None,
    transform: Sequence[float] | str | None = None,
    crs: Any = None,
    tolerance: float = 0,
) -> Path:
    """Write the outlines of masks as GeoParquet, a row for each mask, and return the path.

        to_geoparquet(con.sql("SELECT name, mask FROM masks"), "masks.parquet")
        to_geoparquet(rows, "fields.parquet", transform=dataset.transform, crs="EPSG:32633")

    ``rows``: see ``duckdb_sam.formats``. ``mask`` is the name of their column. ``columns`` are those to keep; all
    others but binary ones if not given. With lists of masks, rows are repeated; lists of categories and scores
    are taken apart in step. Added are ``geometry`` (WKB), ``area`` in pixels, ``bbox`` (what GeoParquet calls covering)
    and, where the record has it, ``predicted_iou``.
    ``transform``: how pixels become coordinates: (a, b, c, d, e, f) with x' = a x + b y + c and y' = d x + e y + f, as
    rasterio and affine have it, whose objects may be given; or the name of a column of such lists. Without it
    coordinates are pixels from the upper left corner, y down.
    Outer rings run counterclockwise and holes clockwise, as RFC 7946 has it, in whatever coordinates these are.
    ``crs``: the reference system of the coordinates: anything that pyproj knows ("EPSG:32633"), or PROJJSON as a dict.
    It is stated as unknown if not given.
    ``tolerance``: pixels within which corners are left out.

    A mask that is NULL has no geometry; one without pixels an empty one. The file appears when it is complete.
    """
    pa = needed("pyarrow", "formats", "to_geoparquet")
    parquet = needed("pyarrow.parquet", "formats", "to_geoparquet")
    if crs is not None and transform is None:
        raise ValueError(f"crs={crs!r} needs transform=...: without it coordinates are pixels")
    if not 0 <= tolerance < float("inf"):
        raise ValueError(f"tolerance must be 0 or more pixels, not {tolerance!r}")
    reference = None if crs is None else projjson(crs)
    whole = _table(pa, rows)
    mask = _mask(whole, mask)
    placed = transform if isinstance(transform, str) else None
    if placed is not None and placed not in whole.column_names:
        raise ValueError(f"the rows have no column {placed!r}, transform={placed!r}")
    others = _others(whole, mask, columns)
    bbox = "bbox" if "bbox" not in others else "geometry_bbox"
    kinds, around = set[str](), list[list[float]]()

    def parts() -> Iterator[Any]:
        for start in range(0, max(len(whole), 1), _AT_ONCE):
            found = _outlines(pa, whole.slice(start, _AT_ONCE), start, mask, others, placed, tolerance)
            shapes = [None if wkb is None else bytearray(wkb) for wkb in found["wkb"].to_pylist()]
            ways: list[Any] = found["way"].to_pylist() if placed is not None else [transform] * len(shapes)
            boxes = [None if wkb is None else _place(wkb, way) for wkb, way in zip(shapes, ways, strict=True)]
            kinds.update(_TYPES[wkb[1]] for wkb in shapes if wkb is not None)
            around[:] = _around([*around, *(box for box in boxes if box is not None)])
            yield _written(pa, found, others, shapes, boxes, bbox)

    with replaced(path) as partial:
        first = partial.with_name(f"{partial.name}.rows")
        try:
            _write(parquet, first, parts(), {})
            geo = json.dumps(_metadata(sorted(kinds), around, bbox, reference))
            with parquet.ParquetFile(first) as file:  # again, as what is known only now stands in the schema
                groups = map(file.read_row_group, range(file.num_row_groups))
                _write(parquet, partial, chain([file.schema_arrow.empty_table()], groups), {b"geo": geo.encode()})
        finally:
            first.unlink(missing_ok=True)
    return Path(path).expanduser()


def _write(parquet: Any, path: Path, parts: Iterator[Any], metadata: dict[bytes, bytes]) -> None:
    """Write tables of one schema, a row group each."""
    first = next(parts)
    schema = first.schema.with_metadata({**(first.schema.metadata or {}), **metadata} or None)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for part in chain([first], parts):
            if len(part):
                writer.write_table(part.replace_schema_metadata(schema.metadata))


def _written(
    pa: Any, found: Any, others: list[str], shapes: list[bytearray | None], boxes: list[list[float] | None], bbox: str
) -> Any:
    """Return rows as they are written: the columns that are kept, and those that are added."""
    out = found.select([f"c{place}" for place in range(len(others))]).rename_columns(others)
    added = {name: found[name] for name in ("area", "predicted_iou") if name in found.column_names}
    added["geometry"] = pa.array([None if wkb is None else bytes(wkb) for wkb in shapes], pa.binary())
    # An empty geometry has a box without sides, a missing one none: that is how readers tell them apart.
    covering = [
        None if wkb is None else dict.fromkeys(_SIDES) if box is None else dict(zip(_SIDES, box, strict=True))
        for wkb, box in zip(shapes, boxes, strict=True)
    ]
    added[bbox] = pa.array(covering, pa.struct([(side, pa.float64()) for side in _SIDES]))
    for name, column in added.items():
        if name not in others:
            out = out.append_column(name, column)
    return out


def projjson(crs: Any) -> dict[str, Any]:
    """Return a reference system as PROJJSON."""
    if isinstance(crs, Mapping):
        return dict(cast("Mapping[str, Any]", crs))
    if not hasattr(crs, "to_json_dict"):
        pyproj = needed("pyproj", "formats", f"crs={crs!r}")
        try:
            crs = pyproj.CRS.from_user_input(crs)
        except pyproj.exceptions.CRSError as error:
            raise ValueError(f"crs={crs!r} is not known to pyproj: {error}") from error
    return crs.to_json_dict()


def _table(pa: Any, rows: Rows) -> Any:
    """Return any rows as an Arrow table, with the types that they have."""
    if isinstance(rows, (duckdb.DuckDBPyRelation, duckdb.DuckDBPyConnection)):
        return arrow(rows)
    if hasattr(rows, "iloc") and hasattr(rows, "columns"):
        return pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(None)
    if isinstance(rows, pa.Table):
        return rows
    if not isinstance(rows, pa.RecordBatch) and hasattr(rows, "__arrow_c_stream__"):
        return pa.table(rows)
    given = source(rows)
    return pa.Table.from_pylist(
        [{name: _plain(value) for name, value in row.items()} for row in given.read(given.columns)]
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mask):
        return value.to_dict()
    return [_plain(each) for each in cast("list[Any]", value)] if isinstance(value, list) else value


def _mask(whole: Any, given: str | None) -> str:
    name = given if given is not None else next((each for each in MASKS if each in whole.column_names), None)
    if name is None or name not in whole.column_names:
        raise ValueError(
            f"the rows have no column of masks {given or ''}: give mask=..., one of {', '.join(whole.column_names)}"
        )
    return name


def _others(whole: Any, mask: str, columns: Sequence[str] | None) -> list[str]:
    if columns is None:
        columns = [field.name for field in whole.schema if field.name != mask and "binary" not in str(field.type)]
    for name in columns:
        if name not in whole.column_names:
            raise ValueError(f"the rows have no column {name!r}: theirs are {', '.join(whole.column_names)}")
    if "geometry" in columns:
        raise ValueError("the rows have a column 'geometry', which the outlines are to be: leave it out, columns=[...]")
    return list(columns)


def _outlines(
    pa: Any, whole: Any, start: int, mask: str, others: Sequence[str], placed: str | None, tolerance: float
) -> Any:
    """Return a row for each mask: its outline as ``wkb``, its ``area``, and the other columns as c0, c1, ..."""
    kind = whole.schema.field(mask).type
    many = is_list(pa, kind)
    record = kind.value_type if many else kind
    # A NULL list is an image without masks: it has one row, without a geometry.
    one = "unnest(coalesce(m, [NULL]))" if many else "m"
    one = f"{one}::STRUCT(size INTEGER[], counts VARCHAR)" if pa.types.is_null(record) else one
    columns = {"row": pa.array(range(start, start + len(whole)), pa.int64()), "m": whole[mask]}
    inner = ["row", f"{one} AS m"]
    for place, name in enumerate(others):
        columns[f"c{place}"] = whole[name]
        step = many and name in _SPREAD and is_list(pa, whole.schema.field(name).type)
        inner.append(f"unnest(c{place}) AS c{place}" if step else f"c{place}")
    if placed is not None:
        columns["way"] = whole[placed]
        inner.append("way")
    fields = [field.name for field in record] if pa.types.is_struct(record) else []
    outer = ["row", "mask_error(m) AS error", "mask_to_wkb(m, ?) AS wkb", "mask_area(m) AS area"]
    outer += ["m.predicted_iou AS predicted_iou"] if "predicted_iou" in fields else []
    outer += [name for name in columns if name not in ("row", "m")]
    statement = f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM rows) ORDER BY row"
    with shared.query(statement, [float(tolerance)], rows=in_one_piece(pa, pa.table(columns))) as result:
        found = arrow(result)
    for row, error in zip(found["row"].to_pylist(), found["error"].to_pylist(), strict=True):
        if error is not None:
            raise ValueError(f"row {row}: not a mask: {error}")
    return found


def _place(wkb: bytearray, way: Any) -> list[float] | None:
    """Move the corners of a geometry, and return the box around it; None for an empty one."""
    np = needed("numpy", "formats", "to_geoparquet")
    a, b, c, d, e, f = _six(way)
    turns = a * e < b * d  # from y down to y up: rings that ran counterclockwise would run clockwise
    box: list[float] | None = None
    for rings in spans(wkb):
        for offset, count in rings:
            corners = np.frombuffer(wkb, "<f8", 2 * count, offset).reshape(count, 2)
            x, y = corners[:, 0].copy(), corners[:, 1].copy()
            with np.errstate(over="ignore", invalid="ignore"):
                corners[:, 0], corners[:, 1] = a * x + b * y + c, d * x + e * y + f
            if not np.isfinite(corners).all():
                raise ValueError(f"transform {way!r} makes coordinates of pixels that are not finite")
            if turns:
                corners[:] = corners[::-1].copy()
            low, high = corners.min(0).tolist(), corners.max(0).tolist()
            box = [*low, *high] if box is None else [*map(min, box[:2], low), *map(max, box[2:], high)]
    return box


def _six(way: Any) -> list[float]:
    if way is None:
        return [1, 0, 0, 0, 1, 0]
    try:
        numbers = [number(value, "transform: each") for value in way]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) == 9 and numbers[6:] == [0, 0, 1]:
        numbers = numbers[:6]
    if len(numbers) != 6 or numbers[0] * numbers[4] == numbers[1] * numbers[3]:
        raise ValueError(
            f"transform must be six finite numbers (a, b, c, d, e, f) that can be inverted, not {short(way)}"
        )
    return numbers


def _around(boxes: list[list[float]]) -> list[list[float]]:
    """Return the box around all, if there are some."""
    if not boxes:
        return []
    sides = list(zip(*boxes, strict=True))
    return [[*map(min, sides[:2]), *map(max, sides[2:])]]


def _metadata(
    kinds: Sequence[str], around: list[list[float]], bbox: str, reference: dict[str, Any] | None
) -> dict[str, Any]:
    column: dict[str, Any] = {
        "encoding": "WKB",
        "orientation": "counterclockwise",
        "geometry_types": list(kinds),
        "crs": reference,
        "covering": {"bbox": {side: [bbox, side] for side in _SIDES}},
    }
    for box in around:
        column["bbox"] = box
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
