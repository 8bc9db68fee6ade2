"""What ``show`` makes of cells of every kind: images sound and broken, masks, prompts, texts that want to be HTML."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from PIL import Image
from pycocotools import mask as coco

import duckdb_sam
from conftest import PHOTOS
from duckdb_sam import show
from duckdb_sam.gallery.outlines import GRID, is_mask, path
from duckdb_sam.gallery.pictures import bytes_in_words
from galleries import Row, parsed, rows

COFFEE = (PHOTOS / "coffee.jpg").read_bytes()


def one(**columns: Any) -> Row:
    """Show one row."""
    [row] = rows(show([columns]))
    return row


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def size(row: Row) -> tuple[int, int]:
    """Width and height of the thumbnail of a row."""
    [image] = row.images
    with Image.open(io.BytesIO(base64.b64decode(image.attributes["src"].partition(",")[2]))) as opened:
        opened.load()
        return opened.size


def covered(commands: str) -> Any:
    """What a path covers by the rule of crossings."""
    whole = shapely.Polygon()
    for ring in commands.split("M")[1:]:
        numbers = [int(each) for each in re.findall(r"-?\d+", ring)]
        corners = np.array(numbers).reshape(-1, 2).cumsum(axis=0)
        whole = whole.symmetric_difference(shapely.Polygon(corners).buffer(0))
    return whole


def square(height: int, width: int, top: int, left: int, side: int) -> dict[str, Any]:
    pixels = np.zeros((height, width), np.uint8, order="F")
    pixels[top : top + side, left : left + side] = 1
    rle = coco.encode(pixels)
    return {"size": rle["size"], "counts": rle["counts"].decode()}


MASK = json.dumps(square(40, 60, 0, 0, 9))

# Images


def test_large_images_become_small() -> None:
    assert size(one(image=encoded(Image.new("RGB", (6000, 3000), "teal"), "JPEG"))) == (480, 240)
    assert size(one(image=COFFEE)) == (480, 320)
    [row] = rows(show([{"image": COFFEE}], size=64))
    assert size(row) == (64, 43)


def test_photos_are_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.new("RGB", (80, 40), "red"), "JPEG", exif=exif)
    assert size(one(image=data)) == (40, 80)
    row = one(image=data, mask=square(80, 40, 0, 0, 20))
    assert len(row.images) == len(row.paths) == 1
    assert "without its image" not in row.captions[0]


def test_more_than_8_bits_are_stretched() -> None:
    deep = Image.fromarray((np.arange(1200).reshape(30, 40) * 50).astype(np.uint16))
    assert one(image=encoded(deep, "PNG")).captions == ["40 × 30 PNG, uint16 stretched to 8 bits, grey"]
    assert one(image=encoded(deep, "TIFF")).captions == ["40 × 30 TIFF, uint16 stretched to 8 bits, grey"]


def test_transparency_is_kept() -> None:
    data = encoded(Image.new("RGBA", (50, 40), (255, 0, 0, 100)), "PNG")
    assert one(image=data).images[0].attributes["src"].startswith(("data:image/png", "data:image/webp"))


def test_arrays_of_other_forms_are_drawn_or_say_why_not() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    assert size(one(image=pixels[..., 0] > 0)) == (60, 40)
    assert "its channels come first; give array.transpose(1, 2, 0)" in one(image=pixels.transpose(2, 0, 1)).broken[0]
    assert "must be 1 (grey), 3 (RGB) or 4 (RGBA)" in one(image=pixels[..., :2]).broken[0]
    assert "is a batch: give one image at a time" in one(image=pixels[None]).broken[0]
    assert one(pixels=pixels[..., 0] > 0).broken == []


def test_lists_of_images_and_structs_with_one(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    pages = [Image.new("L", (60, 40), value) for value in range(9)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    read = f"FROM read_blob('{tmp_path}/stack.tif')"
    [row] = rows(show(f"SELECT image_pages(content) AS pages {read}", con=con))
    assert len(row.images) == 6
    assert row.values == {"pages": "9 images, of which 6 are drawn; unnest(pages) makes a row of each"}
    [row] = rows(show(f"SELECT image_pages(content)[:2] AS pages, $${MASK}$$ AS mask {read}", con=con))
    assert (len(row.images), row.values) == (2, {})
    assert row.captions[0].endswith("without its image")  # it is not known which page it is of
    [row] = rows(show(f"SELECT image_tile(content, 30, 0) AS tiles {read}", con=con))
    assert len(row.images) == 4
    assert '"x": 30' in row.values["tiles"]
    found = rows(show(f"SELECT unnest(image_tile(content, 30, 0)) AS tile {read}", con=con))
    assert [len(row.images) for row in found] == [1] * 4
    assert one(files=[b"no", b"image"]).values == {"files": '["2 bytes", "5 bytes"]'}
    assert one(files=[]).values == {"files": "[]"}


def test_what_is_no_image_is_said(tmp_path: Path) -> None:
    assert one(image=COFFEE[:3000]).broken == ["damagedthe JPEG is damaged or truncated: Exhausted data in the image"]
    assert one(image=b"no image").broken[0].startswith("no image")
    assert "HEIC" in one(image=b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50)).broken[0]
    assert one(image=str(tmp_path / "a.jpg")).broken == [f"not foundthere is no file {tmp_path / 'a.jpg'}"]
    assert "read it first" in one(image="https://example.com/a.jpg").broken[0]
    assert one(image=None).values == {"image": "NULL"}
    [row] = rows(show([{"image": encoded(Image.new("L", (1500, 1500)), "PNG")}], settings={"image_megapixels": 1}))
    assert "image_megapixels" in row.broken[0]


def test_binary_columns_that_are_no_images() -> None:
    row = one(image=COFFEE, key=b"\x00\x01", digest=bytes(32), nothing=b"")
    assert row.values == {"key": "2 bytes, no image", "digest": "32 bytes, no image", "nothing": "0 bytes, no image"}
    assert set(row.classes.values()) == {"binary"}
    good, bad = rows(show([{"scan": COFFEE}, {"scan": b"bad"}]))  # a column of images with one that is none
    assert good.images
    assert bad.broken


def test_embeddings_are_named(con: duckdb.DuckDBPyConnection) -> None:
    [row] = rows(show(con.sql(f"SELECT sam_embed('nano', content) AS e FROM read_blob('{PHOTOS}/coffee.jpg')")))
    assert row.values["e"].startswith("embedding of an image of 600 × 400 pixels, ")


def test_images_that_are_pixels() -> None:
    array = np.full((40, 60, 3), 200, np.uint8)
    assert size(one(image=Image.fromarray(array))) == size(one(image=array)) == (60, 40)
    frame = pandas.DataFrame({"image": [array, None]})
    first, second = rows(show(frame))
    assert size(first) == (60, 40)
    assert second.values == {"image": "NULL"}
    tensor = pa.fixed_shape_tensor(pa.uint8(), [40, 60, 3])
    column = pa.ExtensionArray.from_storage(tensor, pa.array([array.reshape(-1)], tensor.storage_type))
    assert size(rows(show(pa.table({"pixels": column})))[0]) == (60, 40)
    struct = pa.array([{"bytes": COFFEE, "path": None}, {"bytes": None, "path": str(PHOTOS / "coins.jpg")}, None])
    first, second, third = rows(show(pa.table({"picture": struct})))
    assert size(first) == (480, 320)
    assert size(second) == (384, 303)
    assert third.values == {"picture": "NULL"}


def test_paths_are_drawn_where_there_is_no_other_image() -> None:
    coins = str(PHOTOS / "coins.jpg")
    assert one(filename=coins).images[0].attributes["alt"] == f"{coins}, filename"
    assert len(one(filename=coins, content=COFFEE).images) == 1
    assert len(one(filename=coins, path=coins).images) == 1
    assert one(name="nowhere.jpg").broken == []  # a name, and maybe of something else


# Masks


@pytest.mark.parametrize("form", ["record", "rle", "bytes", "runs", "json", "text"])
def test_masks_in_all_forms(form: str) -> None:
    rle = square(40, 60, 10, 20, 8)
    given = {
        "record": {"segmentation": rle, "area": 1, "predicted_iou": 0.5},
        "rle": rle,
        "bytes": {**rle, "counts": rle["counts"].encode()},
        "runs": {"size": [40, 60], "counts": [20 * 40 + 10, 8, *[32, 8] * 7, 40 * 60 - 27 * 40 - 18]},
        "json": json.dumps(rle),
        "text": json.dumps({"segmentation": rle}),
    }[form]
    assert is_mask(given)
    row = one(thing=given)
    assert row.paths[0].attributes["d"] == "M320 288l0-128 128 0 0 128z"
    assert "64 pixels (2.7 %)" in row.captions[0]
    assert ("IoU 0.50" in row.captions[0]) == (form == "record")


def test_dense_masks_lie_where_they_are(con: duckdb.DuckDBPyConnection) -> None:
    query = (
        "SELECT *, s.mask AS mask, sam_annotate('nano', image, [0.5, 0.6]) AS seg "
        "FROM (SELECT content AS image, sam_segment('nano', content, [0.5, 0.6]) AS s FROM read_blob(?))"
    )
    relation = con.sql(query, params=[str(PHOTOS / "coffee.jpg")])
    [row] = rows(show(relation))
    assert len(row.paths) == 3
    dense, flat, compact = ({each.attributes["data-mask"]: each for each in row.paths}[n] for n in "012")
    assert dense.attributes["d"] == flat.attributes["d"]
    there, here = (covered(each.attributes["d"]) for each in (dense, compact))
    assert there.symmetric_difference(here).area < 0.01 * here.area
    assert [chip.text for chip in row.chips] == ["s", "mask", "seg"]
    [[probabilities]] = con.execute(f"SELECT mask FROM ({query})", [str(PHOTOS / "coffee.jpg")]).fetchall()
    assert one(image=COFFEE, mask=probabilities).paths[0].attributes["d"] == flat.attributes["d"]
    array = np.array(probabilities).reshape(400, 600)
    assert one(image=COFFEE, mask=array > 0.5).paths[0].attributes["d"] == compact.attributes["d"]
    assert one(image=COFFEE, mask=[0.0, 1.0] * 60).faults == ["mask its 120 values are not those of 600 × 400 pixels"]
    assert one(mask=[0.0, 1.0] * 60).faults == ["mask the size of its image is not known"]


def test_lists_of_masks_have_colours_and_buttons() -> None:
    masks = [square(40, 60, 10, 20, side) for side in (20, 5, 8)]
    row = one(name="a", image=Image.new("RGB", (60, 40)), masks=masks, categories=["cup", "spoon", None])
    assert [each.attributes["data-mask"] for each in row.paths] == ["0", "2", "1"]  # the smaller above
    assert len({each.attributes["style"] for each in row.paths}) == 3
    assert [chip.text for chip in row.chips] == ["1 cup", "2 spoon", "3"]
    assert row.chips[1].attributes["aria-label"] == "2 spoon: 25 pixels (1 %)"
    assert [chip.attributes["tabindex"] for chip in row.chips] == ["0", "-1", "-1"]
    assert row.images[0].attributes["alt"] == "a, image with 3 masks"
    assert row.captions == ["3 masks"]


def test_many_masks_are_told_apart_and_limited() -> None:
    masks = [square(400, 400, place // 20 * 20, place % 20 * 20, 9) for place in range(320)]
    row = one(image=Image.new("RGB", (400, 400)), masks=masks)
    assert len(row.paths) == 300
    assert len({each.attributes["style"] for each in row.paths}) == 300
    assert row.values["masks"] == "320 masks, of which the first 300 are drawn"


def test_masks_without_pixels_without_image_or_wrong() -> None:
    image = Image.new("RGB", (60, 40))
    empty = one(image=image, mask=square(40, 60, 0, 0, 0))
    assert not empty.paths
    assert "0 pixels (0 %)" in empty.captions[0]
    assert one(image=image, mask={"size": [2, 3], "counts": "13"}).faults[0].startswith("mask the counts sum to 4")
    assert one(image=image, masks=[]).values == {"masks": "no masks"}
    assert one(image=image, masks=[None]).values == {"masks": "no masks"}
    assert one(image=image, masks=None).values == {"masks": "NULL"}
    assert one(mask=square(40, 60, 0, 0, 9)).captions == ["81 pixels (3.4 %); without its image"]
    other = one(image=image, mask=square(50, 50, 0, 0, 9))
    assert len(other.images) == 1
    assert other.captions[1].endswith("of 50 × 50 pixels, which no image of this row has")
    small = one(image=image.resize((30, 20)), mask=square(40, 60, 0, 0, 9))  # a thumbnail of the image
    assert small.captions == ["81 pixels (3.4 %); of 60 × 40 pixels, drawn smaller"]
    assert len(small.paths) == 1
    tile = one(image=image.resize((120, 80)), mask=square(40, 60, 0, 0, 9))  # it may be of any part of the image
    assert tile.captions == [
        "120 × 80 TIFF", "81 pixels (3.4 %); of 60 × 40 pixels, which no image of this row has",
    ]  # fmt: skip
    near = one(image=image.resize((57, 40)), mask=square(40, 60, 0, 0, 9))
    assert len(near.captions) == 2


def test_outlines_of_noise_stay_small() -> None:
    pixels = np.asfortranarray(np.random.default_rng(1).random((300, 400)) < 0.4).astype(np.uint8)
    pixels[50:150, 100:200] = 1
    rle = coco.encode(pixels)
    row = one(mask={"size": rle["size"], "counts": rle["counts"].decode()})
    assert 40 < len(row.paths[0].attributes["d"]) < 120_000
    dots = np.zeros((300, 400), np.uint8, order="F")
    dots[::2, ::2] = 1
    rle = coco.encode(dots)
    row = one(mask={"size": rle["size"], "counts": rle["counts"].decode()})
    assert row.captions == ["30,000 pixels (25 %), too fine to be drawn; without its image"]


def test_outlines_are_those_of_the_mask() -> None:
    ring = [(0.0, 0.0), (10.0, 0.0), (10.0, 5.0), (0.0, 5.0), (0.0, 0.0)]
    assert path([[ring]], 2.0) == "M0 0l20 0 0 10-20 0z"
    assert path([[ring]], 2.0, sideways=True) == "M0 0l0 20 10 0 0-20z"
    assert path([[ring]], 0.01) == path([[ring]], 2.0, least=30) == ""
    assert GRID == 960


# Prompts


def test_points_and_boxes() -> None:
    image = Image.new("RGB", (200, 100))
    row = one(image=image, points=[[0.25, 0.5], [0.75, 0.5]], labels=[1, 0], box=[0.1, 0.1, 0.9, 0.9])
    assert [(dot.attributes["class"], dot.attributes["style"]) for dot in row.dots] == [
        ("dot in", "left:25.00%;top:50.00%"),
        ("dot out", "left:75.00%;top:50.00%"),
    ]
    assert row.values == {}
    [box] = row.boxes
    assert [box.attributes[name] for name in ("x", "y", "width", "height")] == ["96", "48", "768", "384"]
    pixels = one(image=image, click=[50, 50], bbox=[20, 10, 160, 80])
    assert pixels.dots[0].attributes["style"] == "left:25.00%;top:50.00%"
    assert pixels.boxes[0].attributes == box.attributes
    prompts = one(image=image, prompts=[{"points": [[0.5, 0.5]], "labels": [0]}, {"box": [0, 0, 1, 1]}, None])
    assert [dot.attributes["class"] for dot in prompts.dots] == []  # one is NULL: no list of prompts
    prompts = one(image=image, prompts=[{"points": [[0.5, 0.5]], "labels": [0]}, {"box": [0, 0, 1, 1]}])
    assert [dot.attributes["class"] for dot in prompts.dots] == ["dot out"]
    assert len(prompts.boxes) == 1


def test_prompts_from_sql(con: duckdb.DuckDBPyConnection) -> None:
    query = f"""
        SELECT content AS image, [0.5, 0.6] AS point, [[0.1, 0.2], [0.3, 0.4]]::FLOAT[2][] AS points, [1, 0] AS labels,
            [60, 40, 540, 390]::INTEGER[4] AS box, [[0.1, 0.1, 0.2, 0.2]] AS boxes
        FROM read_blob('{PHOTOS}/coffee.jpg')"""
    [row] = rows(show(query, con=con))
    assert len(row.dots) == 3
    assert len(row.boxes) == 2
    assert row.values == {}


def test_what_only_looks_like_prompts_is_written() -> None:
    image = Image.new("RGB", (200, 100))
    assert one(image=image, point="here", box=[1, 2, 3], labels=["a"]).values.keys() == {"point", "box", "labels"}
    assert one(image=image, pair=[0.5, 0.5]).values == {"pair": "[0.5, 0.5]"}
    assert one(point=[0.5, 0.5]).values == {"point": "[0.5, 0.5]"}
    assert one(image=image, point=[float("nan"), 1.0]).dots == []


# Other values


def test_values_of_all_types(con: duckdb.DuckDBPyConnection) -> None:
    query = """
        SELECT 1 AS i, 170141183460469231731687303715884105727::HUGEINT AS h, 0.1 + 0.2 AS d, 1e-9::DOUBLE AS small,
            true AS b, DATE '2020-02-29' AS date, TIMESTAMPTZ '2020-02-29 12:00:00+00' AS t, INTERVAL 1 DAY AS iv,
            '0 days'::ENUM('0 days') AS e, uuid() AS u, {'a': [1, NULL], 'b': 'x'} AS s, MAP {1: 'a'} AS m,
            range(1000)::DOUBLE[] AS many, [0.5]::FLOAT[1] AS few, NULL AS n, 'NaN'::DOUBLE AS nan,
            [DATE '2020-01-01'] AS dates, '101'::BIT AS bits, [1, NULL, 3] AS holes, '{"a": 1}'::JSON AS j"""
    [row] = rows(show(query, con=con))
    values = row.values
    assert values.pop("u")
    assert values.pop("t").startswith("2020-02-29 ")
    assert values == {
        "i": "1", "h": "170141183460469231731687303715884105727", "d": "0.3", "small": "1e-09", "b": "true",
        "date": "2020-02-29", "iv": "1 day", "e": "0 days", "s": '{"a": [1, null], "b": "x"}', "m": '{"1": "a"}',
        "many": "[0, 1, 2, 3, 4, 5, …], 1,000 numbers", "few": "[0.5]", "n": "NULL", "nan": "NaN",
        "dates": '["2020-01-01"]', "bits": "101", "holes": "[1, NULL, 3]", "j": '{"a": 1}',
    }  # fmt: skip
    assert row.classes["i"] == "number"
    assert row.classes["n"] == "null"


def test_a_hundred_columns() -> None:
    html = show([{"image": COFFEE, **{f"c{place}": place for place in range(100)}}])._repr_html_()
    assert "<summary>92 more columns</summary>" in html
    [row] = rows(show([{f"c{place}": place for place in range(100)}]))
    assert len(row.values) == 100


def test_columns_with_one_name(con: duckdb.DuckDBPyConnection) -> None:
    frame = pandas.DataFrame([[1, 2]], columns=["a", "a"])
    for given in (con.sql("SELECT 1 AS a, 2 AS a"), con.cursor().execute("SELECT 1 AS a, 2 AS a"), frame):
        html = show(given)._repr_html_()
        assert re.findall(r"<dt>a</dt><dd[^>]*><bdi>(\d)", html) == ["1", "2"]
    html = show(pa.table([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "a", ""]))._repr_html_()
    assert html.count("<dt>") == 3


def test_long_texts() -> None:
    row = one(text="a" * 100_000)
    assert "100,000 letters" in row.values["text"]
    assert "96,000 more letters are not here" in row.values["text"]
    assert len(show([{"text": "a" * 100_000}])._repr_html_()) < 40_000


EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;"


def test_nothing_of_the_data_becomes_html() -> None:
    mask = {"segmentation": square(40, 60, 0, 0, 9), EVIL: EVIL}
    masks = [square(40, 60, 0, 0, 9), square(40, 60, 0, 0, 3)]
    gallery = show(
        [
            {"name": EVIL, "image": Image.new("RGB", (60, 40)), "mask": mask, "m": masks, "categories": [EVIL, EVIL],
             EVIL: EVIL, "error": EVIL, "long": EVIL * 30, "s": {EVIL: EVIL}},
            {"name": 1, EVIL: b"bad", "image": EVIL + ".jpg"},
        ],
        title=EVIL,
    )  # fmt: skip
    plain = show([{"name": "a", "image": Image.new("RGB", (60, 40)), "mask": mask}], title="a")
    for found, other in ((gallery._repr_html_(), plain._repr_html_()), (gallery.html(), plain.html())):
        tags = parsed(found).tags
        assert tags.count("script") == parsed(other).tags.count("script") == 1
        assert tags.count("img") == 1
        assert "onerror=alert(2)>" not in found
    first, second = rows(gallery)
    assert first.name == EVIL
    assert first.faults == [f"error {EVIL}"]
    assert first.values[EVIL] == EVIL


def test_texts_that_no_page_can_hold(tmp_path: Path) -> None:
    text = "a\x00b\x1b[31m\ud800 \u202eabc"
    assert one(text=text).values == {"text": "a\ufffdb\ufffd[31m? \u202eabc"}
    assert "<bdi>" in show([{"text": text}])._repr_html_()
    show([{"text": text}], title=text).save(tmp_path / "a.html")


def test_rows_that_failed() -> None:
    row = one(path="a.jpg", mask=None, reason="the JPEG is damaged", mask_error=None)
    assert row.faults == ["reason the JPEG is damaged"]
    assert row.values == {"mask": "NULL"}


def test_outlines_with_coordinates(tmp_path: Path) -> None:
    rle = square(40, 60, 10, 20, 8)
    target = tmp_path / "a.parquet"
    way = (0.5, 0, 500_000, 0, -0.5, 5_000_000)
    duckdb_sam.to_geoparquet([{"name": "a", "mask": rle}], target, transform=way, crs="EPSG:32633")
    html = show(target)._repr_html_()
    assert rows(show(target))[0].maps == rows(show(pq.read_table(target)))[0].maps == 1
    assert "4.00 × 4.00 units" in html
    assert "500,012" in html
    broken = one(geometry=b"\x01\x06\x00\x00\x00\xff\xff\xff\xff" + bytes(20))
    assert broken.broken == ["no outlinean empty or damaged geometry"]


def test_sizes_in_words() -> None:
    found = [bytes_in_words(count) for count in (0, 1, 999, 1000, 999_499, 999_999, 123_456_789, 5 * 10**12)]
    assert found == ["0 bytes", "1 byte", "999 bytes", "1 kB", "999 kB", "1 MB", "123 MB", "5e+03 GB"]
