"""``to_labelme``; labelme's own reader reads the same files in test_formats_others.py, where it is installed."""

from __future__ import annotations

import base64
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import PHOTOS
from duckdb_sam import Segmenter, to_labelme
from formats import PARTS, RING, blank, drawn, encoded, random_rows


def pixels_of(shape: dict[str, Any], height: int, width: int) -> np.ndarray:
    """As labelme draws a mask: the PNG covers the pixels from the first point to the second, both included."""
    (x0, y0), (x1, y1) = np.array(shape["points"]).astype(int)
    whole = np.zeros((height, width), bool)
    with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as image:
        whole[y0 : y1 + 1, x0 : x1 + 1] = np.array(image) > 0
    return whole


def test_every_pixel() -> None:
    rows, arrays = random_rows(empty=False)
    found = to_labelme(rows, root="")
    assert set(found) == {"a b.json", "c.d.e.json", "ü/日本.json", "plain.json", "no_ending.json"}
    masks = [(each, shape) for each in found.values() for shape in each["shapes"]]
    assert len(masks) == len(arrays)
    expected = sorted(arrays.items(), key=lambda item: item[0])
    for (record, shape), ((name, _), (pixels, kind)) in zip(masks, expected, strict=True):
        assert record["imagePath"] == name.rpartition("/")[2]
        assert (record["imageHeight"], record["imageWidth"]) == pixels.shape
        assert (shape["label"], shape["shape_type"], shape["flags"], shape["group_id"]) == (kind, "mask", {}, None)
        assert np.array_equal(pixels_of(shape, *pixels.shape), pixels)


def test_polygons() -> None:
    shapes = to_labelme({"a.png": [encoded(PARTS), encoded(RING), encoded(PARTS)]}, shape="polygon")["a.json"]["shapes"]
    assert [shape["group_id"] for shape in shapes] == [1, 1, 1, 1, None, 2, 2, 2, 2]
    height, width = PARTS.shape
    outlines = [np.array(shape["points"]) / [width, height] for shape in shapes]
    assert np.array_equal(sum(drawn(each.ravel().tolist(), PARTS.shape) for each in outlines[:4]), PARTS)
    assert np.array_equal(drawn(outlines[4].ravel().tolist(), RING.shape), RING)
    rough = to_labelme({"a.png": encoded(RING)}, shape="polygon", tolerance=1)["a.json"]["shapes"]
    assert len(rough[0]["points"]) < len(shapes[4]["points"]) / 2


def test_beside_the_images(tmp_path: Path) -> None:
    photos = tmp_path / "my photos"
    photos.mkdir()
    for name in ("coffee.jpg", "coins.jpg"):
        shutil.copy(PHOTOS / name, photos)
    seg = Segmenter()
    masks = {str(path): seg.generate(path, points_per_side=4) for path in sorted(photos.iterdir())}
    assert to_labelme(masks, photos) == photos
    assert json.loads((photos / "coins.json").read_text("utf-8"))["imagePath"] == "coins.jpg"
    with pytest.raises(FileExistsError, match=r"coffee.json and 1 more exist already"):
        to_labelme(masks, photos)
    to_labelme(masks, photos, overwrite=True)
    elsewhere = to_labelme(masks, tmp_path / "labels", categories={1: "cup"})
    record = json.loads((elsewhere / "coins.json").read_text("utf-8"))
    assert (elsewhere / record["imagePath"]).resolve() == photos / "coins.jpg"
    assert sorted(path.name for path in photos.iterdir()) == ["coffee.jpg", "coffee.json", "coins.jpg", "coins.json"]


def test_labels_and_what_is_wrong() -> None:
    rows = [
        {"name": "a.jpg", "mask": encoded(RING), "category": 3},
        {"name": "b.jpg", "mask": [], "width": 3, "height": 2},
    ]
    found = to_labelme(rows, categories={3: "cup"})
    assert found["a.json"]["shapes"][0]["label"] == "cup"
    assert (found["b.json"]["shapes"], found["b.json"]["imageWidth"]) == ([], 3)
    assert to_labelme(rows)["a.json"]["shapes"][0]["label"] == "3"
    with pytest.raises(ValueError, match=r"category 3 is not among the categories given: \[4\]"):
        to_labelme(rows, categories={4: "x"})
    with pytest.raises(ValueError, match="shape must be 'mask' or 'polygon', not 'circle'"):
        to_labelme(rows, shape="circle")
    with pytest.raises(ValueError, match="needs shape='polygon'"):
        to_labelme(rows, tolerance=1)
    with pytest.raises(ValueError, match=r"would both have the file 'x.json'"):
        to_labelme({"a/x.jpg": encoded(RING), "b/x.jpg": encoded(RING)})
    with pytest.warns(UserWarning, match="1 masks without pixels are left out"):
        assert to_labelme({"a.jpg": encoded(blank(2, 2))})["a.json"]["shapes"] == []
