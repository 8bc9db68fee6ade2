"""Makes TIFFs of the forms that scanners, microscopes, drones and satellites write, in tests/data/tiff.

    python -m venv venv && venv/bin/pip install pillow==12.3.0 tifffile==2026.3.3 imagecodecs==2026.3.6 numpy
    venv/bin/python tests/make_tiff.py

tiff.txt  one file per line: name, width, height, channels, orientation, type of samples, pages, CRC-32 of the RGB
          bytes. What the samples are is known from how the file is made, and tifffile reads the same where it wrote
          them. From them to RGB of 8 bits leads the rule that `levels` repeats.
*.png     those pixels themselves, where the compression loses something.
"""

import io
import struct
import warnings
import zlib

import numpy as np
import tifffile
from make_data import DATA, crc, levels, photo
from PIL import Image

OUT = DATA / "tiff"
WIDTH, HEIGHT = 45, 31
LINES = []


def add(name, data, colours, channels, sample, *, orientation=1, pages=1, loses=False, white=False):
    """`colours`: the samples that are shown, height x width or height x width x 3."""
    rgb = levels(np.asarray(colours))
    rgb = 255 - rgb if white else rgb
    rgb = np.stack([rgb] * 3, -1) if rgb.ndim == 2 else rgb
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    (OUT / name).write_bytes(data)
    if loses:
        picture.save(OUT / f"{name}.png", optimize=True)
    width, height = picture.size
    LINES.append(
        f"{name} {width} {height} {channels} {orientation} {sample} {pages} {'near' if loses else crc(picture)}"
    )


def write(samples, **options):
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tifffile.imwrite(out, samples, metadata=None, software=None, **options)
    data = out.getvalue()
    back = tifffile.imread(io.BytesIO(data))
    if options.get("compression") != "jpeg" and options.get("planarconfig") != "separate":
        assert np.array_equal(back, samples, equal_nan=samples.dtype.kind == "f"), options
    return data


def pillow(picture, **options):
    out = io.BytesIO()
    picture.save(out, "TIFF", **options)
    return out.getvalue()


def raw(tags, chunks, order="<", chunk_tags=(273, 279)):
    """A TIFF by hand: tags {number: (type, values)} and compressed strips or tiles."""
    kinds = {1: "B", 2: "c", 3: "H", 4: "I", 5: "I"}
    data = bytearray((b"II*\0" if order == "<" else b"MM\0*") + bytes(4))
    offsets = []
    for chunk in chunks:
        offsets.append(len(data) if chunk else 0)
        data += chunk + bytes(len(chunk) % 2)
    tags = dict(tags)
    tags[chunk_tags[0]] = (4, offsets)
    tags[chunk_tags[1]] = (4, [len(chunk) for chunk in chunks])
    entries = b""
    for tag, (kind, values) in sorted(tags.items()):
        body = struct.pack(f"{order}{len(values)}{kinds[kind]}", *values)
        count = len(values) // 2 if kind == 5 else len(values)
        if len(body) > 4:
            place = struct.pack(order + "I", len(data))
            data += body + bytes(len(body) % 2)
        else:
            place = body.ljust(4, b"\0")
        entries += struct.pack(order + "HHI", tag, kind, count) + place
    struct.pack_into(order + "I", data, 4, len(data))
    return bytes(data + struct.pack(order + "H", len(tags)) + entries + bytes(4))


def head(width, height, bits, photometric, samples=1, compression=1, **more):
    tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * samples), 259: (3, [compression])}
    tags |= {262: (3, [photometric]), 277: (3, [samples]), 278: (4, [height])}
    return tags | {int(tag[1:]): value for tag, value in more.items()}


def packed(samples, bits):
    """Rows of samples of so many bits, each row padded to a byte."""
    rows = samples.reshape(samples.shape[0], -1).astype(np.uint32)
    digits = (rows[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(digits.reshape(rows.shape[0], -1).astype(np.uint8), axis=1).tobytes()


def main():
    OUT.mkdir(exist_ok=True)
    small = photo(WIDTH, HEIGHT)
    rgb = np.asarray(small)
    grey = np.asarray(small.convert("L"))
    rng = np.random.default_rng(5)
    rgb16 = rgb.astype(np.uint16) * 16 + 300
    nir = rng.integers(0, 65536, (HEIGHT, WIDTH)).astype(np.uint16)
    floats = grey.astype(np.float32) * 3.5 - 120
    planes = np.ascontiguousarray(np.moveaxis(rgb, -1, 0))

    # Compression, strips and tiles, planes, byte order, prediction.
    for compression in ("lzw", "zlib", "zstd", "packbits"):
        for tile in (None, (16, 32)):
            name = f"rgb8_{compression}_{'tiled' if tile else 'strips'}.tif"
            data = write(rgb, photometric="rgb", compression=compression, tile=tile, rowsperstrip=None if tile else 7)
            add(name, data, rgb, 3, "uint8")
    add("rgb8_planar.tif", write(planes, photometric="rgb", planarconfig="separate", rowsperstrip=9), rgb, 3, "uint8")
    add(
        "rgb8_planar_tiled_deflate.tif",
        write(planes, photometric="rgb", planarconfig="separate", tile=(16, 16), compression="zlib"),
        rgb, 3, "uint8",
    )  # fmt: skip
    add("rgb8_big.tif", write(rgb, photometric="rgb", bigtiff=True), rgb, 3, "uint8")
    add("rgb16_big_MM.tif", write(rgb16, photometric="rgb", bigtiff=True, byteorder=">"), rgb16, 3, "uint16")
    for order, letter in (("<", "II"), (">", "MM")):
        for bits, kind in ((8, np.uint8), (16, np.uint16), (32, np.uint32), (64, np.uint64)):
            samples = grey.astype(kind) * kind(1 if bits == 8 else 7)
            data = write(samples, byteorder=order, compression="lzw", predictor=2, photometric="minisblack")
            add(f"grey{bits}_lzw_predictor2_{letter}.tif", data, samples, 1, f"uint{bits}")
        for bits, kind in ((16, np.float16), (32, np.float32), (64, np.float64)):
            samples = floats.astype(kind)
            data = write(samples, byteorder=order, compression="zlib", predictor=3, photometric="minisblack")
            add(f"float{bits}_deflate_predictor3_{letter}.tif", data, samples, 1, f"float{bits}")
            add(
                f"float{bits}_{letter}.tif",
                write(samples, byteorder=order, photometric="minisblack"),
                samples, 1, f"float{bits}",
            )  # fmt: skip
        for bits, kind in ((8, np.int8), (16, np.int16), (32, np.int32)):
            samples = grey.astype(np.int64) - 100 if bits == 8 else (grey.astype(np.int64) - 100) * 30
            samples = np.clip(samples, -128, 127).astype(kind) if bits == 8 else samples.astype(kind)
            data = write(samples, byteorder=order, photometric="minisblack", compression="zlib")
            add(f"int{bits}_{letter}.tif", data, samples, 1, f"int{bits}")
    data = write(rgb16, photometric="rgb", compression="zlib", predictor=2, tile=(16, 16))
    add("rgb16_deflate_predictor2_tiled.tif", data, rgb16, 3, "uint16")

    # What is no number, and one value only.
    holes = floats.copy()
    holes[3:7, 5:9], holes[10, 10], holes[11, 11] = np.nan, np.inf, -np.inf
    add("float32_nan.tif", write(holes, photometric="minisblack"), holes, 1, "float32")
    LINES.pop()
    shown = levels(np.where(np.isnan(holes), np.nanmin(np.where(np.isfinite(holes), holes, np.nan)), holes))
    add("float32_nan.tif", write(holes, photometric="minisblack"), shown, 1, "float32")
    one = np.full((HEIGHT, WIDTH), 700, np.uint16)
    add("one_value16.tif", write(one, photometric="minisblack"), one, 1, "uint16")

    # Bands.
    bands = np.concatenate([rgb16, nir[..., None]], -1)
    add("rgb_nir16.tif", write(bands, photometric="rgb", extrasamples=["unspecified"]), rgb16, 4, "uint16")
    data = write(bands, photometric="minisblack", extrasamples=["unspecified"] * 3, planarconfig="contig")
    add("minisblack4_16.tif", data, rgb16, 4, "uint16")
    tags = head(WIDTH, HEIGHT, 8, 1, 3)
    add("minisblack3_contig8.tif", raw(tags, [rgb.tobytes()]), rgb, 3, "uint8")
    two = np.stack([grey, 255 - grey], -1)
    add("grey_extra8.tif", raw(head(WIDTH, HEIGHT, 8, 1, 2, t338=(3, [0])), [two.tobytes()]), grey, 2, "uint8")
    add("grey_alpha8.tif", raw(head(WIDTH, HEIGHT, 8, 1, 2, t338=(3, [2])), [two.tobytes()]), grey, 2, "uint8")
    many = np.concatenate([bands, bands], -1)
    data = write(np.ascontiguousarray(np.moveaxis(many, -1, 0)), photometric="minisblack", planarconfig="separate")
    if tifffile.TiffFile(io.BytesIO(data)).pages[0].samplesperpixel == 8:
        add("eight_bands_planar16.tif", data, rgb16, 8, "uint16")

    # Alpha.
    alpha = np.linspace(0, 255, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.uint8)
    straight = np.concatenate([rgb, alpha[..., None]], -1)
    add("rgba8_unassociated.tif", write(straight, photometric="rgb", extrasamples=["unassalpha"]), rgb, 4, "uint8")
    times = (rgb.astype(int) * alpha[..., None] // 255).astype(np.uint8)
    data = write(np.concatenate([times, alpha[..., None]], -1), photometric="rgb", extrasamples=["assocalpha"])
    with Image.open(io.BytesIO(data)) as image:
        add("rgba8_associated.tif", data, np.asarray(image.convert("RGB")), 4, "uint8")
    straight16 = np.concatenate([rgb16, nir[..., None]], -1)
    add("rgba16.tif", write(straight16, photometric="rgb", extrasamples=["unassalpha"]), rgb16, 4, "uint16")

    # Few bits, and bits that are no bytes.
    for bits in (1, 2, 4):
        few = grey >> (8 - bits)
        wide = np.round(few * 255.0 / (2**bits - 1)).astype(np.uint8)
        for photometric, name in ((1, "black"), (0, "white")):
            data = raw(head(WIDTH, HEIGHT, bits, photometric), [packed(few, bits)])
            add(f"grey{bits}_minis{name}.tif", data, wide, 1, "uint8", white=photometric == 0)
    for order, letter in (("<", "II"), (">", "MM")):
        for bits in (10, 12, 14):
            deep = grey.astype(np.uint16) * (1 << (bits - 9)) + 17
            data = raw(head(WIDTH, HEIGHT, bits, 1), [packed(deep, bits)], order)
            if bits == 12:
                assert np.array_equal(tifffile.imread(io.BytesIO(data)), deep)
            add(f"grey{bits}_{letter}.tif", data, deep, 1, f"uint{bits}")
    deep = rgb.astype(np.uint16) * 8 + 17
    add("rgb12.tif", raw(head(WIDTH, HEIGHT, 12, 2, 3), [packed(deep, 12)]), deep, 3, "uint12")
    add("grey16_miniswhite.tif", write(rgb16[..., 0], photometric="miniswhite"), rgb16[..., 0], 1, "uint16", white=True)

    # Palettes.
    few = small.quantize(13)
    table = np.array(few.getpalette()[: 13 * 3] + [0] * 9).reshape(16, 3)
    sixteen = (table * 257).T.flatten().tolist()
    data = raw(head(WIDTH, HEIGHT, 4, 3, t320=(3, sixteen)), [packed(np.asarray(few), 4)])
    add("palette4.tif", data, np.asarray(few.convert("RGB")), 3, "uint8")
    many = small.quantize(200)
    add("palette8.tif", pillow(many, compression="tiff_lzw"), np.asarray(many.convert("RGB")), 3, "uint8")
    table = np.zeros((256, 3), int)
    table[:200] = np.array(many.getpalette()[: 200 * 3]).reshape(-1, 3)
    data = raw(head(WIDTH, HEIGHT, 8, 3, t320=(3, table.T.flatten().tolist())), [np.asarray(many).tobytes()])
    add("palette8_of_8_bits.tif", data, np.asarray(many.convert("RGB")), 3, "uint8")

    # Black and white, as fax machines and scanners write it.
    bilevel = small.convert("1")
    page = np.asarray(bilevel).astype(np.uint8) * 255
    for compression in ("group3", "group4", "tiff_ccitt"):
        add(f"bilevel_{compression}.tif", pillow(bilevel, compression=compression), page, 1, "uint8")
        data = pillow(bilevel, compression=compression, tiffinfo={266: 2})
        if compression == "group3":
            data2 = pillow(bilevel, compression=compression, tiffinfo={292: 1})
            add("bilevel_group3_2d.tif", data2, page, 1, "uint8")
            data2 = pillow(bilevel, compression=compression, tiffinfo={292: 4})
            add("bilevel_group3_aligned.tif", data2, page, 1, "uint8")
        add(f"bilevel_{compression}_reversed.tif", data, page, 1, "uint8")

    # Inks.
    inks = small.convert("CMYK")
    add("cmyk8_lzw.tif", pillow(inks, compression="tiff_lzw"), np.asarray(inks.convert("RGB")), 4, "uint8")

    # Differences of colour, whole and subsampled.
    ycc = np.asarray(small.convert("YCbCr"))
    back = ycbcr(ycc)
    add("ycbcr_444.tif", raw(head(WIDTH, HEIGHT, 8, 6, 3, t530=(3, [1, 1])), [ycc.tobytes()]), back, 3, "uint8")
    for h, v in ((2, 2), (2, 1), (4, 2)):
        data, full = units(ycc, h, v)
        tags = head(WIDTH, HEIGHT, 8, 6, 3, 8, t530=(3, [h, v]))
        add(f"ycbcr_{h}{v}_deflate.tif", raw(tags, [zlib.compress(data)]), ycbcr(full), 3, "uint8")

    # JPEG in TIFF: colours in YCbCr and not, tables apart.
    large = photo(93, 71, seed=3)
    for name, picture, options in (
        ("jpeg_ycbcr_420", large.convert("YCbCr"), {}),
        ("jpeg_rgb", large, {}),
        ("jpeg_grey", large.convert("L"), {}),
    ):
        data = pillow(picture, compression="jpeg", quality=92, **options)
        with Image.open(io.BytesIO(data)) as image:
            shown = np.asarray(image.convert("RGB"))
        add(f"{name}.tif", data, shown, 1 if "grey" in name else 3, "uint8", loses=True)
    for subsampling in ((1, 1), (2, 1), (2, 2)):
        data = write(
            np.asarray(large), photometric="ycbcr", subsampling=subsampling, compression="jpeg",
            compressionargs={"level": 92}, tile=(32, 32),
        )  # fmt: skip
        shown = tifffile.imread(io.BytesIO(data))
        name = f"jpeg_ycbcr_tiled_{subsampling[0]}{subsampling[1]}.tif"
        add(name, data, shown, 3, "uint8", loses=True)

    # Tiles that are left out, as GDAL does: nothing but zeros.
    tiles = [rgb[:16, :16], None, rgb[:16, 32:], None, rgb[16:, 16:32], None]
    filled = np.zeros_like(rgb)
    chunks = []
    for index, tile in enumerate(tiles):
        full = np.zeros((16, 16, 3), np.uint8)
        if tile is not None:
            full[: tile.shape[0], : tile.shape[1]] = tile
            y, x = index // 3 * 16, index % 3 * 16
            filled[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
        chunks.append(zlib.compress(full.tobytes()) if tile is not None else b"")
    tags = head(WIDTH, HEIGHT, 8, 2, 3, 8, t322=(3, [16]), t323=(3, [16]))
    del tags[278]
    add("sparse_tiles.tif", raw(tags, chunks, chunk_tags=(324, 325)), filled, 3, "uint8")

    # Pages, and a picture that is turned.
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        for samples in (grey, rgb16[..., 1], floats, rgb, rgb16):
            writer.write(samples, metadata=None, photometric="rgb" if samples.ndim == 3 else "minisblack")
    add("pages.tif", out.getvalue(), grey, 1, "uint8", pages=5)
    turned = np.rot90(rgb16, -1)
    data = write(rgb16, photometric="rgb", extratags=[(274, 3, 1, 6, True)])
    add("rgb16_turned.tif", data, turned, 3, "uint16", orientation=6)

    (OUT / "tiff.txt").write_text("\n".join(sorted(LINES)) + "\n")
    print(len(LINES), "files,", sum(path.stat().st_size for path in OUT.iterdir()), "bytes")


def ycbcr(samples):
    """To RGB as in JPEG, rounded."""
    y, cb, cr = (samples[..., channel].astype(np.float64) - offset for channel, offset in ((0, 0), (1, 128), (2, 128)))
    red, blue = y + 1.402 * cr, y + 1.772 * cb
    green = (y - 0.299 * red - 0.114 * blue) / 0.587
    return np.clip(np.floor(np.stack([red, green, blue], -1) + 0.5), 0, 255).astype(np.uint8)


def units(ycc, h, v):
    """Subsampled by repeating: the units of a TIFF, and what they stand for."""
    height, width = ycc.shape[:2]
    wide = np.pad(ycc, ((0, -height % v), (0, -width % h), (0, 0)), mode="edge")
    colours = wide[::v, ::h, 1:]
    data = bytearray()
    for y in range(0, wide.shape[0], v):
        for x in range(0, wide.shape[1], h):
            data += wide[y : y + v, x : x + h, 0].tobytes() + colours[y // v, x // h].tobytes()
    full = wide.copy()
    full[..., 1:] = np.repeat(np.repeat(colours, v, 0), h, 1)
    return bytes(data), full[:height, :width]


if __name__ == "__main__":
    main()
