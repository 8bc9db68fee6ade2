"""Masks with holes, parts, single pixels and none, for the tests of other tools' formats."""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

RING = np.hypot(*np.mgrid[-15:15, -20:20]) < 12
RING[12:18, 15:25] = False
PARTS = np.zeros((30, 40), bool)
PARTS[2:9, 3:12] = PARTS[20:28, 25:39] = PARTS[15, 2] = PARTS[4:6, 30:33] = True
PARTS[22:25, 28:33] = False  # a hole in one of them


def blank(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width), bool)


def encoded(pixels: np.ndarray) -> dict[str, Any]:
    rle = coco_mask.encode(np.asfortranarray(pixels, np.uint8))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def drawn(values: list[float], shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels whose centre lies in an outline, x, y, ... in fractions, by the rule of crossings."""
    height, width = shape
    x, y = np.array(values).reshape(-1, 2).T * [[width], [height]]
    inside = np.zeros((height, width), bool)
    down, across = np.arange(height) + 0.5, np.arange(width) + 0.5
    for x0, y0, x1, y1 in zip(x, y, np.roll(x, -1), np.roll(y, -1), strict=True):
        for row in np.flatnonzero((down > min(y0, y1)) & (down < max(y0, y1))):
            inside[row] ^= across < x0 + (down[row] - y0) / (y1 - y0) * (x1 - x0)
    return inside


def random_rows(*, empty: bool = True) -> tuple[list[dict[str, Any]], dict[tuple[str, int], tuple[np.ndarray, str]]]:
    """Return rows (one for a mask) and the arrays and categories by the name of the image and the place in it."""
    random = np.random.default_rng(8)
    rows: list[dict[str, Any]] = []
    arrays: dict[tuple[str, int], tuple[np.ndarray, str]] = {}
    for name in ("a b.jpg", "c.d.e.png", "ü/日本.jpg", "plain.JPEG", "no_ending"):
        height, width = (int(side) for side in random.integers(8, 50, 2))
        for place in range(6):
            pixels = random.random((height, width)) < [0.03, 0.3, 0.7, 0.97, 2, -1][place]
            if place == 0:
                pixels[height // 2, width // 2] = True
            if not empty and not pixels.any():
                continue
            kind = "cat" if place % 2 else "dog"
            arrays[name, place] = pixels, kind
            rows.append({"name": name, "mask": encoded(pixels), "category": kind})
    return rows, arrays
