"""Polygons with coordinates of their own, as GeoParquet has them, drawn as on a map: north is up, with a grid."""

from __future__ import annotations

import math
import struct

from duckdb_sam.gallery.outlines import GRID, path
from duckdb_sam.wkb import Ring, polygons

_MARGIN = 0.08
_NEAR = (0.84, 0.06)
"""Lines further to the right, or to the top, have no room for their number."""
_LINES = 4
"""About so many lines of the grid in each direction."""


def drawn_map(label: str, column: str, wkb: bytes) -> str:
    """Return a figure; ``label`` and ``column`` are HTML already."""
    try:
        islands = polygons(wkb)
    except (struct.error, ValueError, MemoryError):
        islands = []
    corners = [corner for rings in islands for ring in rings for corner in ring]
    if not corners or not all(math.isfinite(value) for corner in corners for value in corner):
        return _figure(column, '<div class="broken"><b>no outline</b><span>an empty or damaged geometry</span></div>')
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    extent = max(max(xs) - min(xs), max(ys) - min(ys)) or 1.0
    margin = _MARGIN * extent
    left, right, low, high = min(xs) - margin, max(xs) + margin, min(ys) - margin, max(ys) + margin
    scale = GRID / max(right - left, high - low)
    wide, tall = (right - left) * scale, (high - low) * scale

    def moved(ring: Ring) -> Ring:
        return [(x - left, high - y) for x, y in ring]

    outline = path([[moved(ring) for ring in rings] for rings in islands], scale)
    step = _step(extent)
    lines: list[str] = []
    labels: list[str] = []
    for value in _multiples(left, right, step):
        at = (value - left) * scale
        lines.append(f"M{at:.0f} 0V{tall:.0f}")
        if at < _NEAR[0] * wide:
            labels.append(f'<span class="x" style="left:{100 * at / wide:.1f}%">{_number(value, step)}</span>')
    for value in _multiples(low, high, step):
        at = (high - value) * scale
        lines.append(f"M0 {at:.0f}H{wide:.0f}")
        if at > _NEAR[1] * tall:
            labels.append(f'<span class="y" style="top:{100 * at / tall:.1f}%">{_number(value, step)}</span>')
    box = f'viewBox="0 0 {wide:.0f} {tall:.0f}" preserveAspectRatio="none"'
    svg = (
        f'<svg {box} role="img" aria-label="{label}, an outline">'
        f'<path class="grid" d="{"".join(lines)}"/><path class="land" d="{outline}"/></svg>'
    )
    count = sum(map(len, islands))
    said = f"{_number(max(xs) - min(xs), step / 100)} × {_number(max(ys) - min(ys), step / 100)} units"
    said += f", {count} rings" if count > 1 else ""
    return _figure(column, f'<div class="map" style="--w:{wide:.0f};--h:{tall:.0f}">{svg}{"".join(labels)}</div>', said)


def _figure(column: str, inner: str, said: str = "") -> str:
    return f'<figure>{inner}<figcaption><span class="column">{column}</span> <span>{said}</span></figcaption></figure>'


def _step(extent: float) -> float:
    """Return 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(extent / _LINES))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= extent / _LINES)


def _multiples(low: float, high: float, step: float) -> list[float]:
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _number(value: float, step: float) -> str:
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:,.{digits}f}"
