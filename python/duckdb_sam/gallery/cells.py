"""What is in a cell: an image, masks, a prompt, an outline with coordinates, or something to be written down."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, Union, cast

from duckdb_sam.engine import Engine, shared
from duckdb_sam.formats.entries import MASKS
from duckdb_sam.gallery.outlines import DENSE, is_mask
from duckdb_sam.gallery.pictures import Broken, Picture, bytes_in_words, thumbnail
from duckdb_sam.gallery.prompts import is_labels, is_prompt
from duckdb_sam.images import is_embedding
from duckdb_sam.jobs.source_paths import SUFFIXES
from duckdb_sam.masks import Mask

LIST = "duckdb_sam_list"
"""The field in which the first of many numbers come from the query; ``length`` is how many there are."""

UNREAD = "duckdb_sam_unread"
"""The field in which it is said why an image could not be read on its way here."""

SHORT, LONG = 240, 4000
"""Letters of a text that are seen at once, and that the page has."""

_IMAGES = ("image", "img", "path", "photo", "picture", "file", "filename", "file_name", "thumbnail")
_ERRORS = ("error", "reason")
_CATEGORIES = ("categories", "category", "classes", "class", "class_name", "label", "labels")
FEW = 6
"""Images of a list that are drawn, the first ones."""
_DENSE = 64
"""More numbers than this, in a column that is called mask, are a dense mask."""


class Drawn(NamedTuple):
    """An image."""

    picture: Picture | Broken
    length: int | None = None
    """Of its bytes, where it came as such."""


class Several(NamedTuple):
    """Images of a list, the first of them."""

    pictures: list[Picture | Broken]
    length: int
    """How many there are in the list, those that are NULL and those that are not drawn as well."""
    about: Text | None
    """What else is in a struct with an image."""


class Path(NamedTuple):
    """The path of what looks like an image by its name. It is drawn where the row has no other."""

    text: str
    certain: bool
    """Whether the column says that it is one, so that a missing file is worth telling."""


class Masks(NamedTuple):
    """Masks, in the forms of SQL."""

    masks: list[Any]
    several: bool
    """Whether they come as a list."""


class Prompt(NamedTuple):
    """Points or boxes, as they came."""

    value: Any


class Labels(NamedTuple):
    """What tells of points whether they are in the object, 1, or not, 0."""

    value: list[Any]


class Names(NamedTuple):
    """What the masks of a list are called."""

    value: list[Any]


class Geometry(NamedTuple):
    """Polygons with coordinates, as well-known binary."""

    wkb: bytes


class Fault(NamedTuple):
    """Why there is no result."""

    text: str


class Text(NamedTuple):
    """Something written. ``kind`` is text, number, null or binary."""

    text: str
    kind: str
    left_out: int = 0
    """Letters at the end that are not here."""


Cell = Union[Drawn, Several, Path, Masks, Prompt, Labels, Names, Geometry, Fault, Text]  # noqa: UP007
NULL = Text("NULL", "null")


def cell(engine: Engine, name: str, value: Any, side: int) -> Cell:
    """Find out what a value is. Images become thumbnails here, so that no more than one of them is held."""
    value = _plain(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NULL if value is None else Text("NaN", "number")
    if isinstance(value, bytes):
        return _binary(engine, value, side)
    if isinstance(value, str):
        return _text(name, value)
    if is_image(value) or (name.lower() in _IMAGES and _has_pixels(value)):
        return Drawn(thumbnail(engine, value, side))
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        if UNREAD in fields:
            return Drawn(Broken("not read", str(fields[UNREAD])))
        if LIST in fields:
            return _listed(name, fields[LIST], fields["length"])
        if {"bytes", "path"} >= fields.keys() and fields:
            if fields.get("bytes") is None and fields.get("path") is None:
                return NULL
            return Drawn(thumbnail(engine, fields, side))
    return _masks(name, value) or _several(engine, value, side) or _other(name, value)


def _plain(value: Any) -> Any:
    """Return bytes, strings, numbers, lists and dicts for what libraries have in their place."""
    if isinstance(value, Mask):
        return value.to_dict()
    if isinstance(value, (bytearray, memoryview)):
        return bytes(cast("memoryview[Any]", value))
    if isinstance(value, os.PathLike):
        return os.fsdecode(cast("os.PathLike[str]", value))
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    return value


def is_image(value: Any) -> bool:
    """Whether it is an image of Pillow, or an array that can only be one."""
    if hasattr(value, "getexif") and hasattr(value, "mode"):
        return True
    shape: Any = getattr(value, "shape", None)
    if not hasattr(value, "__array__") or not isinstance(shape, tuple) or str(getattr(value, "dtype", "")) == "bool":
        return False
    sides = cast("tuple[int, ...]", shape)
    return len(sides) in (2, 3) and min(sides[:2]) > 8 and (len(sides) == 2 or sides[2] in (1, 3, 4))


def _has_pixels(value: Any) -> bool:
    """Whether it is an array that may be an image, by its number of axes: one of another form says so in its place."""
    return hasattr(value, "__array__") and len(getattr(value, "shape", ())) in (2, 3, 4)


def _several(engine: Engine, value: Any, side: int) -> Several | None:
    """Draw a list of images, as ``image_pages`` gives it, or of structs with one each, as ``image_tile`` does.

    So is a struct alone. None for what holds no image.
    """
    alone = isinstance(value, Mapping)
    if not alone and not isinstance(value, (list, tuple)):
        return None
    values: list[Any] = [value] if alone else list(cast("Sequence[Any]", value))
    some = [each for each in values if each is not None][:FEW]
    images: list[bytes] = []
    rest: list[Any] = []
    for each in some:
        if isinstance(each, Mapping):
            fields = cast("Mapping[Any, Any]", each)
            held = [name for name, inner in fields.items() if isinstance(inner, bytes)]
            if len(held) != 1:
                return None
            images.append(fields[held[0]])
            rest.append({name: inner for name, inner in fields.items() if name != held[0]})
        elif isinstance(each, bytes):
            images.append(each)
        else:
            return None
    found = [thumbnail(engine, each, side) for each in images]
    if all(isinstance(each, Broken) and each.alien for each in found):
        return None
    return Several(found, 1 if alone else len(values), written(rest[0] if alone else rest) if rest else None)


def _binary(engine: Engine, value: bytes, side: int) -> Cell:
    if _is_polygons(value):
        return Geometry(value)
    found = thumbnail(engine, value, side)
    if isinstance(found, Broken) and found.alien and is_embedding(value):
        return Text(f"embedding {found.reason}", "binary")
    return Drawn(found, len(value))


def _is_polygons(value: bytes) -> bool:
    """Whether it begins as little-endian well-known binary of a POLYGON or MULTIPOLYGON does."""
    return len(value) > 9 and value[:5] in (b"\x01\x03\0\0\0", b"\x01\x06\0\0\0")


def _text(name: str, value: str) -> Cell:
    lower = name.lower()
    if tells_faults(name) and value:
        return Fault(value)
    if is_mask(value):
        return Masks([value], False)
    if value.lower().endswith(SUFFIXES) and len(value) < LONG:
        return Path(value, lower in _IMAGES or lower.endswith(("path", "image")))
    return _written(value)


def tells_faults(name: str) -> bool:
    """Whether a column tells by its name why rows have no result."""
    return name.lower() in _ERRORS or name.lower().endswith("_error")


def _written(value: str, kind: str = "text") -> Text:
    return Text(value[:LONG], kind, max(len(value) - LONG, 0))


def _masks(name: str, value: Any) -> Masks | None:
    if is_mask(value):
        return Masks([value], False)
    if isinstance(value, Mapping):
        # What sam_segment returns, from where it came as numbers and not from a query.
        fields = cast("Mapping[str, Any]", value)
        dense = _dense(fields["mask"]) if set(fields) == {"mask", "iou_score"} else None
        return None if dense is None else Masks([{**dense, "iou_score": fields["iou_score"]}], False)
    if name.lower() in MASKS and (dense := _dense(value)):
        return Masks([dense], False)
    if isinstance(value, (list, tuple)) or hasattr(value, "tolist"):
        rows = [_plain(each) for each in cast("Sequence[Any]", value)]
        some = [each for each in rows if each is not None]
        if (some and all(map(is_mask, some))) or (not some and name.lower() in MASKS):
            return Masks(rows, True)
    return None


def _dense(value: Any) -> dict[str, Any] | None:
    """Return a mask of one value for each pixel as run lengths."""
    if hasattr(value, "tolist") and hasattr(value, "shape"):
        shape = cast("tuple[int, ...]", value.shape)
        if len(shape) == 2 and min(shape) > 0:
            flat = value.reshape(-1).astype(float).tolist()
            return {"segmentation": shared.value("mask_to_rle(?::FLOAT[], ?, ?)", flat, *shape)}
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        return None
    numbers = cast("Sequence[Any]", value)
    if len(numbers) < _DENSE or not isinstance(numbers[0], (int, float)):
        return None
    return {DENSE: shared.value("mask_to_rle(?::FLOAT[], ?, 1)", list(numbers), len(numbers))}


def _other(name: str, value: Any) -> Cell:
    if isinstance(value, bool):
        return Text(str(value).lower(), "number")
    if isinstance(value, int):
        return Text(str(value) if value.bit_length() < 400 else f"{value:.6g}", "number")
    if isinstance(value, float):
        return Text(f"{value:.6g}", "number")
    if hasattr(value, "tolist"):
        value = value.tolist()
    if is_prompt(name, value):
        return Prompt(value)
    if isinstance(value, (list, tuple)):
        numbers = cast("Sequence[Any]", value)
        if numbers and all(isinstance(each, (int, float)) for each in numbers):
            return _listed(name, numbers[:16], len(numbers))
        if numbers and name.lower() in _CATEGORIES and all(isinstance(each, (str, type(None))) for each in numbers):
            return Names(list(numbers))
    return written(value)


def written(value: Any) -> Text:
    """Return a value as text."""
    if isinstance(value, (list, tuple, Mapping)):
        try:
            return _written(json.dumps(value, default=_short, ensure_ascii=False))
        except (TypeError, ValueError):  # keys of a MAP that are no texts
            pass
    return _written(str(cast(object, value)))


def _listed(name: str, first: Sequence[Any] | None, length: int) -> Cell:
    """Return numbers of which the first are known."""
    if first is None:
        return NULL
    if length == len(first):
        if is_prompt(name, first):
            return Prompt(first)
        if is_labels(name, first):
            return Labels(list(first))
    shown = ["NULL" if each is None else f"{each:.4g}" for each in first]
    if length > len(first):
        return Text(f"[{', '.join(shown[:6])}, …], {length:,} numbers", "text")
    return Text(f"[{', '.join(shown)}]", "text")


def _short(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return bytes_in_words(len(value))
    if isinstance(value, Decimal):
        return float(value)
    return value.tolist() if hasattr(value, "tolist") else str(value)
