"""What may be given as an image, and how it is passed to the extension.

Bytes of a file stay as they are. Pixels (Pillow, NumPy) are wrapped as a TIFF without compression: that is one copy,
and keeps every value of 8 to 64 bits, while writing a PNG of 24 megapixels takes seconds.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Union, cast
from urllib.parse import unquote_to_bytes, urlsplit

from duckdb_sam.optional import needed


class Pixels(Protocol):
    """A Pillow image or a NumPy array."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...


Image = Union[str, "os.PathLike[str]", bytes, bytearray, "memoryview[Any]", Mapping[str, Any], Pixels]  # noqa: UP007
"""A path, the bytes of a file, a Pillow image, a NumPy array, an ``Embedding``, or a dict {"bytes", "path"}.

Whatever else has ``__array__``, such as a tensor of PyTorch, is taken as an array too.
"""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_ORIENTATION = 0x0112
_MAGIC = b"SAMEMBED"
_KINDS = {"u": 1, "i": 2, "f": 3}
"""NumPy's kinds of numbers, and what TIFF's SampleFormat calls them."""

ACCEPTED = "a path, bytes of an image file, a Pillow image, a NumPy array or an embedding"


class Embedding(bytes):
    """What ``Segmenter.embed`` returns: bytes that stand for an image, for the same model, wherever they are stored."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image in pixels."""
        width, height = struct.unpack_from("<II", self, 64)
        return height, width

    def __repr__(self) -> str:
        height, width = self.size
        return f"Embedding({width} x {height} image, {len(self):,} bytes)"

    __str__ = __repr__


class Picture(NamedTuple):
    """An image as the extension takes it."""

    data: bytes
    size: tuple[int, int] | None
    """Height and width, upright, where they are known without asking the extension."""
    path: str | None


def picture(image: Image | Any) -> Picture:
    """Return ``image`` as bytes. Raises OSError for a file that cannot be read, TypeError or ValueError for others."""
    if isinstance(image, (bytes, bytearray, memoryview)):
        data = image if isinstance(image, bytes) else bytes(cast("memoryview[Any]", image))
        size = Embedding(data).size if is_embedding(data) else None
        return Picture(data, size, None)
    if isinstance(image, (str, os.PathLike)):
        path = local_path(os.fsdecode(image))  # pyright: ignore[reportUnknownArgumentType]
        if odd := irregular(path):
            raise OSError(errno.EINVAL, odd, str(path))
        return Picture(path.read_bytes(), None, str(path.absolute()))
    if isinstance(image, Mapping):
        return _record(image)  # pyright: ignore[reportUnknownArgumentType]
    if hasattr(image, "getexif") and hasattr(image, "mode"):
        return _pillow(image)
    if hasattr(image, "__array__"):
        return _array(image)
    raise TypeError(f"image must be {ACCEPTED}, not {_name(image)}")


def irregular(path: str | os.PathLike[str]) -> str | None:
    """Return what is there instead of a file or folder, and would be read without end; None for all others."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # told when it is read
        return None
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return "a device, which has no end"
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        return "a pipe or socket, and no file: write what comes out of it to a file, or give its bytes"
    return None


def local_path(given: str) -> Path:
    """Return a path, which may be given as a URI of a file. Raises ValueError for other URIs."""
    if given.startswith("file:"):
        path = urlsplit(given).path
        if os.name == "nt":
            from urllib.request import url2pathname

            return Path(url2pathname(path))
        return Path(os.fsdecode(unquote_to_bytes(path)))  # names need not be UTF-8
    if _URL.match(given):
        raise ValueError(f"{given!r} is not a file of this machine: read it first, and give its bytes")
    return Path(given).expanduser()


def is_embedding(data: bytes) -> bool:
    """Tell whether bytes are what ``sam_embed`` returns."""
    return len(data) >= 96 and data.startswith(_MAGIC)


def _record(image: Mapping[str, Any]) -> Picture:
    """Take {"bytes": ..., "path": ...}, which Hugging Face's ``Image(decode=False)`` gives."""
    if "bytes" not in image and "path" not in image:
        raise TypeError(f"an image given as a dict has the keys 'bytes' and 'path', not {sorted(image)}")
    given = image.get("bytes")
    if given is None:
        given = image.get("path")
    if given is None:
        raise ValueError("the image has neither bytes nor a path")
    return picture(given)


def _pillow(image: Any) -> Picture:
    """Take a Pillow image: upright by its EXIF orientation, values as they are; what TIFF has not, as RGB."""
    if image.getexif().get(_ORIENTATION, 1) != 1:
        operations = needed("PIL.ImageOps", "images", "a Pillow image with an EXIF orientation")
        image = operations.exif_transpose(image)
    mode: str = image.mode
    if mode == "P" or mode == "PA":
        mode = "RGBA" if mode == "PA" or "transparency" in image.info else "RGB"
    elif mode == "LAB":
        raise ValueError("a Pillow image of mode LAB has no one meaning in RGB: convert it with PIL.ImageCms")
    mode = {"1": "L", "CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA"}.get(
        mode, mode
    )
    if mode in ("L", "RGB") and "transparency" in image.info and image.mode == mode:
        mode = "LA" if mode == "L" else "RGBA"  # one colour that stands for transparent
    if mode != image.mode:
        image = image.convert(mode)
    layouts = {"L": (1, 8, "u"), "LA": (2, 8, "u"), "RGB": (3, 8, "u"), "RGBA": (4, 8, "u")}
    layouts |= {"I;16": (1, 16, "u"), "I;16L": (1, 16, "u"), "I;16B": (1, 16, "u"), "I;16N": (1, 16, "u")}
    layouts |= {"I": (1, 32, "i"), "F": (1, 32, "f")}
    if mode not in layouts:
        raise ValueError(f"a Pillow image of mode {mode} is not supported: convert it to RGB or L")
    channels, bits, kind = layouts[mode]
    pixels: bytes = image.tobytes()
    return _tiff(pixels, (image.height, image.width), channels, bits, kind, big_endian=mode == "I;16B")


def _array(given: Any) -> Picture:
    """Take an array (height, width) or (height, width, 1, 3 or 4) of whole numbers, floats or bool."""
    numpy = needed("numpy", "numpy", "an image given as an array")
    if isinstance(given, numpy.ma.MaskedArray) and numpy.ma.is_masked(given):  # pyright: ignore[reportUnknownMemberType]
        raise ValueError("an image is an array that is masked in places: fill these, image.filled(0) for black")
    array = numpy.asarray(given)
    shape: tuple[int, ...] = array.shape
    if len(shape) == 4:
        raise ValueError(f"an array of shape {shape} is a batch: give one image at a time")
    if len(shape) not in (2, 3):
        raise ValueError(f"an image has the shape (height, width) or (height, width, channels), not {shape}")
    channels = shape[2] if len(shape) == 3 else 1
    if channels not in (1, 3, 4):
        if shape[0] in (1, 3, 4):
            turned = (*shape[1:], shape[0])
            hint = f"its channels come first; give array.transpose(1, 2, 0), which is {turned}"
        else:
            hint = "the last axis must be 1 (grey), 3 (RGB) or 4 (RGBA) channels; choose three bands"
        raise ValueError(f"an array of shape {shape} is not an image: {hint}")
    if 0 in shape:
        raise ValueError(f"an array of shape {shape} has no pixels")
    if array.dtype.kind == "b":
        array = array.astype(numpy.uint8) * 255
    if array.dtype.kind not in _KINDS or array.dtype.itemsize > 8:
        raise TypeError(f"an image is an array of whole numbers, floats or bool, not {array.dtype}")
    array = numpy.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    bits = 8 * array.dtype.itemsize
    return _tiff(memoryview(array).cast("B"), (shape[0], shape[1]), channels, bits, array.dtype.kind)


def _tiff(
    pixels: bytes | memoryview,
    size: tuple[int, int],
    channels: int,
    bits: int,
    kind: str,
    *,
    big_endian: bool = False,
) -> Picture:
    """Put the header of a TIFF before pixels (height, width, channels): one strip, no compression."""
    height, width = size
    order = ">" if big_endian else "<"
    length = pixels.nbytes if isinstance(pixels, memoryview) else len(pixels)
    if length > 0xFFFF_0000:
        raise ValueError(
            f"an image of {width} x {height} pixels takes {length:,} bytes; more than 4 GiB are not passed"
        )
    alpha = channels in (2, 4)
    # Tag, type (3 is SHORT, 4 is LONG) and values, in the order of the tags.
    tags: list[tuple[int, int, list[int]]] = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [bits] * channels),  # BitsPerSample
        (259, 3, [1]),  # Compression: none
        (262, 3, [2 if channels >= 3 else 1]),  # PhotometricInterpretation: RGB, or 0 is black
        (273, 4, [0]),  # StripOffsets: the length of what precedes the pixels, below
        (277, 3, [channels]),
        (278, 4, [height]),  # RowsPerStrip
        (279, 4, [length]),
        (338, 3, [2]),  # ExtraSamples: alpha that is not multiplied into the colours
        (339, 3, [_KINDS[kind]] * channels),
    ]
    tags = [tag for tag in tags if alpha or tag[0] != 338]
    beyond = 8 + 2 + 12 * len(tags) + 4  # where the values that do not fit into 4 bytes begin
    offset = beyond + sum(2 * len(values) for _, code, values in tags if code == 3 and len(values) > 2)
    entries, tail = b"", b""
    for tag, code, values in tags:
        packed = struct.pack(f"{order}{len(values)}{'H' if code == 3 else 'I'}", *(values if tag != 273 else [offset]))
        if len(packed) > 4:
            place = struct.pack(f"{order}I", beyond + len(tail))
            tail += packed
        else:
            place = packed.ljust(4, b"\0")
        entries += struct.pack(f"{order}HHI", tag, code, len(values)) + place
    start = (b"MM" if big_endian else b"II") + struct.pack(f"{order}HIH", 42, 8, len(tags))
    return Picture(b"".join([start, entries, bytes(4), tail, pixels]), size, None)


def _name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
