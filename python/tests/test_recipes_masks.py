"""Average precision, shapes on a map and cells, as the recipes have them, each against a tool that has them right."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np
import pyproj
import pytest
import shapely
from PIL import Image, ImageDraw, ImageFilter
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from conftest import ROOT
from pages import PATH, code
from recipes import Recipes, from_python_311, recipes  # noqa: F401

PAGE = "docs/recipes/{}.md"


def by_coco(con: duckdb.DuckDBPyConnection) -> dict[tuple[int, int], float]:
    """Return the average precision of each category and threshold (in per cent) that COCOeval finds."""
    truth = con.execute(
        "SELECT id, image_id, category, crowd, mask, mask_area(mask), mask_bbox(mask) FROM truth ORDER BY id"
    ).fetchall()
    found = con.execute("SELECT image_id, category, score, mask FROM found ORDER BY id").fetchall()
    sizes = {row[1]: row[4]["size"] for row in truth} | {row[0]: row[3]["size"] for row in found}
    categories = sorted({row[2] for row in truth} | {row[1] for row in found})
    annotated = COCO()
    annotated.dataset = {
        "images": [{"id": id_, "height": height, "width": width} for id_, (height, width) in sorted(sizes.items())],
        "categories": [{"id": category} for category in categories],
        "annotations": [
            dict(zip(("id", "image_id", "category_id", "iscrowd", "segmentation", "area", "bbox"), row, strict=True))
            for row in truth
        ],
    }
    annotated.createIndex()
    detected = annotated.loadRes(
        [dict(zip(("image_id", "category_id", "score", "segmentation"), row, strict=True)) for row in found]
    )
    judge = COCOeval(annotated, detected, "segm")
    judge.evaluate()
    judge.accumulate()
    precision = judge.eval["precision"][:, :, :, 0, -1].mean(1)  # all areas, 100 detections; mean over recalls
    return {
        (category, round(100 * threshold)): precision[t, k]
        for t, threshold in enumerate(judge.params.iouThrs)
        for k, category in enumerate(categories)
        if precision[t, k] >= 0  # -1: no annotations
    }


def in_sql(con: duckdb.DuckDBPyConnection) -> dict[tuple[int, int], float]:
    rows = con.execute("SELECT category, threshold, ap FROM average_precision").fetchall()
    return {(category, round(100 * threshold)): ap for category, threshold, ap in rows}


def test_average_precision(con: duckdb.DuckDBPyConnection, extension: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    con.execute(code(PAGE.format("evaluation"), "sql").replace(PATH, str(extension)))
    assert con.execute("SELECT count(*) > 20 FROM found").fetchone() == (True,)
    assert in_sql(con) == pytest.approx(by_coco(con), abs=1e-12)
    assert 0.1 < np.mean(list(in_sql(con).values())) < 0.9


def box(at: np.ndarray) -> dict[str, object]:
    x, y, width, height = np.maximum(at, [0, 0, 1, 1])
    pixels = np.zeros((48, 64), np.uint8, order="F")
    pixels[y : y + height, x : x + width] = 1
    mask = coco_mask.encode(pixels)
    return {"size": mask["size"], "counts": mask["counts"].decode()}


@pytest.mark.parametrize("seed", range(2))
def test_average_precision_of_anything(con: duckdb.DuckDBPyConnection, seed: int) -> None:
    """Equal scores, crowds, categories without detections or without annotations, images without either."""
    random = np.random.default_rng(seed)
    truth, found = [], []
    for image in range(1, 21):
        for category in (1, 2, 3):
            for _ in range(random.integers(0, 6) if category < 3 or image == 1 else 0):
                at = random.integers([0, 0, 4, 4], [40, 30, 20, 16])
                truth.append((len(truth) + 1, image, category, bool(random.random() < 0.15), box(at)))
                for _ in range(random.integers(0, 4)):
                    near = box(at + random.integers(-2, 3, 4))
                    told = category if category < 3 else 4
                    found.append((len(found) + 1, image, told, round(random.random(), 1), near))
    mask = "STRUCT(size INTEGER[], counts VARCHAR)"
    con.execute(f"CREATE TABLE truth (id BIGINT, image_id BIGINT, category INTEGER, crowd BOOLEAN, mask {mask})")
    con.execute(f"CREATE TABLE found (id BIGINT, image_id BIGINT, category INTEGER, score DOUBLE, mask {mask})")
    con.executemany("INSERT INTO truth VALUES (?, ?, ?, ?, ?)", truth)
    con.executemany("INSERT INTO found VALUES (?, ?, ?, ?, ?)", found)
    sql = code(PAGE.format("evaluation"), "sql")
    con.execute(sql[sql.index("CREATE TABLE compared") :])
    assert in_sql(con) == pytest.approx(by_coco(con), abs=1e-12)
    assert {category for category, _ in in_sql(con)} == {1, 2, 3}


def test_a_number_beside_unnest_is_none(con: duckdb.DuckDBPyConnection) -> None:
    """What the pages warn of."""
    rows = con.execute("SELECT row_number() OVER (), unnest(x) FROM (VALUES ([5, 6, 7]), ([8])) AS t(x)").fetchall()
    assert rows == [(1, 5), (1, 6), (1, 7), (2, 8)]


def test_gis(recipes: Recipes, con: duckdb.DuckDBPyConnection) -> None:  # noqa: F811
    recipes.sql(code(PAGE.format("gis"), "sql"), "gis.db")
    con.execute(f"ATTACH '{recipes.folder / 'gis.db'}' AS gis (READ_ONLY)")
    rows = con.execute(f"""
        SELECT mask, t.c::DOUBLE, pixels, f.square_metres, ST_AsWKB(f.geometry), ST_CRS(f.geometry)
        FROM '{recipes.folder / "footprints.parquet"}' AS f JOIN gis.objects USING (id) JOIN gis.footprints USING (id)
    """).fetchall()
    assert len(rows) >= 20
    shapes = []
    for mask, left, pixels, square_metres, wkb, crs in rows:
        assert (square_metres, pyproj.CRS(crs).to_epsg()) == (pixels / 4, 32633)
        shapes.append(shapely.from_wkb(bytes(wkb)))
        assert shapes[-1].is_valid
        assert shapes[-1].area == pytest.approx(coco_mask.area(mask) / 4)
        x, y, width, height = coco_mask.toBbox(mask)
        assert shapes[-1].bounds == (
            left + x / 2,
            5_000_040 - (y + height) / 2,
            left + (x + width) / 2,
            5_000_040 - y / 2,
        )
    assert {row[1] for row in rows} == {399_960.0, 400_260.0}
    covered = con.execute(
        "SELECT parcel, ST_AsWKB(boundary), objects, gis.covered.square_metres, share "
        "FROM gis.covered JOIN gis.parcels USING (parcel)"
    ).fetchall()
    assert len(covered) >= 4
    for _, wkb, objects, square_metres, share in covered:
        parcel = shapely.from_wkb(bytes(wkb))
        parts = [area for area in shapely.area(shapely.intersection(shapes, parcel)) if area > 0]
        assert (objects, square_metres, share) == (
            len(parts),
            pytest.approx(sum(parts)),
            pytest.approx(sum(parts) / 1e4),
        )


def plate(folder: Path) -> dict[str, int]:
    """Draw two fields of each well, and return how many nuclei a field has."""
    random = np.random.default_rng(5)
    wells = {"A01": (9, 800), "B02": (6, 2500)}
    folder.mkdir()
    for well, (count, level) in wells.items():
        for field in (1, 2):
            drawn = Image.new("L", (240, 160))
            for place in random.permutation(12)[:count]:
                centre = np.array([30 + 60 * (place % 4), 28 + 50 * (place // 4)])
                radii = random.integers(9, 15, 2)
                ImageDraw.Draw(drawn).ellipse([*(centre - radii), *(centre + radii)], fill=200)
            shape = np.array(drawn.filter(ImageFilter.GaussianBlur(1)), float)
            nuclei = 300 + shape * 20 + random.normal(0, 30, shape.shape)
            marker = 100 + shape / 200 * level + random.normal(0, 20, shape.shape)
            for channel, values in (("nuclei", nuclei), ("marker", marker)):
                pixels = Image.fromarray(values.clip(0).astype(np.uint16))
                pixels.save(folder / f"{well}_{field}_{channel}.tif", compression="tiff_lzw")
    return {well: count for well, (count, _) in wells.items()}


@from_python_311
def test_cells(recipes: Recipes, con: duckdb.DuckDBPyConnection) -> None:  # noqa: F811
    counts = plate(recipes.folder / "plate")
    recipes.sql(code(PAGE.format("cells"), "sql"), "plate.db")
    recipes.run(code(PAGE.format("cells"), "python"))
    with duckdb.connect(str(recipes.folder / "plate.db"), read_only=True) as stored:
        nuclei = stored.execute(
            "SELECT well, field, nucleus, mask, area, marker, total FROM nuclei ORDER BY ALL"
        ).fetchall()
        again = stored.execute("SELECT label, segmentation FROM again ORDER BY label").fetchall()
    for well, count in counts.items():
        assert 2 * count <= sum(row[0] == well for row in nuclei) <= 2 * count + 2
    for well, field, _, mask, area, mean, total in nuclei:
        with Image.open(recipes.folder / "plate" / f"{well}_{field}_marker.tif") as image:
            values = np.array(image)[coco_mask.decode(mask) == 1]
        assert (area, total) == (values.size, values.sum())
        assert mean == pytest.approx(values.mean())
    first = {row[2]: row[3] for row in nuclei if row[:2] == ("A01", 1)}
    assert dict(again) == first
    read_back = recipes.run("""
import json, zarr, roifile
outlines = {roi.name: roi.coordinates().ravel().tolist() for roi in roifile.roiread("A01_1.zip")}
image = zarr.open_group("A01_1.ome.zarr", mode="r")
[name] = image["labels"].attrs["ome"]["labels"]
levels = [group[group.attrs["ome"]["multiscales"][0]["datasets"][0]["path"]][:].tolist()
          for group in (image, image["labels"][name])]
print(json.dumps([outlines, *levels, name]))
""")
    outlines, pixels, labels, name = json.loads(read_back)
    assert name == "nuclei"
    with Image.open(recipes.folder / "plate" / "A01_1_nuclei.tif") as image:
        assert np.array_equal(np.array(image), pixels)
    for number, mask in first.items():
        assert np.array_equal(np.array(labels) == number, coco_mask.decode(mask))
        # pycocotools takes corners that lie on edges of pixels for those edges, so that its mask is the very same.
        [drawn] = coco_mask.frPyObjects([outlines[f"{number}-1"]], 160, 240)
        assert np.array_equal(coco_mask.decode(drawn), coco_mask.decode(mask))
    assert len(outlines) == len(first)
