"""Rings joined into one, for formats whose polygons have neither holes nor parts.

Two rings are joined by a bridge that is walked in both directions: it has no width, so that the area stays, and readers
that count crossings (pycocotools, cv2.fillPoly, Pillow) see the same holes and parts as before.
"""

from __future__ import annotations

from collections.abc import Sequence

from duckdb_sam.wkb import Ring

Corner = tuple[float, float]


def one_ring(island: Sequence[Ring]) -> Ring:
    """Join an island's outer ring with its holes. The result does not repeat its first corner at its end."""
    outer, *holes = (ring[:-1] for ring in island)
    for hole in sorted(holes):
        outer = _joined(outer, hole)
    return outer


def one_polygon(islands: Sequence[Sequence[Ring]]) -> Ring:
    """Join all islands, each to the next one from the left to the right."""
    rings = sorted((one_ring(island) for island in islands), key=min)
    if not rings:
        return []
    whole = rings.pop()
    while rings:
        whole = _joined(rings.pop(), whole)
    return whole


def _joined(ring: Ring, other: Ring) -> Ring:
    """Go around ``ring``, and from one of its corners around ``other`` and back; the corners are near to each other."""
    there = _nearest(other, ring[0])
    here = _nearest(ring, other[there])
    there = _nearest(other, ring[here])
    return [*ring[: here + 1], *other[there:], *other[: there + 1], *ring[here:]]


def _nearest(ring: Ring, corner: Corner) -> int:
    x, y = corner
    distances = [(a - x) ** 2 + (b - y) ** 2 for a, b in ring]
    return distances.index(min(distances))
