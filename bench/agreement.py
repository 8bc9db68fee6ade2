"""Whether all contenders computed the same: a faster wrong answer is no result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# Largest error in standard deviations of PyTorch's f32 values, and smallest IoU with its masks.
F32_ERROR, F32_IOU = 1e-3, 0.999
# bf16 has 8 significant bits. With these weights OpenVINO's and PyTorch's own bf16 are off by about 0.1.
BF16_ERROR, BF16_IOU = 0.3, 0.97
# JPEG decoders may differ by a level in a pixel, which moves a mask's edge.
PHOTO_IOU = {"f32": 0.99, "bf16": 0.95}
# Least IoU of two masks that are the same, and how many of them must be: scores lie on either side of a threshold.
FOUND_IOU, FOUND_SHARE = 0.95, {"f32": 0.95, "bf16": 0.8}


@dataclass
class Outputs:
    """What one contender saved."""

    embedding: np.ndarray | None = None  # channels, rows, columns
    logits: np.ndarray | None = None  # masks, rows, columns
    masks: np.ndarray | None = None  # photographs, rows, columns


@dataclass
class Verdict:
    """One line of the agreement table."""

    contender: str
    what: str
    value: float
    limit: float
    ok: bool


def decode_rle(size: list[int], counts: str | list[int]) -> np.ndarray:
    """COCO's run lengths to a boolean mask; written apart from the project's own code on purpose."""
    if isinstance(counts, list):
        return unrolled(size, counts)
    runs: list[int] = []
    value = shift = 0
    for character in counts.encode():
        group = character - 48
        value |= (group & 0x1F) << shift
        shift += 5
        if not group & 0x20:
            if group & 0x10:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return unrolled(size, runs)


def unrolled(size: list[int], runs: list[int]) -> np.ndarray:
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(size[1], size[0]).T


def read(answer: dict[str, Any], prefix: str) -> Outputs:
    """The outputs that a worker's answer to `save` describes."""
    if answer.get("layout") != "hwc":
        return Outputs(**{name: np.load(answer[name]) for name in ("embedding", "logits", "masks") if name in answer})
    channels, rows, columns = answer["embedding_shape"]
    embedding = np.fromfile(f"{prefix}.embedding.f32", "<f4").reshape(rows, columns, channels).transpose(2, 0, 1)
    logits = np.fromfile(f"{prefix}.logits.f32", "<f4").reshape(len(answer["ious"]), 4 * rows, 4 * columns)
    masks = [decode_rle(mask["size"], mask["counts"]) for mask in answer["masks"]]
    return Outputs(embedding, logits, np.stack(masks) if masks else None)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    either = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / either if either else 1.0


def compare(contender: str, precision: str, reference: Outputs, outputs: Outputs) -> list[Verdict]:
    """One verdict for each kind of output that both have."""
    error_limit, iou_limit = (F32_ERROR, F32_IOU) if precision == "f32" else (BF16_ERROR, BF16_IOU)
    verdicts = []
    for what in ("embedding", "logits"):
        expected, got = getattr(reference, what), getattr(outputs, what)
        if expected is None or got is None:
            continue
        error = float(np.abs(got - expected).max() / expected.std()) if got.shape == expected.shape else float("inf")
        # `not >` would let NaN pass
        verdicts.append(Verdict(contender, f"{what}: largest error / std", error, error_limit, error <= error_limit))
    if reference.logits is not None and outputs.logits is not None and reference.logits.shape == outputs.logits.shape:
        worst = min(iou(a > 0, b > 0) for a, b in zip(reference.logits, outputs.logits, strict=True))
        verdicts.append(Verdict(contender, "three masks: smallest IoU", worst, iou_limit, worst >= iou_limit))
    if reference.masks is not None and outputs.masks is not None and len(reference.masks) == len(outputs.masks):
        worst = min(iou(a, b) for a, b in zip(reference.masks, outputs.masks, strict=True))
        limit = PHOTO_IOU[precision]
        verdicts.append(Verdict(contender, "masks of photographs: smallest IoU", worst, limit, worst >= limit))
    return verdicts


def masks(answer: dict[str, Any]) -> list[np.ndarray]:
    """The masks of a worker's answer to `generated`."""
    return [decode_rle(mask["size"], mask["counts"]) for mask in answer["masks"]]


def compare_found(contender: str, reference: list[np.ndarray], found: list[np.ndarray]) -> Verdict:
    """The share of the masks that either found which the other found too."""
    matched = [sum(any(iou(a, b) >= FOUND_IOU for b in others) for a in some)
               for some, others in ((reference, found), (found, reference))]  # fmt: skip
    share = sum(matched) / max(1, len(reference) + len(found))
    what = f"everything in a picture: of {len(reference)} and {len(found)} masks in both"
    limit = FOUND_SHARE[contender.split()[0].split("-")[1]]
    return Verdict(contender, what, share, limit, share >= limit)


def prefix(files: Path, contender: str) -> str:
    """Where a contender's outputs go."""
    return str(files / contender.replace(" ", "-"))
