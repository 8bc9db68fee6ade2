"""Makes the reference data in tests/data with Pillow and pycocotools.

    python -m venv venv && venv/bin/pip install pillow==12.3.0 pycocotools numpy
    venv/bin/python tests/make_data.py

Pillow 13 resizes vertically first where the height shrinks much more than the width; earlier versions do so
only for pictures more than 100 times as tall as wide. The crate never does, hence the version.

resize.txt   one resize per line: source width, height, target width, height, CRC-32 of the RGB bytes.
             The sources follow a formula, `pattern`, that tests/resize.rs repeats.
decode.txt   one file per line: name, format, width, height, channels, orientation, CRC-32 of the RGB bytes of
             ImageOps.exif_transpose(Image.open(name)).convert("RGB"); of samples of 16 bits, which Pillow cuts or
             clips, those of their own range, `levels`.
*.jpg.png    those pixels themselves, where a difference has to be measured and not only noticed.
rle.txt      one mask per line: height, width, its bits row by row as hexadecimal, compressed counts, area,
             bounding box, uncompressed counts.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps
from pycocotools import mask as coco

DATA = Path(__file__).parent / "data"


def pattern(width, height):
    """Pixels that look like noise but follow a formula: the top byte of a product of the position."""
    y, x, c = np.mgrid[0:height, 0:width, 0:3].astype(np.uint64)
    value = (x * 7919 + y * 104729 + c * 1299709 + x * y) * 2654435761 % 2**32
    return Image.fromarray((value >> 24).astype(np.uint8))


def crc(picture):
    return f"{zlib.crc32(picture.tobytes()):08x}"


def resize():
    sizes = [
        (1, 1, 1, 1), (1, 1, 7, 5), (2, 2, 3, 3), (7, 5, 1, 1), (1, 37, 5, 11), (53, 1, 20, 9), (53, 1, 200, 1),
        (1, 64, 1, 17), (97, 61, 97, 61), (97, 61, 97, 30), (97, 61, 50, 61), (97, 61, 96, 60), (97, 61, 98, 62),
        (97, 61, 193, 30), (97, 61, 31, 131), (97, 61, 1, 61), (97, 61, 97, 1), (200, 133, 1024, 681),
        (640, 480, 1024, 768), (1024, 683, 512, 341), (1000, 3, 10, 300), (30, 1000, 300, 10), (1500, 1000, 64, 43),
        (683, 1024, 341, 512), (333, 517, 660, 1024), (511, 513, 1022, 1024), (5000, 40, 3, 2), (60, 5000, 2, 3),
        (1600, 1200, 1024, 768), (2400, 1800, 200, 150),
    ]  # fmt: skip
    with open(DATA / "resize.txt", "w") as out:
        for width, height, to_width, to_height in sizes:
            resized = pattern(width, height).resize((to_width, to_height), Image.BILINEAR)
            out.write(f"{width} {height} {to_width} {to_height} {crc(resized)}\n")


def photo(width, height, seed=1):
    """Something with smooth parts, edges, saturated colours and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = [np.sin(x / 17 + y / 31), np.cos(x / 23 - y / 13), np.sin(x * y / 997)]
    pixels = 128 + 100 * np.stack(waves, -1) + rng.normal(0, 4, (height, width, 3))
    for _ in range(8):
        cx, cy = rng.integers(0, width), rng.integers(0, height)
        r = rng.integers(2, max(3, min(width, height) // 4))
        pixels[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = rng.integers(0, 256, 3)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def levels(samples):
    """Samples of any type to 8 bits: from the lowest to the highest."""
    if samples.dtype == np.uint8:
        return samples
    values = samples.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0, 0)
    if high <= low:
        return np.zeros(samples.shape, np.uint8)
    values = np.clip(np.nan_to_num(values, nan=low, posinf=high, neginf=low), low, high)
    return np.floor((values - low) * 255 / (high - low) + 0.5).astype(np.uint8)


def png16(rows, color):
    """A PNG of 16 bits per sample, which Pillow writes for grey only."""
    height, width, samples = rows.shape
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0)),
        (b"IDAT", zlib.compress(raw, 9)),
        (b"IEND", b""),
    ]
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        data += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return data


def move_exif_to_end(data):
    """The same PNG with its eXIf chunk behind the pixels."""
    at, kept, exif = 8, data[:8], b""
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunk = data[at : at + 12 + length]
        at += len(chunk)
        if chunk[4:8] == b"eXIf":
            exif = chunk
        else:
            kept += exif + chunk if chunk[4:8] == b"IEND" else chunk
    return kept


def encode(picture, **options):
    out = io.BytesIO()
    picture.save(out, **options)
    return out.getvalue()


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def decode():
    small = photo(45, 31)
    alpha = small.copy()
    alpha.putalpha(Image.fromarray(np.linspace(0, 255, 45 * 31).reshape(31, 45).astype(np.uint8)))
    grey = small.convert("L")
    palette = small.quantize(37)
    bilevel = small.convert("1")
    rng = np.random.default_rng(2)
    files = {}

    files["rgb.png"] = encode(small, format="PNG")
    files["rgba.png"] = encode(alpha, format="PNG")
    files["grey.png"] = encode(grey, format="PNG")
    files["grey_alpha.png"] = encode(alpha.convert("LA"), format="PNG")
    files["bilevel.png"] = encode(bilevel, format="PNG")
    files["palette.png"] = encode(palette, format="PNG")
    files["palette_2_bits.png"] = encode(small.quantize(4), format="PNG", bits=2)
    files["palette_alpha.png"] = encode(palette, format="PNG", transparency=bytes(range(37)))
    deep = {}
    for name, channels, color in (("rgb16", 3, 2), ("rgba16", 4, 6), ("grey_alpha16", 2, 4), ("grey16", 1, 0)):
        samples = rng.integers(0, 65536, (9, 11, channels))
        files[f"{name}.png"] = png16(samples, color)
        colours = levels(samples[..., : channels - (channels % 2 == 0)].astype(np.uint16))
        deep[f"{name}.png"] = Image.fromarray(np.ascontiguousarray(np.broadcast_to(colours, (9, 11, 3))))
    files["lossless.webp"] = encode(small, format="WEBP", lossless=True, exact=True)
    files["lossless_alpha.webp"] = encode(alpha, format="WEBP", lossless=True, exact=True)
    files["lossy.webp"] = encode(small, format="WEBP", quality=80)
    files["animated.webp"] = encode(
        small, format="WEBP", lossless=True, save_all=True, append_images=[ImageOps.invert(small)]
    )
    files["plain.gif"] = encode(palette, format="GIF")
    files["animated.gif"] = encode(
        palette, format="GIF", save_all=True, append_images=[ImageOps.mirror(palette)], duration=50
    )
    files["transparent.gif"] = encode(palette, format="GIF", transparency=5)
    files["grey.gif"] = encode(grey, format="GIF")
    files["rgb.bmp"] = encode(small, format="BMP")
    files["palette.bmp"] = encode(palette, format="BMP")
    files["bilevel.bmp"] = encode(bilevel, format="BMP")
    files["rgb.tif"] = encode(small, format="TIFF")
    files["lzw.tif"] = encode(small, format="TIFF", compression="tiff_lzw")
    files["deflate.tif"] = encode(small, format="TIFF", compression="tiff_adobe_deflate")
    files["rgba.tif"] = encode(alpha, format="TIFF")
    files["grey.tif"] = encode(grey, format="TIFF")
    files["bilevel.tif"] = encode(bilevel, format="TIFF")
    files["cmyk.tif"] = encode(small.convert("CMYK"), format="TIFF")
    files["pages.tif"] = encode(small, format="TIFF", save_all=True, append_images=[ImageOps.mirror(small)])
    for orientation in range(1, 9):
        options = {"exif": exif(orientation)}
        files[f"exif{orientation}.png"] = encode(small, format="PNG", **options)
        files[f"exif{orientation}.webp"] = encode(small, format="WEBP", lossless=True, **options)
        files[f"exif{orientation}.tif"] = encode(
            grey, format="TIFF", compression="tiff_lzw", tiffinfo={274: orientation}
        )
        files[f"exif{orientation}.jpg"] = encode(small, format="JPEG", quality=90, **options)
    files["exif_behind.png"] = move_exif_to_end(files["exif6.png"])

    large = photo(93, 71, seed=3)
    for name, sampling in [("444", 0), ("422", 1), ("420", 2)]:
        files[f"{name}.jpg"] = encode(large, format="JPEG", quality=92, subsampling=sampling)
        files[f"{name}_progressive.jpg"] = encode(
            large, format="JPEG", quality=75, subsampling=sampling, progressive=True
        )
    files["420_restart.jpg"] = encode(large, format="JPEG", quality=75, restart_marker_blocks=3)
    files["grey.jpg"] = encode(large.convert("L"), format="JPEG", quality=90)
    files["grey_progressive.jpg"] = encode(large.convert("L"), format="JPEG", quality=90, progressive=True)
    files["rgb.jpg"] = encode(large, format="JPEG", quality=90, keep_rgb=True)
    cmyk = encode(large.convert("CMYK"), format="JPEG", quality=90)
    files["cmyk.jpg"] = cmyk
    # The last byte of the Adobe segment names the transform: 2 is YCCK, the same data read as other colours.
    adobe = cmyk.index(b"Adobe") + 11
    files["ycck.jpg"] = cmyk[:adobe] + b"\x02" + cmyk[adobe + 1 :]
    for width, height in [(1, 1), (2, 9), (3, 5), (8, 8), (16, 16), (17, 33), (40, 2)]:
        files[f"{width}x{height}.jpg"] = encode(photo(width, height), format="JPEG", quality=90)

    with open(DATA / "decode.txt", "w") as out:
        for name, data in sorted(files.items()):
            (DATA / name).write_bytes(data)
            opened = Image.open(DATA / name)
            format = opened.format.lower()
            orientation = opened.getexif().get(0x0112, 1)
            opened.load()
            channels = {"1": 1, "L": 1, "I;16": 1, "LA": 2, "P": 3, "RGB": 3, "RGBA": 4, "CMYK": 4}[opened.mode]
            # Where Pillow's mode is not what the file has: alpha as a table, 16 bits, black and white as a palette.
            channels = {"palette_alpha.png": 4, "grey_alpha16.png": 2, "bilevel.bmp": 3}.get(name, channels)
            upright = ImageOps.exif_transpose(opened).convert("RGB")
            upright = deep.get(name, upright)
            width, height = upright.size
            out.write(f"{name} {format} {width} {height} {channels} {orientation} {crc(upright)}\n")
            if name.endswith(".jpg"):
                upright.save(DATA / f"{name}.png", optimize=True)


def rle():
    rng = np.random.default_rng(4)
    masks = []
    for height, width in [(1, 1), (1, 70), (70, 1), (5, 7), (64, 64), (63, 65), (65, 63), (128, 3), (3, 128), (80, 71)]:
        masks += [np.zeros((height, width)), np.ones((height, width))]
        for density in (0.02, 0.5, 0.98):
            masks.append(rng.random((height, width)) < density)
        y, x = np.mgrid[0:height, 0:width]
        blobs = np.zeros((height, width), bool)
        for _ in range(3):
            cx, cy, rx, ry = rng.random(4) * [width, height, width / 3 + 1, height / 3 + 1]
            blobs |= ((x - cx) / (rx + 1)) ** 2 + ((y - cy) / (ry + 1)) ** 2 < 1
        masks.append(blobs)
        corner = np.zeros((height, width))
        corner[-1, -1] = 1
        masks.append(corner)
    # Long runs: counts of several groups and large negative differences.
    long = np.zeros((300, 250))
    long[100:, 40:90] = 1
    long[:, 120:200] = 1
    masks.append(long)
    with open(DATA / "rle.txt", "w") as out:
        for mask in masks:
            mask = np.asfortranarray(mask.astype(np.uint8))
            encoded = coco.encode(mask)
            box = " ".join(str(int(value)) for value in coco.toBbox(encoded))
            flat = mask.flatten("F")
            edges = np.flatnonzero(np.diff(np.concatenate([[0], flat]))).tolist()
            counts = np.diff([0, *edges, flat.size]).tolist()
            bits = np.packbits(mask.flatten("C")).tobytes().hex()
            text = encoded["counts"].decode()
            height, width = mask.shape
            area = int(coco.area(encoded))
            out.write(f"{height} {width} {bits} {text} {area} {box} {','.join(map(str, counts))}\n")


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    print("Pillow", PIL.__version__)
    resize()
    decode()
    rle()
