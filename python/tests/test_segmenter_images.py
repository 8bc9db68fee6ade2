"""What may be given as an image: the mask must be the one of the same pixels in a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from PIL import Image

from conftest import PHOTOS, ROOT
from duckdb_sam import Segmenter
from duckdb_sam.images import picture

COFFEE = PHOTOS / "coffee.jpg"
POINT = [0.5, 0.6]


@pytest.fixture(scope="module")
def seg() -> Segmenter:
    return Segmenter()


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    with Image.open(COFFEE) as image:
        return np.asarray(image)


def png(image: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, "PNG", **options)
    return file.getvalue()


def info(con: duckdb.DuckDBPyConnection, image: Any) -> tuple[Any, ...]:
    value = con.execute("SELECT image_info(?)", [picture(image).data]).fetchone()[0]
    return value["width"], value["height"], value["channels"], value["sample"]


def decoded(con: duckdb.DuckDBPyConnection, image: bytes) -> np.ndarray:
    """The pixels that the extension sees, by Pillow from a PNG of its making."""
    return np.asarray(Image.open(io.BytesIO(con.execute("SELECT image_convert(?, 'png')", [image]).fetchone()[0])))


def test_files(seg: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    data = COFFEE.read_bytes()
    expected = seg.predict(COFFEE, POINT)
    monkeypatch.setenv("HOME", str(PHOTOS))
    for given in (str(COFFEE), data, bytearray(data), memoryview(data), memoryview(data + b"x")[:-1], "~/coffee.jpg",
                  {"bytes": data, "path": None}, {"bytes": None, "path": str(COFFEE)}, {"bytes": data}):  # fmt: skip
        assert seg.predict(given, POINT) == expected
    with pytest.raises(IsADirectoryError):
        seg.predict(PHOTOS, POINT)


def test_arrays_of_8_bits(con, seg: Segmenter, pixels: np.ndarray) -> None:
    random = np.random.default_rng(1)
    alpha = np.dstack([pixels, random.integers(0, 256, pixels.shape[:2], np.uint8)])
    for array in (pixels, alpha, pixels[..., 0]):
        data = picture(array).data
        assert np.array_equal(decoded(con, data), array)
        assert seg.predict(array, POINT) == seg.predict(png(array), POINT)
    grey = pixels[..., :1]
    assert seg.predict(grey, POINT) == seg.predict(grey[..., 0], POINT)


def test_views_of_arrays(con, pixels: np.ndarray) -> None:
    for view in (pixels[::2, ::3], pixels[:, ::-1], pixels[..., ::-1], pixels.transpose(1, 0, 2), pixels[3:4, 5:6],
                 np.asfortranarray(pixels), np.broadcast_to(pixels[0, 0], (2, 2, 3))):  # fmt: skip
        assert np.array_equal(decoded(con, picture(view).data), view)


@pytest.mark.parametrize("kind", ["i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">u2", ">f4", ">i8"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_other_samples_keep_their_values(con, pixels: np.ndarray, kind: str, channels: int) -> None:
    array = np.dstack([pixels // 4, pixels[..., :1]])[..., :channels].astype(kind)
    assert info(con, array) == (600, 400, channels, np.dtype(kind).name)
    colours = array[..., :3].astype(np.float64)
    stretched = np.round((colours - colours.min()) / (colours.max() - colours.min()) * 255)
    got = decoded(con, picture(array).data).reshape(400, 600, -1)[..., :3]
    assert np.abs(got - stretched).max() <= 1


def test_floats_mean_the_same_in_any_scale(seg: Segmenter, pixels: np.ndarray) -> None:
    full = pixels.copy()
    full[0, 0], full[0, 1] = 0, 255  # stretched from 0 to 255: as it is
    expected = seg.predict(full, POINT)
    assert seg.predict((full / 255).astype(np.float32), POINT) == expected
    assert seg.predict(full.astype(np.float32), POINT) == expected
    assert seg.predict(full.astype(np.uint16) * 257, POINT) == expected


def test_bool(con, seg: Segmenter, pixels: np.ndarray) -> None:
    array = pixels[..., 0] > 100
    assert np.array_equal(decoded(con, picture(array).data), array * np.uint8(255))
    assert seg.predict(Image.fromarray(array), POINT) == seg.predict(array, POINT)


class Tensor:
    """As PyTorch's: known by ``__array__`` alone."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.array


def test_whatever_becomes_an_array(seg: Segmenter, pixels: np.ndarray) -> None:
    assert seg.predict(Tensor(pixels), POINT) == seg.predict(pixels, POINT)


@pytest.mark.parametrize(
    ("array", "kind", "message"),
    [
        (np.zeros((3, 40, 50), np.uint8), ValueError, r"\(3, 40, 50\) .*channels come first; .*transpose\(1, 2, 0\)"),
        (np.zeros((40, 50, 8), np.uint8), ValueError, r"\(40, 50, 8\) .*last axis must be 1 .*choose three bands"),
        (np.zeros((2, 40, 50, 3), np.uint8), ValueError, "is a batch"),
        (np.zeros(40, np.uint8), ValueError, r"not \(40,\)"),
        (np.zeros((0, 50, 3), np.uint8), ValueError, "has no pixels"),
        (np.zeros((4, 5), complex), TypeError, "not complex128"),
        (np.array([["a"]]), TypeError, "not <U1"),
        (12, TypeError, "image must be a path, bytes .*, not int"),
        (Path, TypeError, "not type"),
        ({"data": b""}, TypeError, r"keys 'bytes' and 'path', not \['data'\]"),
        ({"bytes": None, "path": None}, ValueError, "neither bytes nor a path"),
        (b"", ValueError, "empty"),
    ],
)
def test_what_is_no_image(seg: Segmenter, array: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        seg.predict(array, POINT)


MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "La", "CMYK", "YCbCr", "HSV"]


@pytest.mark.parametrize("mode", MODES)
def test_pillow_modes(con, pixels: np.ndarray, mode: str) -> None:
    image = Image.fromarray(pixels).resize((60, 40))
    if mode in ("RGBa", "La", "PA"):
        image = image.convert({"RGBa": "RGBA", "La": "LA", "PA": "P"}[mode])
    image = image.convert(mode)
    shown = {"1": "L", "L": "L", "LA": "LA", "La": "LA", "PA": "RGBA", "RGBA": "RGBA", "RGBa": "RGBA"}.get(mode, "RGB")
    assert np.array_equal(decoded(con, picture(image).data), decoded(con, png(image.convert(shown))))


def test_pillow_transparent_palette_and_colour(con, pixels: np.ndarray) -> None:
    palette = Image.fromarray(pixels).resize((60, 40)).quantize(16)
    for image, key in ((palette, 3), (Image.fromarray(pixels[:40, :60]), tuple(map(int, pixels[0, 0])))):
        with Image.open(io.BytesIO(png(image, transparency=key))) as read:
            assert np.array_equal(decoded(con, picture(read).data), np.asarray(read.convert("RGBA")))


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I", "F"])
def test_pillow_of_more_bits(con, seg: Segmenter, pixels: np.ndarray, mode: str) -> None:
    kind = {"I;16": "<u2", "I;16B": ">u2", "I": "<i4", "F": "<f4"}[mode]
    array = (pixels[..., 0].astype(np.float64) * 100 + 1000).astype(kind)
    image = Image.frombytes(mode, (600, 400), array.tobytes())
    assert info(con, image) == (600, 400, 1, np.dtype(kind).name)
    assert seg.predict(image, POINT) == seg.predict(array, POINT)


def test_pillow_refused() -> None:
    with pytest.raises(ValueError, match=r"mode LAB .*PIL\.ImageCms"):
        picture(Image.new("LAB", (4, 4)))


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_pillow_is_upright(con, seg: Segmenter, orientation: int) -> None:
    path = ROOT / "test" / "data" / f"disc_orientation{orientation}.jpg"
    with Image.open(path) as image:
        mask = seg.predict(image, [0.3, 0.4])
        assert image.getexif()[0x0112] == orientation  # what was given is left alone
    assert mask.size == seg.predict(path, [0.3, 0.4]).size
    expected = con.execute("SELECT image_convert(?, 'png')", [path.read_bytes()]).fetchone()[0]
    with Image.open(path) as image, Image.open(io.BytesIO(expected)) as upright:
        difference = decoded(con, picture(image).data).astype(int) - np.asarray(upright.convert("RGB"))
    assert np.abs(difference).max() <= 3  # two decoders of JPEG


def test_sizes_are_known() -> None:
    assert picture(np.zeros((4, 5, 3), np.uint8)).size == (4, 5)
    assert picture(Image.new("L", (5, 4))).size == (4, 5)
    assert picture(b"x").size is None


def test_masked_arrays(seg: Segmenter) -> None:
    pixels = np.ma.masked_array(np.full((32, 32), 200, np.uint8))
    assert seg.predict(pixels, [0.5, 0.5]) == seg.predict(pixels.data, [0.5, 0.5])  # nothing is masked
    pixels[3, 3] = np.ma.masked
    with pytest.raises(ValueError, match=r"pixels without a value: fill them, array\.filled\(0\)"):
        seg.predict(pixels, [0.5, 0.5])
    with pytest.raises(TypeError, match="point must hold 2 numbers"):
        seg.predict(pixels.data, np.ma.masked_array([0.5, 0.5], [False, True]))
