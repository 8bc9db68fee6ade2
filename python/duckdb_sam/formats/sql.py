"""Masks by the thousand through the extension's functions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from duckdb_sam.engine import shared
from duckdb_sam.wkb import Ring, polygons

_AT_ONCE = 2000


class Sized(Protocol):
    """What has run lengths and a size, such as a ``Mask``."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        ...

    @property
    def counts(self) -> str:
        """COCO's compressed run lengths."""
        ...


def evaluate(expressions: str, masks: Sequence[Sized], *values: Any) -> Iterator[tuple[Any, ...]]:
    """Give the values of SQL expressions of each mask ``m``; ``values`` stand for their ``?``."""
    rows = "SELECT unnest(?::INTEGER[]) AS h, unnest(?::INTEGER[]) AS w, unnest(?::VARCHAR[]) AS c"
    statement = f"SELECT {expressions} FROM (SELECT {{'size': [h, w], 'counts': c}} AS m FROM ({rows}))"
    for start in range(0, len(masks), _AT_ONCE):
        part = masks[start : start + _AT_ONCE]
        given = ([mask.size[0] for mask in part], [mask.size[1] for mask in part], [mask.counts for mask in part])
        with shared.query(statement, [*values, *given]) as result:
            yield from result.fetchall()


def drawn(
    expressions: str, segmentations: Sequence[Any], sizes: Sequence[tuple[int, int]]
) -> Iterator[tuple[Any, ...]]:
    """Give the values of SQL expressions of the mask ``m`` of each of COCO's segmentations, of any form.

    Raises ValueError for what is none.
    """
    rows = "SELECT unnest(?::VARCHAR[]) AS s, unnest(?::BIGINT[]) AS h, unnest(?::BIGINT[]) AS w"
    statement = f"SELECT {expressions} FROM (SELECT mask_from_coco(s, h, w) AS m FROM ({rows}))"
    for start in range(0, len(segmentations), _AT_ONCE):
        texts = [json.dumps(each) for each in segmentations[start : start + _AT_ONCE]]
        heights, widths = ([size[side] for size in sizes[start : start + _AT_ONCE]] for side in (0, 1))
        with shared.query(statement, [texts, heights, widths]) as result:
            yield from result.fetchall()


def outlines(masks: Sequence[Sized], tolerance: float) -> Iterator[list[list[Ring]]]:
    """Give for each mask its islands: of each the rings, the outer first, then its holes, in pixels."""
    if not 0 <= tolerance < float("inf"):
        raise ValueError(f"tolerance must be 0 or more pixels, not {tolerance!r}")
    for (wkb,) in evaluate("mask_to_wkb(m, ?)", masks, float(tolerance)):
        yield polygons(wkb)
