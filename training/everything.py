"""Judge thresholds of everything mode on a pack: objects found, precision, duplicates, share of the picture covered.

    python -m training.everything nano.safetensors --pack dev.pack --limit 40

The steps are those of SAM's mask generator without crops: a grid of clicks, three masks each; those that the network
does not trust or that change much with the threshold go, then boxes that overlap a better one. Masks are judged at a
quarter of the input's area, as the network gives them: without edges that follow the picture.

`precision` counts every mask without an annotated object as wrong. COCO annotates 80 classes, so a tree or a
window counts too: it compares thresholds, it does not say how many masks make sense.
"""

import argparse
import itertools
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from training.model.sam import Sam, load
from training.predictor import Predictor
from training.scores import pack_examples

AT_ONCE = 64
SAME = 0.6  # two masks with a larger IoU are duplicates
FOUND = 0.5  # IoU from which an object counts as found


class Proposals:
    """Masks (P, h, w) of one picture with predicted IoU, stability, box (P, 4) and IoU with its objects (P, R)."""

    def __init__(self, predictor: Predictor, rgb: np.ndarray, truth: np.ndarray, side: int, offset: float):
        predictor.set_image(rgb)
        h, w = rgb.shape[:2]
        centres = (np.arange(side) + 0.5) / side
        points = np.stack(np.meshgrid(centres * w, centres * h), -1).reshape(-1, 1, 2)
        half, shown = predictor.size // 2, [(n + 1) // 2 for n in predictor.resized]
        masks, iou, stability = [], [], []
        with torch.no_grad():
            for at in range(0, len(points), AT_ONCE):
                low, predicted = predictor.decode_many(points[at : at + AT_ONCE])
                up = F.interpolate(low[:, 1:], (half, half), mode="bilinear", align_corners=False)
                up = up[..., : shown[0], : shown[1]].flatten(0, 1)
                masks.append((up > 0).numpy())
                stability.append(((up > offset).sum((1, 2)) / (up > -offset).sum((1, 2)).clamp(min=1)).numpy())
                iou.append(predicted[:, 1:].flatten().numpy())
        self.masks, self.iou, self.stability = (np.concatenate(x) for x in (masks, iou, stability))
        small = [cv2.resize(t.astype(np.uint8), shown[::-1], interpolation=cv2.INTER_NEAREST) for t in truth]
        self.real = pairwise_iou(self.masks, np.stack(small).astype(bool))
        self.empty = ~self.masks.any((1, 2))
        columns, rows = self.masks.any(1), self.masks.any(2)
        right, bottom = shown[1] - columns[:, ::-1].argmax(1), shown[0] - rows[:, ::-1].argmax(1)
        self.boxes = np.stack([columns.argmax(1), rows.argmax(1), right, bottom], 1).astype(np.float32)

    def kept(self, least_iou: float, least_stability: float, most_overlap: float) -> np.ndarray:
        """Indices of the masks that pass, best first."""
        fits = (self.iou > least_iou) & (self.stability >= least_stability) & ~self.empty
        order = np.flatnonzero(fits)
        order = order[np.argsort(-self.iou[order], kind="stable")]
        kept = []
        while len(order):
            best, order = order[0], order[1:]
            kept.append(best)
            order = order[box_iou(self.boxes[best], self.boxes[order]) <= most_overlap]
        return np.array(kept, int)


def box_iou(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoUs of a box (4,) with others (N, 4)."""
    size = np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2])
    inter = size.clip(0).prod(1)
    return inter / ((one[2:] - one[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - inter)


def pairwise_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoUs (N, M) of masks (N, h, w) and (M, h, w)."""
    a, b = a.reshape(len(a), -1).astype(np.float32), b.reshape(len(b), -1).astype(np.float32)
    inter = a @ b.T
    return inter / np.maximum(1, a.sum(1)[:, None] + b.sum(1)[None] - inter)


def matches(iou: np.ndarray) -> int:
    """How many masks (rows, best first) find an object (columns) of their own."""
    free, count = np.ones(iou.shape[1], bool), 0
    for row in iou:
        best = np.where(free, row, 0)
        if best.max() >= FOUND:
            free[best.argmax()], count = False, count + 1
    return count


def judge(pictures: list[Proposals], thresholds: tuple[float, float, float]) -> dict[str, float]:
    """Means over the pictures: see the module."""
    masks = objects = found = doubles = 0
    covered = []
    for p in pictures:
        kept = p.kept(*thresholds)
        masks, objects, found = masks + len(kept), objects + p.real.shape[1], found + matches(p.real[kept])
        shown = p.masks[kept]
        covered.append(shown.any(0).mean() if len(kept) else 0.0)
        if len(kept) > 1:
            doubles += int((np.triu(pairwise_iou(shown, shown), 1) > SAME).any(0).sum())
    precision, recall = found / max(1, masks), found / objects
    return {
        "masks": masks / len(pictures),
        "recall": recall,
        "precision": precision,
        "f1": 2 * precision * recall / max(1e-9, precision + recall),
        "duplicates": doubles / max(1, masks),
        "covered": float(np.mean(covered)),
    }


def proposals(model: Sam, pack: Path, limit: int | None, side: int, offset: float) -> list[Proposals]:
    """The proposals for the first `limit` pictures of a pack that have objects."""
    predictor = Predictor(model, guided=False)
    return [Proposals(predictor, rgb, masks, side, offset) for rgb, masks in pack_examples(pack, limit)]


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("model", help="training checkpoint (.pt) or exported file (.safetensors)")
    ap.add_argument("--pack", type=Path, required=True, help="pictures with masks")
    ap.add_argument("--limit", type=int, help="only so many pictures")
    ap.add_argument("--side", type=int, default=16, help="points along each side of the grid")
    ap.add_argument("--offset", type=float, default=1.0, help="stability_score_offset")
    ap.add_argument("--iou", type=float, nargs="+", default=[0.4, 0.45, 0.5, 0.55, 0.6], help="pred_iou_thresh")
    ap.add_argument("--stability", type=float, nargs="+", default=[0.6, 0.7, 0.8], help="stability_score_thresh")
    ap.add_argument("--overlap", type=float, nargs="+", default=[0.5, 0.7], help="box_nms_thresh")
    ap.add_argument("--threads", type=int, default=1, help="threads of PyTorch")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    pictures = proposals(load(a.model), a.pack, a.limit, a.side, a.offset)
    for thresholds in itertools.product(a.iou, a.stability, a.overlap):
        print(*thresholds, {name: round(value, 3) for name, value in judge(pictures, thresholds).items()}, flush=True)


if __name__ == "__main__":
    main()
