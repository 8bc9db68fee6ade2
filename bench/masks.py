"""Masks in SQL beside pycocotools: the time per mask, each the least of several runs.

    .venv/bin/python bench/masks.py [--runs 25]

Both get 259 masks of 640 x 480 pixels in their compressed form (for `encode`, as dense rows) and one core. SQL is timed
as a user runs it: from the table through the function to a number that sums up the result, so that nothing is
left out by the optimizer; pycocotools as a loop over its functions, without the conversion of its results. pycocotools'
dense masks are bytes; what `sam_segment` makes and "decode" returns is FLOAT[], four times the memory. "read" is DuckDB
alone, reading the lists that "encode" gets.
"""

from __future__ import annotations

import argparse
import io
import os
import time
from collections.abc import Callable

os.environ.setdefault("SAM_THREADS", "1")

import numpy as np
import pyarrow as pa
from PIL import Image
from pycocotools import mask as coco

import duckdb_sam

HEIGHT, WIDTH, COUNT = 480, 640, 259


def blobs(random: np.random.Generator) -> np.ndarray:
    """Return a mask with a few rough discs, some with holes: outlines as long as those of real objects."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for _ in range(random.integers(1, 4)):
        angle = np.arctan2(y - random.integers(HEIGHT), x - random.integers(WIDTH))
        rough = 1 + 0.2 * np.sin(angle * random.integers(3, 30))
        middle, radius = random.integers((HEIGHT, WIDTH)), random.integers(20, 150)
        mask ^= np.hypot(y - middle[0], x - middle[1]) < radius * rough
    return mask


def least(work: Callable[[], object], runs: int) -> float:
    """Return the microseconds per mask of the fastest run."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times) / COUNT * 1e6


def suppress(masks: list[dict], scores: np.ndarray, threshold: float = 0.3) -> list[int]:
    """Return the masks that greedy non-maximum suppression keeps, by the IoU of each with all that are left."""
    kept, left = [], np.argsort(-scores)
    while len(left):
        kept.append(int(left[0]))
        overlaps = coco.iou([masks[left[0]]], [masks[i] for i in left], [0] * len(left))[0]
        left = left[overlaps <= threshold]
    return kept


def labels(masks: list[dict]) -> bytes:
    """Return a label image made by pycocotools, NumPy and Pillow."""
    image = np.zeros((HEIGHT, WIDTH), np.uint16)
    for number, mask in enumerate(masks, 1):
        image[coco.decode(mask).view(bool)] = number
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=25)
    runs = parser.parse_args().runs
    random = np.random.default_rng(1)
    dense = [blobs(random) for _ in range(COUNT)]
    fortran = [np.asfortranarray(mask, np.uint8) for mask in dense]
    masks = [coco.encode(mask) for mask in fortran]
    rows = [{"size": mask["size"], "counts": mask["counts"].decode()} for mask in masks]
    kind = pa.struct([("size", pa.list_(pa.int32())), ("counts", pa.string())])
    floats = pa.array([mask.ravel().astype(np.float32) for mask in dense], pa.list_(pa.float32()))
    con = duckdb_sam.connect(threads=1)
    small = pa.array([mask.ravel().view(np.uint8) for mask in dense], pa.list_(pa.uint8()))
    con.register("arrow", pa.table({"i": range(COUNT), "m": pa.array(rows, kind), "d": floats, "b": small}))
    con.execute("CREATE TABLE t AS FROM arrow")
    con.execute("CREATE TABLE pairs AS SELECT a.m AS a, b.m AS b FROM t a JOIN t b ON b.i = (a.i + 1) % 259")
    scores = random.permutation(COUNT) / COUNT
    con.register("scored", pa.table({"i": range(COUNT), "s": scores}))
    con.execute(
        "CREATE TABLE lists AS SELECT list(m ORDER BY i) AS l, list(s ORDER BY i) AS s FROM t JOIN scored USING (i)"
    )
    shifted = masks[1:] + masks[:1]
    pairs = list(zip(masks, shifted, strict=True))

    def encode() -> list[dict]:
        return [coco.encode(mask) for mask in fortran]

    cases = {
        "read UTINYINT[]": ("sum(b[1]) FROM t", None),
        "encode UTINYINT[]": ("sum(len((mask_to_rle(b, 480, 640)).counts)) FROM t", encode),
        "read FLOAT[]": ("sum(d[1]) FROM t", None),
        "encode FLOAT[]": ("sum(len((mask_to_rle(d, 480, 640)).counts)) FROM t", encode),
        "decode": ("sum(len(mask_from_rle(m))) FROM t", lambda: [coco.decode(m) for m in masks]),
        "area": ("sum(mask_area(m)) FROM t", lambda: [coco.area(m) for m in masks]),
        "box": ("sum(mask_bbox(m)[1]) FROM t", lambda: [coco.toBbox(m) for m in masks]),
        "iou": ("sum(mask_iou(a, b)) FROM pairs", lambda: [coco.iou([a], [b], [0]) for a, b in pairs]),
        "union": ("sum(len((mask_union(a, b)).counts)) FROM pairs", lambda: [coco.merge([a, b]) for a, b in pairs]),
        "outline": ("sum(len(mask_to_wkb(m))) FROM t", None),
        "outline, tolerance 1": ("sum(len(mask_to_wkb(m, 1))) FROM t", None),
        "clean": ("sum(len((mask_clean(m, 100)).counts)) FROM t", None),
        "png": ("sum(octet_length(mask_to_png(m))) FROM t", None),
        "iou of all with all": (
            "sum(list_sum(flatten(mask_iou_matrix(l, l)))) FROM lists",
            lambda: coco.iou(masks, masks, [0] * COUNT),
        ),
        "suppression by mask": ("sum(len(mask_nms(l, s, 0.3))) FROM lists", lambda: suppress(masks, scores)),
        "label image": ("sum(octet_length(mask_labels(l))) FROM lists", lambda: labels(masks)),
    }
    expected = len(suppress(masks, scores))
    assert con.execute("SELECT len(mask_nms(l, s, 0.3)) FROM lists").fetchone() == (expected,)
    print("| microseconds per mask | SQL | pycocotools |\n|---|---|---|")
    for name, (query, reference) in cases.items():
        query = query.replace("len(mask_to_wkb", "octet_length(mask_to_wkb")
        ours = least(lambda query=query: con.execute(f"SELECT {query}").fetchall(), runs)
        theirs = f"{least(reference, runs):.1f}" if reference else ""
        print(f"| {name} | {ours:.1f} | {theirs} |")


if __name__ == "__main__":
    main()
