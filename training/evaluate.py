"""Score a model on pictures with masks, draw overlays, or measure the time.

python -m training.evaluate score nano.safetensors --coco photos instances.json
python -m training.evaluate score nano.safetensors --pack dev.pack
python -m training.evaluate show nano.safetensors photo.jpg --point 250 160 --out overlay.png
python -m training.evaluate time nano.safetensors
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from training.coco import read_coco
from training.model.sam import load
from training.packs import SIDE
from training.predictor import Predictor
from training.scores import LEAST_AREA, pack_examples, score


def coco_examples(folder: Path, instances: Path, limit: int | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """RGB (H, W, 3) and masks (R, H, W) of the objects that `pack_examples` would take at 512 pixels."""
    for _, rgb, objects in read_coco(folder, instances, limit):
        least = LEAST_AREA * (max(rgb.shape[:2]) / SIDE) ** 2
        masks = [mask for mask, _ in objects if mask.sum() >= least]
        if masks:
            yield rgb, np.stack(masks)


def score_all(a: argparse.Namespace) -> None:
    """One click (the mask with the best predicted IoU), the oracle of three, and the exact box, also by size."""
    if (a.coco is None) == (not a.pack):
        raise SystemExit("score needs either --coco FOLDER INSTANCES or --pack FILE ...")
    model = load(a.model)
    if a.coco:
        results = {str(a.coco[1]): score(model, coco_examples(*a.coco, a.limit), not a.plain)}
    else:
        results = {str(pack): score(model, pack_examples(pack, a.limit), not a.plain) for pack in a.pack}
    print(json.dumps(results, indent=1))
    if a.json:
        a.json.write_text(json.dumps(results, indent=1) + "\n")


def overlay(rgb: np.ndarray, mask: np.ndarray, points=(), labels=(), box=None) -> np.ndarray:
    """The image, uint8 (H, W, 3), with the mask in blue, its outline in white, and the prompts."""
    out = rgb.astype(np.float32).copy()
    out[mask] = out[mask] * 0.45 + np.float32([30, 144, 255]) * 0.55
    out = np.ascontiguousarray(out.astype(np.uint8))
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(out, contours, -1, (255, 255, 255), 2)
    r = max(4, rgb.shape[0] // 80)
    for (x, y), label in zip(points, labels, strict=True):
        cv2.circle(out, (int(x), int(y)), r + 2, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(out, (int(x), int(y)), r, (0, 200, 0) if label else (230, 0, 0), -1, cv2.LINE_AA)
    if box is not None:
        cv2.rectangle(out, (int(box[0]), int(box[1])), (int(box[2]), int(box[3])), (255, 200, 0), 2)
    return out


def show(a: argparse.Namespace) -> None:
    """Write an overlay of the mask that SAM's rule picks: the best of three for one point, else the single mask."""
    bgr = cv2.imread(a.image)
    if bgr is None:
        raise SystemExit(f"{a.image} cannot be read as a picture")
    rgb = bgr[..., ::-1]
    p = Predictor(load(a.model))
    p.set_image(rgb)
    points = [a.point[i : i + 2] for i in range(0, len(a.point), 2)] if a.point else None
    labels = a.labels or ([1] * len(points) if points else None)
    masks, iou = p.predict(points, labels, a.box)
    shown = 0 if a.box or len(points or []) > 1 else 1 + int(iou[1:].argmax())
    print("predicted IoU", iou.round(3), "shown", shown, "area", masks.mean((1, 2)).round(3))
    cv2.imwrite(a.out, overlay(rgb, masks[shown], points or (), labels or (), a.box)[..., ::-1])


def timing(a: argparse.Namespace) -> None:
    """Median and best of 15 runs of the encoder and of the decoder with one point."""
    m = load(a.model)
    s = m.img_size
    x = torch.randn(1, 3, s, s)
    with torch.inference_mode():
        e = m.image_encoder(x)
        lab, xy = torch.tensor([[1, -1]]), torch.tensor([[[s / 2, s / 2], [-0.5, -0.5]]])
        for name, f in (("encoder", lambda: m.image_encoder(x)), ("decoder", lambda: m.decode(e, xy, lab, s))):
            f()
            ts = []
            for _ in range(15):
                t = time.perf_counter()
                f()
                ts.append(1e3 * (time.perf_counter() - t))
            print(f"{name} at {s}: median {sorted(ts)[7]:.1f} ms, best {min(ts):.1f} ms, threads {a.threads}")


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("mode", choices=["score", "show", "time"], help="what to do")
    ap.add_argument("model", help="training checkpoint (.pt) or exported file (.safetensors)")
    ap.add_argument("image", nargs="?", help="show: the image")
    ap.add_argument("--coco", type=Path, nargs=2, help="score: a folder of pictures and its instances.json")
    ap.add_argument("--pack", type=Path, nargs="*", default=[], help="score: packs")
    ap.add_argument("--limit", type=int, help="score: only so many pictures")
    ap.add_argument("--plain", action="store_true", help="score: without edges that follow the picture")
    ap.add_argument("--json", type=Path, help="score: write the results to this file")
    ap.add_argument("--point", type=float, nargs="*", help="show: x y [x y ...] in pixels of the image")
    ap.add_argument("--labels", type=int, nargs="*", help="show: 1 or 0 for every point (default 1)")
    ap.add_argument("--box", type=float, nargs=4, help="show: x0 y0 x1 y1 in pixels of the image")
    ap.add_argument("--out", default="overlay.png", help="show: the picture to write")
    ap.add_argument("--threads", type=int, default=2, help="threads of PyTorch")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    {"score": score_all, "show": show, "time": timing}[a.mode](a)


if __name__ == "__main__":
    main()
