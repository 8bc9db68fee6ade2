"""Small files that unpack to very much: each in a process of its own, whose time and memory are measured."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import textwrap
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

SIDE = 10_000
# For one file of less than a megabyte. The machine may be busy with something else.
SECONDS = 1.5
MEGABYTES = 500

PROGRAM = textwrap.dedent("""
    import json, pathlib, resource, sys, time
    import duckdb_sam
    con = duckdb_sam.connect(config={"threads": 1})
    con.execute("CALL sam_configure(threads := 1)")
    data, sql = pathlib.Path(sys.argv[1]).read_bytes(), sys.argv[2]
    con.execute("SELECT sam_annotate('nano', image_convert(from_hex(?), 'png'), [0.5, 0.5])", [sys.argv[3]]).fetchall()
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        said = "read " + str(con.execute(sql, [data]).fetchone()[0])[:60]
    except Exception as error:
        said = str(error)
    seconds = time.process_time() - start
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps([seconds, memory, said]))
""")

TINY = (
    "89504E470D0A1A0A0000000D49484452000000020000000108020000007B40E8DD0000000F49444154789C633C2127C7C0C0000005CC0106458859D4"
    "0000000049454E44AE426082"
)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def packed(row: bytes, rows: int) -> bytes:
    """So many rows, compressed by zlib: a block of them once, and repeated."""
    together = max(1, min(rows, 1_000_000 // max(1, len(row))))
    adler, blocks = 1, []
    for count in [together] * (rows // together) + [rows % together]:
        adler = zlib.adler32(row * count, adler)
        if count == together and blocks:
            blocks.append(blocks[0])
            continue
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        blocks.append(packer.compress(row * count) + packer.flush(zlib.Z_FULL_FLUSH))
    return b"\x78\xda" + b"".join(blocks) + b"\x03\x00" + struct.pack(">I", adler)


def png(bits: int, color: int, channels: int, *chunks: bytes, side: int = SIDE, filtered: int = 0) -> bytes:
    row = bytes([filtered]) + bytes((side * channels * bits + 7) // 8)
    header = struct.pack(">IIBBBBB", side, side, bits, color, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks)
    return head + chunk(b"IDAT", packed(row, side)) + chunk(b"IEND", b"")


def tiff(entries: dict[int, tuple[int, list[int]]], body: bytes, offsets: tuple[int, int] = (273, 279)) -> bytes:
    """A TIFF whose strips or tiles are all the same bytes."""
    data = bytearray(b"II*\0" + bytes(4) + body + bytes(len(body) % 2))
    count = entries.pop(0, (4, [1]))[1][0]
    entries = entries | {offsets[0]: (4, [8] * count), offsets[1]: (4, [len(body)] * count)}
    table = b""
    for tag, (kind, values) in sorted(entries.items()):
        packed_values = struct.pack(f"<{len(values)}{'?B?HI'[kind]}", *values)
        if len(packed_values) > 4:
            place = struct.pack("<I", len(data))
            data += packed_values + bytes(len(packed_values) % 2)
        else:
            place = packed_values.ljust(4, b"\0")
        table += struct.pack("<HHI", tag, kind, len(values)) + place
    struct.pack_into("<I", data, 4, len(data))
    return bytes(data + struct.pack("<H", len(entries)) + table + bytes(4))


def page(
    bits: int, samples: int, compression: int, photometric: int = 2, **more: Any
) -> dict[int, tuple[int, list[int]]]:
    entries = {256: (4, [SIDE]), 257: (4, [SIDE]), 258: (3, [bits] * samples), 259: (3, [compression])}
    entries |= {262: (3, [photometric]), 277: (3, [samples]), 278: (4, [SIDE])}
    return entries | {int(tag[1:]): value for tag, value in more.items()}


def saved(kind: str, size: tuple[int, int], mode: str = "RGB", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, kind, **options)
    return out.getvalue()


def progressive(scans: int) -> bytes:
    """A progressive JPEG with so many scans, all but the first of them nothing but empty blocks."""
    data = saved("JPEG", (SIDE, SIDE), "L", progressive=True, quality=50)
    starts = [at for at in range(len(data) - 1) if data[at : at + 2] == b"\xff\xda"]
    last = data[starts[-1] : -2]
    before = data[: starts[-1]]
    while before.count(b"\xff\xda") + 1 < scans and len(before) + len(last) < 1_000_000:
        before += last
    return before + last + b"\xff\xd9"


def gif(screen: int, side: int, frames: int = 1) -> bytes:
    frame = b"\x21\xf9\x04\x09\0\0\0\0" + b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x4c\x01\0"
    head = b"GIF89a" + struct.pack("<HHBBB", screen, screen, 0x80, 0, 0) + bytes(6)
    return head + frame * frames + b";"


def packbits(side: int) -> bytes:
    row, rest = divmod(side * 3, 128)
    return (b"\x81\0" * row + (bytes([257 - rest, 0]) if rest else b"")) * side


def tiles(compression: int, body: bytes, count: int, side: int = 16, **more: Any) -> bytes:
    """A TIFF of grey tiles, so many in a row and in a column, that all have the same bytes."""
    size = {256: (4, [count * side]), 257: (4, [count * side]), 0: (4, [count * count])}
    tile = {"t322": (3, [side]), "t323": (3, [side])}
    return tiff(page(8, 1, compression, 1, **tile, **more) | size, body, (324, 325))


def fax(side: int, rows: int) -> bytes:
    """Strips of so many rows in which every pixel is a run: the first in full, the others like the one above."""
    bits = "001000111010" * (side // 2) + "1" * (side * (rows - 1)) + "1" * 16
    body = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    return tiff(page(1, 1, 4, 0) | {257: (4, [side]), 278: (4, [rows]), 0: (4, [side // rows])}, body)


def commented(data: bytes, length: int) -> bytes:
    """The JPEG with comments of so many bytes in it."""
    return data[:2] + (b"\xff\xfe\xff\xff" + bytes(65_533)) * (length // 65_537) + data[2:]


def interlaced(side: int, bits: int, channels: int) -> bytes:
    rows = b""
    for left, top, across, down in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
    ):  # fmt: skip
        width, height = -(-(side - left) // across), -(-(side - top) // down)
        rows += (b"\4" + bytes(width * channels * bits // 8)) * height
    head = struct.pack(">IIBBBBB", side, side, bits, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def wide(side: int, pixel: bytes, rows: int = 0) -> bytes:
    return packed(pixel * side, rows or side)


BOMBS: dict[str, Callable[[], bytes]] = {
    "png_rgb8": lambda: png(8, 2, 3),
    "png_rgb8_paeth": lambda: png(8, 2, 3, filtered=4),
    "png_rgba8": lambda: png(8, 6, 4),
    "png_rgb16": lambda: png(16, 2, 3),
    "png_rgba16": lambda: png(16, 6, 4),
    "png_rgb16_8000_paeth": lambda: png(16, 2, 3, side=8_000, filtered=4),
    "png_grey16": lambda: png(16, 0, 1),
    "png_grey1": lambda: png(1, 0, 1),
    "png_profile": lambda: png(8, 2, 3, chunk(b"iCCP", b"a\0\0" + packed(bytes(10**6), 800)), side=10),
    "png_text": lambda: png(
        8, 2, 3, *[chunk(b"zTXt", b"Raw profile type exif\0\0" + packed(bytes(10**6), 300))] * 3, side=10
    ),
    "tiff_float_x4": lambda: tiff(page(32, 4, 8, t339=(3, [3] * 4)), packed(bytes(SIDE * 16), SIDE // 100)),
    "tiff_rgb8_deflate": lambda: tiff(page(8, 3, 8), packed(bytes(SIDE * 3), SIDE)),
    "tiff_rgb8_packbits": lambda: tiff(
        page(8, 3, 32773) | {256: (4, [5_000]), 257: (4, [5_000]), 278: (4, [5_000])}, packbits(5_000)
    ),
    "tiff_rgb16_8000": lambda: tiff(
        page(16, 3, 8) | {256: (4, [8000]), 257: (4, [8000]), 278: (4, [8000])}, packed(bytes(8000 * 6), 8000)
    ),
    "tiff_grey32": lambda: tiff(page(32, 1, 8, 1, t339=(3, [3])), packed(bytes(SIDE * 4), SIDE)),
    "tiff_sparse": lambda: tiff(page(8, 3, 8), b""),
    "tiff_tiles_of_16": lambda: tiff(
        page(8, 3, 8, t322=(3, [16]), t323=(3, [16])) | {0: (4, [100_000]), 256: (4, [4_000]), 257: (4, [4_000])},
        zlib.compress(bytes(768)), (324, 325),
    ),
    "tiff_wide_tiles": lambda: tiff(
        page(8, 3, 8, t322=(4, [1 << 30]), t323=(4, [16])) | {0: (4, [SIDE // 16])},
        zlib.compress(bytes(768)), (324, 325),
    ),
    "tiff_group4": lambda: tiff(page(1, 1, 4, 0), b"\xff" * (SIDE // 8)),
    "tiff_jpeg": lambda: tiff(page(8, 1, 7, 1), saved("JPEG", (SIDE, SIDE), "L")),
    "tiff_chain": lambda: b"II*\0\x08\0\0\0" + b"".join(
        b"\0\0" + struct.pack("<I", 8 + 6 * (index + 1)) for index in range(150_000)
    ),
    # All strips or tiles are the same bytes, of which most stand for nothing.
    "tiff_shared_deflate": lambda: tiles(
        8, b"\x78\xda" + b"\0\0\0\xff\xff" * 80_000 + zlib.compress(bytes(256))[2:], 240
    ),
    "tiff_shared_packbits": lambda: tiles(32773, b"\x80" * 400_000 + b"\x81\0" * 2, 240),
    "tiff_shared_lzw": lambda: tiles(5, bytes.fromhex("804020100804020100") * 44_000, 240),
    "tiff_shared_reversed": lambda: tiles(1, bytes(400_000), 240, t266=(3, [2])),
    "tiff_shared_jpeg": lambda: tiles(7, commented(saved("JPEG", (16, 16), "L"), 400_000), 240),
    "tiff_shared_tables": lambda: tiles(
        7, saved("JPEG", (16, 16), "L"), 240, t347=(1, list(commented(b"\xff\xd8\xff\xd9", 400_000)))
    ),
    "tiff_fax_of_dots": lambda: fax(SIDE, 500),
    "tiff_many_jpegs": lambda: tiles(7, saved("JPEG", (16, 16), "L"), 316),
    "tiff_many_webps": lambda: tiles(50001, saved("WEBP", (16, 16)), 316, t277=(3, [3]), t262=(3, [2])),
    "tiff_scans": lambda: tiles(7, saved("JPEG", (1024, 1024), "L", progressive=True), 9, side=1024),
    # Samples that take long.
    "tiff_rgb1": lambda: tiff(page(1, 3, 8), packed(bytes(SIDE * 3 // 8), SIDE)),
    "tiff_rgb4": lambda: tiff(page(4, 3, 8), packed(bytes(SIDE * 3 // 2), SIDE)),
    "tiff_grey12": lambda: tiff(page(12, 1, 8, 1), packed(bytes(SIDE * 3 // 2), SIDE)),
    "tiff_ycbcr": lambda: tiff(page(8, 3, 8, 6, t530=(3, [2, 2])), wide(SIDE // 2, b"\x12\x34\x56\1\2\3")),
    "tiff_inverted": lambda: tiff(page(16, 1, 8, 0), wide(SIDE, b"\x12\x34")),
    "tiff_premultiplied": lambda: tiff(
        page(16, 4, 8, t338=(3, [1])) | {256: (4, [7_000]), 257: (4, [7_000]), 278: (4, [7_000])},
        wide(7_000, b"\x12\x34\x56\x78\1\2\3\4"),
    ),
    "tiff_differences": lambda: tiff(
        page(16, 3, 8, t317=(3, [2])) | {256: (4, [8_000]), 257: (4, [8_000]), 278: (4, [8_000])},
        wide(8_000, b"\1\2\3\4\5\6"),
    ),
    "tiff_float_planes": lambda: tiff(
        page(64, 1, 8, 1, t317=(3, [3]), t339=(3, [3])) | {256: (4, [7_000]), 257: (4, [7_000]), 278: (4, [7_000])},
        wide(7_000, b"\1\2\3\4\5\6\7\x40"),
    ),
    "png_interlaced": lambda: interlaced(5_000, 16, 4),
    "jpeg_grey": lambda: saved("JPEG", (SIDE, SIDE), "L", quality=30),
    "jpeg_444_6000": lambda: saved("JPEG", (6_000, 6_000), quality=30, subsampling=0),
    "jpeg_progressive": lambda: saved("JPEG", (SIDE, SIDE), quality=30, progressive=True),
    "jpeg_progressive_6000": lambda: saved("JPEG", (6_000, 6_000), quality=30, progressive=True, subsampling=0),
    "jpeg_95_scans": lambda: progressive(95),
    "webp_lossless": lambda: saved("WEBP", (SIDE, SIDE), lossless=True),
    "webp_lossless_7000": lambda: saved("WEBP", (7_000, 7_000), lossless=True),
    "webp_lossy": lambda: saved("WEBP", (SIDE, SIDE), method=0),
    "webp_animated": lambda: saved(
        "WEBP", (5_000, 5_000), lossless=True, save_all=True, append_images=[Image.new("RGB", (5_000, 5_000), "red")]
    ),
    "gif_screen": lambda: gif(SIDE, 1),
    "gif_screen_65535": lambda: gif(65_535, 1),
    "gif_frame": lambda: saved("GIF", (SIDE, SIDE), "P"),
    "bmp_rle": lambda: b"BM" + struct.pack("<IIIIiiHHIIIIII", 1080, 0, 1078, 40, SIDE, SIDE, 1, 8, 1, 0, 0, 0, 0, 0)
    + bytes(1024) + b"\0\1",
}  # fmt: skip


# Those that are read, and large: what comes after decoding is looked at too.
READ = ["png_rgb8", "png_rgba8", "tiff_rgb8_deflate", "webp_lossless_7000", "jpeg_progressive_6000", "gif_screen"]
LOOKS = [("image_error(x)", name) for name in BOMBS]
LOOKS += [(sql, name) for name in READ for sql in ("sam_annotate('nano', x, [0.5, 0.5]).area", "image_hash(x)")]


@pytest.mark.parametrize(("sql", "name"), LOOKS)
def test_small_files_take_little(name: str, sql: str, bomb: Callable[[str], Any]) -> None:
    path = bomb(name)
    seconds, memory, said = measure(path, sql)
    print(f"{name:24} {path.stat().st_size:8} bytes {seconds:5.2f} s {memory:5.0f} MB  {said[:110]}")
    assert seconds < SECONDS * 2, said
    assert memory < MEGABYTES, said


def measure(path: Any, sql: str) -> tuple[float, float, str]:
    query = f"SELECT {sql} FROM (SELECT ?::BLOB AS x)"
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, path, query, TINY], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return tuple(json.loads(run.stdout.splitlines()[-1]))


@pytest.fixture(scope="session")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    folder = tmp_path_factory.mktemp("bombs")

    def made(name: str) -> Any:
        path = folder / name
        if not path.exists():
            path.write_bytes(BOMBS[name]())
            assert path.stat().st_size < 1_500_000
        return path

    return made


def frame(side: int) -> bytes:
    """A frame of a GIF in one colour, without the head of the file."""
    data = saved("GIF", (side, side), "P")
    at = 13 + (3 << (data[10] & 7) + 1)
    while data[at] != ord(","):
        at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    return data[at:-1]


def test_frames_of_a_gif_count(con: Any) -> None:
    """Pages far behind are reached over all before them."""
    head = b"GIF89a" + struct.pack("<HHBBB", 2_000, 2_000, 0x80, 0, 0) + bytes(6)
    data = head + frame(2_000) * 200 + b";"
    assert con.execute("SELECT image_info(?::BLOB).pages", [data]).fetchone() == (200,)
    assert con.execute("SELECT image_info(image_page(?::BLOB, 2)).width", [data]).fetchone() == (2_000,)
    with pytest.raises(Exception, match="image_memory_mb"):
        con.execute("SELECT image_page(?::BLOB, 200)", [data])


def test_a_frame_larger_than_its_gif_counts(con: Any) -> None:
    head = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0x80, 0, 0) + bytes(6)
    data = head + frame(10) + b"," + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + b"\x02\x02\x4c\x01\0;"
    with pytest.raises(Exception, match=r"takes 42.* bytes.*image_memory_mb"):
        con.execute("SELECT image_page(?::BLOB, 2)", [data])
