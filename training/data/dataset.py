"""Rendered folders as a PyTorch-style data set: random crops with several prompted masks each."""

import math
import time
from pathlib import Path

import cv2
import numpy as np

from training.data import Rng
from training.data.prompts import jitter_box, sample_click, soft_mask

MEAN_RGB = np.float32([123.675, 116.28, 103.53])


def random_window(rng: Rng, n: int) -> tuple[int, int, int, int]:
    """A part (y, x, h, w) of an n x n image: half to all of the side, square or of another aspect."""
    side = n * (1.0 if rng.random() < 0.25 else rng.uniform(0.5, 1.0))
    aspect = 1.0 if rng.random() < 0.5 else math.exp(rng.uniform(-0.6, 0.6))
    h, w = int(min(n, side * min(1, aspect))), int(min(n, side * min(1, 1 / aspect)))
    y, x = rng.integers(0, n - h + 1), rng.integers(0, n - w + 1)
    return y, x, h, w


def flip_and_recolor(rng: Rng, image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mirrored image and labels; the image float32 with other brightness and contrast, at times grey."""
    if rng.random() < 0.5:
        image, labels = image[:, ::-1], labels[:, ::-1]
    if rng.random() < 0.1:
        image, labels = image[::-1], labels[::-1]
    image = image.astype(np.float32)
    if rng.random() < 0.7:
        image = image * (1 + rng.normal(0, 0.06, 3) + rng.normal(0, 0.15)).astype(np.float32)
        image = (image - 128) * float(math.exp(rng.normal(0, 0.15))) + 128
    if rng.random() < 0.07:
        image = np.repeat(image.mean(-1, keepdims=True), 3, -1)
    return np.clip(image, 0, 255), labels


class PromptDataset:
    """Random crops of `size` (S) pixels with `k` prompted masks each.

    An item is (image, masks, clicks, boxes, regions):

      image    (3, S, S) float32 RGB in 0..255, padded at the bottom and right with the pixel mean
      masks    (k, S/4, S/4) float32, soft
      clicks   (k, 2) float32, (x, y) in pixels of the crop
      boxes    (k, 4) float32, (x0, y0, x1, y1) in pixels of the crop
      regions  (S/4, S/4) int32, finest region + 256 * whole object

    With `augment` every read of an item differs; without, item i is always the same.
    """

    def __init__(self, folders: list[Path], size: int, k: int = 4, seed: int = 0, augment: bool = True):
        self.stems = sorted(str(f.with_suffix("")) for d in folders for f in d.glob("*.jpg"))
        self.size, self.k, self.seed, self.augment = size, k, seed, augment

    def __len__(self) -> int:
        return len(self.stems)

    def __getitem__(self, i: int):
        rng = np.random.default_rng((self.seed, int(time.time_ns() % 2**31), i) if self.augment else (self.seed, i))
        for _ in range(20):
            out = self.load(self.stems[i], rng)
            if out is not None:
                return out
            i = int(rng.integers(len(self.stems)))
        raise RuntimeError("no usable sample")

    def load(self, stem: str, rng: Rng):
        """The item of one stored image; None where it cannot be read or shows nothing to prompt for."""
        cropped = self.crop(stem, rng)
        if cropped is None:
            return None
        image, labels, (height, width) = cropped
        from_photo = Path(stem).name.startswith("reg")
        objects, parts = self.candidates(labels, height * width, from_photo)
        if not objects and not parts:
            return None
        masks, clicks, boxes = [], [], []
        for _ in range(self.k):
            use_objects = objects and (not parts or rng.random() < (0.5 if from_photo else 0.75))
            use = objects if use_objects else parts
            plane, region = use[rng.integers(len(use))]
            mask = np.ascontiguousarray(labels[..., plane] == region).astype(np.uint8)
            masks.append(soft_mask(mask.astype(np.float32), self.size // 4))
            clicks.append(sample_click(rng, mask, rng.random() < 0.5 if self.augment else True))
            boxes.append(jitter_box(rng, mask, self.size))
        sampled = labels[2::4, 2::4].astype(np.int32)
        return (
            np.ascontiguousarray(image.transpose(2, 0, 1)),
            np.stack(masks).astype(np.float32),
            np.float32(clicks),
            np.stack(boxes),
            sampled[..., 0] + 256 * sampled[..., 1],
        )

    def crop(self, stem: str, rng: Rng):
        """Padded image (S, S, 3) RGB and label planes (S, S, 2) of a crop, and the unpadded (height, width)."""
        size = self.size
        q = 2 if size <= 128 else 1  # decode at half size when a quarter is wanted
        image = cv2.imread(stem + ".jpg", cv2.IMREAD_REDUCED_COLOR_2 if q == 2 else cv2.IMREAD_COLOR)
        labels = cv2.imread(stem + ".png")
        if image is None or labels is None:
            return None
        image, labels = image[..., ::-1], labels[::q, ::q, :2]
        n = image.shape[0]
        y, x, h, w = random_window(rng, n) if self.augment else (0, 0, n, n)
        f = size / max(h, w)
        nh, nw = int(h * f + 0.5), int(w * f + 0.5)
        smooth = cv2.INTER_AREA if f < 1 else cv2.INTER_LINEAR
        image = cv2.resize(image[y : y + h, x : x + w], (nw, nh), interpolation=smooth)
        labels = cv2.resize(labels[y : y + h, x : x + w], (nw, nh), interpolation=cv2.INTER_NEAREST)
        if self.augment:
            image, labels = flip_and_recolor(rng, image, labels)
        padded = np.empty((size, size, 3), np.float32)
        padded[:] = MEAN_RGB
        padded[:nh, :nw] = image
        planes = np.zeros((size, size, 2), np.uint8)
        planes[:nh, :nw] = labels
        return padded, planes, (nh, nw)

    def candidates(self, labels: np.ndarray, visible: int, from_photo: bool):
        """The (plane, region) pairs to prompt for: whole objects, and parts, of a crop with `visible` pixels.

        Regions that are tiny or fill the crop are left out; so are, in composites, parts that are whole objects.
        """
        smallest = max(40, 0.0012 * self.size * self.size)
        found = []
        for plane in (0, 1):
            ids, counts = np.unique(labels[..., plane], return_counts=True)
            fits = [int(a) for a, c in zip(ids, counts, strict=True) if a and smallest <= c <= 0.85 * visible]
            found.append([(plane, a) for a in fits])
        objects = found[1]
        parts = [part for part in found[0] if from_photo or (1, part[1]) not in objects]
        return objects, parts
