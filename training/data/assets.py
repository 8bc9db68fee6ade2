"""The asset folder: sprites, photos and lit-sphere images, with a stable split."""

import hashlib
import math
from pathlib import Path

import cv2
import numpy as np

from training.data import Rng


def is_held_out(path: Path) -> bool:
    """Whether an asset is kept from training: about a tenth of the sprites, an eighth of photos and matcaps.

    Decided by a hash of the name. Emoji variants of one code point, in either emoji set, stay on the same side.
    """
    name = path.stem
    if "__" in name:
        kind, key = name.split("__", 1)
        if kind in ("fluent", "noto"):
            key = key.lower().replace("uni", "").replace("u", "").split("-")[0].split("_")[0].lstrip("0")
        return int(hashlib.md5(key.encode()).hexdigest(), 16) % 10 == 0
    return int(hashlib.md5(name.encode()).hexdigest(), 16) % 8 == 0


class Assets:
    """One side of the split of `root`, which holds fg/ (RGBA sprites), bg/ (photos) and matcap/ (lit spheres)."""

    def __init__(self, root: Path, split: str):
        held_out = split == "val"

        def pick(pattern: str) -> list[str]:
            return [str(f) for f in sorted(root.glob(pattern)) if is_held_out(f) == held_out]

        self.sprites = {kind: pick(f"fg/{kind}__*.webp") for kind in ("fluent", "noto", "clip")}
        self.photos = [cv2.imread(f) for f in pick("bg/*.jpg")]
        self.matcaps = [cv2.imread(f) for f in pick("matcap/*.png")]

    def sprite(self, rng: Rng) -> np.ndarray:
        """A sprite: BGRA uint8 (height, width, 4)."""
        kind = rng.choice(["fluent", "noto", "clip"], p=[0.4, 0.2, 0.4])
        image = cv2.imread(self.sprites[kind][rng.integers(len(self.sprites[kind]))], cv2.IMREAD_UNCHANGED)
        if image.ndim == 2:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGRA)
        elif image.shape[2] == 3:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)
        return image

    def photo_crop(self, rng: Rng, h: int, w: int, lo: float = 0.2, hi: float = 1.0) -> np.ndarray:
        """A random part of a photo, resized to (h, w), uint8.

        The part has the aspect of h x w; its size is `lo` to `hi` (log-uniform) of the largest that fits the photo.
        """
        photo = self.photos[rng.integers(len(self.photos))]
        ph, pw = photo.shape[:2]
        scale = math.exp(rng.uniform(math.log(lo), math.log(hi))) * min(ph / h, pw / w)
        ch, cw = max(8, int(h * scale)), max(8, int(w * scale))
        y, x = rng.integers(0, ph - ch + 1), rng.integers(0, pw - cw + 1)
        crop = photo[y : y + ch, x : x + cw]
        crop = cv2.resize(crop, (w, h), interpolation=cv2.INTER_AREA if ch > h else cv2.INTER_LINEAR)
        return crop[:, ::-1].copy() if rng.random() < 0.5 else crop
