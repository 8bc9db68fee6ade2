"""``to_geoparquet``: read by pyarrow and shapely; by geopandas in test_formats_others.py, where it is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from conftest import PHOTOS
from duckdb_sam import Segmenter, to_geoparquet
from formats import PARTS, RING, blank, encoded, random_rows

WAY = (0.5, 0.1, 500_000, 0.2, -0.5, 5_000_000)
UTM = {"type": "ProjectedCRS", "name": "WGS 84 / UTM zone 33N", "id": {"authority": "EPSG", "code": 32633}}


def geo(path: Path) -> dict[str, Any]:
    """The metadata, checked by the rules of GeoParquet 1.1."""
    data = json.loads(pq.read_metadata(path).metadata[b"geo"])
    assert data.keys() == {"version", "primary_column", "columns"}
    assert (data["version"], data["primary_column"]) == ("1.1.0", "geometry")
    [(name, column)] = data["columns"].items()
    assert name == "geometry"
    assert column.keys() - {"bbox"} == {"encoding", "orientation", "geometry_types", "crs", "covering"}
    assert column["encoding"] == "WKB"
    assert column["orientation"] == "counterclockwise"
    for shape in shapely.from_wkb([wkb for wkb in pq.read_table(path)["geometry"].to_pylist() if wkb is not None]):
        assert shapely.is_valid(shape)
        for part in shapely.get_parts(shape) if not shape.is_empty else ():
            assert shapely.is_ccw(part.exterior)
            assert not any(map(shapely.is_ccw, part.interiors))
    assert set(column["geometry_types"]) <= {"Polygon", "MultiPolygon"}
    covered = column["covering"]["bbox"]
    assert covered.keys() == {"xmin", "ymin", "xmax", "ymax"}
    schema = pq.read_schema(path)
    for side, (struct, field) in covered.items():
        assert side == field
        assert schema.field(struct).type.field(field).type == pa.float64()
    assert schema.field("geometry").type == pa.binary()
    return column


def test_outlines_in_pixels(tmp_path: Path) -> None:
    rows, arrays = random_rows()
    path = to_geoparquet(rows, tmp_path / "new" / "masks.parquet")
    column = geo(path)
    table = pq.read_table(path)
    assert table.column_names == ["name", "category", "area", "geometry", "bbox"]
    shapes = shapely.from_wkb(table["geometry"].to_pylist())
    assert shapely.is_valid(shapes).all()
    assert table["category"].to_pylist() == [kind for _, kind in arrays.values()]
    areas = [int(pixels.sum()) for pixels, _ in arrays.values()]
    assert shapely.area(shapes).tolist() == table["area"].to_pylist() == areas
    assert np.allclose(shapely.total_bounds(shapes), column["bbox"])
    assert column["crs"] is None
    for shape, box in zip(shapes, table["bbox"].to_pylist(), strict=True):
        assert tuple(box.values()) == ((None,) * 4 if shape.is_empty else shape.bounds)


def test_on_the_map(tmp_path: Path) -> None:
    rows = {"a.tif": [encoded(RING), encoded(PARTS)]}
    plain = pq.read_table(to_geoparquet(rows, tmp_path / "plain.parquet"))
    table = pq.read_table(path := to_geoparquet(rows, tmp_path / "map.parquet", transform=WAY, crs=UTM))
    assert geo(path)["crs"] == UTM
    a, b, c, d, e, f = WAY
    for one, other in zip(table["geometry"].to_pylist(), plain["geometry"].to_pylist(), strict=True):
        moved = shapely.transform(
            shapely.from_wkb(other), lambda xy: np.stack([xy @ [a, b] + c, xy @ [d, e] + f], axis=1)
        )
        assert shapely.equals_exact(shapely.from_wkb(one), moved, 1e-6, normalize=True)
    nine = pq.read_table(to_geoparquet(rows, tmp_path / "nine.parquet", transform=[*WAY, 0, 0, 1]))
    assert nine["geometry"] == table["geometry"]
    each = [
        {"name": "a", "mask": encoded(RING), "way": WAY},
        {"name": "b", "mask": encoded(RING), "way": (*WAY[:5], 0)},
    ]
    first, second = shapely.from_wkb(
        pq.read_table(to_geoparquet(each, tmp_path / "each.parquet", transform="way"))["geometry"].to_pylist()
    )
    assert first.bounds[1] - second.bounds[1] == WAY[5]


def test_rows_and_columns(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    con.execute("""CREATE TABLE found AS SELECT parse_filename(filename) AS name, content AS image,
                   DATE '2024-02-03' AS day, 1.25::DECIMAL(9, 2) AS price, [1, 2] AS tags,
                   sam_generate('nano', content, 5) AS masks
                   FROM read_blob(?)""", [str(PHOTOS / "co*.jpg")])  # fmt: skip
    relation = con.sql("FROM found")
    path = to_geoparquet(relation, tmp_path / "a.parquet", tolerance=1)
    table = pq.read_table(path)
    assert table.column_names == ["name", "day", "price", "tags", "area", "predicted_iou", "geometry", "bbox"]
    assert table.schema.field("day").type == pa.date32()
    assert table.schema.field("price").type == pa.decimal128(9, 2)
    each = "SELECT unnest(masks) AS m FROM found"
    count, area = con.execute(f"SELECT count(*), sum(m.area)::BIGINT FROM ({each})").fetchone()
    assert (len(table), pa.compute.sum(table["area"]).as_py()) == (count, area)
    for given in (relation.to_arrow_table(), relation.df(), relation.pl()):
        assert pq.read_table(to_geoparquet(given, tmp_path / "b.parquet", tolerance=1))["geometry"] == table["geometry"]
    con.execute(f"COPY found TO '{tmp_path}/rows.parquet'")
    again = to_geoparquet(tmp_path / "rows.parquet", tmp_path / "c.parquet", tolerance=1, columns=["name"])
    assert pq.read_table(again).drop_columns("geometry").column_names == ["name", "area", "predicted_iou", "bbox"]


def test_missing_and_empty_masks(tmp_path: Path) -> None:
    rows = [{"name": "a", "masks": None, "categories": None},
            {"name": "b", "masks": [], "categories": []},
            {"name": "c", "masks": [encoded(blank(2, 2)), None, encoded(RING)], "categories": [*"xyz"]}]  # fmt: skip
    table = pq.read_table(path := to_geoparquet(rows, tmp_path / "a.parquet"))
    assert table["name"].to_pylist() == ["a", "c", "c", "c"]
    assert table["categories"].to_pylist() == [None, "x", "y", "z"]
    none, empty, missing, ring = (shapely.from_wkb(each) for each in table["geometry"].to_pylist())
    assert (none, missing, empty.is_empty, ring.area) == (None, None, True, RING.sum())
    assert geo(path)["geometry_types"] == ["Polygon"]
    nothing = to_geoparquet(con_rows := [{"name": "a", "mask": None}], tmp_path / "b.parquet")
    assert "bbox" not in geo(nothing) and len(pq.read_table(nothing)) == len(con_rows)
    own = [{"name": "a", "mask": encoded(RING), "bbox": [1, 2], "area": "mine"}]
    table = pq.read_table(to_geoparquet(own, tmp_path / "c.parquet"))
    assert table.column_names == ["name", "bbox", "area", "geometry", "geometry_bbox"]
    assert table["area"].to_pylist() == ["mine"]


@pytest.mark.parametrize("way", [None, WAY, (1, 0, 0, 0, 1, 0), (0, 1, 0, 1, 0, 0), (0, 2, 5, -1, 0, 3)])
def test_directions_of_rings(tmp_path: Path, way: Any) -> None:
    """Outside counterclockwise in the coordinates of the file, whether they are mirrored or turned."""
    path = to_geoparquet({"a": [encoded(RING), encoded(PARTS)]}, tmp_path / "a.parquet", transform=way)
    geo(path)
    a, b, _, d, e, _ = way or (1, 0, 0, 0, 1, 0)
    table = pq.read_table(path)
    scale = abs(a * e - b * d)
    shapes = shapely.from_wkb(table["geometry"].to_pylist())
    assert np.allclose(shapely.area(shapes), np.multiply(table["area"].to_pylist(), scale))


def test_objects(tmp_path: Path) -> None:
    seg = Segmenter()
    masks = seg.generate(PHOTOS / "coffee.jpg", points_per_side=5)
    for given in ({"coffee.jpg": masks}, masks, list(masks)):
        table = pq.read_table(to_geoparquet(given, tmp_path / "a.parquet"))
        assert table["area"].to_pylist() == [mask.area for mask in masks]


def test_what_is_wrong(tmp_path: Path) -> None:
    rows = [{"name": "a", "mask": encoded(RING), "geometry": 1}]
    for arguments, message in [
        ({"crs": "EPSG:4326"}, "crs='EPSG:4326' needs transform"),
        ({"transform": [1, 2, 3], "columns": []}, "transform must be six finite numbers"),
        ({"transform": [1, 1, 0, 1, 1, 0], "columns": []}, "that can be inverted"),
        ({"transform": [float("nan"), 0, 0, 0, 1, 0], "columns": []}, r"six finite numbers .* not \[nan, 0, "),
        ({"transform": [1, 0, float("inf"), 0, 1, 0], "columns": []}, "six finite numbers"),
        ({"transform": [10**400, 0, 0, 0, 1, 0], "columns": []}, "six finite numbers"),
        ({"transform": ["a"] * 6, "columns": []}, "six finite numbers"),
        ({"transform": 5, "columns": []}, "six finite numbers"),
        ({"transform": [1e308, 0, 0, 0, 1, 0], "columns": []}, "coordinates of pixels that are not finite"),
        ({"tolerance": float("inf")}, "tolerance must be 0 or more pixels, not inf"),
        ({"transform": "way"}, "the rows have no column 'way', transform='way'"),
        ({"mask": "m"}, "the rows have no column of masks m: give mask=..., one of name, mask, geometry"),
        ({"columns": ["x"]}, "the rows have no column 'x'"),
        ({}, "the rows have a column 'geometry'"),
        ({"tolerance": -1}, "tolerance must be 0 or more"),
    ]:
        with pytest.raises(ValueError, match=message):
            to_geoparquet(rows, tmp_path / "a.parquet", **arguments)
    with pytest.raises(ValueError, match="row 1: not a mask: "):
        to_geoparquet([{"mask": encoded(RING)}, {"mask": {"size": [2, 3], "counts": "13"}}], tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []


def test_crs_by_pyproj(tmp_path: Path) -> None:
    pyproj = pytest.importorskip("pyproj")
    for crs in ("EPSG:32633", pyproj.CRS(32633)):
        path = to_geoparquet({"a": encoded(RING)}, tmp_path / "a.parquet", transform=WAY, crs=crs)
        assert geo(path)["crs"]["id"] == UTM["id"]
    with pytest.raises(ValueError, match="crs='EPSG:1' is not known to pyproj"):
        to_geoparquet({"a": encoded(RING)}, tmp_path / "b.parquet", transform=WAY, crs="EPSG:1")


def test_a_slice_has_the_outlines_of_its_own_rows(tmp_path: Path) -> None:
    def record(side: int) -> dict[str, Any]:
        return {"segmentation": encoded(np.pad(np.ones((side, side), bool), ((0, 9 - side), (0, 9 - side))))}

    whole = pa.Table.from_pylist([{"mask": record(side)} for side in (1, 2, 3, 4)])
    path = to_geoparquet(whole.slice(2, 2), tmp_path / "slice.parquet")
    assert pq.read_table(path)["area"].to_pylist() == [9, 16]
