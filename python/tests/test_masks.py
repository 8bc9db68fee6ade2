"""Masks against pycocotools (bit for bit), against Shapely (validity), and against definitions written out."""

from __future__ import annotations

import io
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import shapely
from PIL import Image
from pycocotools import mask as coco

from conftest import PHOTOS
from masks import encode

MASK = pa.struct([("size", pa.list_(pa.int32())), ("counts", pa.string())])


def random_mask(random: np.random.Generator) -> np.ndarray:
    """Noise of any density, or rectangles and dots, or discs with holes; sides from 1 to 150."""
    height, width = random.integers(1, random.choice([3, 12, 70, 150]), 2)
    kind = random.integers(3)
    if kind == 0:
        return random.random((height, width)) < random.choice([0, 0.02, 0.3, 0.5, 0.6, 0.9, 1])
    pixels = np.zeros((height, width), bool)
    y, x = np.mgrid[:height, :width]
    for _ in range(random.integers(0, 7)):
        (y0, y1), (x0, x1) = (np.sort(random.integers(0, side + 1, 2)) for side in (height, width))
        if kind == 1:
            pixels[y0:y1, x0:x1] ^= True
        else:
            middle, radius = ((y0 + y1) / 2, (x0 + x1) / 2), max(y1 - y0, x1 - x0) / 2
            pixels ^= np.hypot(y - middle[0], x - middle[1]) < radius
    return pixels


@pytest.fixture(scope="module")
def masks() -> list[np.ndarray]:
    random = np.random.default_rng(7)
    checkers = [np.indices((n, n + 1)).sum(0) % 2 == odd for n in range(1, 9) for odd in (0, 1)]
    return [random_mask(random) for _ in range(2000)] + checkers


@pytest.fixture
def table(con: duckdb.DuckDBPyConnection, masks: list[np.ndarray]) -> duckdb.DuckDBPyConnection:
    rows = {
        "id": range(len(masks)),
        "mask": pa.array([encode(mask) for mask in masks], MASK),
        "dense": pa.array([mask.ravel().astype(np.float32) for mask in masks], pa.list_(pa.float32())),
        "height": [mask.shape[0] for mask in masks],
        "width": [mask.shape[1] for mask in masks],
    }
    con.register("arrow", pa.table(rows))
    con.execute("CREATE TABLE t AS FROM arrow")
    return con


def column(con: duckdb.DuckDBPyConnection, expression: str, source: str = "t") -> list[Any]:
    return [value for (value,) in con.execute(f"SELECT {expression} FROM {source} ORDER BY id").fetchall()]


def test_encode_and_decode(table: duckdb.DuckDBPyConnection, masks: list[np.ndarray]) -> None:
    assert column(table, "mask_to_rle(dense, height, width) = mask") == [True] * len(masks)
    assert column(table, "mask_to_rle(dense::DOUBLE[], height, width) = mask") == [True] * len(masks)
    assert column(table, "mask_from_rle(mask) = dense") == [True] * len(masks)


def test_area_and_box(table: duckdb.DuckDBPyConnection, masks: list[np.ndarray]) -> None:
    encoded = [encode(mask) for mask in masks]
    assert column(table, "mask_area(mask)") == [coco.area(mask) for mask in encoded]
    assert column(table, "mask_bbox(mask)") == coco.toBbox(encoded).tolist()


@pytest.fixture
def pairs(con: duckdb.DuckDBPyConnection) -> tuple[list[tuple[Any, Any]], duckdb.DuckDBPyConnection]:
    """Masks of equal size, each with one that overlaps and one that may not."""
    random = np.random.default_rng(11)
    found = []
    for _ in range(1500):
        a = random_mask(random)
        b = a ^ (random.random(a.shape) < 0.1) if random.integers(2) else np.roll(a, random.integers(-9, 9, 2), (0, 1))
        found.append((encode(a), encode(b)))
    rows = {
        "id": range(len(found)),
        "a": pa.array([a for a, _ in found], MASK),
        "b": pa.array([b for _, b in found], MASK),
    }
    con.register("arrow", pa.table(rows))
    con.execute("CREATE TABLE pairs AS FROM arrow")
    return found, con


def test_two_masks(pairs: Any) -> None:
    found, con = pairs
    expected = {
        "mask_iou(a, b)": lambda a, b: coco.iou([a], [b], [0])[0, 0],
        "mask_union(a, b)": lambda a, b: coco.merge([a, b]),
        "mask_union([a, b])": lambda a, b: coco.merge([a, b]),
        "mask_intersect(a, b)": lambda a, b: coco.merge([a, b], intersect=True),
        "mask_intersect([a, b, a])": lambda a, b: coco.merge([a, b, a], intersect=True),
        "mask_difference(a, b)": lambda a, b: encode(coco.decode(a) & ~coco.decode(b)),
    }
    for expression, reference in expected.items():
        wanted = [reference(a, b) for a, b in found]
        if isinstance(wanted[0], dict):
            wanted = [{**mask, "counts": as_text(mask["counts"])} for mask in wanted]
        assert column(con, expression, "pairs") == wanted, expression


def as_text(counts: bytes | str) -> str:
    return counts.decode() if isinstance(counts, bytes) else counts


def test_masks_of_the_model(con: duckdb.DuckDBPyConnection) -> None:
    """Real masks: what sam_annotate says about itself is what pycocotools says."""
    con.execute(f"""CREATE TABLE a AS SELECT filename, sam_annotate('nano', content, [0.5, 0.55]) AS s
        FROM read_blob('{PHOTOS}/*.jpg')""")
    query = "SELECT s, mask_area(s.segmentation), mask_bbox(s.segmentation), mask_from_rle(s.segmentation) FROM a"
    for record, area, box, dense in con.execute(query).fetchall():
        mask = record["segmentation"]
        assert record["area"] == area == coco.area(mask) > 0
        assert record["bbox"] == box == coco.toBbox(mask).tolist()
        assert np.array_equal(np.array(dense).reshape(mask["size"]), coco.decode(mask))


def test_png(table: duckdb.DuckDBPyConnection, masks: list[np.ndarray]) -> None:
    for data, mask in zip(column(table, "mask_to_png(mask)", "(FROM t LIMIT 300)"), masks, strict=False):
        with Image.open(io.BytesIO(data)) as image:
            assert image.mode == "L"
            assert np.array_equal(np.array(image), mask * np.uint8(255))


def geometries(con: duckdb.DuckDBPyConnection, expression: str) -> np.ndarray:
    return shapely.from_wkb(column(con, expression))


def test_polygons_cover_the_mask(table: duckdb.DuckDBPyConnection, masks: list[np.ndarray]) -> None:
    shapes = geometries(table, "mask_to_wkb(mask)")
    assert shapely.is_valid(shapes).all()
    assert shapely.area(shapes).tolist() == [mask.sum() for mask in masks]
    for shape, mask in zip(shapes[::10], masks[::10], strict=True):
        y, x = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
        assert np.array_equal(shapely.contains_xy(shape, x, y), mask)
    for shape, mask in zip(shapes[::50], masks[::50], strict=True):
        assert shapely.get_num_geometries(shape) - shape.is_empty == parts(mask, [(0, 1), (1, 0)]).max(initial=0)
        for part in shapely.get_parts(shape):
            assert part.is_empty or part.exterior.is_ccw
            assert not any(hole.is_ccw for hole in part.interiors)


def test_text_is_that_of_the_binary(table: duckdb.DuckDBPyConnection) -> None:
    for arguments in ("mask", "mask, 1.5"):
        binary = geometries(table, f"mask_to_wkb({arguments})")
        assert shapely.equals_exact(binary, shapely.from_wkt(column(table, f"mask_to_wkt({arguments})"))).all()
        assert set(shapely.get_type_id(binary)) == {3, 6}


@pytest.mark.parametrize("tolerance", [0.8, 1.0, 2.5, 10.0])
def test_simplified_polygons_are_valid_and_near(table: duckdb.DuckDBPyConnection, tolerance: float) -> None:
    full = geometries(table, "mask_to_wkb(mask)")
    simple = geometries(table, f"mask_to_wkb(mask, {tolerance})")
    assert shapely.is_valid(simple).all()
    assert (shapely.get_num_geometries(simple) == shapely.get_num_geometries(full)).all()
    corners, before = shapely.get_num_coordinates(simple).sum(), shapely.get_num_coordinates(full).sum()
    assert corners < before
    distance = [far_corner(shape, outline) for shape, outline in zip(full[::5], simple[::5], strict=True)]
    assert max(distance) <= tolerance + 1e-9


def far_corner(shape: Any, outline: Any) -> float:
    """How far the corners of ``shape`` are from the lines of ``outline``."""
    corners = shapely.points(shapely.get_coordinates(shape))
    return shapely.distance(corners, outline.boundary).max(initial=0)


def test_simplified_polygons_of_large_masks(con: duckdb.DuckDBPyConnection) -> None:
    y, x = np.mgrid[:900, :1200]
    wave = (np.hypot(y - 450, x - 600) + 40 * np.sin(np.arctan2(y - 450, x - 600) * 9)) % 220 < 120
    con.register("arrow", pa.table({"id": [1], "mask": pa.array([encode(wave)], MASK)}))
    (full,), (simple,) = (geometries_of(con, f"mask_to_wkb(mask, {tolerance})") for tolerance in (0, 1))
    assert simple.is_valid
    assert abs(simple.area - wave.sum()) < 0.002 * wave.sum()
    assert shapely.get_num_coordinates(simple) * 5 < shapely.get_num_coordinates(full)


def geometries_of(con: duckdb.DuckDBPyConnection, expression: str) -> np.ndarray:
    return shapely.from_wkb([value for (value,) in con.execute(f"SELECT {expression} FROM arrow").fetchall()])


def parts(mask: np.ndarray, steps: list[tuple[int, int]]) -> np.ndarray:
    """Number the connected parts from 1 on, in the order of their first pixels, column by column."""
    labels, count = np.zeros(mask.shape, int), 0
    for x, y in zip(*np.nonzero(mask.T), strict=True):
        if labels[y, x]:
            continue
        count += 1
        labels[y, x], todo = count, [(y, x)]
        while todo:
            at = todo.pop()
            for step in [*steps, *((-dy, -dx) for dy, dx in steps)]:
                near = (at[0] + step[0], at[1] + step[1])
                if 0 <= near[0] < mask.shape[0] and 0 <= near[1] < mask.shape[1] and mask[near] and not labels[near]:
                    labels[near] = count
                    todo.append(near)
    return labels


def cleaned(mask: np.ndarray, min_area: int) -> np.ndarray:
    """remove_small_regions of segment_anything/utils/amg.py, for holes and then for islands."""
    if not mask.any():
        return mask
    around = [(0, 1), (1, 0), (1, 1), (1, -1)]
    holes = parts(~mask, around)
    small = [part for part in range(1, holes.max() + 1) if (holes == part).sum() < min_area]
    mask = mask | np.isin(holes, small)
    islands = parts(mask, around)
    areas = np.bincount(islands.ravel())[1:]
    large = [part for part, area in enumerate(areas, 1) if area >= min_area] or [1 + np.argmax(areas)]
    return np.isin(islands, large)


@pytest.mark.parametrize("min_area", [0, 1, 2, 5, 30, 1000])
def test_clean(table: duckdb.DuckDBPyConnection, masks: list[np.ndarray], min_area: int) -> None:
    some = slice(0, None, 15)
    expected = [encode(cleaned(mask, min_area)) for mask in masks[some]]
    assert column(table, f"mask_clean(mask, {min_area})")[some] == expected


def test_any_text_is_safe(con: duckdb.DuckDBPyConnection, masks: list[np.ndarray]) -> None:
    """Damaged counts are a mask or give NULL and a reason, and never anything else."""
    random = np.random.default_rng(5)
    rows = []
    for mask in masks[:1000]:
        value = encode(mask)
        counts = list(value["counts"])
        counts[random.integers(len(counts))] = chr(random.integers(1, 128))
        rows.append(
            {
                "size": (value["size"] + random.integers(-1, 2, 2) * random.integers(2)).tolist(),
                "counts": "".join(counts),
            }
        )
    con.register("arrow", pa.table({"id": range(len(rows)), "mask": pa.array(rows, MASK)}))
    con.execute("CREATE TABLE t AS FROM arrow")
    bad = column(con, "mask_error(mask) IS NOT NULL")
    assert 0 < sum(bad) < len(bad)
    for expression in ("mask_area(mask)", "mask_to_wkt(mask, 1)", "mask_clean(mask, 5)", "mask_from_rle(mask)"):
        assert column(con, f"{expression} IS NULL") == bad, expression
