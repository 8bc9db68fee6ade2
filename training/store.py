"""The pictures of packs, decoded, on the device that trains."""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from training.packs import SIDE, read_pack

MEAN_RGB = (123.675, 116.28, 103.53)
# How often a picture of a source is drawn, by its use for photographs; others 0.5.
SOURCE_WEIGHT = {
    "coco": 1.4, "voc2007": 1.0, "persondet": 0.6, "warehouse": 0.6, "animals": 0.55, "facade": 0.4, "clothing": 0.35,
    "mushrooms": 0.3, "feralcats": 0.25, "dsb2018": 0.25, "class5": 0.15,
}  # fmt: skip
NOT_PASTED = {"facade", "dsb2018", "mushrooms"}  # whose regions make no sense on another picture


class Store:
    """N pictures as tensors on one device.

    images   (N, 3, 512, 512) uint8 RGB, padded at the bottom and right with the mean
    labels   (N, 2, 512, 512) uint8, see `packs`
    sizes    (N, 2) height and width without the padding
    classes  (N, 2, 256) class of each label, -1 for none
    boxes    (N, 256, 4) of the objects of plane 0 (plane 1 where that is empty), with `present` (N, 256) 0 or 1
    weight   (N,) how often to draw
    """

    def __init__(self, paths: Sequence[Path], tiers: set[int], device: torch.device, limit: int | None = None):
        items = [item for path in paths for item in read_pack(path) if item.tier in tiers][:limit]
        if not items:
            raise ValueError(f"no picture of the tiers {sorted(tiers)} in {[str(path) for path in paths]}")
        n = len(items)
        self.counts = Counter(item.source for item in items)
        self.class_names = ["unknown"]
        index = {"unknown": 0}
        for item in items:
            for _, _, kind in item.objects:
                if kind not in index:
                    index[kind] = len(index)
                    self.class_names.append(kind)
        images = np.empty((n, 3, SIDE, SIDE), np.uint8)
        images[:] = np.round(MEAN_RGB).astype(np.uint8)[None, :, None, None]
        labels = np.zeros((n, 2, SIDE, SIDE), np.uint8)
        sizes = np.zeros((n, 2), np.int64)
        classes = np.full((n, 2, 256), -1, np.int64)
        boxes, present = np.zeros((n, 256, 4), np.float32), np.zeros((n, 256), np.float32)

        def decode(k: int) -> None:
            rgb, planes = items[k].decode()
            h, w = rgb.shape[:2]
            images[k, :, :h, :w] = rgb.transpose(2, 0, 1)
            labels[k, : len(planes), :h, :w] = planes[:2]
            sizes[k] = h, w
            for plane, ident, kind in items[k].objects:
                classes[k, plane, ident] = index[kind]
            main = 0 if any(plane == 0 for plane, _, _ in items[k].objects) else 1
            for plane, ident, _ in items[k].objects:
                hit = planes[plane] == ident
                if plane == main and hit.any():
                    ys, xs = np.flatnonzero(hit.any(1)), np.flatnonzero(hit.any(0))
                    boxes[k, ident] = xs[0], ys[0], xs[-1] + 1, ys[-1] + 1
                    present[k, ident] = 1
            if not present[k].any():
                boxes[k, 0], present[k, 0] = (0, 0, w, h), 1

        with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
            list(pool.map(decode, range(n)))
        weight = np.array([SOURCE_WEIGHT.get(item.source, 0.5) for item in items])
        weight *= np.clip(0.5 + 0.15 * present.sum(1), 0.65, 1.5)
        self.count = n
        self.images, self.labels = torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device)
        self.sizes, self.classes = torch.from_numpy(sizes).to(device), torch.from_numpy(classes).to(device)
        self.boxes, self.present = torch.from_numpy(boxes).to(device), torch.from_numpy(present).to(device)
        self.weight = torch.from_numpy(weight).to(device)
        self.pasteable = torch.tensor([item.source not in NOT_PASTED for item in items], device=device)
