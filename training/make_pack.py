"""Make a pack for training of a folder in COCO's format.

    python -m training.make_pack photos instances.json own.pack --source own --tier 0

Pictures are made at most 512 pixels long and stored as JPEG; masks become label planes. An object that overlaps a
smaller one in plane 0 goes to plane 1, where it can be had; what fits neither is left out and counted.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from training.coco import read_coco
from training.packs import SIDE, TIERS, Item, write_pack

OVERLAP = 0.1  # share of an object that may be hidden in its plane
SMALLEST = 40  # pixels, after the resize
QUALITY = 90  # of the JPEG


def planes_of(objects: list, size: tuple[int, int]) -> tuple[np.ndarray, list[tuple[int, int, str]], int]:
    """Label planes (2, H, W), their objects, and how many fit neither; objects are (mask, class), bool (H, W)."""
    planes, listed, left_out = np.zeros((2, *size), np.uint8), [], 0
    for mask, kind in sorted(objects, key=lambda pair: int(pair[0].sum())):  # small ones first: they lie on large ones
        area = int(mask.sum())
        if area < SMALLEST:
            left_out += 1
            continue
        for plane in (0, 1):
            free = mask & (planes[plane] == 0)
            ident = 1 + max((i for p, i, _ in listed if p == plane), default=0)
            if free.sum() >= (1 - OVERLAP) * area and ident < 256:
                planes[plane][free] = ident
                listed.append((plane, ident, kind))
                break
        else:
            left_out += 1
    return planes, listed, left_out


def make_item(name: str, rgb: np.ndarray, objects: list, source: str, tier: int) -> tuple[Item | None, int]:
    """One picture of a pack, None where no object is left; and how many objects were left out."""
    h, w = rgb.shape[:2]
    scale = min(1.0, SIDE / max(h, w))
    size = max(1, int(h * scale + 0.5)), max(1, int(w * scale + 0.5))
    if scale < 1:
        rgb = cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA)
        small = (cv2.resize(m.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA) > 0.5 for m, _ in objects)
        objects = [(mask, kind) for mask, (_, kind) in zip(small, objects, strict=True)]
    planes, listed, left_out = planes_of(objects, size)
    if not listed:
        return None, left_out
    count = 1 + max(plane for plane, _, _ in listed)
    jpeg = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    png = cv2.imencode(".png", planes[:count].reshape(-1, size[1]))[1].tobytes()
    return Item(name, source, tier, jpeg, png, listed), left_out


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("folder", type=Path, help="the folder of the pictures")
    ap.add_argument("instances", type=Path, help="the JSON file with their masks")
    ap.add_argument("out", type=Path, help="the pack to write")
    ap.add_argument("--source", default="own", help="name of the source")
    ap.add_argument("--tier", type=int, default=0, help="; ".join(f"{k}: {v}" for k, v in TIERS.items()))
    ap.add_argument("--limit", type=int, help="only so many pictures")
    a = ap.parse_args()
    items, lost = [], 0
    for name, rgb, objects in read_coco(a.folder, a.instances, a.limit):
        item, left_out = make_item(name, rgb, objects, a.source, a.tier)
        lost += left_out
        if item is not None:
            items.append(item)
    write_pack(a.out, items)
    print(a.out, len(items), "pictures", sum(len(i.objects) for i in items), "objects;", lost, "objects left out")


if __name__ == "__main__":
    main()
