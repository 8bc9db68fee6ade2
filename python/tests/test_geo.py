"""GeoTIFFs and what image_geo reads from them. The values are those of rasterio (GDAL) for the same files, but
that it puts a picture without a place at 0, 0."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import duckdb
import pytest
import shapely
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

UTM = [(1024, 0, 1, 1), (3072, 0, 1, 32633)]
DEGREES = [(1024, 0, 1, 2), (2048, 0, 1, 4326)]
TEXTS = "WGS 84 / UTM zone 33N|WGS 84|"
SCALE = {33550: (0.5, 0.25, 0.0), 33922: (2.0, 1.0, 0.0, 300000.0, 5000000.0, 0.0)}
MATRIX = {34264: (2.0, 0.5, 0.0, 100.0, 0.25, -3.0, 0.0, 50.0, *[0.0] * 7, 1.0)}
POINT = (1025, 0, 1, 2)

SCALED = [0.5, 0.0, 299999.0, 0.0, -0.25, 5000000.25]
TURNED = [2.0, 0.5, 100.0, 0.25, -3.0, 50.0]


def geotiff(
    doubles: dict[int, tuple[float, ...]],
    keys: list[tuple[int, ...]],
    texts: str = "",
    orientation: int = 1,
    picture: Any = None,
) -> bytes:
    """Return a TIFF with these tags and GeoTIFF's keys, of 8 x 4 pixels unless there is a picture."""
    tags = ImageFileDirectory_v2()

    def put(tag: int, kind: int, value: Any) -> None:
        tags.tagtype[tag] = kind
        tags[tag] = value

    for tag, values in doubles.items():
        put(tag, 12, values)
    if keys:
        put(34735, 3, (1, 1, 0, len(keys), *[number for key in keys for number in key]))
    if texts:
        put(34737, 2, texts)
    put(274, 3, orientation)
    out = io.BytesIO()
    (picture or Image.linear_gradient("L").resize((8, 4))).save(out, "TIFF", tiffinfo=tags)
    return out.getvalue()


def geo(con: duckdb.DuckDBPyConnection, image: bytes) -> dict[str, Any] | None:
    return con.execute("SELECT image_geo(?::BLOB)", [image]).fetchone()[0]


@pytest.mark.parametrize(
    ("doubles", "keys", "transform", "epsg"),
    [
        (SCALE, UTM, SCALED, 32633),
        # the tie point is the centre of a pixel
        (SCALE, [*UTM, POINT], [0.5, 0.0, 299998.75, 0.0, -0.25, 5000000.375], 32633),
        (MATRIX, DEGREES, TURNED, 4326),
        (MATRIX, [*DEGREES, POINT], [2.0, 0.5, 98.75, 0.25, -3.0, 51.375], 4326),
        # north is up, whatever the sign; the scale precedes the matrix
        (SCALE | MATRIX | {33550: (0.5, -0.25, 0.0)}, UTM, SCALED, 32633),
        # no tie point; several of them without a scale
        ({33550: (0.5, 0.25, 0.0)}, UTM, None, 32633),
        ({33922: (0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 8.0, 4.0, 0.0, 9.0, 6.0, 0.0)}, UTM, None, 32633),
        # a system of its own, with another beneath; none
        (SCALE, [(1024, 0, 1, 1), (2048, 0, 1, 4326), (3072, 0, 1, 32767)], SCALED, None),
        (SCALE, [(1024, 0, 1, 1), (2048, 0, 1, 4326)], SCALED, None),
        (SCALE, [], SCALED, None),
    ],
)
def test_geotiff(con: duckdb.DuckDBPyConnection, doubles: Any, keys: Any, transform: Any, epsg: Any) -> None:
    assert geo(con, geotiff(doubles, keys)) == {"transform": transform, "epsg": epsg, "citation": None}


def test_citations(con: duckdb.DuckDBPyConnection) -> None:
    keys = [(1026, 34737, 22, 0), (2049, 34737, 7, 22)]
    assert geo(con, geotiff(SCALE, keys, TEXTS))["citation"] == "WGS 84 / UTM zone 33N"
    assert geo(con, geotiff(SCALE, keys[1:], TEXTS))["citation"] == "WGS 84"
    # one that lies outside of the texts
    assert geo(con, geotiff(SCALE, [(1026, 34737, 99, 0)], TEXTS))["citation"] is None


def test_a_picture_that_does_not_tell(con: duckdb.DuckDBPyConnection) -> None:
    assert geo(con, geotiff({}, [])) is None
    # a scale of 0, and numbers that are none
    assert geo(con, geotiff(SCALE | {33550: (0.0, 0.0, 0.0)}, [])) is None
    assert geo(con, geotiff(SCALE | {33550: (float("nan"), 1.0, 0.0)}, [])) is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_lie_in_the_upright_picture(con: duckdb.DuckDBPyConnection, orientation: int) -> None:
    """A stored pixel has one place on the map, whatever the orientation in which it is seen."""
    image = geotiff(MATRIX, DEGREES, orientation=orientation)
    query = """
        SELECT mask_to_wkb(mask_from_polygons([[0, 0, 2, 0, 2, 1, 0, 1]], i.height, i.width), 0, geo.transform)
        FROM (SELECT image_info(image) AS i, image_geo(image) AS geo FROM (SELECT ?::BLOB AS image))
    """
    wkb = con.execute(query, [image]).fetchone()[0]
    # The stored pixel that is seen in the upper left corner, and which way its neighbours go.
    corner = {1: (0, 0), 2: (7, 0), 3: (7, 3), 4: (0, 3), 5: (0, 0), 6: (0, 3), 7: (7, 3), 8: (7, 0)}[orientation]
    along, down = ((1, 0), (0, 1)) if orientation < 5 else ((0, 1), (1, 0))
    signs = (1 if corner[0] == 0 else -1, 1 if corner[1] == 0 else -1)
    start = (8 if corner[0] else 0, 4 if corner[1] else 0)
    a, b, c, d, e, f = TURNED

    def place(right: int, below: int) -> tuple[float, float]:
        x, y = (start[axis] + signs[axis] * (right * along[axis] + below * down[axis]) for axis in (0, 1))
        return a * x + b * y + c, d * x + e * y + f

    assert shapely.from_wkb(wkb).equals(shapely.Polygon([place(0, 0), place(2, 0), place(2, 1), place(0, 1)]))


@pytest.mark.parametrize("turned", [[1, 0, 0, 0, -1, 0], [1, 0, 0, 0, 1, 0], [0.1, 0.7, 1e6, -0.3, 0.2, -5e6], TURNED])
def test_placed_outlines_are_those_of_shapely(con: duckdb.DuckDBPyConnection, turned: list[float]) -> None:
    query = "SELECT mask_to_wkb(m, 0.0), mask_to_wkb(m, 0.0, $1), mask_to_wkt(m, 0.0, $1) FROM (SELECT {} AS m)"
    dots = "mask_to_rle([((i * 7919) % 11 < 6) FOR i IN range(600)], 20, 30)"
    plain, placed, text = con.execute(query.format(dots), [turned]).fetchone()
    a, b, c, d, e, f = turned
    expected = shapely.transform(
        shapely.from_wkb(plain), lambda x, y: (a * x + b * y + c, d * x + e * y + f), interleaved=False
    )
    placed = shapely.from_wkb(placed)
    assert placed.is_valid and placed.equals(expected)
    assert shapely.from_wkt(text) == placed
    parts = getattr(placed, "geoms", [placed])
    assert all(part.exterior.is_ccw and not any(hole.is_ccw for hole in part.interiors) for part in parts)


if __name__ == "__main__":
    keys = [(1024, 0, 1, 1), (1025, 0, 1, 1), (1026, 34737, 22, 0), (2049, 34737, 7, 22), (3072, 0, 1, 32633)]
    tags = {33550: (0.5, 0.5, 0.0), 33922: (0.0, 0.0, 0.0, 300000.0, 5000000.0, 0.0)}
    Path("test/data/geo.tif").write_bytes(geotiff(tags, keys, TEXTS))
