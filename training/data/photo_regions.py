"""Regions of un-composited photos by classical segmentation, kept only where the boundary has real contrast."""

import math

import cv2
import numpy as np

from training.data import CANVAS, Rng
from training.data.assets import Assets
from training.data.textures import jitter

SECTORS = 12  # of a region's surroundings
KERNEL = np.ones((3, 3), np.uint8)


def clean_region(mask: np.ndarray, min_area: int) -> np.ndarray | None:
    """The largest smooth, compact component of a mask, uint8 (h, w), with small holes filled; None if there is none."""
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, KERNEL)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    count, components, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    area = int(stats[largest, cv2.CC_STAT_AREA])
    if area < min_area:
        return None
    mask = (components == largest).astype(np.uint8)
    # fill small holes (a leaf in front of a wall stays a hole)
    count, holes, stats, _ = cv2.connectedComponentsWithStats(1 - mask, connectivity=4)
    for hole in range(1, count):
        if stats[hole, cv2.CC_STAT_AREA] < 0.05 * area:
            mask[holes == hole] = 1
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.contourArea(cv2.convexHull(max(contours, key=len))) + 1
    return mask if area / hull >= 0.55 else None


def has_contrast(lab: np.ndarray, mask: np.ndarray) -> bool:
    """Whether the colour, Lab (h, w, 3), changes across the boundary in most sectors around the region's centre."""
    ring_out = cv2.dilate(mask, KERNEL, iterations=4) - cv2.dilate(mask, KERNEL, iterations=1)
    ring_in = cv2.erode(mask, KERNEL, iterations=1) - cv2.erode(mask, KERNEL, iterations=4)
    if ring_in.sum() < 20 or ring_out.sum() < 20:
        return False
    cy, cx = (q.mean() for q in np.nonzero(mask))
    counts, means = [], []
    for ring in (ring_out, ring_in):
        y, x = np.nonzero(ring)
        sector = ((np.arctan2(y - cy, x - cx) + math.pi) / (2 * math.pi) * SECTORS).astype(int) % SECTORS
        n = np.bincount(sector, minlength=SECTORS)
        color = lab[y, x]
        sums = np.stack([np.bincount(sector, color[:, c], minlength=SECTORS) for c in range(3)], -1)
        counts.append(n)
        means.append(sums / np.maximum(n, 1)[:, None])
    both = (counts[0] > 3) & (counts[1] > 3)
    difference = np.linalg.norm(means[0] - means[1], axis=1)[both]
    return len(difference) >= 6 and np.percentile(difference, 25) >= 9 and np.median(difference) >= 15


def good_regions(lab: np.ndarray, segments: np.ndarray, min_area: int, max_area: float) -> np.ndarray:
    """The segments that are compact and differ clearly from their surroundings: uint8 (h, w), 0 = none.

    `segments` are numbers from 0; areas in pixels. At most 60 regions, larger ones first.
    """
    from scipy.ndimage import find_objects

    out = np.zeros(segments.shape, np.uint8)
    kept = 0
    segments = segments + 1
    areas = np.bincount(segments.ravel())
    boxes = find_objects(segments)
    for i in np.argsort(-areas[1:]) + 1:
        if not min_area <= areas[i] <= max_area or kept >= 60:
            continue
        # work inside the region's bounding box plus a margin
        ys, xs = (slice(max(0, q.start - 8), q.stop + 8) for q in boxes[i - 1])
        mask = clean_region((segments[ys, xs] == i).astype(np.uint8), min_area)
        if mask is None or not has_contrast(lab[ys, xs], mask):
            continue
        kept += 1
        window = out[ys, xs]
        window[(mask > 0) & (window == 0)] = kept
    return out


def photo_regions(rng: Rng, assets: Assets) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A photo crop, uint8 (CANVAS, CANVAS, 3), with planes of its finer and its coarser regions, uint8."""
    from skimage.segmentation import felzenszwalb

    n, side = CANVAS, 320  # segmented at a smaller size
    image = assets.photo_crop(rng, n, n, 0.3, 1.0)
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    smooth = cv2.bilateralFilter(small, 7, 30, 5)
    lab = cv2.cvtColor(smooth.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
    planes = []
    for scale, smallest in ((rng.uniform(60, 250), 60), (rng.uniform(500, 2000), 250)):
        segments = felzenszwalb(lab / 100, scale=scale, sigma=0.6, min_size=smallest)
        regions = good_regions(lab, segments, max(90, smallest), 0.45 * side * side)
        planes.append(cv2.resize(cv2.medianBlur(regions, 3), (n, n), interpolation=cv2.INTER_NEAREST))
    return jitter(rng, image.astype(np.float32), 0.7).astype(np.uint8), planes[0], planes[1]
