"""Pictures against Pillow: what their headers say, and which way up they are."""

from __future__ import annotations

import io
from typing import Any

import duckdb
import pytest
from PIL import Image, ImageOps

from conftest import PHOTOS

EXIF_ORIENTATION = 0x0112
FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]


def encode(image: Any, kind: str, orientation: int = 0) -> bytes:
    out, options = io.BytesIO(), {}
    if orientation:
        exif = Image.Exif()
        exif[EXIF_ORIENTATION] = orientation
        options["exif"] = exif.tobytes()
    image.save(out, kind, **options)
    return out.getvalue()


def info(con: duckdb.DuckDBPyConnection, data: bytes) -> dict[str, Any]:
    return con.execute("SELECT image_info(?::BLOB)", [data]).fetchone()[0]


@pytest.mark.parametrize("path", sorted(PHOTOS.glob("*.jpg")), ids=lambda path: path.stem)
def test_photographs(con: duckdb.DuckDBPyConnection, path: Any) -> None:
    with Image.open(path) as image:
        size, channels = image.size, len(image.getbands())
    expected = {"width": size[0], "height": size[1], "channels": channels, "format": "jpeg", "orientation": 1}
    assert info(con, path.read_bytes()) == expected


@pytest.mark.parametrize("kind", FORMATS)
def test_formats(con: duckdb.DuckDBPyConnection, kind: str) -> None:
    found = info(con, encode(Image.new("RGB", (31, 17), "red"), kind))
    assert (found["width"], found["height"], found["format"]) == (31, 17, kind.lower())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation(con: duckdb.DuckDBPyConnection, kind: str, orientation: int) -> None:
    data = encode(Image.new("RGB", (31, 17)), kind, orientation)
    with Image.open(io.BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image).size
    found = info(con, data)
    assert found["orientation"] == orientation
    assert (found["width"], found["height"]) == upright


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turned_picture_gives_the_mask_of_the_upright_one(con: duckdb.DuckDBPyConnection, orientation: int) -> None:
    with Image.open(PHOTOS / "coins.jpg") as image:
        stored = image.convert("RGB").resize((128, 96))
    turned = encode(stored, "PNG", orientation)
    with Image.open(io.BytesIO(turned)) as image:
        upright = encode(ImageOps.exif_transpose(image), "PNG")
    masks = [
        con.execute("SELECT sam_annotate('nano', ?::BLOB, [0.4, 0.7]).segmentation", [data]).fetchone()[0]
        for data in (turned, upright)
    ]
    assert masks[0] == masks[1]


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8\xff\xe0"])
def test_what_is_no_picture_has_no_info(con: duckdb.DuckDBPyConnection, data: bytes) -> None:
    assert info(con, data) is None
