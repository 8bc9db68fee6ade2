"""Random masks, and masks as the extension has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from pycocotools import mask as coco


def encode(pixels: np.ndarray) -> dict[str, Any]:
    """Return a mask as COCO's compressed run lengths."""
    rle = coco.encode(np.asfortranarray(pixels, np.uint8))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def shapes(random: np.random.Generator, count: int) -> Iterator[np.ndarray]:
    """Yield masks of all kinds: noise, blobs, lines, single pixels, several parts, holes; some touch the border."""
    for index in range(count):
        height, width = random.integers(1, random.choice([4, 12, 40, 90]), 2)
        y, x = np.mgrid[:height, :width]
        pixels = np.zeros((height, width), bool)
        kind = index % 6
        if kind == 0:
            pixels = random.random((height, width)) < random.choice([0.02, 0.3, 0.6, 0.95])
        elif kind == 1:  # ellipses, turned
            for _ in range(random.integers(1, 4)):
                angle, (a, b) = random.random() * np.pi, random.uniform(0.5, max(height, width), 2)
                u, v = x - random.uniform(0, width), y - random.uniform(0, height)
                along, across = u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)
                pixels |= (along / a) ** 2 + (across / b) ** 2 < 1
        elif kind == 2:  # a line
            (x0, x1), (y0, y1) = random.integers(0, width, 2), random.integers(0, height, 2)
            steps = np.linspace(0, 1, 2 * max(height, width))
            pixels[np.rint(y0 + steps * (y1 - y0)).astype(int), np.rint(x0 + steps * (x1 - x0)).astype(int)] = True
        elif kind == 3:  # single pixels
            for _ in range(random.integers(1, 4)):
                pixels[random.integers(height), random.integers(width)] = True
        elif kind == 4:  # rectangles that lie over each other, with holes
            for _ in range(random.integers(1, 6)):
                (y0, y1), (x0, x1) = (np.sort(random.integers(0, side + 1, 2)) for side in (height, width))
                pixels[y0:y1, x0:x1] ^= True
        else:  # discs and rings
            for _ in range(random.integers(1, 4)):
                distance = np.hypot(y - random.integers(height), x - random.integers(width))
                pixels ^= (distance < random.integers(1, 30)) & (distance >= random.integers(0, 10))
        yield pixels
