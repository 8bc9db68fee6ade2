"""What users write, for a type checker: test_typing.py runs pyright in strict mode on it.

Nothing here runs. A line with a comment that names rules as errors must be refused by one of them, all others pass.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
from ibis import _

import duckdb_sam
import duckdb_sam.ibis as sam
from duckdb_sam import Mask, Masks, Model, Segmenter


def connections(path: Path) -> list[tuple[str, int]]:
    con: duckdb.DuckDBPyConnection = duckdb_sam.connect(path, read_only=True, threads=2)
    duckdb_sam.load(con)
    with duckdb_sam.interruptible(con):
        con.execute("SELECT 1")
    text: str = duckdb_sam.extension_path().name
    duckdb_sam.connect(3)  # error: reportArgumentType
    duckdb_sam.load("a.db")  # error: reportArgumentType
    return [(text, 1)]


def published() -> Path:
    names: list[str] = [model.name for model in duckdb_sam.models()]
    model: Model = duckdb_sam.models()[0]
    print(names, model.size_mb)  # error: reportAttributeAccessIssue, reportUnknownMemberType
    path: Path = duckdb_sam.pull("mobile_sam")
    try:
        duckdb_sam.pull(1)  # error: reportArgumentType
    except duckdb_sam.PullError as error:
        print(error)
    return path


def objects(seg: Segmenter, image: bytes) -> tuple[Mask, Masks]:
    mask: Mask = seg.predict("coffee.jpg", [0.5, 0.6])
    seg.predict(image, box=mask.bbox, unit="pixel", box_format="xywh")
    seg.predict(image, box=mask.bbox, unit="pixels")  # error: reportArgumentType
    masks: Masks = seg.generate(Path("coffee.jpg"), points_per_side=16)
    seg.generate(image, points_per_side=1.5)  # error: reportArgumentType
    seg.generate(image, points=1)  # error: reportArgumentType
    total: int = sum(each.area for each in masks)
    pixels: int = int(mask.to_numpy().sum())
    outline: str = mask.wkt(1.0)
    height, width = mask.size
    print(total + pixels + height + width, outline + mask.counts)
    print(mask.no_such_field)  # error: reportAttributeAccessIssue
    Segmenter("nano", on_error="ignore")  # error: reportArgumentType
    return mask, masks


def expressions(image: bytes, mask: Mask) -> None:
    con = sam.connect("a.db", threads=2)
    sam.load(con)
    t = con.table("photos")
    sam.segment("nano", t.image, [0.5, 0.6])
    sam.segment("nano", _.image, (0, 1)).name("s")
    sam.segment(Path("m.pt"), image, point=_.point)
    sam.segment(_.model, {"bytes": image, "path": None}, np.array([0.5, 0.6]))
    sam.annotate("nano", _.image, points=[[0.5, 0.6], [_.x, 0.1]], labels=[1, 0], box=(0, 0, 1, 1))
    sam.annotate("nano", _.image, box=[0, 0, 1, 1])
    sam.annotate_many("nano", _.image, [{"box": [0, 0, 1, 1], "label": "cat"}])
    sam.generate("nano", _.image)
    sam.generate("nano", _.image, 8)
    sam.generate("nano", _.image, points_per_side=8, pred_iou_thresh=0.5, min_mask_region_area=np.int64(3))
    sam.generate("nano", _.image, {"points_per_side": 8})
    sam.generate("nano", _.image, options={"points_per_side": 8})
    sam.embed("nano", _.image, type="f16")
    sam.mask_union(t.a, t.b)
    sam.mask_union(_.masks)
    sam.mask_union([mask, {"size": [1, 1], "counts": "01"}])
    sam.image_overlay(t.image, mask)
    sam.version()

    sam.segment("nano", _.image)  # error: reportCallIssue
    sam.segment("nano", _.image, 0.5)  # error: reportArgumentType, reportCallIssue
    sam.segment("nano", _.image, "0.5")  # error: reportArgumentType, reportCallIssue
    sam.segment("nano", _.image, [0.5, 0.5], box=[0, 0, 1, 1])  # error: reportCallIssue
    sam.segment("nano", "coffee.jpg", [0.5, 0.5])  # error: reportArgumentType, reportCallIssue
    sam.segment("nano", _.image, labels=[1])  # error: reportCallIssue
    sam.annotate("nano", _.image, points=[[0.5, 0.5]], labels=[0.5])  # error: reportArgumentType, reportCallIssue
    sam.generate("nano", _.image, points_per_side=1.5)  # error: reportArgumentType, reportCallIssue
    sam.generate("nano", _.image, 1.5)  # error: reportArgumentType, reportCallIssue
    sam.generate("nano", _.image, points=8)  # error: reportCallIssue
    sam.generate("nano", _.image, 8, options={"crop_n_layers": 1})  # error: reportCallIssue
    sam.image_thumbnail(_.image, max_side=1.5)  # error: reportArgumentType
    sam.image_thumbnail(_.image)  # error: reportCallIssue
    sam.image_thumbnail("coffee.jpg", 64)  # error: reportArgumentType
    sam.mask_area(3)  # error: reportArgumentType
    sam.mask_union(mask, masks=[mask])  # error: reportCallIssue
    sam.no_such_function()  # error: reportAttributeAccessIssue, reportUnknownMemberType
