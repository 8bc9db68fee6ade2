"""labelme's JSON files, one beside each image: ``to_labelme``."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from duckdb_sam.formats.categories import ONE
from duckdb_sam.formats.entries import Columns, Entry, Object, entries
from duckdb_sam.formats.files import AnyPath, staged
from duckdb_sam.formats.names import beside, short, unique
from duckdb_sam.formats.rings import one_ring
from duckdb_sam.formats.sources import Rows
from duckdb_sam.formats.sql import evaluate, outlines

_VERSION = "5.5.0"
"""Of labelme: the first that has all that is written here."""
_AT_ONCE = 500
"""Images whose shapes are held at once."""
_PART = "base64(image_crop(mask_to_png(m), mask_bbox(m)))"


def to_labelme(
    rows: Rows,
    path: AnyPath | None = None,
    *,
    name: str | None = None,
    mask: str | None = None,
    category: str | None = None,
    image: str | None = None,
    width: str | None = None,
    height: str | None = None,
    categories: dict[int, str] | None = None,
    shape: Literal["mask", "polygon"] = "mask",
    tolerance: float = 0,
    root: AnyPath | None = None,
    overwrite: bool = False,
) -> Any:
    """Write masks as labelme's JSON, a file ``NAME.json`` for each image, into the folder ``path``.

        to_labelme(con.sql("SELECT path, mask FROM masks"), "photos")  # then: labelme photos

    Returns the folder, or without ``path`` the contents by the names of the files. The best folder is that of the
    images, where labelme looks for them; from another one the files refer to images that are found by their names.

    ``rows``: see ``duckdb_sam.formats``. ``name``, ``mask``, ``category``, ``image``, ``width`` and ``height`` are
    names of columns; those not given are found by their names. Categories become labels; numbers do by ``categories``,
    {number: label}. Masks without one are labelled "object".
    ``shape``: ``"mask"`` keeps every pixel. ``"polygon"`` has a polygon for each island, those of an object with one
    ``group_id``; holes are cut out by an edge that is walked in both directions. With a ``tolerance`` in pixels corners
    are left out.
    ``root``: the folder below which images keep their folders. Without it only the names of files count; two images
    with the same are a ValueError.
    ``overwrite``: without it, files that are there already are a FileExistsError, and nothing is written.

    Images without masks have a file without shapes. A mask without pixels has no shape: it is left out with a warning.
    """
    if shape not in ("mask", "polygon"):
        raise ValueError(f"shape must be 'mask' or 'polygon', not {shape!r}")
    if tolerance and shape == "mask":
        raise ValueError(f"tolerance={tolerance} needs shape='polygon': a mask has every pixel")
    found = entries(rows, Columns(name, mask, category, None, image, width, height), sized=True)
    names: dict[PurePosixPath, str] = {}
    for entry in found:
        unique(names, beside(short(entry.name, root), ".json"), entry.name)
    if empty := sum(each.area == 0 for entry in found for each in entry.objects):
        warnings.warn(f"{empty} masks without pixels are left out: labelme has no form for them", stacklevel=2)

    def contents() -> Iterator[tuple[PurePosixPath, dict[str, Any]]]:
        files = iter(names)
        for start in range(0, len(found), _AT_ONCE):
            part = found[start : start + _AT_ONCE]
            for entry, each in zip(part, _shapes(part, categories, shape, tolerance), strict=True):
                file = next(files)
                yield file, _content(entry, each, file, path, root)

    if path is None:
        return {str(file): content for file, content in contents()}
    with staged(path, overwrite=overwrite) as stage:
        for file, content in contents():
            target = stage / file
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8") as out:
                json.dump(content, out, ensure_ascii=False, indent=2)
    return Path(path).expanduser()


def _content(
    entry: Entry, shapes: list[dict[str, Any]], file: PurePosixPath, path: AnyPath | None, root: AnyPath | None
) -> dict[str, Any]:
    assert entry.size is not None
    height, width = entry.size
    return {
        "version": _VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": _image_path(entry.name, file, path, root),
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def _image_path(name: str, file: PurePosixPath, path: AnyPath | None, root: AnyPath | None) -> str:
    """Return the path of the image from the folder of its JSON file; its name, where no such image is found."""
    if path is not None and Path(name).is_file():
        folder = (Path(path).expanduser() / file).absolute().parent
        try:
            return Path(os.path.relpath(Path(name).absolute(), folder)).as_posix()
        except ValueError:  # another drive of Windows
            return str(Path(name).absolute())
    return short(name, root).name


def _shapes(
    found: Sequence[Entry], categories: dict[int, str] | None, shape: str, tolerance: float
) -> list[list[dict[str, Any]]]:
    objects = [(entry, each) for entry in found for each in entry.objects if each.area > 0]
    masks = [each for _, each in objects]
    made: dict[str, list[dict[str, Any]]] = {entry.name: [] for entry in found}
    if shape == "mask":
        for (entry, each), (png,) in zip(objects, evaluate(_PART, masks), strict=True):
            x, y, width, height = each.bbox
            corners = [[x, y], [x + width - 1, y + height - 1]]  # both pixels belong to it
            made[entry.name].append(_shape(_label(each, categories), "mask", corners, None, png))
    else:
        for (entry, each), islands in zip(objects, outlines(masks, tolerance), strict=True):
            group = 1 + max((one["group_id"] or 0 for one in made[entry.name]), default=0) if len(islands) > 1 else None
            for island in islands:
                corners = [list(corner) for corner in one_ring(island)]
                made[entry.name].append(_shape(_label(each, categories), "polygon", corners, group, None))
    return list(made.values())


def _label(each: Object, categories: dict[int, str] | None) -> str:
    kind = each.category
    if kind is None:
        return ONE
    if isinstance(kind, int) and categories is not None:
        if kind not in categories:
            raise ValueError(f"category {kind} is not among the categories given: {sorted(categories)}")
        return categories[kind]
    return str(kind)


def _shape(label: str, kind: str, points: list[list[float]], group: int | None, png: str | None) -> dict[str, Any]:
    return {
        "label": label,
        "points": points,
        "group_id": group,
        "description": "",
        "shape_type": kind,
        "flags": {},
        "mask": png,
    }
