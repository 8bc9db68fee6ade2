"""Well-known binary as ``mask_to_wkb`` writes it: POLYGON or MULTIPOLYGON, little-endian, x and y."""

from __future__ import annotations

import struct
from collections.abc import Iterator

Ring = list[tuple[float, float]]
"""Corners (x, y), the last of which is the first."""

_MULTIPOLYGON = 6


def spans(wkb: bytes | bytearray) -> Iterator[list[tuple[int, int]]]:
    """Give for each polygon where its rings are: the offset of the coordinates, and the number of corners."""
    at = 0

    def number() -> int:
        nonlocal at
        at += 4
        return struct.unpack_from("<I", wkb, at - 4)[0]

    def polygon() -> list[tuple[int, int]]:
        nonlocal at
        found: list[tuple[int, int]] = []
        for _ in range(number()):
            count = number()
            found.append((at, count))
            at += 16 * count
        return found

    at = 1  # the byte order
    if number() != _MULTIPOLYGON:
        yield polygon()
        return
    for _ in range(number()):
        at += 5  # byte order and type, of a polygon
        yield polygon()


def polygons(wkb: bytes) -> list[list[Ring]]:
    """Return of each polygon its rings, the outer first, then its holes."""
    found: list[list[Ring]] = []
    for rings in spans(wkb):
        if rings:
            values = (struct.unpack_from(f"<{2 * count}d", wkb, offset) for offset, count in rings)
            found.append([list(zip(each[::2], each[1::2], strict=True)) for each in values])
    return found
