"""Scores of a model on pictures with masks: one click, the best of three, a box, by size of the object.

Shapes: R objects of one picture, H x W its own size; masks are bool.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from training.model.sam import Sam
from training.packs import read_pack
from training.predictor import Predictor

LEAST_AREA = 655  # pixels of a picture with 512 on its longest side: 1,024 of one with 640
SIZES = (("<2%", 0, 0.02), ("2-10%", 0.02, 0.1), (">10%", 0.1, 2))  # share of the picture
NAMES = ("click", "click_single", "oracle3", "box", "filled_box", "iou_err_click", "iou_err_box")


def central_click(mask: np.ndarray) -> tuple[float, float]:
    """The pixel (x, y) that lies deepest in the mask."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return x + 0.5, y + 0.5


def exact_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """First column and row, and those behind the last: (x0, y0, x1, y1)."""
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1


def real_ious(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """IoUs of what is positive: logits (R, M, H, W), masks (R, 1, H, W) -> (R, M)."""
    found = logits > 0
    union = (found | masks).sum((-2, -1)).clamp(min=1)
    return (found & masks).sum((-2, -1)).float() / union


def pack_examples(path: Path | str, limit: int | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """RGB (H, W, 3) and masks (R, H, W) of the first `limit` pictures that have objects of `LEAST_AREA` or more."""
    count = 0
    for item in read_pack(path):
        if limit is not None and count == limit:
            return
        rgb, planes = item.decode()
        masks = [planes[plane] == ident for plane, ident, _ in item.objects]
        masks = [mask for mask in masks if mask.sum() >= LEAST_AREA]
        if masks:
            count += 1
            yield rgb, np.stack(masks)


def score_picture(predictor: Predictor, rgb: np.ndarray, masks: np.ndarray) -> list[dict[str, float]]:
    """One row of measures for every mask (R, H, W) of a picture."""
    predictor.set_image(rgb)
    clicks = np.float32([[central_click(mask)] for mask in masks])
    boxes = np.float32([exact_box(mask) for mask in masks])
    click_iou, click_predicted = ious_of_prompts(predictor, masks, points=clicks)
    box_iou, box_predicted = ious_of_prompts(predictor, masks, boxes=boxes)
    rows = []
    for k, (mask, (x0, y0, x1, y1)) in enumerate(zip(masks, boxes, strict=True)):
        best = 1 + int(click_predicted[k, 1:].argmax())
        rows.append(
            {
                "click": click_iou[k, best],
                "click_single": click_iou[k, 0],
                "oracle3": click_iou[k, 1:].max(),
                "box": box_iou[k, 0],
                "filled_box": mask.sum() / ((x1 - x0) * (y1 - y0)),
                "iou_err_click": abs(click_predicted[k, best] - click_iou[k, best]),
                "iou_err_box": abs(box_predicted[k, 0] - box_iou[k, 0]),
                "area": mask.mean(),
            }
        )
    return rows


@torch.no_grad()
def ious_of_prompts(predictor: Predictor, masks: np.ndarray, points=None, boxes=None, at_once: int = 8):
    """Real and predicted IoUs (R, 4) of one prompt for each mask; see `Predictor.predict_many`."""
    real, predicted = [], []
    for start in range(0, len(masks), at_once):
        part = slice(start, start + at_once)
        given = {"points": None if points is None else points[part], "boxes": None if boxes is None else boxes[part]}
        logits, iou = predictor.predict_many(**given)
        truth = torch.from_numpy(masks[part]).to(logits.device)[:, None]
        real.append(real_ious(logits, truth).cpu().numpy())
        predicted.append(iou.float().cpu().numpy())
    return np.concatenate(real), np.concatenate(predicted)


def score(model: Sam, examples: Iterable[tuple[np.ndarray, np.ndarray]], guided: bool = False) -> dict:
    """Means over all objects of all pictures, and by size; the model is put in evaluation mode while it lasts.

    With `guided`, edges follow the picture, as users get them.
    """
    was = model.training
    predictor = Predictor(model.eval(), guided=guided)
    rows = [row for rgb, masks in examples for row in score_picture(predictor, rgb, masks)]
    model.train(was)
    return summary(rows)


def summary(rows: list[dict[str, float]]) -> dict:
    """Means of every measure, with the number of objects, and again for each of `SIZES`."""

    def means(some: list[dict[str, float]], names: tuple[str, ...]) -> dict:
        return {"n": len(some), **{name: round(float(np.mean([r[name] for r in some])), 4) for name in names}}

    if not rows:
        raise ValueError("there is no object to score")
    out = means(rows, NAMES)
    for name, least, most in SIZES:
        some = [row for row in rows if least <= row["area"] < most]
        if some:
            out[name] = means(some, NAMES[:5])
    return out
