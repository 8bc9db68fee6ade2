"""Rows gathered by image, checked: what every format is written from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from numbers import Real
from typing import Any, NamedTuple, cast

from duckdb_sam.engine import shared
from duckdb_sam.formats.categories import Category, category
from duckdb_sam.formats.checks import MOST_PIXELS, sequence, short, side, whole
from duckdb_sam.formats.names import plain
from duckdb_sam.formats.sources import Row, Rows, source
from duckdb_sam.formats.sql import evaluate
from duckdb_sam.images import picture
from duckdb_sam.masks import Mask

NAMES = ("file_name", "filename", "name", "path")
MASKS = ("mask", "masks", "seg", "segmentation")
_FOUND = {
    "name": NAMES,
    "mask": MASKS,
    "category": ("category", "categories"),
    "score": ("score", "scores", "predicted_iou"),
    "crowd": ("crowd", "iscrowd"),
    "image": ("image",),
    "width": ("width",),
    "height": ("height",),
}
"""The columns that are used where none is named, the first that there is."""


class Object(NamedTuple):
    """A mask with what belongs to it."""

    size: tuple[int, int]
    """Height and width in pixels."""
    counts: str
    area: int
    bbox: tuple[float, float, float, float]
    """x, y, width and height in pixels; all 0 for a mask without pixels."""
    category: Category | None
    score: float | None
    crowd: bool


@dataclass
class Entry:
    """An image with its objects."""

    name: str
    """As it is given."""
    size: tuple[int, int] | None = None
    """Height and width in pixels, if known."""
    objects: list[Object] = field(default_factory=list[Object])
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    """The values of columns that only one format has, such as the number of an image; the same in all its rows."""


class Columns(NamedTuple):
    """The names of columns as the user gave them; None for those to be found."""

    name: str | None = None
    mask: str | None = None
    category: str | None = None
    score: str | None = None
    image: str | None = None
    width: str | None = None
    height: str | None = None
    crowd: str | None = None
    extra: Mapping[str, str | None] = {}


Sink = Callable[[Entry, Any], None]


def entries(rows: Rows, columns: Columns, *, sized: bool, sink: Sink | None = None) -> list[Entry]:
    """Return the images in the order of their names, with their objects in the order of the rows.

    With ``sized``, an image whose size is not known is an error. ``sink`` is called once for each image with what the
    column of images has.
    """
    given = source(rows)
    roles = _roles(given.columns, columns)
    found: dict[str, Entry] = {}
    unmeasured: list[tuple[int, Entry, Mask, Category | None, float | None, bool]] = []
    for number, values in enumerate(given.read(sorted(set(roles.values())))):
        row = {role: values[column] for role, column in roles.items()}
        name = _name(number, row, given.columns)
        new = plain(name) not in found
        entry = found.setdefault(plain(name), Entry(name))
        where = f"row {number} ({name})"
        _merge(entry, row, columns.extra, where)
        size = _stated(row, where)
        image = row.get("image")
        if new and sink is not None:
            sink(entry, image)
        if size is None and isinstance(image, (bytes, bytearray, memoryview)):
            size = _measured(image, where)
        _same_size(entry, size, where, "the row says")
        for mask, kind, score, crowd in _objects(row, where):
            _same_size(entry, mask.size, where, "the mask has")
            unmeasured.append((number, entry, mask, kind, score, crowd))
        if sized and entry.size is None and (image is not None or os.path.isfile(name)):
            entry.size = _measured(name if image is None else image, where)
    _measure(unmeasured)
    if sized:
        for entry in found.values():
            if entry.size is None:
                raise ValueError(
                    f"the size of image {entry.name!r} is not known, because it has no mask: give the columns "
                    "width=... and height=..., or image=... (bytes or paths), or leave such rows out"
                )
    return sorted(found.values(), key=lambda entry: entry.name)


def _roles(have: Sequence[str], columns: Columns) -> dict[str, str]:
    """Return the column of each role."""
    roles: dict[str, str] = {}
    for role, given in {**columns._asdict(), **columns.extra}.items():
        if role == "extra":
            continue
        if given is not None:
            if not isinstance(given, str):
                raise TypeError(f"{role} must be the name of a column, not {given!r}")
            if given not in have:
                raise ValueError(f"the rows have no column {given!r}, {role}={given!r}: theirs are {', '.join(have)}")
            roles[role] = given
        elif column := next((name for name in _FOUND.get(role, ()) if name in have), None):
            roles[role] = column
    if "mask" not in roles:
        raise ValueError(
            f"no column has masks, of those named {', '.join(MASKS)}: give mask=..., one of {', '.join(have)}"
        )
    return roles


def _name(number: int, row: Row, have: Sequence[str]) -> str:
    given = row["name"] if "name" in row else row.get("image")
    if isinstance(given, Mapping):  # Hugging Face's struct<bytes, path>
        given = cast("Mapping[str, Any]", given).get("path")
    if isinstance(given, os.PathLike):
        given = os.fspath(cast("os.PathLike[str]", given))
    if isinstance(given, str) and given:
        return given
    if "name" in row or "image" in row:
        raise ValueError(
            f"row {number} does not name its image, but has {short(given)}: give name=..., a column of file names"
        )
    raise ValueError(
        f"no column says what the images are called, of those named {', '.join(NAMES)}: "
        f"give name=..., one of {', '.join(have)}"
    )


def _merge(entry: Entry, row: Row, extra: Mapping[str, str | None], where: str) -> None:
    for role in extra:
        if role in row:
            known = entry.extra.setdefault(role, row[role])
            if known != row[role]:
                raise ValueError(f"{where}: {role} is {row[role]!r}, and {known!r} in an earlier row of the same image")


def _stated(row: Row, where: str) -> tuple[int, int] | None:
    width, height = row.get("width"), row.get("height")
    if width is None or height is None:
        return None
    return side(height, f"{where}: height"), side(width, f"{where}: width")


def _measured(image: Any, where: str) -> tuple[int, int] | None:
    try:
        given = picture(image)
        info = None if given.size else shared.value("image_info(?::BLOB)", given.data)
    except (OSError, ValueError) as error:
        raise ValueError(f"{where}: the size of the image is not known: {error}") from error
    return given.size or (info and (info["height"], info["width"]))


def _same_size(entry: Entry, size: tuple[int, int] | None, where: str, what: str) -> None:
    if size is None:
        return
    if entry.size is None:
        entry.size = size
    elif entry.size != size:
        raise ValueError(
            f"{where}: {what} {size[1]} x {size[0]} pixels, but the image {entry.size[1]} x {entry.size[0]}: "
            "masks must be of the image as it is, upright"
        )


def _objects(row: Row, where: str) -> Iterator[tuple[Mask, Category | None, float | None, bool]]:
    """Give the masks of a row with their categories and scores. NULL is no mask, in a list too."""
    value: Any = row["mask"]
    if isinstance(value, str):
        value = json.loads(value) if value[:1] in ("{", "[") else value
    many = _is_list(value)
    masks = list(value) if many else [value]
    others = {role: _spread(role, row.get(role), masks, many, where) for role in ("category", "score", "crowd")}
    for place, given in enumerate(masks):
        if given is None:
            continue
        mask, own = mask_of(given, f"{where}, mask {place}" if many else where)
        score = others["score"][place]
        yield (
            mask,
            category(others["category"][place], where),
            _score(score if score is not None else own, where),
            _crowd(others["crowd"][place], where),
        )


def _crowd(value: Any, where: str) -> bool:
    if value is None:
        return False
    if (not isinstance(value, (bool, int)) and not hasattr(value, "item")) or value not in (0, 1):
        raise TypeError(f"{where}: crowd is true or false, 1 or 0, not {value!r}")
    return bool(value)


def _score(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{where}: a score is a number, not {value!r}")
    number = float(cast(float, value))
    return number if isfinite(number) else None


def _spread(role: str, value: Any, masks: list[Any], many: bool, where: str) -> list[Any]:
    """Return a value for each mask: those of a list, or one for all."""
    if not _is_list(value):
        return [value] * len(masks)
    if not many or len(value) != len(masks):
        raise ValueError(
            f"{where}: {role} has {len(value)} values for {len(masks)} masks: give one for each, or one for all"
        )
    return list(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or (hasattr(value, "tolist") and getattr(value, "ndim", 0) == 1)


def mask_of(given: Any, where: str) -> tuple[Mask, Any]:
    """Return a mask, not checked yet, and the score that its record has."""
    if isinstance(given, Mask):
        return given, given.predicted_iou
    if isinstance(given, str) and given.startswith("{"):
        given = json.loads(given)
    if not isinstance(given, Mapping):
        raise TypeError(
            f"{where}: a mask is a record of sam_annotate, COCO's run lengths or a Mask, not {short(given)}"
        )
    record = cast("Mapping[str, Any]", given)
    rle: Any = record.get("segmentation", record)
    if isinstance(rle, Mask):
        return rle, rle.predicted_iou
    if not isinstance(rle, Mapping) or "size" not in rle or "counts" not in rle:
        raise ValueError(f"{where}: a mask has segmentation, or size and counts; this has {list(record)}")
    given = cast("Mapping[str, Any]", rle)
    height, width = _size(given["size"], where)
    counts: Any = given["counts"]
    if isinstance(counts, bytes):
        counts = counts.decode("latin-1")  # signs that are none of run lengths are refused later
    elif not isinstance(counts, str):
        if hasattr(counts, "tolist"):
            counts = counts.tolist()
        lengths = [whole(run, f"{where}: counts", 0) for run in sequence(counts, f"{where}: counts")]
        runs = json.dumps({"size": [height, width], "counts": lengths})
        counts = shared.value("mask_from_coco(?::VARCHAR, ?::BIGINT, ?::BIGINT)", runs, height, width)["counts"]
    score: Any = record.get("predicted_iou", record.get("score"))
    return Mask((height, width), counts, (0, 0, 0, 0), 0), score


def _size(given: Any, where: str) -> tuple[int, int]:
    given = given.tolist() if hasattr(given, "tolist") else given
    if not isinstance(given, (list, tuple)) or len(sequence(given, where)) != 2:
        raise ValueError(f"{where}: the size of a mask is [height, width], not {short(given)}")
    height, width = (whole(value, f"{where}: size", 0, MOST_PIXELS) for value in sequence(given, where))
    return height, width


def _measure(found: list[tuple[int, Entry, Mask, Category | None, float | None, bool]]) -> None:
    """Compute area and box of all masks, and put them into their images."""
    measures = evaluate("mask_error(m), mask_area(m), mask_bbox(m)", [each[2] for each in found])
    for (number, entry, mask, kind, score, crowd), (error, area, bbox) in zip(found, measures, strict=True):
        if error is not None:
            raise ValueError(f"row {number} ({entry.name}): not a mask: {error}")
        entry.objects.append(Object(mask.size, mask.counts, area, tuple(bbox), kind, score, crowd))
