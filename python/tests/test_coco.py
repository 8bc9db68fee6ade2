"""COCO's forms of a segmentation: polygons, run lengths, compressed run lengths; bit for bit as pycocotools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from pycocotools import mask as coco
from pycocotools.coco import COCO

from conftest import ROOT

POLYGONS = pa.list_(pa.list_(pa.float64()))


def random_polygon(random: np.random.Generator, height: int, width: int) -> list[float]:
    """Concave, crossing itself, outside, tiny, on the edges of pixels, with corners twice: x, y, x, y, ..."""
    corners = int(random.integers(3, random.choice([4, 6, 30])))
    size = np.array([width, height])
    kind = random.integers(7)
    if kind == 0:  # anywhere in and around the picture
        points = random.uniform(-0.6, 1.6, (corners, 2)) * size
    elif kind == 1:  # tiny
        points = random.uniform(0, 1, 2) * size + random.uniform(-1, 1, (corners, 2))
    elif kind == 2:  # whole, half and fifth pixels
        points = random.integers(-5, 5 * size + 5, (corners, 2)) / random.choice([1, 2, 5, 10])
    elif kind == 3:  # a star
        angles = np.sort(random.uniform(0, 2 * np.pi, corners))
        radii = random.uniform(0.1, 0.7, corners) * size.max()
        points = random.uniform(0, 1, 2) * size + (np.array([np.cos(angles), np.sin(angles)]) * radii).T
    elif kind == 4:  # far
        points = random.uniform(-1, 1, (corners, 2)) * 10.0 ** random.integers(2, 5)
    elif kind == 5:  # nearly upright and nearly level edges
        points = random.uniform(0, 1, (corners, 2)) * size
        points[1::2] = points[: len(points[1::2])] + random.uniform(-0.3, 0.3, points[1::2].shape)
    else:  # numbers as annotation tools round them, the first corner again at the end
        points = np.round(random.uniform(0, 1, (corners, 2)) * size, 2)
        points = np.concatenate([points, points[:1]])
    return points.ravel().tolist()


@pytest.fixture(scope="module")
def objects() -> list[tuple[list[list[float]], int, int]]:
    """Polygons, height and width."""
    random = np.random.default_rng(3)
    found = []
    for _ in range(3000):
        height, width = (int(side) for side in random.integers(1, random.choice([3, 20, 90, 700]), 2))
        found.append(
            ([random_polygon(random, height, width) for _ in range(random.choice([1, 1, 2, 5]))], height, width)
        )
    return found


def reference(polygons: list[list[float]], height: int, width: int) -> dict[str, Any]:
    """As COCO.annToRLE."""
    rle = coco.merge(coco.frPyObjects(polygons, height, width))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


@pytest.fixture(scope="module")
def references(objects: list[Any]) -> list[dict[str, Any]]:
    return [reference(*each) for each in objects]


@pytest.fixture(scope="module")
def table(objects: list[Any]) -> pa.Table:
    polygons, heights, widths = zip(*objects, strict=True)
    points = [[np.reshape(part, (-1, 2)).tolist() for part in parts] for parts in polygons]
    return pa.table(
        {
            "id": range(len(objects)),
            "flat": pa.array(polygons, POLYGONS),
            "points": pa.array(points, pa.list_(pa.list_(pa.list_(pa.float64(), 2)))),
            "text": [json.dumps(parts) for parts in polygons],
            "height": heights,
            "width": widths,
        }
    )


@pytest.mark.parametrize("form", ["flat", "points", "text", "text::JSON", "points::DOUBLE[][][]"])
def test_polygons(
    con: duckdb.DuckDBPyConnection, objects: list[Any], references: list[Any], table: pa.Table, form: str
) -> None:
    con.register("t", table)
    for function in ("mask_from_polygons", "mask_from_coco"):
        rows = con.execute(f"SELECT {function}({form}, height, width) FROM t ORDER BY id").fetchall()
        for (got,), expected, each in zip(rows, references, objects, strict=True):
            assert got == expected, each


def test_one_polygon(con: duckdb.DuckDBPyConnection, objects: list[Any]) -> None:
    for polygons, height, width in objects[:500]:
        part = polygons[0]
        points = np.reshape(part, (-1, 2)).tolist()
        for given in (part, points, [points], [part], json.dumps(part), json.dumps(points)):
            (got,) = con.execute("SELECT mask_from_polygons(?, ?, ?)", [given, height, width]).fetchone()
            assert got == reference([part], height, width), given


def test_lattice(con: duckdb.DuckDBPyConnection) -> None:
    """All triangles on a small lattice of tenths of pixels: every tie there is."""
    random = np.random.default_rng(5)
    corners = random.integers(-10, 51, (20000, 6)) / 10
    con.register("t", pa.table({"id": range(len(corners)), "p": pa.array([[row] for row in corners], POLYGONS)}))
    got = con.execute("SELECT mask_from_polygons(p, 4, 5) FROM t ORDER BY id").fetchall()
    assert [mask for (mask,) in got] == [reference([row.tolist()], 4, 5) for row in corners]


def uncompressed(pixels: np.ndarray) -> list[int]:
    """The run lengths of a mask, down its columns, the first of background."""
    values = pixels.ravel(order="F")
    ends = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1, [values.size]])
    return [0] * int(values[:1].sum()) + np.diff(ends).tolist()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, COCO]:
    """A file as COCO's: polygons, crowds as run lengths, compressed ones of a tool, pictures without objects."""
    random = np.random.default_rng(17)
    images = [
        {"id": index, "file_name": f"{index:012}.jpg", "height": int(height), "width": int(width)}
        for index, (height, width) in enumerate(random.integers(20, 300, (40, 2)), start=1)
    ]
    annotations = []
    for image in images[:-2]:
        height, width = image["height"], image["width"]
        for kind in random.integers(0, 3, random.integers(1, 6)):
            pixels = random.random((height, width)) < random.choice([0.01, 0.5])
            rle = coco.encode(np.asfortranarray(pixels, np.uint8))
            segmentation = [
                [random_polygon(random, height, width) for _ in range(random.integers(1, 4))],
                {"size": [height, width], "counts": uncompressed(pixels)},
                {"counts": rle["counts"].decode(), "size": rle["size"]},
            ][kind]
            annotation = {"segmentation": segmentation, "iscrowd": int(kind == 1), "image_id": image["id"]}
            annotations.append(annotation | {"category_id": 1, "id": len(annotations) + 1, "bbox": [0, 0, 1.5, 1]})
    path = tmp_path_factory.mktemp("coco") / "instances.json"
    categories = [{"id": 1, "name": "object"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path, COCO(str(path))


ANNOTATIONS = """
    SELECT a.id, {mask} AS mask
    FROM (SELECT unnest(annotations) AS a FROM read_json('{file}')) JOIN
         (SELECT unnest(images) AS i FROM read_json('{file}')) ON a.image_id = i.id
"""


@pytest.mark.parametrize("segmentation", ["a.segmentation", "a.segmentation::VARCHAR", "a", "to_json(a)"])
def test_a_file_of_all_forms(con: duckdb.DuckDBPyConnection, dataset: tuple[Path, COCO], segmentation: str) -> None:
    path, reference = dataset
    masks = ANNOTATIONS.format(mask=f"mask_from_coco({segmentation}, i.height, i.width)", file=path)
    rows = con.execute(f"SELECT id, mask, mask_area(mask), mask_bbox(mask) FROM ({masks})").fetchall()
    assert sorted(row[0] for row in rows) == sorted(reference.anns)
    for id_, mask, area, box in rows:
        expected = reference.annToRLE(reference.anns[id_])
        assert np.array_equal(coco.decode(mask), reference.annToMask(reference.anns[id_]))
        assert (area, box) == (coco.area(expected), coco.toBbox(expected).tolist())


def test_forms_of_run_lengths_where_a_mask_is_wanted(con: duckdb.DuckDBPyConnection) -> None:
    """Every function gives for each form, typed in any way, what it gives for the usual one."""
    random = np.random.default_rng(23)
    pixels = random.random((30, 40)) < 0.5
    rle = coco.encode(np.asfortranarray(pixels, np.uint8))
    usual = {"size": rle["size"], "counts": rle["counts"].decode()}
    runs = {"size": rle["size"], "counts": uncompressed(pixels)}
    forms = [
        rle,
        runs,
        {"counts": usual["counts"], "size": usual["size"]},
        {"id": 7, **runs, "more": "x"},
        {"segmentation": runs, "iscrowd": 1},
        json.dumps(usual),
        json.dumps(runs),
        json.dumps({"iscrowd": 1, "segmentation": usual}),
    ]
    picture = "(SELECT image_resize(content, 40, 30) FROM read_blob('test/data/disc.png'))"
    calls = [
        "mask_from_rle($1)",
        "mask_to_png($1)",
        "mask_to_wkb($1)",
        "mask_to_wkt($1, 1.0)",
        "mask_area($1)",
        "mask_bbox($1)",
        "mask_iou($1, $1)",
        "mask_union($1, $1)",
        "mask_union([$1, NULL])",
        "mask_intersect([$1, $1])",
        "mask_difference($1, mask_clean($1, 5))",
        "mask_clean($1, 5)",
        "mask_error($1)",
        f"image_overlay({picture}, $1)",
        f"image_overlay({picture}, [$1, $1])",
        f"image_cutout({picture}, $1)",
    ]
    con.execute(f"SET file_search_path = '{ROOT}'")
    for call in calls:
        (expected,) = con.execute(f"SELECT {call}", [usual]).fetchone()
        assert expected is not None or "error" in call
        for form in forms:
            assert con.execute(f"SELECT {call}", [form]).fetchone() == (expected,), (call, form)
    for kind in (
        "TINYINT",
        "UTINYINT",
        "SMALLINT",
        "INTEGER",
        "UINTEGER",
        "BIGINT",
        "HUGEINT",
        "DOUBLE",
        "DECIMAL(9,2)",
    ):
        struct = f"$1::STRUCT(size INTEGER[], counts {kind}[])"
        assert con.execute(f"SELECT mask_area({struct})", [runs]).fetchone() == (pixels.sum(),), kind
