"""Clicks and boxes for a given mask."""

import cv2
import numpy as np

from training.data import Rng


def soft_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """A float mask (S, S) averaged down to (size, size)."""
    return cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA)


def sample_click(rng: Rng, mask: np.ndarray, central: bool) -> tuple[float, float]:
    """A pixel (x, y) of a binary mask, uint8 (h, w); `central` stays away from the boundary."""
    if central:
        bordered = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
        distance = cv2.distanceTransform(bordered, cv2.DIST_L2, 3)[1:-1, 1:-1]
        mask = distance >= 0.6 * distance.max()
    ys, xs = np.nonzero(mask)
    i = rng.integers(len(ys))
    return float(xs[i]), float(ys[i])


def tight_box(mask: np.ndarray) -> np.ndarray:
    """The first and last column and row of a mask: (x0, y0, x1, y1) in pixels, int64."""
    ys, xs = np.nonzero(mask)
    return np.array([xs.min(), ys.min(), xs.max(), ys.max()])


def jitter_box(rng: Rng, mask: np.ndarray, size: int) -> np.ndarray:
    """The box of a mask, float32, each edge moved by about 5 % of the box and at most 2 % of the image's `size`."""
    box = tight_box(mask)
    w, h = box[2] - box[0] + 1, box[3] - box[1] + 1
    move = np.clip(rng.normal(0, 0.05, 4) * [w, h, w, h], -0.02 * size, 0.02 * size)
    return np.clip(box + move, 0, size - 1).astype(np.float32)
