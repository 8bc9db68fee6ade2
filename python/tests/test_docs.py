"""The walk and the recipes for files run as they stand in the command line, and leave what other software reads."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
import shapely
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

import duckdb_sam
from conftest import PHOTOS
from pages import PATH, code, run_sql
from test_geo import SCALE, UTM, geotiff

# A picture without masks, and with a name that has to be quoted.
UNMASKED = "INSERT INTO photos SELECT 99, 'nobody''s', image, info FROM photos LIMIT 1;"
NAMES = {"chelsea", "coffee", "coins", "nobody's"}


@pytest.fixture(scope="module")
def folder(extension: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photographs (and a file that is none) in which both pages have been run."""
    folder = tmp_path_factory.mktemp("walk")
    (folder / "photos").mkdir()
    for name in ("coins", "coffee", "chelsea"):
        shutil.copy(PHOTOS / f"{name}.jpg", folder / "photos")
    (folder / "photos" / "broken.jpg").write_bytes(b"no picture")
    with Image.open(PHOTOS / "coffee.jpg") as photo:
        (folder / "field.tif").write_bytes(geotiff(SCALE, UTM, picture=photo))
    recipes = "".join(code(f"docs/recipes/{page}.md", "sql") for page in ("files", "annotations"))
    recipes = f"LOAD '{PATH}';\n{UNMASKED}\n{recipes}"
    for page, statements in (("walk", code("docs/walk.md", "sql")), ("recipes", recipes)):
        (folder / f"{page}.csv").write_text(run_sql(statements, extension, folder, "masks.db"))
    return folder


@pytest.fixture(scope="module")
def masks(folder: Path) -> list[dict[str, Any]]:
    with duckdb.connect(str(folder / "masks.db"), read_only=True) as con:
        rows = con.execute("SELECT id, rowid, seg FROM masks ORDER BY rowid").fetchall()
    assert len(rows) >= 3
    return [{"id": id_, "row": row, **seg} for id_, row, seg in rows]


def test_the_walk_says_what_is_broken(folder: Path) -> None:
    assert 'broken,"not a picture that can be decoded: 10 bytes' in (folder / "walk.csv").read_text()


def test_overlays_are_on_disk(folder: Path) -> None:
    with Image.open(folder / "first.jpg") as image:
        assert image.format == "JPEG"
    for path in (folder / "overlays").glob("name=*/data_0.jpg"):
        name = path.parent.name.removeprefix("name=")
        with Image.open(path) as drawn, Image.open(PHOTOS / f"{name}.jpg") as photo:
            assert drawn.size == photo.size
            difference = np.abs(np.array(drawn.convert("RGB"), int) - np.array(photo.convert("RGB"), int))
            assert (difference.max(2) > 60).mean() > 0.001
    assert len(list((folder / "overlays").glob("name=*/data_0.jpg"))) >= 2


def test_coco(folder: Path, masks: list[dict[str, Any]]) -> None:
    coco = COCO(str(folder / "coco.json"))
    assert sorted(image["file_name"] for image in coco.imgs.values()) == ["chelsea.jpg", "coffee.jpg", "coins.jpg"]
    assert len(coco.anns) == len(masks)
    for mask in masks:
        annotation = coco.anns[mask["row"] + 1]
        pixels = coco.annToMask(annotation)
        assert np.array_equal(pixels, coco_mask.decode(mask["segmentation"]))
        image = coco.imgs[annotation["image_id"]]
        assert pixels.shape == (image["height"], image["width"])
        assert annotation["area"] == pixels.sum() == mask["area"]
        assert annotation["bbox"] == coco_mask.toBbox(mask["segmentation"]).tolist() == mask["bbox"]


def test_polygons_are_read_back(folder: Path, masks: list[dict[str, Any]]) -> None:
    with duckdb.connect() as con:
        kind = con.execute(f"SELECT DISTINCT typeof(geometry) FROM '{folder}/masks.parquet'").fetchall()
        texts = [
            text for (text,) in con.execute(f"SELECT ST_AsText(geometry) FROM '{folder}/masks.parquet'").fetchall()
        ]
        exact = dict(
            con.execute(
                f"SELECT rowid, wkb FROM (SELECT row_number() OVER () - 1 AS rowid, wkb FROM '{folder}/wkb.parquet')"
            ).fetchall()
        )
    assert [row[0].startswith("GEOMETRY") for row in kind] == [True]
    assert shapely.is_valid(shapely.from_wkt(texts)).all()
    areas = sorted(shapely.area(shapely.from_wkb(list(exact.values()))))
    assert areas == sorted(mask["area"] for mask in masks)


def test_fields_lie_on_the_map(folder: Path) -> None:
    with duckdb.connect() as con:
        query = f"SELECT epsg, square_metres, ST_AsWKB(geometry)::BLOB FROM '{folder}/fields.parquet'"
        [(epsg, area, wkb)] = con.execute(query).fetchall()
    with Image.open(folder / "field.tif") as photo:
        bounds = shapely.box(299999, 5000000.25 - photo.height / 4, 299999 + photo.width / 2, 5000000.25)
    shape = shapely.from_wkb(bytes(wkb))
    assert epsg == 32633 and shape.is_valid and shape.within(bounds)
    assert shape.area == pytest.approx(area, rel=0.02)


def test_soft_edges(folder: Path) -> None:
    with Image.open(folder / "soft.png") as image:
        alpha = np.array(image)[..., 3]
    assert image.mode == "RGBA" and ((alpha > 0) & (alpha < 255)).any() and alpha[0].any() and alpha[:, 0].any()


def test_png_files(folder: Path, masks: list[dict[str, Any]]) -> None:
    for mask in masks:
        pixels = coco_mask.decode(mask["segmentation"])
        with Image.open(folder / "png" / f"mask={mask['row']}" / "data_0.png") as image:
            assert np.array_equal(np.array(image), pixels * 255)
        with Image.open(folder / "cutouts" / f"mask={mask['row']}" / "data_0.png") as image:
            assert (image.mode, (np.array(image)[..., 3] > 0).sum()) == ("RGBA", mask["area"])


def test_coco_comes_back(folder: Path, masks: list[dict[str, Any]]) -> None:
    with duckdb.connect(str(folder / "masks.db"), read_only=True) as con:
        rows = con.execute("SELECT id, image_id, crowd, mask FROM coco ORDER BY id").fetchall()
    assert rows == [(mask["row"] + 1, mask["id"], False, mask["segmentation"]) for mask in masks]


def test_labelme(folder: Path, masks: list[dict[str, Any]]) -> None:
    """As labelme reads it: the file is looked for beside the picture, by its name, and names it relative to itself; the
    PNG of a shape covers the pixels from the first point to the second, both included."""
    assert {path.stem for path in (folder / "photos").glob("*.json")} == NAMES
    found = []
    for path in (folder / "photos").glob("*.json"):
        record = json.loads(path.read_text())
        assert record.keys() >= {"version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth"}
        assert record["imagePath"] == f"{path.stem}.jpg"
        if path.stem == "nobody's":
            assert record["shapes"] == []
        else:
            with Image.open(path.parent / record["imagePath"]) as picture:
                assert picture.size == (record["imageWidth"], record["imageHeight"])
        for shape in record["shapes"]:
            assert (shape["shape_type"], shape["label"], shape["flags"]) == ("mask", "object", {})
            with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as image:
                part = np.array(image).astype(bool)
            (x0, y0), (x1, y1) = np.array(shape["points"]).astype(int)
            pixels = np.zeros((record["imageHeight"], record["imageWidth"]), np.uint8)
            pixels[y0 : y1 + 1, x0 : x1 + 1] = part
            found.append(coco_mask.encode(np.asfortranarray(pixels))["counts"].decode())
    assert sorted(found) == sorted(mask["segmentation"]["counts"] for mask in masks)


def islands(mask: dict[str, Any]) -> list[np.ndarray]:
    """The outer outlines of a mask as the extension draws them, in pixels, but the corner that repeats the first."""
    with duckdb_sam.connect() as con:
        text = con.execute("SELECT mask_to_wkt(?, 1.0)", [mask["segmentation"]]).fetchone()[0]
    polygons = shapely.get_parts(shapely.from_wkt(text))
    return [np.array(polygon.exterior.coords)[:-1] for polygon in polygons]


def test_label_studio(folder: Path, masks: list[dict[str, Any]]) -> None:
    tasks = json.loads((folder / "label_studio.json").read_text())
    found = {}
    for task in tasks:
        name = re.fullmatch(r"/data/local-files/\?d=photos/(.*)\.jpg", task["data"]["image"])[1]
        assert (PHOTOS / f"{name}.jpg").exists()
        (prediction,) = task["predictions"]
        assert prediction["model_version"] == "nano"
        for region in prediction["result"]:
            assert (region["type"], region["from_name"], region["to_name"]) == ("polygonlabels", "label", "image")
            assert (region["image_rotation"], region["value"]["polygonlabels"]) == (0, ["object"])
            size = [region["original_width"], region["original_height"]]
            points = np.array(region["value"]["points"]) / 100 * size
            found[region["id"]] = points
            assert len(points) >= 3
    expected = {
        f"mask{mask['row']}-{place}": outline for mask in masks for place, outline in enumerate(islands(mask), start=1)
    }
    assert found.keys() == expected.keys()
    for key, points in found.items():
        np.testing.assert_allclose(points, expected[key], atol=1e-9)


def test_yolo(folder: Path, masks: list[dict[str, Any]]) -> None:
    """As ultralytics reads it: the labels of images/NAME.jpg are labels/NAME.txt, of pictures without objects empty."""
    pictures = sorted((folder / "yolo" / "images").iterdir())
    assert {path.stem for path in pictures} == NAMES
    files = {path.stem: path.parents[1] / "labels" / f"{path.stem}.txt" for path in pictures}
    assert files.pop("nobody's").read_bytes() == b""
    for name, path in files.items():
        assert path.read_text()
        assert (folder / "yolo" / "images" / f"{name}.jpg").read_bytes() == (PHOTOS / f"{name}.jpg").read_bytes()
    assert (folder / "yolo" / "data.yaml").read_text().splitlines()[0] == "train: images"
    lines = [line.split() for path in files.values() for line in path.read_text().split("\n")]
    assert {line[0] for line in lines} == {"0"}
    assert all(len(line) >= 7 and len(line) % 2 for line in lines)
    assert all(0 <= float(number) <= 1 for line in lines for number in line[1:])
    got = sorted([float(number) for number in line[1:]] for line in lines)
    size = [mask["segmentation"]["size"][::-1] for mask in masks]
    expected = sorted(
        (outline / size[index]).round(6).ravel().tolist()
        for index, mask in enumerate(masks)
        for outline in islands(mask)
    )
    assert len(got) == len(expected)
    for some, others in zip(got, expected, strict=True):
        np.testing.assert_allclose(some, others, atol=1.1e-6)


def test_thumbnails_are_data_urls(folder: Path) -> None:
    urls = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", (folder / "recipes.csv").read_text())
    assert len(urls) == 2
    for url in urls:
        with Image.open(io.BytesIO(base64.b64decode(url))) as image:
            assert max(image.size) == 128
