"""Edges that follow the picture: logits upsampled with a colour guided filter (He et al. 2013; fast form, 2015).

    python -m training.upsampling nano.safetensors --pack dev.pack

Around every pixel of the picture at half the input's size, the logits are explained as a linear function of the colour;
the means of these functions are read at the picture's own size. An edge of the mask thus moves to an edge of the
picture within a few pixels, and stays where there is none. What it is worth: MODEL_CARD.md.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch

from training.model.sam import load
from training.predictor import Predictor
from training.scores import central_click, exact_box, pack_examples

RADIUS = 3  # of the windows, in pixels of the guide
EPSILON = 1e-4  # for colours of 0..1
CLIP = 2.0  # logits are clipped to -CLIP..CLIP first
REDUCTION = 2  # the guide is the picture, its longest side made 512 / REDUCTION


def mean(x: np.ndarray) -> np.ndarray:
    """Means over windows of (2 RADIUS + 1)^2 pixels; mirrored at the border, which is not repeated."""
    side = 2 * RADIUS + 1
    return cv2.blur(x, (side, side), borderType=cv2.BORDER_REFLECT_101)


class Guide:
    """What is computed once for a picture, uint8 (H, W, 3); `size` is the guide's (h, w)."""

    def __init__(self, rgb: np.ndarray, size: tuple[int, int]):
        self.picture = rgb.astype(np.float32) / 255
        self.size = size
        self.guide = cv2.resize(self.picture, size[::-1], interpolation=cv2.INTER_AREA)
        self.mean = mean(self.guide)
        r, g, b = np.moveaxis(self.guide, -1, 0)
        mr, mg, mb = np.moveaxis(self.mean, -1, 0)
        rr, rg, rb = mean(r * r) - mr * mr + EPSILON, mean(r * g) - mr * mg, mean(r * b) - mr * mb
        gg, gb, bb = mean(g * g) - mg * mg + EPSILON, mean(g * b) - mg * mb, mean(b * b) - mb * mb + EPSILON
        # the inverse of the symmetric 3 x 3 covariance, by cofactors: rr rg rb gg gb bb
        inverse = [gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg]
        determinant = rr * inverse[0] + rg * inverse[1] + rb * inverse[2]
        inverse += [rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg]
        self.inverse = [value / determinant for value in inverse]

    def refine(self, low: np.ndarray, side: int) -> np.ndarray:
        """Low-resolution logits, float32 (S / 4, S / 4), of an input of side S -> at the picture's size (H, W)."""
        p = cv2.resize(low, (side // REDUCTION, side // REDUCTION), interpolation=cv2.INTER_LINEAR)
        p = np.clip(p[: self.size[0], : self.size[1]], -CLIP, CLIP)
        mean_p = mean(p)
        c = np.moveaxis(mean(self.guide * p[..., None]) - self.mean * mean_p[..., None], -1, 0)
        rr, rg, rb, gg, gb, bb = self.inverse
        slope = [
            rr * c[0] + rg * c[1] + rb * c[2],
            rg * c[0] + gg * c[1] + gb * c[2],
            rb * c[0] + gb * c[1] + bb * c[2],
        ]
        slope = np.stack(slope, -1)
        offset = mean_p - (slope * self.mean).sum(-1)
        size = self.picture.shape[1::-1]
        slope, offset = (cv2.resize(mean(x), size, interpolation=cv2.INTER_LINEAR) for x in (slope, offset))
        return (slope * self.picture).sum(-1) + offset


def measure(predictor: Predictor, pack: Path, limit: int | None) -> dict[str, float]:
    """mIoU of one click (the mask with the best predicted IoU) and of the exact box, without and with the filter."""
    found = {"click": [], "box": []}
    for rgb, masks in pack_examples(pack, limit):
        predictor.set_image(rgb)
        size = tuple(-(-n // REDUCTION) for n in predictor.resized)
        guide = Guide(rgb, size)
        for truth in masks:
            for kind in found:
                click, box = ([central_click(truth)], None) if kind == "click" else (None, exact_box(truth))
                logits, low, iou = predictor.predict_logits(click, [1] if click else None, box)
                token = 1 + int(iou[1:].argmax()) if click else 0
                both = logits[token].numpy() > 0, guide.refine(low[token].numpy(), predictor.size) > 0
                found[kind].append([(m & truth).sum() / max(1, (m | truth).sum()) for m in both])
    return {
        f"{kind} {name}": round(float(np.mean(rows, 0)[column]), 4)
        for kind, rows in found.items()
        for column, name in enumerate(("plain", "guided"))
    }


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("model", help="training checkpoint (.pt) or exported file (.safetensors)")
    ap.add_argument("--pack", type=Path, required=True, help="pictures with masks")
    ap.add_argument("--limit", type=int, help="only so many pictures")
    ap.add_argument("--threads", type=int, default=1, help="threads of PyTorch")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    print(json.dumps(measure(Predictor(load(a.model)), a.pack, a.limit), indent=1))


if __name__ == "__main__":
    main()
