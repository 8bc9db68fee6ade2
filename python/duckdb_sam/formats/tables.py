"""What is read from other tools' files, as an Arrow table with a row for each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from duckdb_sam.formats.sql import drawn
from duckdb_sam.optional import needed

_AT_ONCE = 1000


@dataclass
class Annotated:
    """An image and its objects. The lists are of one length."""

    name: str
    image: str | None
    image_id: int
    width: int
    height: int
    boxes: list[list[float] | None] = field(default_factory=list[list[float] | None])
    """Two corners, in fractions of width and height."""
    masks: list[Any] = field(default_factory=list[Any])
    """COCO's segmentation in any of its forms, or None; ``table`` makes masks of them."""
    categories: list[str] = field(default_factory=list[str])
    category_ids: list[int] = field(default_factory=list[int])
    scores: list[float | None] = field(default_factory=list["float | None"])
    crowd: list[bool] = field(default_factory=list[bool])
    ids: list[int] = field(default_factory=list[int])


def table(found: Sequence[Annotated], where: str) -> Any:
    """Return the Arrow table. A segmentation that is none is a ValueError that begins with ``where``."""
    pa = needed("pyarrow", "arrow", where)
    _convert(found, where)
    mask = pa.struct([("size", pa.list_(pa.int32())), ("counts", pa.string())])
    columns = {
        "name": pa.string(),
        "image": pa.string(),
        "image_id": pa.int64(),
        "width": pa.int64(),
        "height": pa.int64(),
        "boxes": pa.list_(pa.list_(pa.float64())),
        "masks": pa.list_(mask),
        "categories": pa.list_(pa.string()),
        "category_ids": pa.list_(pa.int64()),
        "scores": pa.list_(pa.float64()),
        "crowd": pa.list_(pa.bool_()),
        "ids": pa.list_(pa.int64()),
    }
    arrays = {name: pa.array([getattr(each, name) for each in found], kind) for name, kind in columns.items()}
    if all(each.image is None for each in found):
        del arrays["image"]
    return pa.table(arrays)


def _convert(found: Sequence[Annotated], where: str) -> None:
    """Make masks of all segmentations."""
    places = [(each, place) for each in found for place, given in enumerate(each.masks) if given is not None]
    for start in range(0, len(places), _AT_ONCE):
        part = places[start : start + _AT_ONCE]
        try:
            masks = _masks(part)
        except ValueError:
            masks = [_alone(each, place, where) for each, place in part]
        for (each, place), mask in zip(part, masks, strict=True):
            each.masks[place] = mask


def _masks(places: Sequence[tuple[Annotated, int]]) -> list[Any]:
    sizes = [(each.height, each.width) for each, _ in places]
    return [mask for (mask,) in drawn("m", [each.masks[place] for each, place in places], sizes)]


def _alone(each: Annotated, place: int, where: str) -> Any:
    try:
        return _masks([(each, place)])[0]
    except ValueError as error:
        raise ValueError(f"{where}: object {each.ids[place]} of image {each.name!r}: {error}") from error
