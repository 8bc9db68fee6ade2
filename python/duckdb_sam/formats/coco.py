"""COCO's JSON: ``to_coco``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from duckdb_sam.formats.categories import Categories, Numbering, numbering
from duckdb_sam.formats.entries import Columns, Entry, Object, entries
from duckdb_sam.formats.files import AnyPath, write_json
from duckdb_sam.formats.names import below
from duckdb_sam.formats.rings import one_ring
from duckdb_sam.formats.sources import Rows
from duckdb_sam.formats.sql import drawn, outlines

Segmentation = Literal["rle", "polygon"]


def to_coco(
    rows: Rows,
    path: AnyPath | None = None,
    *,
    name: str | None = None,
    mask: str | None = None,
    category: str | None = None,
    score: str | None = None,
    image: str | None = None,
    width: str | None = None,
    height: str | None = None,
    crowd: str | None = None,
    image_id: str | None = None,
    categories: Categories | None = None,
    segmentation: Segmentation = "rle",
    tolerance: float = 0,
    results: bool = False,
    root: AnyPath | None = None,
) -> Any:
    """Write masks as COCO's JSON for instance segmentation, which ``pycocotools.coco.COCO`` loads.

        to_coco(con.sql("SELECT name, category, mask FROM masks"), "instances.json")
        to_coco({"coffee.jpg": seg.generate("coffee.jpg")})["annotations"]

    Returns the dict, or with ``path`` writes it (as a whole or not at all) and returns the path. With ``results`` it is
    the list of annotations that ``COCO.loadRes`` takes, which need scores.

    ``rows``: see ``duckdb_sam.formats``. ``name``, ``mask``, ``category``, ``score``, ``image``, ``width`` and
    ``height`` are names of columns; those not given are found by their names. ``crowd`` (0 or 1) becomes ``iscrowd``.
    ``image_id`` has the numbers of images, which results need to agree with the file they are compared with; else
    images are numbered from 1 in the order of their names. Annotations are numbered from 1.
    ``categories``: names, which are numbered from 1, or {number: name}; else those that are found, by the alphabet.
    Numbers in the column stay as they are, gaps included.
    ``segmentation``: ``"rle"`` keeps every pixel, compressed. ``"polygon"`` has outlines along the edges of pixels, a
    list for each island; holes are cut out by an edge that is walked in both directions, so that pycocotools returns
    the same mask. With a ``tolerance`` in pixels corners are left out; ``area`` and ``bbox`` are those of the polygons.
    ``root``: a folder that names are made relative to. Else they are kept as they are.

    Images without masks have no annotations. A mask without pixels is kept, with area 0. Raises ValueError for masks of
    one image that differ in size or from their image, invalid masks, categories that are not among those given.
    """
    if segmentation not in ("rle", "polygon"):
        raise ValueError(f"segmentation must be 'rle' or 'polygon', not {segmentation!r}")
    if tolerance and segmentation == "rle":
        raise ValueError(f"tolerance={tolerance} needs segmentation='polygon': run lengths have every pixel")
    columns = Columns(name, mask, category, score, image, width, height, crowd, {"image_id": image_id})
    found = entries(rows, columns, sized=not results)
    numbers = numbering((each.category for entry in found for each in entry.objects), categories, 1)
    ids = _image_ids(found, image_id)
    annotations = _annotations(found, ids, numbers, segmentation, tolerance)
    whole: Any
    if results:
        kept = ("image_id", "category_id", "segmentation", "bbox", "score")
        whole = [{key: each[key] for key in kept if key in each} for each in annotations]
        for each in whole:
            if "score" not in each:
                raise ValueError("results need scores, and a mask has none: give score=..., the name of a column")
    else:
        whole = {
            "info": {},
            "licenses": [],
            "images": [
                {"id": number, "file_name": below(entry.name, root), "width": size[1], "height": size[0]}
                for entry, number in zip(found, ids, strict=True)
                if (size := entry.size) is not None
            ],
            "annotations": annotations,
            "categories": [{"id": number, "name": label} for number, label in numbers.names.items()],
        }
    return whole if path is None else write_json(path, whole)


def _image_ids(found: Sequence[Entry], column: str | None) -> list[int]:
    if column is None:
        return list(range(1, len(found) + 1))
    taken: dict[int, str] = {}
    for entry in found:
        given = entry.extra["image_id"]
        if isinstance(given, bool) or not hasattr(given, "__index__"):
            raise TypeError(f"image {entry.name!r}: {column} must be a whole number, not {given!r}")
        if (other := taken.setdefault(int(given), entry.name)) != entry.name:
            raise ValueError(f"images {other!r} and {entry.name!r} both have {column} {given}")
    return list(taken)


def _annotations(
    found: Sequence[Entry], ids: Sequence[int], numbers: Numbering, segmentation: Segmentation, tolerance: float
) -> list[dict[str, Any]]:
    objects = [(each, number) for entry, number in zip(found, ids, strict=True) for each in entry.objects]
    masks = [each for each, _ in objects]
    shapes = (
        _polygons(masks, tolerance)
        if segmentation == "polygon"
        else [(_rle(mask), mask.area, mask.bbox) for mask in masks]
    )
    annotations: list[dict[str, Any]] = []
    for place, ((each, number), (shape, area, bbox)) in enumerate(zip(objects, shapes, strict=True), 1):
        annotation: dict[str, Any] = {
            "id": place,
            "image_id": number,
            "category_id": numbers[each.category],
            "segmentation": shape,
            "area": area,
            "bbox": list(bbox),
            "iscrowd": int(each.crowd),
        }
        if each.score is not None:
            annotation["score"] = each.score
        annotations.append(annotation)
    return annotations


def _rle(mask: Object) -> dict[str, Any]:
    return {"size": list(mask.size), "counts": mask.counts}


def _polygons(masks: Sequence[Object], tolerance: float) -> list[tuple[Any, int, tuple[float, ...]]]:
    """Return for each mask its polygons, their area and their box; run lengths where there are no pixels.

    A crowd keeps its run lengths too: readers tell one by the other.
    """
    shapes: list[Any] = []
    for mask, islands in zip(masks, outlines(masks, tolerance), strict=True):
        if mask.crowd or not islands:
            shapes.append(_rle(mask))
        else:
            shapes.append([[side for corner in one_ring(island) for side in corner] for island in islands])
    if not tolerance:
        return [(shape, mask.area, mask.bbox) for shape, mask in zip(shapes, masks, strict=True)]
    measures = drawn("mask_area(m), mask_bbox(m)", shapes, [mask.size for mask in masks])
    return [(shape, area, tuple(bbox)) for shape, (area, bbox) in zip(shapes, measures, strict=True)]
