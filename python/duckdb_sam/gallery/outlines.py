"""Outlines of masks as SVG: small enough for a page with hundreds of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from duckdb_sam.engine import Engine
from duckdb_sam.wkb import Ring, polygons

GRID = 960
"""Units along the longer side of a picture, in which outlines are written: about twice its pixels on the screen."""

DENSE = "duckdb_sam_dense"
"""The field in which a dense mask comes from the query, as run lengths whose height is all of its values."""

_TOLERANCE = 1.5
"""Units within which corners are left out."""
_MOST = 120_000
"""Letters that the outlines of one image may take, before they are written more coarsely."""

_MOST_BYTES = 16 * _MOST
"""Of outlines in well-known binary that are looked at: a corner takes 16, and seldom less than two letters."""

_OUTLINES = """
    SELECT mask_error(m), mask_area(m), mask_to_wkb(mask_clean(m, s), t)
    FROM (SELECT unnest(?::VARCHAR[]) AS m, unnest(?::DOUBLE[]) AS t, unnest(?::BIGINT[]) AS s)"""
_COARSE = (1, 4, 16)
"""By how much outlines are coarser, and specks left out that are no larger than so many units, if they are too long."""


class Shape(NamedTuple):
    """The outline of a mask in units of ``GRID``, with what is said about it."""

    path: str
    """Empty for a mask without pixels."""
    size: tuple[int, int]
    """Height and width of its image."""
    area: int
    about: str
    """``12,345 pixels (5.1 %), IoU 0.93``."""


class Wrong(NamedTuple):
    """What is wrong with a mask."""

    reason: str


def is_mask(value: Any) -> bool:
    """Tell whether a value is a mask or a record with one, in one of the forms that SQL takes."""
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, Mapping):
        return False
    fields = cast("Mapping[str, Any]", value)
    inner = fields.get("segmentation", fields)
    return DENSE in fields or (isinstance(inner, Mapping) and {"size", "counts"} <= inner.keys())


def _parsed(text: str) -> Any:
    if not (text.startswith("{") and '"counts"' in text):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def shapes(engine: Engine, masks: Sequence[Any], size: tuple[int, int] | None) -> list[Shape | Wrong]:
    """Return the outlines of masks. ``size``, of their image, is needed for dense ones, which do not tell theirs."""
    found: list[Shape | Wrong] = [Wrong("the size of its image is not known")] * len(masks)
    records = [_parsed(mask) if isinstance(mask, str) else mask for mask in masks]
    given: list[tuple[int, dict[str, Any], bool]] = []
    for place, record in enumerate(records):
        dense = record.get(DENSE)
        rle = dense or record.get("segmentation") or record
        height, width = map(int, rle["size"])
        if dense is not None:
            if size is None:
                continue
            if size[0] * size[1] != height * width:
                found[place] = Wrong(f"its {height * width:,} values are not those of {size[1]} × {size[0]} pixels")
                continue
            # Row by row and not down the columns: the mask on its side.
            height, width = size[1], size[0]
        given.append((place, {"size": [height, width], "counts": _counts(rle["counts"])}, dense is not None))
    for (place, rle, sideways), (error, area, path) in zip(given, _paths(engine, given), strict=True):
        height, width = reversed(rle["size"]) if sideways else rle["size"]
        if error is not None:
            found[place] = Wrong(error)
        else:
            about = _about(records[place], area, height * width)
            about = f"{about}, too fine to be drawn" if area and not path else about
            found[place] = Shape(path, (height, width), area, about)
    return found


def _counts(counts: Any) -> Any:
    return counts.decode("ascii", "replace") if isinstance(counts, (bytes, bytearray)) else counts


def _paths(engine: Engine, given: Sequence[tuple[int, dict[str, Any], bool]]) -> list[tuple[Any, int, str]]:
    """Return what is wrong, area and path of each; all are written more coarsely until they are not too long."""
    if not given:
        return []
    masks = [json.dumps(rle) for _, rle, _ in given]
    scales = [scale_of(rle["size"]) for _, rle, _ in given]
    found: list[tuple[Any, int, str]] = []
    for coarse in _COARSE:
        tolerances = [_TOLERANCE * coarse / scale for scale in scales]
        specks = [0 if coarse == 1 else round((coarse / scale) ** 2) + 1 for scale in scales]
        try:
            with engine.query(_OUTLINES, [masks, tolerances, specks]) as result:
                rows = result.fetchall()
        except ValueError as error:  # too many pieces
            if coarse < _COARSE[-1]:
                continue
            if len(given) > 1:
                return [each for one in given for each in _paths(engine, [one])]
            return [(str(error), 0, "")]
        if coarse < _COARSE[-1] and sum(len(wkb or b"") for _, _, wkb in rows) > _MOST_BYTES:
            continue
        least = 0 if coarse == 1 else 2 * coarse
        found = [
            (error, area, "" if wkb is None else path(polygons(wkb), scale, sideways, least))
            for (error, area, wkb), scale, (_, _, sideways) in zip(rows, scales, given, strict=True)
        ]
        if sum(len(each[2]) for each in found) <= _MOST:
            break
    return found


def scale_of(size: Sequence[int]) -> float:
    """Return the units of ``GRID`` that a pixel of an image takes."""
    return GRID / max(*size, 1)


def path(islands: Sequence[Sequence[Ring]], scale: float, sideways: bool = False, least: int = 0) -> str:
    """Return rings as the commands of an SVG path, on a grid of whole numbers, without those smaller than ``least``."""
    return "".join(_ring(ring, scale, sideways, least) for rings in islands for ring in rings)


def _ring(ring: Ring, scale: float, sideways: bool, least: int) -> str:
    corners: list[tuple[int, int]] = []
    for a, b in ring[:-1]:
        corner = (round(b * scale), round(a * scale)) if sideways else (round(a * scale), round(b * scale))
        if not corners or corner != corners[-1]:
            corners.append(corner)
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    if len(corners) < 3 or max(max(xs) - min(xs), max(ys) - min(ys)) < least:
        return ""
    x, y = corners[0]
    parts = [f"M{x} {y}l"]
    for right, down in corners[1:]:
        for step in (right - x, down - y):
            parts.append(str(step) if step < 0 or parts[-1].endswith("l") else f" {step}")
        x, y = right, down
    return f"{''.join(parts)}z"


def _about(record: Any, area: int, pixels: int) -> str:
    part = 100 * area / pixels if pixels else 0.0
    texts = [
        f"{area:,} pixel{'' if area == 1 else 's'} ({part:.2g} %)" if part < 10 else f"{area:,} pixels ({part:.0f} %)"
    ]
    for field, name in (("predicted_iou", "IoU"), ("iou_score", "IoU"), ("stability_score", "stability")):
        value = record.get(field)
        if isinstance(value, (int, float)) and value == value:
            texts.append(f"{name} {value:.2f}")
    return ", ".join(texts)
