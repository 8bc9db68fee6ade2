"""Pictures against Pillow: what their headers say, and which way up they are."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import duckdb
import numpy as np
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
    assert info(con, path.read_bytes()) == expected | {"sample": "uint8", "pages": 1, "nodata": None}


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


def exif_block(order: str, kind: int, value: int, tag: int = EXIF_ORIENTATION) -> bytes:
    """EXIF with one entry, of type 1 BYTE, 3 SHORT, 4 LONG, 8 signed SHORT, 9 signed LONG."""
    letter = {1: "B", 3: "H", 4: "I", 8: "h", 9: "i"}[kind]
    body = struct.pack(order + letter, value).ljust(4, b"\0")
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(order + "IHHHI", 8, 1, tag, kind, 1) + body + bytes(4)


def jpeg_with(data: bytes, *segments: bytes) -> bytes:
    """The JPEG with segments APP1 behind its first segment."""
    at = 4 + int.from_bytes(data[4:6], "big")
    apps = b"".join(b"\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment for segment in segments)
    return data[:at] + apps + data[at:]


def png_with(data: bytes, chunks: list[tuple[bytes, bytes]], behind: bool = False) -> bytes:
    """The PNG with chunks before its pixels, or behind them."""
    made = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    at = len(data) - 12 if behind else 33
    return data[:at] + made + data[at:]


def webp_with(data: bytes, chunks: list[tuple[bytes, bytes]], size: tuple[int, int]) -> bytes:
    """The WebP in its extended form, with chunks behind the pixels."""
    flags = 8 * any(name == b"EXIF" for name, _ in chunks) + 4 * any(name == b"XMP " for name, _ in chunks)
    width, height = (side - 1 for side in size)
    extended = bytes([flags, 0, 0, 0]) + width.to_bytes(3, "little") + height.to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + extended + data[12:]
    for name, chunk in chunks:
        body += name + struct.pack("<I", len(chunk)) + chunk + bytes(len(chunk) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def raw_profile(exif: bytes, name: str = "exif") -> bytes:
    """How ImageMagick writes it."""
    digits = (b"Exif\0\0" + exif).hex()
    lines = [digits[at : at + 72] for at in range(0, len(digits), 72)]
    return f"\n{name}\n{len(digits) // 2:8}\n{chr(10).join(lines)}\n".encode()


def turned_pictures() -> dict[str, bytes]:
    """Pictures whose orientation is said in every way."""
    size = (31, 17)
    image = Image.radial_gradient("L").resize(size).convert("RGB")
    jpeg, png, webp = encode(image, "JPEG"), encode(image, "PNG"), encode(image, "WEBP")
    exif = b"Exif\0\0"
    xmp = b"http://ns.adobe.com/xap/1.0/\0"
    made = {}
    for order, letters in (("<", "II"), (">", "MM")):
        for kind in (1, 3, 4, 8, 9):
            for value in (0, 3, 6, 8, 9):
                block, name = exif_block(order, kind, value), f"{letters}_{kind}_{value}"
                made[f"jpeg_{name}"] = jpeg_with(jpeg, exif + block)
                made[f"png_{name}"] = png_with(png, [(b"eXIf", block)])
                made[f"png_prefix_{name}"] = png_with(png, [(b"eXIf", exif + block)])
                made[f"png_behind_{name}"] = png_with(png, [(b"eXIf", block)], behind=True)
                made[f"webp_{name}"] = webp_with(webp, [(b"EXIF", block)], size)
                made[f"webp_prefix_{name}"] = webp_with(webp, [(b"EXIF", exif + block)], size)
    six, three = exif_block("<", 3, 6), exif_block(">", 4, 3)
    silent = exif_block("<", 3, 1, tag=0x0128)
    keyword = b"Raw profile type exif\0"
    for name, text in (("exif", raw_profile(six)), ("two", raw_profile(three)), ("upper", raw_profile(six).upper())):
        made[f"png_tEXt_{name}"] = png_with(png, [(b"tEXt", keyword + text)])
        made[f"png_zTXt_{name}"] = png_with(png, [(b"zTXt", keyword + b"\0" + zlib.compress(text))])
        made[f"png_iTXt_{name}"] = png_with(png, [(b"iTXt", keyword + bytes(4) + text)])
        made[f"png_iTXt_packed_{name}"] = png_with(png, [(b"iTXt", keyword + b"\1\0\0\0" + zlib.compress(text))])
        made[f"png_tEXt_behind_{name}"] = png_with(png, [(b"tEXt", keyword + text)], behind=True)
        made[f"png_tEXt_eXIf_{name}"] = png_with(png, [(b"tEXt", keyword + text), (b"eXIf", silent)])
        made[f"png_APP1_{name}"] = png_with(png, [(b"tEXt", b"Raw profile type APP1\0" + text)])
    made["jpeg_two"] = jpeg_with(jpeg, exif + six, exif + three)
    made["jpeg_two_silent"] = jpeg_with(jpeg, exif + silent, exif + three)
    made["jpeg_same_prefix_twice"] = jpeg_with(jpeg, exif + exif + six)
    made["jpeg_garbage"] = jpeg_with(jpeg, exif + b"II*\0\xff\xff\xff\xff")
    for name, text in (
        ("attribute", b'<rdf:Description tiff:Orientation="6"/>'),
        ("element", b"<tiff:Orientation>8</tiff:Orientation>"),
        ("quoted", b"<rdf:Description tiff:Orientation='6'/>"),
        ("zero", b'<rdf:Description tiff:Orientation="0"/>'),
        ("second", b'<a tiff:Orientation="x"/><b tiff:Orientation="3"/>'),
    ):
        made[f"jpeg_xmp_{name}"] = jpeg_with(jpeg, xmp + text)
        made[f"jpeg_xmp_exif_{name}"] = jpeg_with(jpeg, exif + three, xmp + text)
        made[f"jpeg_xmp_silent_{name}"] = jpeg_with(jpeg, exif + silent, xmp + text)
        made[f"jpeg_xmp_two_{name}"] = jpeg_with(jpeg, xmp + text, xmp + b'tiff:Orientation="3"')
        made[f"png_xmp_{name}"] = png_with(png, [(b"iTXt", b"XML:com.adobe.xmp\0" + bytes(4) + text)])
        made[f"png_xmp_exif_{name}"] = png_with(
            png, [(b"iTXt", b"XML:com.adobe.xmp\0" + bytes(4) + text), (b"eXIf", three)]
        )
        made[f"webp_xmp_{name}"] = webp_with(webp, [(b"XMP ", text)], size)
        made[f"webp_xmp_exif_{name}"] = webp_with(webp, [(b"EXIF", three), (b"XMP ", text)], size)
    return made


TURNED = turned_pictures()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TURNED)
def test_orientation_is_where_pillow_finds_it(con: duckdb.DuckDBPyConnection, name: str) -> None:
    data = TURNED[name]
    try:
        with Image.open(io.BytesIO(data)) as image:
            expected = ImageOps.exif_transpose(image).convert("RGB")
    except Exception:
        # EXIF that Pillow cannot read is no reason to lose the picture.
        with Image.open(io.BytesIO(data)) as image:
            expected = image.convert("RGB")
    found = info(con, data)
    assert (found["width"], found["height"]) == expected.size
    shown = con.execute("SELECT image_convert(?::BLOB, 'png')", [data]).fetchone()[0]
    with Image.open(io.BytesIO(shown)) as image:
        difference = np.abs(np.array(image.convert("RGB"), int) - np.array(expected, int))
    assert difference.max() <= 6


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
