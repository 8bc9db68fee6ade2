"""What masks and images are measured as, against NumPy, Pillow, pycocotools and scikit-image."""

from __future__ import annotations

import io
import json
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageOps
from pycocotools import mask as coco

import regionprops
from masks import encode, shapes

MASK = pa.struct([("size", pa.list_(pa.int32())), ("counts", pa.string())])


def decode(mask: dict[str, Any]) -> np.ndarray:
    return coco.decode(mask).astype(bool)


def one(con: duckdb.DuckDBPyConnection, expression: str, *values: Any) -> Any:
    """Return the value of an expression whose ``$1`` and so on are masks, lists of masks, bytes and numbers."""

    def argument(value: Any) -> pa.Array:
        if isinstance(value, dict):
            return pa.array([value], MASK)
        if isinstance(value, list) and all(each is None or isinstance(each, dict) for each in value):
            return pa.array([value], pa.list_(MASK))
        if isinstance(value, np.ndarray):
            return pa.array([value.tolist()], pa.list_(pa.float64()))
        return pa.array([value])

    table = pa.table([argument(value) for value in values], names=[f"a{index}" for index in range(1, len(values) + 1)])
    con.register("arguments", table)
    [value] = con.execute(f"SELECT {expression.replace('$', 'a')} FROM arguments").fetchone()
    return value


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


# Masks


def test_place(con: duckdb.DuckDBPyConnection) -> None:
    random = np.random.default_rng(1)
    for mask in shapes(random, 200):
        (height, width), (y, x) = random.integers(0, 60, 2), random.integers(-50, 50, 2)
        whole = np.zeros((height + 400, width + 400), bool)
        whole[200 + y : 200 + y + mask.shape[0], 200 + x : 200 + x + mask.shape[1]] = mask
        expected = encode(whole[200 : 200 + height, 200 : 200 + width])
        placed = one(con, "mask_place($1, $2, $3, $4, $5)", encode(mask), *map(int, (x, y, height, width)))
        assert placed["size"] == [height, width]
        assert not min(height, width) or placed == expected


def same_size(random: np.random.Generator, count: int) -> list[np.ndarray]:
    """Return masks of one size that overlap: parts of each other, and others."""
    masks = [np.zeros((40, 50), bool) for _ in range(count)]
    for mask in masks:
        y, x = random.integers(0, 20), random.integers(0, 30)
        height, width = random.integers(0, 20, 2)
        mask[y : y + height, x : x + width] = random.random((height, width)) < random.choice([0.4, 0.9, 1])
    return masks


def box(mask: np.ndarray) -> np.ndarray:
    """Return the mask's box, filled."""
    filled = np.zeros_like(mask)
    if mask.any():
        y, x = np.nonzero(mask)
        filled[y.min() : y.max() + 1, x.min() : x.max() + 1] = True
    return filled


def greedy(masks: list[np.ndarray], scores: np.ndarray, threshold: float) -> list[int]:
    """Non-maximum suppression as torchvision defines it."""
    order, kept = list(np.argsort(-scores, kind="stable")), []
    while order:
        best = order.pop(0)
        kept.append(int(best) + 1)

        def iou(other: int, best: int = best) -> float:
            union = (masks[best] | masks[other]).sum()
            return (masks[best] & masks[other]).sum() / union if union else 0.0

        order = [other for other in order if iou(other) <= threshold]
    return kept


@pytest.mark.parametrize("by", ["mask", "box"])
def test_nms(con: duckdb.DuckDBPyConnection, by: str) -> None:
    random = np.random.default_rng(2)
    for _ in range(60):
        masks = same_size(random, random.integers(0, 40))
        scores = random.integers(0, 10, len(masks)) / 10  # some are equal
        threshold = float(random.choice([0, 0.05, 0.3, 0.7, 1]))
        expected = greedy([box(mask) for mask in masks] if by == "box" else masks, scores, threshold)
        found = one(con, "mask_nms($1, $2, $3, $4)", list(map(encode, masks)), scores, threshold, by)
        assert found == expected


def test_iou_matrix(con: duckdb.DuckDBPyConnection) -> None:
    random = np.random.default_rng(3)
    for _ in range(40):
        masks, others = (list(map(encode, same_size(random, random.integers(1, 20)))) for _ in range(2))
        crowds = (random.random(len(others)) < 0.4).tolist()
        assert (
            one(con, "mask_iou_matrix($1, $2, $3)", masks, others, crowds) == coco.iou(masks, others, crowds).tolist()
        )
        plain = coco.iou(masks, others, [False] * len(others)).tolist()
        assert one(con, "mask_iou_matrix($1, $2)", masks, others) == plain


def agrees(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare shapes. What is not there but for rounding is compared absolutely: the short axis of a line, the
    eccentricity of a circle. Where the axes are equal there is no orientation.
    """
    for name, value in expected.items():
        if name in ("eccentricity", "axis_minor_length"):
            assert found[name] == pytest.approx(value, rel=1e-9, abs=2e-6), name
        elif name == "orientation":
            axes = expected["axis_major_length"], expected["axis_minor_length"]
            if axes[0] - axes[1] > 1e-6 * axes[0]:
                turned = abs(found[name] - value)
                assert min(turned, np.pi - turned) < 1e-9 * max(1, axes[0] / (axes[0] - axes[1])), name
        else:
            assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name


def test_shape_is_that_of_scikit_image(con: duckdb.DuckDBPyConnection) -> None:
    rows = json.loads(regionprops.PATH.read_text())["rows"]
    assert len(rows) > 200
    for row in rows:
        agrees(one(con, "mask_shape($1)", row["mask"]), row["shape"])


def test_shape_with_scikit_image_at_hand(con: duckdb.DuckDBPyConnection) -> None:
    pytest.importorskip("skimage", reason="the values in test/data/regionprops.json are compared")
    for mask in shapes(np.random.default_rng(4), 600):
        if mask.any():
            agrees(one(con, "mask_shape($1)", encode(mask)), regionprops.measure(mask))


# Label images


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_labels_are_read_by_pillow(con: duckdb.DuckDBPyConnection, kind: str) -> None:
    random = np.random.default_rng(5)
    masks: list[Any] = [None if index % 50 == 7 else mask for index, mask in enumerate(same_size(random, 700))]
    expected = np.zeros((40, 50), np.uint16)
    for label, mask in reversed(list(enumerate(masks, 1))):
        if mask is not None:
            expected[mask] = label
    encoded = [mask if mask is None else encode(mask) for mask in masks]
    data = one(con, "mask_labels($1, $2)", encoded, kind)
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "I;16"
        assert (np.asarray(image) == expected).all()


def test_labels_are_read_by_tifffile_at_hand(con: duckdb.DuckDBPyConnection) -> None:
    tifffile = pytest.importorskip("tifffile", reason="read by Pillow above")
    masks = [np.arange(12).reshape(3, 4) == index for index in range(4)]
    data = one(con, "mask_labels($1, 'tiff')", list(map(encode, masks)))
    assert tifffile.imread(io.BytesIO(data)).tolist() == [[1, 2, 3, 4], [0] * 4, [0] * 4]


def palette(numbers: np.ndarray, bits: int) -> bytes:
    image = Image.fromarray(numbers.astype(np.uint8), "P")
    image.putpalette([7, 7, 7] * (1 << bits))  # colours tell nothing
    return saved(image, "PNG", bits=bits)


LABELS = {
    "8 bits": lambda labels: saved(Image.fromarray(labels.astype(np.uint8)), "PNG"),
    "16 bits": lambda labels: saved(Image.fromarray((labels * 3000).astype(np.uint16)), "PNG"),
    "16 bits, TIFF": lambda labels: saved(Image.fromarray((labels * 3000).astype(np.uint16)), "TIFF"),
    "32 bits": lambda labels: saved(Image.fromarray((labels * 100_000).astype(np.int32)), "TIFF"),
    "float": lambda labels: saved(Image.fromarray(labels.astype(np.float32)), "TIFF"),
    "palette": lambda labels: palette(labels, 8),
    "palette of 4 bits": lambda labels: palette(labels % 16, 4),
    "palette of 1 bit": lambda labels: palette(labels % 2, 1),
    "GIF": lambda labels: saved(Image.frombytes("L", labels.shape[::-1], labels.astype(np.uint8).tobytes()), "GIF"),
}


@pytest.mark.parametrize("kind", LABELS)
def test_masks_of_labels(con: duckdb.DuckDBPyConnection, kind: str) -> None:
    labels = np.random.default_rng(6).integers(0, 20, (9, 13)).repeat(3, 0).repeat(2, 1)
    data = LABELS[kind](labels)
    with Image.open(io.BytesIO(data)) as image:
        read = np.asarray(image)
    expected = [(int(label), encode(read == label)) for label in np.unique(read) if label]
    found = one(con, "masks_from_labels($1)", data)
    assert [(each["label"], each["segmentation"]) for each in found] == expected
    assert [each["area"] for each in found] == [(read == each["label"]).sum() for each in found]
    assert [each["bbox"] for each in found] == [coco.toBbox(each["segmentation"]).tolist() for each in found]


def test_fractions_are_no_labels(con: duckdb.DuckDBPyConnection) -> None:
    data = saved(Image.fromarray(np.array([[0, 1.5]], np.float32)), "TIFF")
    with pytest.raises(duckdb.InvalidInputException, match=r"the image has the value 1\.5; the values"):
        one(con, "masks_from_labels($1)", data)


# Values


def pictures() -> dict[str, tuple[bytes, np.ndarray]]:
    """Return images of all kinds with the values that NumPy has of them: height, width, channels."""
    random, found = np.random.default_rng(7), {}
    for mode, channels in [("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4)]:
        values = random.integers(0, 256, (31, 47, channels), dtype=np.uint8)
        image = Image.frombytes(mode, (47, 31), values.tobytes())
        found[f"{mode} PNG"] = (saved(image, "PNG"), values)
        found[f"{mode} TIFF"] = (saved(image, "TIFF"), values)
    deep = random.integers(0, 65536, (31, 47, 1), dtype=np.uint16)
    found["16 bits PNG"] = (saved(Image.fromarray(deep[..., 0]), "PNG"), deep)
    found["16 bits TIFF"] = (saved(Image.fromarray(deep[..., 0]), "TIFF"), deep)
    whole = random.integers(-(2**23), 2**23, (31, 47, 1), dtype=np.int32)
    found["32 bits TIFF"] = (saved(Image.fromarray(whole[..., 0]), "TIFF"), whole)
    floats = random.normal(1000, 300, (31, 47, 1)).astype(np.float32)
    found["float TIFF"] = (saved(Image.fromarray(floats[..., 0]), "TIFF"), floats)
    colours = Image.frombytes("RGB", (47, 31), random.integers(0, 256, (31, 47, 3), dtype=np.uint8).tobytes()).quantize(
        9
    )
    found["palette PNG"] = (saved(colours, "PNG"), np.asarray(colours.convert("RGB")))
    return found


PICTURES = pictures()


@pytest.mark.parametrize("kind", PICTURES)
def test_stats(con: duckdb.DuckDBPyConnection, kind: str) -> None:
    data, values = PICTURES[kind]
    random = np.random.default_rng(8)
    masks = [random.random(values.shape[:2]) < part for part in (0.01, 0.1, 0.5, 0.9, 1)]
    masks.append(np.zeros(values.shape[:2], bool))
    found = one(con, "mask_stats($1, $2)", data, [*map(encode, masks), None])
    channels = values.shape[2]
    assert [(each["mask"], each["channel"]) for each in found] == [
        (mask, channel) for mask in range(1, 7) for channel in range(1, channels + 1)
    ]
    for each in found:
        inside = values[..., each["channel"] - 1][masks[each["mask"] - 1]].astype(np.float64)
        assert each["count"] == len(inside)
        if not len(inside):
            assert {each[name] for name in ("mean", "std", "min", "max", "median", "sum")} == {None}
            continue
        for name in ("mean", "std", "sum"):
            assert each[name] == pytest.approx(getattr(inside, name)(), rel=1e-12, abs=1e-9), name
        assert (each["min"], each["max"], each["median"]) == (inside.min(), inside.max(), np.median(inside))


@pytest.mark.parametrize("kind", ["L PNG", "RGB PNG", "16 bits TIFF", "float TIFF"])
def test_stats_with_scikit_image_at_hand(con: duckdb.DuckDBPyConnection, kind: str) -> None:
    measure = pytest.importorskip("skimage.measure", reason="compared with NumPy above")
    data, values = PICTURES[kind]
    labels = np.random.default_rng(9).integers(0, 5, values.shape[:2])
    masks = [encode(labels == label) for label in range(1, 5)]
    names = ["intensity_mean", "intensity_std", "intensity_min", "intensity_max"]
    table = measure.regionprops_table(labels, values, properties=names)
    for each in one(con, "mask_stats($1, $2)", data, masks):
        for name in names:
            column = table[name if name in table else f"{name}-{each['channel'] - 1}"]
            # scikit-image computes those of floats in single precision.
            assert each[name.removeprefix("intensity_")] == pytest.approx(column[each["mask"] - 1], rel=1e-5), name


@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_lie_in_the_upright_image(con: duckdb.DuckDBPyConnection, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    values = np.random.default_rng(orientation).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    data = saved(Image.fromarray(values), "PNG", exif=exif.tobytes())
    with Image.open(io.BytesIO(data)) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    mask = np.zeros(upright.shape[:2], bool)
    mask[3:9, 5:17] = True
    found = one(con, "mask_stats($1, $2)", data, encode(mask))
    assert [each["sum"] for each in found] == upright[mask].sum(0).tolist()
    assert one(con, "image_pixels($1).pixels", data) == upright.ravel().tolist()


@pytest.mark.parametrize("kind", PICTURES)
def test_pixels(con: duckdb.DuckDBPyConnection, kind: str) -> None:
    data, values = PICTURES[kind]
    found = one(con, "image_pixels($1)", data)
    assert (found["height"], found["width"], found["channels"]) == values.shape
    assert (np.array(found["pixels"], np.float32) == values.ravel().astype(np.float32)).all()
    for channel in range(values.shape[2]):
        found = one(con, "image_pixels($1, $2)", data, channel + 1)
        assert (found["channels"], len(found["pixels"])) == (1, values.shape[0] * values.shape[1])
        assert (np.array(found["pixels"], np.float32) == values[..., channel].ravel().astype(np.float32)).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_image_from_pixels(con: duckdb.DuckDBPyConnection, channels: int) -> None:
    random = np.random.default_rng(10)
    for sample, highest in [("uint8", 255), ("uint16", 65535)]:
        values = random.integers(0, highest + 1, (11, 7, channels))
        values.ravel()[:2] = [0, highest]
        for kind in (pa.float32(), pa.float64()):
            con.register("values", pa.table({"v": pa.array([values.ravel().tolist()], pa.list_(kind))}))
            [data] = con.execute(f"SELECT image_from_pixels(v, 11, 7, {channels}, '{sample}') FROM values").fetchone()
            assert one(con, "image_pixels($1).pixels", data) == values.ravel().tolist()
            if sample == "uint8" or channels == 1:  # Pillow reads others of 16 bits as 8
                with Image.open(io.BytesIO(data)) as image:
                    assert (np.asarray(image).reshape(values.shape) == values).all()


# Pages


def test_pages_are_those_of_image_page(con: duckdb.DuckDBPyConnection) -> None:
    random = np.random.default_rng(11)
    stack = [Image.fromarray(random.integers(0, 65536, (9, 8), dtype=np.uint16)) for _ in range(5)]
    frames = [Image.fromarray(random.integers(0, 256, (9, 8, 3), dtype=np.uint8)).quantize(16) for _ in range(5)]
    data = {
        "TIFF": saved(stack[0], "TIFF", save_all=True, append_images=stack[1:]),
        "GIF": saved(frames[0], "GIF", save_all=True, append_images=frames[1:], disposal=[1, 2, 3, 3, 2]),
    }
    for kind, file in data.items():
        pages = one(con, "image_pages($1)", file)
        assert pages == [one(con, "image_page($1, $2)", file, number) for number in range(1, 6)]
        with Image.open(io.BytesIO(file)) as image:
            for index, page in enumerate(pages):
                image.seek(index)
                with Image.open(io.BytesIO(page)) as read:
                    mode = "I;16" if kind == "TIFF" else "RGBA"
                    assert (np.asarray(read.convert(mode)) == np.asarray(image.convert(mode))).all(), index


def test_frames_after_the_first_that_are_not_read_are_an_error(con: duckdb.DuckDBPyConnection) -> None:
    frames = [Image.new("RGB", (8, 9), colour) for colour in ("red", "blue")]
    data = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(duckdb.InvalidInputException, match="image_pages: the WebP uses a feature"):
        one(con, "image_pages($1)", data)


def test_pages_have_a_limit(con: duckdb.DuckDBPyConnection) -> None:
    random = np.random.default_rng(12)
    stack = [Image.fromarray(random.integers(0, 65536, (300, 300), dtype=np.uint16)) for _ in range(8)]
    data = saved(stack[0], "TIFF", save_all=True, append_images=stack[1:])
    con.execute("CALL sam_configure(mask_limit_mb := 1)")
    with pytest.raises(duckdb.InvalidInputException, match="need more than the limit of 1000000 bytes at once"):
        one(con, "image_pages($1)", data)


@pytest.mark.parametrize(
    "kind, gap", [("float32", -3.4028234663852886e38), ("int32", -9999), ("uint16", 65535), ("uint8", 0)]
)
def test_no_data_is_left_out(con: duckdb.DuckDBPyConnection, kind: str, gap: float) -> None:
    values = np.random.default_rng(4).integers(1, 200, (12, 17)).astype(kind)
    values[2:5, 3:9] = gap
    file = io.BytesIO()
    Image.fromarray(values).save(file, "TIFF", tiffinfo={42113: str(gap)})
    masked = np.ma.masked_equal(values, np.dtype(kind).type(gap))
    query = """
        SELECT image_info($image).nodata, image_info(part).format, mask_stats(part, mask_place(mask, -1, -1, 10, 15))[1]
        FROM (SELECT image_crop($image, [1, 1, 15, 10]) AS part, mask_to_rle([1 FOR x IN range(204)], 12, 17) AS mask)
    """
    nodata, form, stats = con.execute(query, {"image": file.getvalue()}).fetchall()[0]
    inside = masked[1:11, 1:16].astype("float64")
    assert (nodata, form, stats["count"]) == (gap, "tiff", inside.count())
    assert stats["mean"] == pytest.approx(inside.mean()) and stats["min"] == inside.min()
    [part] = con.execute("SELECT image_crop(?::BLOB, [1, 1, 15, 10])", [file.getvalue()]).fetchall()[0]
    with Image.open(io.BytesIO(part)) as cut:
        assert np.array_equal(np.asarray(cut), values[1:11, 1:16])
