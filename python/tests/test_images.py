"""Pictures against Pillow: sizes, formats, orientation, transparency, colour profiles, drawing."""

from __future__ import annotations

import io
import itertools
from typing import Any

import duckdb
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps
from pycocotools import mask as coco

from conftest import PHOTOS

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def encode(image: Any, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def open_(data: bytes) -> Any:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.fixture(scope="module")
def photo() -> Any:
    with Image.open(PHOTOS / "coffee.jpg") as image:
        return image.convert("RGB").resize((301, 200))


@pytest.fixture
def call(con: duckdb.DuckDBPyConnection) -> Any:
    def named(function: str, data: bytes, *others: Any) -> Any:
        return con.execute(f"SELECT image_{function}(?::BLOB{', ?' * len(others)})", [data, *others]).fetchone()[0]

    return named


def mask_of(pixels: np.ndarray) -> dict[str, Any]:
    rle = coco.encode(np.asfortranarray(pixels, np.uint8))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


@pytest.mark.parametrize("size", [(150, 100), (40, 199), (700, 333), (1, 1)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_resize_is_pillows(call: Any, photo: Any, size: tuple[int, int], mode: str) -> None:
    image = photo.copy()
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    got = open_(call("resize", encode(image, "PNG"), *size))
    assert (got.mode, got.size) == (mode, size)
    assert np.array_equal(np.array(got), np.array(image.resize(size, Image.BILINEAR)))


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [((300, 200), 90, (90, 60)), ((200, 300), 90, (60, 90)), ((300, 200), 300, (300, 200)), ((300, 2), 30, (30, 1))],
)
def test_thumbnail_keeps_the_shape(call: Any, size: Any, side: int, expected: Any) -> None:
    assert open_(call("thumbnail", encode(Image.new("RGB", size), "PNG"), side)).size == expected


@pytest.mark.parametrize("kind", FORMATS)
def test_format_is_kept(call: Any, photo: Any, kind: str) -> None:
    got = open_(call("thumbnail", encode(photo, kind), 100))
    assert got.format == {"GIF": "PNG"}.get(kind, kind)
    reference = open_(encode(photo, kind)).convert("RGB").resize(got.size, Image.BILINEAR)
    difference = np.abs(np.array(got.convert("RGB"), int) - np.array(reference, int))
    assert difference.mean() < (3.5 if kind == "JPEG" else 0.1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(call: Any, photo: Any, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(photo, kind, exif=exif.tobytes())
    got = open_(call("convert", data, "png"))
    assert got.getexif().get(0x0112, 1) == 1
    expected = ImageOps.exif_transpose(open_(data)).convert("RGB")
    assert got.size == expected.size
    assert np.abs(np.array(got, int) - np.array(expected, int)).max() <= (6 if kind == "JPEG" else 0)
    small = open_(call("thumbnail", data, 100))
    assert small.getexif().get(0x0112, 1) == 1
    assert (small.width > small.height) == (expected.width > expected.height)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_colour_profile_is_kept(call: Any, photo: Any, kind: str) -> None:
    data = encode(photo, kind, icc_profile=PROFILE)
    assert open_(call("thumbnail", data, 50)).info["icc_profile"] == PROFILE
    assert open_(call("crop", data, [0, 0, 20, 20])).info["icc_profile"] == PROFILE
    assert "icc_profile" not in open_(call("convert", encode(photo, kind), "png")).info


def test_a_profile_for_other_channels_is_not_kept(call: Any, photo: Any) -> None:
    cmyk = bytearray(PROFILE)
    cmyk[16:20] = b"CMYK"
    data = encode(photo.convert("CMYK"), "JPEG", icc_profile=bytes(cmyk))
    got = open_(call("thumbnail", data, 50))
    assert got.mode == "RGB"
    assert "icc_profile" not in got.info


@pytest.mark.parametrize("name", ["jpeg", "JPG", "png", "webp", "bmp", "tiff", "tif"])
def test_convert(call: Any, photo: Any, name: str) -> None:
    got = open_(call("convert", encode(photo, "PNG"), name))
    assert got.format.lower() == {"jpg": "jpeg", "tif": "tiff"}.get(name.lower(), name.lower())
    difference = np.abs(np.array(got.convert("RGB"), int) - np.array(photo, int))
    assert difference.mean() < (3 if got.format == "JPEG" else 1e-9)


@pytest.mark.parametrize("name", ["png", "webp", "tiff", "jpeg", "bmp"])
def test_transparency(call: Any, photo: Any, name: str) -> None:
    image = photo.copy()
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    got = open_(call("convert", encode(image, "PNG"), name))
    if name in ("jpeg", "bmp"):
        white = Image.new("RGBA", image.size, "white")
        expected = Image.alpha_composite(white, image).convert("RGB")
        assert np.abs(np.array(got.convert("RGB"), int) - np.array(expected, int)).mean() < 3
    else:
        assert np.array_equal(np.array(got), np.array(image))
    opaque = open_(call("convert", encode(photo.convert("RGBA"), "PNG"), "png"))
    assert opaque.mode == "RGB"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_grey_stays_grey(call: Any, photo: Any, kind: str) -> None:
    grey = photo.convert("L")
    got = open_(call("crop", encode(grey, kind), [10, 10, 100, 50]))
    assert got.mode == "L"
    difference = np.abs(np.array(got, int) - np.array(grey.crop((10, 10, 110, 60)), int))
    assert difference.mean() <= (4 if kind == "JPEG" else 0)
    drawn = open_(call("overlay", encode(grey, kind), mask_of(disc(photo, 100, 100, 50))))
    assert drawn.mode == "RGB"


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([10, 20, 30, 40], (10, 20, 40, 60)),
        ([0.5, 0.5, 1, 1], (0, 0, 2, 2)),
        ([-10, -10, 20, 20], (0, 0, 10, 10)),
        ([290, 190, 100, 100], (290, 190, 301, 200)),
        ([0, 0, 1e9, 1e9], (0, 0, 301, 200)),
    ],
)
def test_crop(call: Any, photo: Any, box: list[float], expected: Any) -> None:
    got = open_(call("crop", encode(photo, "PNG"), box))
    assert np.array_equal(np.array(got), np.array(photo.crop(expected)))


@pytest.mark.parametrize("box", [[0, 0, 0, 0], [5, 5, 0, 3], [301, 0, 5, 5], [-5, -5, 5, 5]])
def test_crop_of_nothing_is_null(call: Any, photo: Any, box: list[float]) -> None:
    assert call("crop", encode(photo, "PNG"), box) is None


def disc(photo: Any, x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[: photo.height, : photo.width]
    return np.hypot(rows - y, columns - x) < radius


def test_overlay_changes_what_the_mask_covers(call: Any, photo: Any) -> None:
    mask = disc(photo, 150, 100, 60)
    before = np.array(photo, int)
    after = np.array(open_(call("overlay", encode(photo, "PNG"), mask_of(mask))), int)
    assert np.array_equal(after[~mask], before[~mask])
    inner = mask & np.roll(mask, 1, 0) & np.roll(mask, -1, 0) & np.roll(mask, 1, 1) & np.roll(mask, -1, 1)
    contour = after[mask & ~inner]
    assert (contour == contour[0]).all()
    blend = before * (1 - 115 / 255) + contour[0] * (115 / 255)
    assert np.abs(after - blend)[inner].max() <= 1


def test_overlay_of_several_masks_has_distinct_colours(call: Any, photo: Any) -> None:
    masks = [disc(photo, 30 + 48 * (i % 6), 50 + 100 * (i // 6), 20) for i in range(12)]
    data = encode(photo, "PNG")
    after = np.array(open_(call("overlay", data, [mask_of(mask) for mask in masks])), int)
    contours = [after[mask][0] for mask in masks]
    for i, colour in enumerate(contours):
        for other in contours[:i]:
            assert np.abs(colour - other).sum() > 60, (colour, other)
    assert np.array_equal(np.array(open_(call("overlay", data, [mask_of(masks[0] & False)]))), np.array(photo))


def test_overlay_on_the_edge_of_words(call: Any) -> None:
    """Masks are kept in words of 64 pixels: widths around that, and masks that touch the border."""
    for width in (1, 63, 64, 65, 129):
        image = Image.new("RGB", (width, 5))
        after = np.array(open_(call("overlay", encode(image, "PNG"), mask_of(np.ones((5, width))))))
        assert (after.sum(2) > 0).all()
        edge = np.ones((5, width), bool)
        edge[1:-1, 1:-1] = False
        assert (after == after[0, 0]).all(2).tolist() == edge.tolist()


def test_cutout(call: Any, photo: Any) -> None:
    mask = disc(photo, 200, 90, 50) & ~disc(photo, 200, 90, 10)
    got = open_(call("cutout", encode(photo, "JPEG", quality=95), mask_of(mask)))
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    assert (got.format, got.mode) == ("PNG", "RGBA")
    assert np.array_equal(np.array(got)[..., 3], mask[box] * np.uint8(255))
    assert call("cutout", encode(photo, "PNG"), mask_of(mask & False)) is None


@pytest.mark.parametrize(("size", "overlap"), [(64, 0), (64, 16), (60, 57), (1000, 10), (301, 0), (200, 1)])
def test_tiles_cover_the_picture(con: duckdb.DuckDBPyConnection, photo: Any, size: int, overlap: int) -> None:
    data = encode(photo, "PNG")
    seen = np.zeros((photo.height, photo.width), int)
    query = "SELECT unnest(image_tile(?::BLOB, ?, ?), recursive := true)"
    tiles = con.execute(query, [data, size, overlap]).fetchall()
    for x, y, tile in tiles:
        image = open_(tile)
        assert image.size == (min(size, photo.width), min(size, photo.height))
        assert np.array_equal(np.array(image), np.array(photo.crop((x, y, x + image.width, y + image.height))))
        seen[y : y + image.height, x : x + image.width] += 1
    assert seen.min() >= 1
    starts = sorted({x for x, _, _ in tiles})
    assert all(later - earlier <= size - overlap for earlier, later in itertools.pairwise(starts))


def test_hash_tells_pictures_apart(con: duckdb.DuckDBPyConnection) -> None:
    photos = f"FROM read_blob('{PHOTOS}/*.jpg')"
    con.execute(f"CREATE TABLE p AS SELECT filename, content AS image, image_hash(content) AS h {photos}")
    con.execute("""
        CREATE TABLE d AS
        SELECT a.filename = b.filename AS same, bit_count(xor(a.h, b.hash)) AS bits
        FROM p AS a, (SELECT filename, unnest([image_hash(image_thumbnail(image, 200)), image_hash(image_convert(image,
            'png')), image_hash(image_resize(image, 300, 200))]) AS hash FROM p) AS b""")
    assert con.execute("SELECT max(bits) <= 4 FROM d WHERE same").fetchone() == (True,)
    assert con.execute("SELECT min(bits) >= 14 FROM d WHERE NOT same").fetchone() == (True,)


def test_damaged_pictures_are_null_with_a_reason(con: duckdb.DuckDBPyConnection, photo: Any) -> None:
    good = encode(photo, "JPEG")
    rows = [good, good[: len(good) // 2], b"no picture", b"", None]
    con.execute("CREATE TABLE t (id INTEGER, image BLOB)")
    con.executemany("INSERT INTO t VALUES (?, ?)", list(enumerate(rows)))
    for function in (
        "thumbnail(image, 10)",
        "resize(image, 5, 5)",
        "convert(image, 'png')",
        "crop(image, [0, 0, 5, 5])",
        "tile(image, 100, 0)",
        "hash(image)",
    ):
        found = con.execute(f"SELECT image_{function} IS NULL FROM t ORDER BY id").fetchall()
        assert found == [(False,), (True,), (True,), (True,), (True,)], function
    reasons = [reason for (reason,) in con.execute("SELECT image_error(image) FROM t ORDER BY id").fetchall()]
    assert reasons[0] is reasons[4] is None
    assert "truncated" in reasons[1]
    assert "not a picture" in reasons[2]
    assert "empty" in reasons[3]


def as_levels(samples: np.ndarray) -> np.ndarray:
    """The rule for samples of more than 8 bits: from the lowest in the picture to the highest."""
    values = samples.astype(np.float64)
    return np.floor((values - values.min()) * 255 / (values.max() - values.min()) + 0.5).astype(np.uint8)


def test_deep_samples_are_stretched_everywhere(con: duckdb.DuckDBPyConnection, photo: Any) -> None:
    grey = np.asarray(photo.convert("L")).astype(np.uint16)
    deep = encode(Image.fromarray(grey * 11 + 900), "PNG")
    plain = encode(Image.fromarray(as_levels(grey)), "PNG")
    ask = "SELECT {} FROM (SELECT unnest([?::BLOB, ?::BLOB]) AS x)"
    for call in (
        "image_hash(x)",
        "image_convert(x, 'bmp')",
        "image_thumbnail(image_convert(x, 'bmp'), 50)",
        "image_tile(image_convert(x, 'png'), 128, 0)",
        "sam_annotate('nano', x, [0.5, 0.5])",
        "sam_embed('nano', x)",
    ):
        found = con.execute(ask.format(call), [deep, plain]).fetchall()
        assert found[0] == found[1], call
    info = con.execute("SELECT image_info(?::BLOB)", [deep]).fetchone()[0]
    assert (info["sample"], info["pages"]) == ("uint16", 1)


def test_the_plain_high_byte(call: Any, photo: Any) -> None:
    grey = np.asarray(photo.convert("L")).astype(np.uint16) * 11 + 900
    deep = encode(Image.fromarray(grey), "PNG")
    assert np.array_equal(np.array(open_(call("convert", deep, "png"))), as_levels(grey))
    assert np.array_equal(np.array(open_(call("convert", deep, "png", "own"))), as_levels(grey))
    assert np.array_equal(np.array(open_(call("convert", deep, "png", "full"))), (grey >> 8).astype(np.uint8))
    floats = encode(Image.fromarray((grey / 65535).astype(np.float32)), "TIFF")
    expected = np.round((grey / 65535).astype(np.float32) * 255.0).astype(np.uint8)
    assert np.array_equal(np.array(open_(call("convert", floats, "png", "full"))), expected)
    assert np.array_equal(np.array(open_(call("convert", floats, "png"))), as_levels((grey / 65535).astype(np.float32)))


def test_pages_of_a_tiff(con: duckdb.DuckDBPyConnection, call: Any, photo: Any) -> None:
    grey = np.asarray(photo.convert("L"))
    deep = grey.astype(np.uint16) * 200
    pages = [photo, Image.fromarray(grey), Image.fromarray(deep), photo.convert("1")]
    data = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert con.execute("SELECT image_info(?::BLOB).pages", [data]).fetchone() == (4,)
    got = [open_(call("page", data, number)) for number in (1, 2, 3, 4)]
    assert [image.mode for image in got] == ["RGB", "L", "I;16", "L"]
    assert np.array_equal(np.array(got[0]), np.array(photo))
    assert np.array_equal(np.array(got[1]), grey)
    assert np.array_equal(np.array(got[2]), deep)
    assert np.array_equal(np.array(got[3]), np.array(pages[3].convert("L")))
    with pytest.raises(duckdb.Error, match="no page 5: the TIFF has 4"):
        call("page", data, 5)


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
def test_frames_of_a_gif(call: Any, disposal: int) -> None:
    frames = [Image.new("RGBA", (40, 30), colour) for colour in ("red", "green", "blue", "white")]
    for index, frame in enumerate(frames):
        frame.paste((0, 0, 0, 0), (index * 5, index * 4, index * 5 + 12, index * 4 + 9))
        frame.paste((index * 60, 90, 200, 255), (20, 3 * index, 30, 20))
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:], disposal=disposal, duration=100)
    with Image.open(io.BytesIO(data)) as image:
        for number in range(1, image.n_frames + 1):
            image.seek(number - 1)
            expected = np.array(image.convert("RGBA"))
            got = np.array(open_(call("page", data, number)).convert("RGBA"))
            assert np.array_equal(got[..., 3], expected[..., 3]), number
            seen = expected[..., 3] > 0
            assert np.array_equal(got[seen], expected[seen]), number


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_parts_of_a_compressed_tiff_are_compressed(call: Any, photo: Any, compression: str, mode: str) -> None:
    if (compression, mode) == ("jpeg", "RGBA"):
        pytest.skip("no such TIFF")
    image = photo.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    data = encode(image.convert(mode), "TIFF", compression=compression, icc_profile=PROFILE)
    got = open_(call("crop", data, [10, 20, 200, 150]))
    assert got.info["compression"] == ("raw" if compression == "raw" else "tiff_adobe_deflate")
    assert got.mode == mode
    assert ("icc_profile" in got.info) == (mode != "L")
    expected = open_(data).crop((10, 20, 210, 170))
    assert np.abs(np.array(got, int) - np.array(expected, int)).max() <= (4 if compression == "jpeg" else 0)
    raw = 200 * 150 * len(mode)
    assert (len(call("crop", data, [10, 20, 200, 150])) < raw) == (compression != "raw")


@pytest.mark.parametrize("quality", [1, 30, 75, 80, 95, 100])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_lossy_webp_is_pillows(call: Any, photo: Any, quality: int, mode: str) -> None:
    image = photo.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image = image.convert(mode)
    got = call("convert", encode(image, "PNG"), "webp", quality)
    pillows = encode(image, "WEBP", quality=quality)
    assert abs(len(got) - len(pillows)) < 0.02 * len(pillows)
    assert open_(got).mode == ("RGBA" if mode == "RGBA" else "RGB")
    kept = np.array(image.convert("RGBA"))
    seen = kept[..., 3:] > 0

    def loss(data: bytes) -> float:
        return float((((np.array(open_(data).convert("RGBA"), float) - kept) * seen) ** 2).mean())

    assert loss(got) <= 1.02 * loss(pillows) + 0.01
    assert np.array_equal(np.array(open_(got).convert("RGBA"))[..., 3], kept[..., 3])


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_lossy_webp_keeps_the_profile(call: Any, photo: Any, mode: str) -> None:
    image = photo.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    data = encode(image.convert(mode), "PNG", icc_profile=PROFILE)
    got, plain = open_(call("convert", data, "webp", 80)), open_(encode(image.convert(mode), "WEBP", quality=80))
    assert (got.mode, got.size, got.info["icc_profile"]) == (mode, image.size, PROFILE)
    assert np.abs(np.array(got, int) - np.array(plain, int)).mean() < 0.1


@pytest.mark.parametrize("quality", [10, 50, 95])
def test_quality_of_jpeg(call: Any, photo: Any, quality: int) -> None:
    got, pillows = call("convert", encode(photo, "PNG"), "jpeg", quality), encode(photo, "JPEG", quality=quality)
    tables = [open_(data).quantization for data in (got, pillows)]
    assert tables[0] == tables[1]


@pytest.mark.parametrize("name", sorted(path.name for path in PHOTOS.glob("*.jpg")))
def test_difference_hash_is_imagehashs(call: Any, name: str) -> None:
    """As imagehash.dhash computes it: Pillow's grey, LANCZOS, and whether the next is lighter."""
    with Image.open(PHOTOS / name) as image:
        lossless = image.convert("RGB")
    small = np.array(lossless.convert("L").resize((9, 8), Image.LANCZOS), int)
    bits = "".join(str(int(bit)) for bit in (small[:, 1:] > small[:, :-1]).flatten())
    assert call("hash", encode(lossless, "PNG"), "dhash") == int(bits, 2)


def test_soft_cutout(con: duckdb.DuckDBPyConnection, photo: Any) -> None:
    random = np.random.default_rng(5)
    probabilities = random.random((photo.height, photo.width), np.float32)
    probabilities[:20], probabilities[:, 290:] = 0.1, 0.25
    query = "SELECT image_cutout(?::BLOB, ?::FLOAT[])"
    data = con.execute(query, [encode(photo, "PNG"), probabilities.flatten().tolist()]).fetchone()[0]
    got = np.array(open_(data))
    alpha = np.clip((probabilities.astype(float) - 0.25) * 2, 0, 1)[20:, :290] * 255
    assert got.shape == (*alpha.shape, 4)
    assert np.abs(got[..., 3] - alpha).max() <= 0.501
    assert np.array_equal(got[..., :3], np.array(photo)[20:, :290])
