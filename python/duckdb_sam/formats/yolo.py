"""Ultralytics' YOLO data sets, for segmentation and for detection: ``to_yolo``."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Any, Literal, cast

from duckdb_sam.formats.categories import Categories, Numbering, numbering
from duckdb_sam.formats.entries import Columns, Entry, Object, entries
from duckdb_sam.formats.files import AnyPath, staged
from duckdb_sam.formats.names import beside, short, unique
from duckdb_sam.formats.rings import one_polygon, one_ring
from duckdb_sam.formats.sources import Rows
from duckdb_sam.formats.sql import outlines
from duckdb_sam.images import picture

Task = Literal["segment", "detect"]
Parts = Literal["join", "split", "largest"]
Images = Literal["copy", "link"]

SPLITS = ("train", "val", "test")


def to_yolo(
    rows: Rows,
    path: AnyPath,
    *,
    name: str | None = None,
    mask: str | None = None,
    category: str | None = None,
    image: str | None = None,
    width: str | None = None,
    height: str | None = None,
    split: str | None = None,
    categories: Categories | None = None,
    task: Task = "segment",
    tolerance: float = 0,
    parts: Parts = "join",
    images: Images | None = None,
    root: AnyPath | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a data set for YOLO into the folder ``path``, and return it.

        to_yolo(con.sql("SELECT path, category, mask FROM masks"), "dataset", images="link")

    ``labels/NAME.txt`` has a line for each object: the number of its class, and its outline
    (``task="segment"``) or the centre and size of its box (``task="detect"``), in fractions of the image. Images
    without objects have an empty file. ``data.yaml`` has the names of the classes, and the image lists ``train.txt``,
    ``val.txt`` and ``test.txt`` have the images, ``./images/NAME.jpg``. The images themselves belong into the folder
    ``images``: put them there, or let them be copied or linked with ``images="copy"`` or ``"link"``. They are the
    column
    ``image`` (bytes or paths), or else the files that are named.

    ``rows``: see ``duckdb_sam.formats``. ``name``, ``mask``, ``category``, ``image``, ``width`` and ``height`` are
    names of columns; those not given are found by their names. ``split`` is a column with ``"train"``, ``"val"`` or
    ``"test"`` for each image; without it all images are in ``train.txt``, which ``data.yaml`` gives for ``val`` too.
    ``categories``: as of ``to_coco``. YOLO's classes are 0, 1, 2, ... in the order of their numbers, without gaps.
    ``tolerance``: pixels within which corners of outlines are left out.
    ``parts``: YOLO has one outline for an object and no holes. ``"join"`` connects islands, and cuts holes out, by
    edges that are walked in both directions, as Ultralytics' own converter does; ``"split"`` makes each island an
    object,
    ``"largest"`` keeps only the largest one.
    ``root``: the folder below which images keep their folders, ``labels/a/x.txt``. Without it only the names of files
    count; two images with the same are a ValueError.
    ``overwrite``: what is there of an earlier export is replaced, else it is a FileExistsError. The files appear when
    all have been written; others in the folder stay.

    A mask without pixels has no outline: it is left out with a warning.
    """
    for what, value, known in (("task", task, ("segment", "detect")), ("parts", parts, ("join", "split", "largest")),
                               ("images", images, (None, "copy", "link"))):  # fmt: skip
        if value not in known:
            raise ValueError(f"{what} must be one of {', '.join(map(repr, known))}, not {value!r}")
    names: dict[PurePosixPath, str] = {}
    columns = Columns(name, mask, category, None, image, width, height, None, {"split": split})
    with staged(path, overwrite=overwrite, owned=["labels"]) as stage:

        def sink(entry: Entry, given: Any) -> None:
            file = short(entry.name, root)
            unique(names, PurePosixPath("labels") / beside(file, ".txt"), entry.name)
            if images is not None:
                put(stage / "images" / file, given, entry.name, images)

        found = entries(rows, columns, sized=False, sink=sink)
        numbers = numbering((each.category for entry in found for each in entry.objects), categories, 0).dense()
        files = {image_name: stage / file for file, image_name in names.items()}
        for target in files.values():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch(exist_ok=False)
        for image_name, lines in groupby(_lines(found, numbers, task, tolerance, parts), itemgetter(0)):
            with files[image_name].open("w", encoding="ascii", newline="\n") as out:
                out.writelines(f"{line}\n" for _, line in lines)
        (stage / "labels").mkdir(exist_ok=True)
        if empty := sum(each.area == 0 for entry in found for each in entry.objects):
            warnings.warn(f"{empty} masks without pixels are left out: YOLO has no form for them", stacklevel=2)
        _write_lists(stage, [(short(entry.name, root), entry.extra.get("split")) for entry in found], split)
        _write_yaml(stage, numbers.names, split)
    return Path(path).expanduser()


def put(target: Path, given: Any, name: str, how: Images) -> None:
    """Copy or link an image to ``target``: bytes, a path, or the file that is named."""
    if isinstance(given, Mapping):
        record = cast("Mapping[str, Any]", given)
        given = record.get("bytes") if record.get("bytes") is not None else record.get("path")
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(given, (bytes, bytearray, memoryview)):
        with target.open("xb") as out:
            out.write(cast(bytes, given))
        return
    if given is not None and not isinstance(given, (str, os.PathLike)):
        with target.open("xb") as out:
            out.write(picture(given).data)
        return
    file = Path(cast("str | os.PathLike[str]", given if given is not None else name)).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"image {name!r} cannot be put into the data set: there is no file {os.fspath(file)!r}")
    if how == "link":
        try:
            target.symlink_to(file.resolve())
            return
        except OSError:  # Windows without the right to
            pass
    shutil.copyfile(file, target)


def _lines(
    found: Sequence[Entry], numbers: Numbering, task: Task, tolerance: float, parts: Parts
) -> Iterator[tuple[str, str]]:
    """Give the lines with the names of their images, one image after the other."""
    objects = [(entry.name, each) for entry in found for each in entry.objects]
    objects = [(name, each) for name, each in objects if each.area > 0]
    shapes = _boxes(objects) if task == "detect" else _outlines(objects, tolerance, parts)
    for (name, each), values in shapes:
        kind = numbers[each.category]
        height, width = each.size
        sides = (value / (height if place % 2 else width) for place, value in enumerate(values))
        yield name, " ".join([str(kind), *(f"{side:.6f}" for side in sides)])


_Named = tuple[str, Object]


def _boxes(objects: Sequence[_Named]) -> Iterator[tuple[_Named, list[float]]]:
    for named in objects:
        x, y, width, height = named[1].bbox
        yield named, [x + width / 2, y + height / 2, width, height]


def _outlines(objects: Sequence[_Named], tolerance: float, parts: Parts) -> Iterator[tuple[_Named, list[float]]]:
    for named, islands in zip(objects, outlines([each for _, each in objects], tolerance), strict=True):
        if parts == "join":
            rings = [one_polygon(islands)]
        else:
            rings = [one_ring(island) for island in islands]
            if parts == "largest":
                rings = [max(rings, key=lambda ring: abs(_area(ring)))]
        for ring in rings:
            yield named, [side for corner in ring for side in corner]


def _area(ring: Sequence[tuple[float, float]]) -> float:
    return sum(a * d - b * c for (a, b), (c, d) in zip(ring, [*ring[1:], ring[0]], strict=True)) / 2


def _write_lists(stage: Path, images: Sequence[tuple[PurePosixPath, Any]], split: str | None) -> None:
    lists: dict[str, list[str]] = {"train": []}
    for file, part in images:
        if split is not None and part not in SPLITS:
            raise ValueError(f"image {str(file)!r}: {split} must be 'train', 'val' or 'test', not {part!r}")
        lists.setdefault(part if split is not None else "train", []).append(f"./images/{file}\n")
    for part, lines in lists.items():
        (stage / f"{part}.txt").write_text("".join(lines), encoding="utf-8", newline="\n")


def _write_yaml(stage: Path, names: Mapping[int, str], split: str | None) -> None:
    """Write ``data.yaml``; strings stand as in JSON, which YAML reads."""

    def quoted(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)

    lines = ["train: train.txt", "val: train.txt"]
    if split is not None:
        have = [part for part in SPLITS if (stage / f"{part}.txt").is_file()]
        lines = [f"{part}: {part}.txt" for part in have]
        if "val" not in have:
            lines.insert(1, "val: train.txt")
    lines += [f"nc: {len(names)}", "names:", *(f"  {number}: {quoted(name)}" for number, name in names.items())]
    (stage / "data.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
