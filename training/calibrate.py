"""Fit the last layer of the IoU head anew for clicks, on pictures that the training has not seen.

    python -m training.calibrate run/last.pt --pack dev.pack --out run/calibrated.pt

A predicted IoU is a linear function of 128 numbers, the head's last hidden layer. To the three multimask outputs a
correction is fitted, the linear function of the same numbers that best predicts real minus predicted IoU: least
absolute error (by reweighting), with a penalty on the size of its weights. The sum of the two is again one linear
layer, so the network stays as it is and costs what it did. The single-mask output (boxes, several clicks) is left
alone: there the mean of the error is nothing, and no correction helped on pictures left out.

Before anything is written, the same fit is judged on pictures left out (five folds by picture, several divisions).
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from training.model.sam import Sam, load
from training.predictor import Predictor
from training.scores import central_click, ious_of_prompts, pack_examples

RANDOM_CLICKS = 4  # of every object, beside the central one
CENTRAL_WEIGHT = 4.0  # of the central click, beside 1 for each other: it stands for what users do
PENALTY = 100.0
FLOOR = 0.03  # errors below are weighted like it
TYPICAL_ERROR = 0.15  # so that the weights are about 1, and PENALTY keeps its meaning
MULTIMASK = (1, 2, 3)  # outputs that are fitted
FOLDS, DIVISIONS = 5, 6


class Clicks:
    """What the head says of clicks: hidden (R, C, 128), predicted and real (R, C, 4), picture (R,).

    C is 1 + RANDOM_CLICKS, the central click first.
    """

    def __init__(self, model: Sam, pack: Path):
        rng = np.random.default_rng(0)
        kept = []
        last = model.mask_decoder.iou_prediction_head.layers[-1]
        hook = last.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0].detach().cpu().numpy()))
        predictor = Predictor(model, guided=False)
        hidden, predicted, real, picture = [], [], [], []
        for index, (rgb, masks) in enumerate(pack_examples(pack)):
            predictor.set_image(rgb)
            clicks = np.stack([clicks_of(rng, mask) for mask in masks])
            for at in range(clicks.shape[1]):
                kept.clear()
                r, p = ious_of_prompts(predictor, masks, points=clicks[:, at : at + 1])
                hidden.append(np.concatenate(kept)), predicted.append(p), real.append(r)
                picture.append(np.full((len(masks), 2), (index, at)))
        hook.remove()
        tags = np.concatenate(picture)

        def by_click(parts: list[np.ndarray]) -> np.ndarray:
            whole = np.concatenate(parts)
            return np.stack([whole[tags[:, 1] == at] for at in range(1 + RANDOM_CLICKS)], 1).astype(np.float64)

        self.hidden, self.predicted, self.real = by_click(hidden), by_click(predicted), by_click(real)
        self.picture = tags[tags[:, 1] == 0, 0]


def clicks_of(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """The central click and `RANDOM_CLICKS` others in the mask: (C, 2)."""
    ys, xs = np.nonzero(mask)
    at = rng.integers(len(xs), size=RANDOM_CLICKS)
    return np.float32([central_click(mask), *zip(xs[at] + 0.5, ys[at] + 0.5, strict=True)])


def correction(hidden: np.ndarray, error: np.ndarray, weight: np.ndarray, rounds: int = 12) -> np.ndarray:
    """Weights and bias (129,) of the linear function of hidden (N, 128) nearest to error (N,), by absolute error."""
    middle = np.average(hidden, 0, weight)
    x = np.c_[hidden - middle, np.ones(len(hidden))]
    penalty = PENALTY * np.eye(x.shape[1])
    penalty[-1, -1] = 1e-9  # the bias is free
    now = weight
    for _ in range(rounds):
        solution = np.linalg.solve((x * now[:, None]).T @ x + penalty, (x * now[:, None]).T @ error)
        now = weight * TYPICAL_ERROR / np.maximum(FLOOR, np.abs(x @ solution - error))
    solution[-1] -= middle @ solution[:-1]
    return solution


def fit(clicks: Clicks, rows: np.ndarray) -> dict[int, np.ndarray]:
    """The correction of every output of `MULTIMASK`, from the objects `rows`, bool (R,)."""
    weight = np.tile([CENTRAL_WEIGHT, *[1.0] * RANDOM_CLICKS], rows.sum())
    hidden = clicks.hidden[rows].reshape(-1, clicks.hidden.shape[-1])
    error = (clicks.real - clicks.predicted)[rows].reshape(-1, 4)
    return {output: correction(hidden, error[:, output], weight) for output in MULTIMASK}


def corrected(clicks: Clicks, rows: np.ndarray, solution: dict[int, np.ndarray]) -> np.ndarray:
    """Predicted IoUs (R, C, 4) of the objects `rows` with the corrections added."""
    out = clicks.predicted[rows].copy()
    for output, weights in solution.items():
        out[..., output] += clicks.hidden[rows] @ weights[:-1] + weights[-1]
    return out


def measures(predicted: np.ndarray, real: np.ndarray) -> dict[str, float]:
    """mIoU of the mask chosen of three, mean absolute error, bias and correlation of its predicted IoU."""
    out = {}
    for name, part in (("central", slice(0, 1)), ("random", slice(1, None))):
        p, r = predicted[:, part, 1:].reshape(-1, 3), real[:, part, 1:].reshape(-1, 3)
        at = np.arange(len(p)), p.argmax(1)
        error = p[at] - r[at]
        out[f"{name}: mIoU of the choice"] = r[at].mean()
        out[f"{name}: mean absolute error"] = np.abs(error).mean()
        out[f"{name}: bias"] = error.mean()
        out[f"{name}: correlation"] = np.corrcoef(p[at], r[at])[0, 1]
    return out


def left_out(clicks: Clicks) -> dict[str, float]:
    """The measures where every object is corrected by a fit that has not seen its picture; means over divisions."""
    results = []
    for seed in range(DIVISIONS):
        fold = np.random.default_rng(seed).permutation(clicks.picture.max() + 1) % FOLDS
        predicted = clicks.predicted.copy()
        for k in range(FOLDS):
            test = fold[clicks.picture] == k
            predicted[test] = corrected(clicks, test, fit(clicks, ~test))
        results.append(measures(predicted, clicks.real))
    return {name: float(np.mean([result[name] for result in results])) for name in results[0]}


def calibrate(model: Sam, pack: Path) -> dict[str, dict[str, float]]:
    """Correct the model in place, if that helps on pictures left out; the measures before and after."""
    clicks = Clicks(model, pack)
    before, after = measures(clicks.predicted, clicks.real), left_out(clicks)
    better = all(
        after[f"{kind}: mIoU of the choice"] >= before[f"{kind}: mIoU of the choice"]
        and after[f"{kind}: mean absolute error"] < before[f"{kind}: mean absolute error"]
        for kind in ("central", "random")
    )
    if better:
        last = model.mask_decoder.iou_prediction_head.layers[-1]
        with torch.no_grad():
            for output, weights in fit(clicks, np.ones(len(clicks.picture), bool)).items():
                last.weight[output] += torch.from_numpy(weights[:-1]).to(last.weight)
                last.bias[output] += float(weights[-1])
    rounded = [{name: round(float(value), 4) for name, value in part.items()} for part in (before, after)]
    return {"before": rounded[0], "after, on pictures left out": rounded[1], "applied": better}


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("checkpoint", help="training checkpoint (.pt) or exported file (.safetensors)")
    ap.add_argument("--pack", type=Path, required=True, help="pictures that the training has not seen")
    ap.add_argument("--out", type=Path, required=True, help="the checkpoint to write")
    ap.add_argument("--threads", type=int, default=1, help="threads of PyTorch")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    model = load(a.checkpoint)
    result = calibrate(model, a.pack)
    print(json.dumps(result, indent=1))
    torch.save(
        {"ema": model.state_dict(), "config": model.config, "size": model.img_size, "calibration": result}, a.out
    )


if __name__ == "__main__":
    main()
