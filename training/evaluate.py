"""Evaluate a model on folders rendered from held-out assets, draw overlays, or measure the time.

python -m training.evaluate score nano.safetensors --data cache/val cache/val_regions
python -m training.evaluate show nano.safetensors photo.jpg --point 250 160 --out overlay.png
python -m training.evaluate time nano.safetensors
"""

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from training.data.prompts import jitter_box, sample_click, tight_box
from training.model.sam import load
from training.predictor import Predictor

MASKS_PER_IMAGE = 4
CLICKS = 5  # in a series of corrections
SIZES = (("small<2%", 0, 0.02), ("mid", 0.02, 0.1), ("large>10%", 0.1, 1))  # share of the image


def iou_of(a: np.ndarray, b: np.ndarray) -> float:
    """IoU of two bool masks."""
    return float((a & b).sum() / max(1, (a | b).sum()))


def best_multimask(iou: np.ndarray) -> int:
    """Index, among all four masks, of the multimask token with the best predicted IoU."""
    return 1 + int(iou[1:].argmax())


def refine(rng, p: Predictor, gt: np.ndarray, first_click, mask: np.ndarray) -> dict[str, float]:
    """Interactive refinement: a click in the middle of the largest error each time."""
    points, labels, current, row = [first_click], [1], mask, {}
    for clicks in range(2, CLICKS + 1):
        error = (current ^ gt).astype(np.uint8)
        count, components, stats, _ = cv2.connectedComponentsWithStats(error)
        if count > 1:
            largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
            x, y = sample_click(rng, (components == largest).astype(np.uint8), True)
            points.append((x, y))
            labels.append(int(gt[int(y), int(x)]))
            current = p.predict(points, labels)[0][0]
        if clicks in (3, CLICKS):
            row[f"clicks_{clicks}"] = iou_of(current, gt)
    return row


def score_mask(rng, p: Predictor, gt: np.ndarray, jitter: bool) -> dict[str, float]:
    """All measures of one object, bool (H, W), of the predictor's image."""
    u8 = gt.astype(np.uint8)
    click = sample_click(rng, u8, True)
    masks, iou = p.predict([click], [1])
    real = np.array([iou_of(m, gt) for m in masks])
    best = best_multimask(iou)
    row = {
        "click_best_pred": real[best],
        "click_oracle3": real[1:].max(),
        "click_single": real[0],
        "iou_head_err": abs(iou[best] - real[best]),
        "iou_head_bias": iou[best] - real[best],
    }
    tight = tight_box(u8)
    box_masks, box_iou = p.predict(box=jitter_box(rng, u8, gt.shape[0]) if jitter else tight.astype(np.float32))
    row["box"] = iou_of(box_masks[0], gt)
    row["box_iou_err"] = abs(box_iou[0] - row["box"])
    filled = np.zeros_like(gt)  # the trivial answer, for comparison
    filled[tight[1] : tight[3] + 1, tight[0] : tight[2] + 1] = True
    row["baseline_box_filled"] = iou_of(filled, gt)
    return {**row, **refine(rng, p, gt, click, masks[best]), "area": float(gt.mean())}


def summary(rows: list[dict[str, float]]) -> dict:
    """Means over the masks; for one click also by the object's size, as [mean, count]."""
    out = {k: round(float(np.mean([r[k] for r in rows])), 4) for k in rows[0] if k != "area"}
    out["masks"] = len(rows)
    out["click_share_above_0.5"] = round(float(np.mean([r["click_best_pred"] > 0.5 for r in rows])), 3)
    for name, lo, hi in SIZES:
        s = [r["click_best_pred"] for r in rows if lo <= r["area"] < hi]
        out["click " + name] = [round(float(np.mean(s)), 3) if s else None, len(s)]
    return out


def score(a: argparse.Namespace) -> None:
    """Mean IoUs over the whole objects (plane 1) of every folder."""
    model = load(a.model)
    out = {}
    for folder in a.data:
        rng = np.random.default_rng(0)
        rows = []
        for f in sorted(folder.glob("*.jpg"))[: a.limit]:
            rgb = cv2.imread(str(f))[..., ::-1]
            plane = cv2.imread(str(f.with_suffix(".png")))[..., 1]
            ids, counts = np.unique(plane, return_counts=True)
            fits = zip(ids, counts, strict=True)
            ids = [i for i, c in fits if i and 0.0015 * plane.size < c < 0.8 * plane.size]
            if not ids:
                continue
            p = Predictor(model, a.size)
            p.set_image(rgb)
            rows += [score_mask(rng, p, plane == i, a.jitter) for i in rng.permutation(ids)[:MASKS_PER_IMAGE]]
        out[folder.name] = summary(rows)
        print(folder, json.dumps(summary(rows), indent=1), flush=True)
    if a.json:
        a.json.write_text(json.dumps(out, indent=1))


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
    rgb = cv2.imread(a.image)[..., ::-1]
    p = Predictor(load(a.model), a.size)
    p.set_image(rgb)
    points = [a.point[i : i + 2] for i in range(0, len(a.point), 2)] if a.point else None
    labels = a.labels or ([1] * len(points) if points else None)
    masks, iou = p.predict(points, labels, a.box)
    shown = 0 if a.box or len(points or []) > 1 else best_multimask(iou)
    print("predicted IoU", iou.round(3), "shown", shown, "area", masks.mean((1, 2)).round(3))
    cv2.imwrite(a.out, overlay(rgb, masks[shown], points or (), labels or (), a.box)[..., ::-1])


def timing(a: argparse.Namespace) -> None:
    """Median and best of 15 runs of the encoder and of the decoder with one point."""
    torch.set_num_threads(a.threads)
    m = load(a.model)
    s = a.size or m.img_size
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
                ts.append(time.perf_counter() - t)
            print(
                f"{name} at {s}: median {sorted(ts)[7] * 1e3:.1f} ms, best {min(ts) * 1e3:.1f} ms, threads {a.threads}"
            )


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("mode", choices=["score", "show", "time"], help="what to do")
    ap.add_argument("model", help="training checkpoint (.pt) or exported file (.safetensors)")
    ap.add_argument("image", nargs="?", help="show: the image")
    ap.add_argument("--size", type=int, help="side of the padded input in pixels, if not the model's own")
    ap.add_argument("--data", type=Path, nargs="*", default=[], help="score: folders written by render.py --split val")
    ap.add_argument("--limit", type=int, default=300, help="score: images per folder")
    ap.add_argument("--jitter", action="store_true", help="score: jitter the evaluation boxes")
    ap.add_argument("--json", type=Path, help="score: write the results to this file")
    ap.add_argument("--point", type=float, nargs="*", help="show: x y [x y ...] in pixels of the image")
    ap.add_argument("--labels", type=int, nargs="*", help="show: 1 or 0 for every point (default 1)")
    ap.add_argument("--box", type=float, nargs=4, help="show: x0 y0 x1 y1 in pixels of the image")
    ap.add_argument("--out", default="overlay.png", help="show: the picture to write")
    ap.add_argument("--threads", type=int, default=2, help="time: threads of PyTorch")
    args = ap.parse_args()
    {"score": score, "show": show, "time": timing}[args.mode](args)


if __name__ == "__main__":
    main()
