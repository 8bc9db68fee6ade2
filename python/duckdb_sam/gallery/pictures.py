"""Thumbnails: an image in any form becomes a small picture that a page can carry, or the reason why it does not."""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

from duckdb_sam.engine import Engine
from duckdb_sam.images import Embedding, is_embedding, picture

_QUALITY = 75
"""Of WebP, 1 to 100."""
_INFO = "i.width, i.height, i.channels, i.format, i.sample, i.pages"
_DRAWN = f"""
    SELECT {_INFO}, image_convert(t, 'webp', {_QUALITY})
    FROM (SELECT image_info(b) AS i, image_thumbnail(b, ?) AS t FROM (SELECT ?::BLOB AS b))"""


class Picture(NamedTuple):
    """A thumbnail with the size of what it was made of."""

    data: str
    """A ``data:`` address."""
    size: tuple[int, int]
    """Height and width of the image in pixels, upright."""
    about: str
    """What a reader may want to know: ``600 × 400 JPEG``."""


class Broken(NamedTuple):
    """Why there is no picture."""

    what: str
    """In two or three words."""
    reason: str
    alien: bool = False
    """Whether the bytes are none of an image, so that nothing may be wrong with them."""


def thumbnail(engine: Engine, image: Any, side: int) -> Picture | Broken:
    """Draw an image, which is anything that ``Segmenter`` takes, with at most ``side`` pixels on its longer side."""
    try:
        data = picture(image).data
    except FileNotFoundError:
        return Broken("not found", f"there is no file {image}")
    except OSError as error:
        return Broken("not readable", error.strerror or str(error))
    except (ValueError, TypeError) as error:
        return Broken("no image", str(error))
    if is_embedding(data):
        height, width = Embedding(data).size
        return Broken("an embedding", f"of an image of {width} × {height} pixels, {bytes_in_words(len(data))}", True)
    try:
        return _drawn(engine, data, side)
    except ValueError as error:  # over a limit, or of a format that is not decoded
        return Broken("not drawn", str(error))


def _drawn(engine: Engine, data: bytes, side: int) -> Picture | Broken:
    with engine.query(_DRAWN, [side, data]) as result:
        [[width, height, channels, form, sample, pages, small]] = result.fetchall()
    if width is None or small is None:
        reason = engine.value("image_error(?::BLOB)", data)
        return Broken("damaged" if width is not None else "no image", reason or "not an image", width is None)
    about = f"{width} × {height} {form.upper()}"
    about += f", {sample} stretched to 8 bits" if sample != "uint8" else ""
    about += f", the first of {pages} pages" if pages and pages > 1 else ""
    about += {1: ", grey"}.get(channels, "")
    return Picture(f"data:image/webp;base64,{base64.b64encode(small).decode()}", (height, width), about)


def bytes_in_words(count: int) -> str:
    """Return a size as people say it."""
    if count < 1000:
        return f"{count} byte{'' if count == 1 else 's'}"
    for unit in ("kB", "MB", "GB"):
        count_in = count / {"kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
        if count_in < 999.5 or unit == "GB":
            return f"{count_in:.3g} {unit}"
    raise AssertionError
