"""``Mask`` and ``Masks`` against pycocotools, NumPy, shapely, Pillow and SQL."""

from __future__ import annotations

import copy
import gc
import io
import json
import pickle
from typing import Any

import numpy as np
import pytest
import shapely
from PIL import Image
from pycocotools import mask as coco

from conftest import PHOTOS
from duckdb_sam import Mask, Masks, Segmenter

COFFEE = PHOTOS / "coffee.jpg"


@pytest.fixture(scope="module")
def seg() -> Segmenter:
    return Segmenter()


@pytest.fixture(scope="module")
def mask(seg: Segmenter) -> Mask:
    return seg.predict(COFFEE, [0.5, 0.6])


def shape_of(random: np.random.Generator) -> np.ndarray:
    height, width = (int(side) for side in random.integers(1, random.choice([2, 5, 40, 200]), 2))
    pixels = random.random((height, width)) < random.choice([0, 0.01, 0.5, 0.99, 1])
    if random.random() < 0.3:
        pixels[: height // 2] = True
    return pixels


def test_random_masks_as_pycocotools() -> None:
    random = np.random.default_rng(11)
    for _ in range(300):
        pixels = shape_of(random)
        rle = coco.encode(np.asfortranarray(pixels, np.uint8))
        given = random.choice([rle, {**rle, "counts": rle["counts"].decode()}, {"segmentation": rle, "score": 1}])
        mask = Mask.from_record(given)
        array = mask.to_numpy()
        assert array.dtype == bool
        assert array.flags.c_contiguous
        assert np.array_equal(array, pixels)
        assert np.array_equal(coco.decode(mask.rle), pixels)
        assert (mask.area, list(mask.bbox)) == (coco.area(rle), coco.toBbox(rle).tolist())
        assert mask.size == pixels.shape
        outline = shapely.geometry.shape(mask)
        assert outline.is_valid
        assert outline.area == mask.area
        assert outline.equals(shapely.from_wkt(mask.wkt()))
        with Image.open(io.BytesIO(mask.png())) as image:
            assert np.array_equal(np.asarray(image), pixels * np.uint8(255))


def test_a_mask(mask: Mask) -> None:
    assert json.loads(json.dumps(mask.rle)) == mask.rle
    assert np.array_equal(mask.to_numpy(), coco.decode(mask.rle))
    assert coco.iou([mask.rle], [mask.rle], [0]).tolist() == [[1.0]]
    # where the encoder computes in bf16 some pixels at the edge differ
    assert mask.box == pytest.approx((75, 17, 75 + 403, 17 + 371), abs=3)
    assert mask.area == pytest.approx(107056, rel=0.01)
    numbers = f"predicted_iou={mask.predicted_iou:.2f}, stability_score={mask.stability_score:.2f}"
    assert repr(mask) == f"Mask(600 x 400, area={mask.area}, bbox={list(map(int, mask.bbox))}, {numbers})"
    assert mask.point is mask.crop_box is None


def test_polygon(con, mask: Mask) -> None:
    rings = mask.polygon(2)
    assert sum(len(ring) for island in rings for ring in island) < sum(len(r) for i in mask.polygon() for r in i) / 3
    outline = shapely.MultiPolygon([(island[0], island[1:]) for island in rings])
    (wkt,) = con.execute("SELECT mask_to_wkt(?::STRUCT(size INTEGER[], counts VARCHAR), 2.0)", [mask.rle]).fetchone()
    assert outline.equals(shapely.from_wkt(wkt))
    assert mask.wkt(2) == wkt
    empty = Mask.from_record({"size": [3, 4], "counts": "<"})
    assert (empty.polygon(), empty.area, empty.bbox, empty.wkt()) == ([], 0, (0, 0, 0, 0), "POLYGON EMPTY")
    assert not empty.to_numpy().any()


def test_from_and_to_records(con, seg: Segmenter, mask: Mask) -> None:
    assert Mask.from_record(mask.to_dict()) == mask
    found = seg.generate(COFFEE, points_per_side=6)[0]
    assert Mask.from_record(found.to_dict()) == found
    assert repr(found).endswith(f", point=[{found.point[0]:g}, {found.point[1]:g}])")
    for record, kind, message in [
        ({"area": 3}, ValueError, r"has segmentation, or size and counts; this one has \['area'\]"),
        ({"size": [2, 3], "counts": [6]}, TypeError, "counts must be COCO's compressed run lengths"),
        ({"size": [2, 3], "counts": "13"}, ValueError, "not a mask: "),
    ]:
        with pytest.raises(kind, match=message):
            Mask.from_record(record)


def test_equality_pickle_and_copies(seg: Segmenter, mask: Mask) -> None:
    other = seg.predict(COFFEE, [0.2, 0.2])
    assert mask != other
    assert len({mask, other, seg.predict(COFFEE, [0.5, 0.6]), copy.deepcopy(mask)}) == 2
    for each in (pickle.loads(pickle.dumps(mask)), copy.copy(mask)):
        assert each == mask
        assert each.overlay() == mask.overlay()  # the path is kept
    masks = pickle.loads(pickle.dumps(Masks([mask, other])))
    assert (type(masks), masks) == (Masks, [mask, other])
    with pytest.raises(AttributeError):
        mask.area = 3


def overlay(con, image: bytes, masks: list[Mask]) -> bytes:
    query = "SELECT image_overlay(?, ?::STRUCT(size INTEGER[], counts VARCHAR)[])"
    return con.execute(query, [image, [mask.rle for mask in masks]]).fetchone()[0]


def test_overlay(con, seg: Segmenter, mask: Mask) -> None:
    data = COFFEE.read_bytes()
    expected = overlay(con, data, [mask])
    with Image.open(COFFEE) as image:
        for given in (None, COFFEE, str(COFFEE), data):
            assert mask.overlay(given) == expected
        with Image.open(io.BytesIO(mask.overlay(np.asarray(image)))) as drawn:
            assert (drawn.format, drawn.size) == ("TIFF", image.size)
    (same,) = con.execute("SELECT image_overlay(?, ?::STRUCT(size INTEGER[], counts VARCHAR))",
                          [data, mask.rle]).fetchone()  # fmt: skip
    assert same == expected
    masks = seg.generate(COFFEE, points_per_side=6)
    assert masks.overlay() == overlay(con, data, masks)
    assert masks[1:3].overlay() == overlay(con, data, masks[1:3])
    with pytest.raises(ValueError, match="not an image to draw on: not a picture"):
        mask.overlay(b"nonsense")
    with pytest.raises(ValueError, match="451"):
        mask.overlay(PHOTOS / "chelsea.jpg")


def test_the_image_is_at_hand_for_a_while(seg: Segmenter) -> None:
    data = COFFEE.read_bytes()
    with Segmenter() as own:
        mask = own.predict(data, [0.5, 0.6])
        again = own.predict(data, [0.2, 0.2])
        assert mask.overlay() == mask.overlay(COFFEE)
        for number in range(8):
            own.predict(data + bytes([number]), [0.5, 0.6])
        gc.collect()
        for each in (mask, again, pickle.loads(pickle.dumps(own.predict(data, [0.5, 0.6])))):
            with pytest.raises(ValueError, match="not at hand: give it, overlay"):
                each.overlay()
            assert each._repr_html_().startswith("<figure")
    from_embedding = seg.predict(seg.embed(COFFEE), [0.5, 0.6])
    with pytest.raises(ValueError, match="not at hand"):
        from_embedding.overlay()
    assert from_embedding.overlay(COFFEE) == mask.overlay(COFFEE)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_notebooks(seg: Segmenter, mask: Mask, tmp_path) -> None:
    assert (opened(mask._repr_png_()).format, opened(mask._repr_png_()).size) == ("PNG", (600, 400))
    html = mask._repr_html_()
    assert html.startswith('<figure style="margin:0"><img src="data:image/png;base64,')
    assert f"<code>Mask(600 x 400, area={mask.area}" in html
    masks = seg.generate(COFFEE, points_per_side=6)
    assert f"<code>{len(masks)} masks</code>" in masks._repr_html_()
    assert Masks()._repr_html_() == '<figure style="margin:0"><figcaption><code>0 masks</code></figcaption></figure>'
    wide = seg.predict(np.zeros((30, 2000), np.uint8), box=[0, 0, 1, 1])
    assert opened(wide._repr_png_()).size == (640, 10)  # scaled down, a TIFF as PNG
    copied = tmp_path / "coffee.jpg"
    copied.write_bytes(COFFEE.read_bytes())
    gone = seg.predict(copied, [0.5, 0.6])
    copied.write_bytes((PHOTOS / "chelsea.jpg").read_bytes())  # of another size: the mask alone
    assert opened(gone._repr_png_()).mode == "L"
    copied.unlink()
    assert opened(gone._repr_png_()).mode == "L"


def test_lists(mask: Mask) -> None:
    masks = Masks([mask, mask])
    kinds: list[Any] = [type(masks[0]), type(masks[:1]), type(masks[-1])]
    assert kinds == [Mask, Masks, Mask]
