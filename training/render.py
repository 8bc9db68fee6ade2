"""Render training or evaluation images into a folder (see `training/data/__init__.py` for the format).

    python -m training.render composites ASSETS OUT --count 2500 --seed 1
    python -m training.render regions ASSETS OUT --count 70 --seed 7002 --split val

`composites` puts sprites, textured silhouettes, matcap-shaded shapes and decals on photos or procedural backgrounds.
`regions` takes crops of photos as they are, with regions from classical segmentation. The same seed gives the same
images. ASSETS is what `prepare_assets.py` makes.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from training.data.assets import Assets
from training.data.composition import compose
from training.data.photo_regions import photo_regions


def render(mode: str, assets_folder: Path, out: Path, count: int, seed: int, split: str) -> None:
    """Write up to `count` images; one without any region is skipped."""
    rng = np.random.default_rng(seed)
    assets = Assets(assets_folder, split)
    out.mkdir(parents=True, exist_ok=True)
    started = time.time()
    for i in range(count):
        image, leaf, whole = (photo_regions if mode == "regions" else compose)(rng, assets)
        if not whole.any() and not leaf.any():
            continue
        # the data set tells photos from composites by the first three letters
        stem = str(out / f"{mode[:3]}{seed:03d}_{i:06d}")
        labels = np.stack([leaf, whole, np.zeros_like(leaf)], -1)
        cv2.imwrite(stem + ".png", labels, [cv2.IMWRITE_PNG_COMPRESSION, 3])
        cv2.imwrite(stem + ".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(65, 96))])
    print(f"{out}: {count} in {time.time() - started:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=["composites", "regions"], help="what to render")
    parser.add_argument("assets", type=Path, help="asset folder made by prepare_assets.py")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--count", type=int, default=1000, help="number of images")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random choices, part of the file names")
    parser.add_argument("--split", default="train", choices=["train", "val"], help="which assets to use")
    a = parser.parse_args()
    render(a.mode, a.assets, a.out, a.count, a.seed, a.split)


if __name__ == "__main__":
    main()
