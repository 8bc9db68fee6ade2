"""``supervision.Detections``: ``to_supervision``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from duckdb_sam.formats.categories import Categories, Numbering, numbering
from duckdb_sam.formats.entries import Columns, Object, entries
from duckdb_sam.formats.sources import Rows
from duckdb_sam.masks import Mask, to_array
from duckdb_sam.optional import needed

if TYPE_CHECKING:
    Detections = Any


def to_supervision(
    rows: Rows,
    *,
    name: str | None = None,
    mask: str | None = None,
    category: str | None = None,
    score: str | None = None,
    categories: Categories | None = None,
) -> Detections:
    """Return masks as ``supervision.Detections``, with dense masks, boxes, scores and classes.

        detections = to_supervision(seg.generate("coffee.jpg"))
        by_name = to_supervision(con.sql("SELECT name, category, mask FROM masks"))

    A ``Mask``, ``Masks``, a record of ``sam_annotate`` or a list of such, which are of one image, give one Detections.
    Rows with names (see ``duckdb_sam.formats``) give a dict of Detections by the name of the image.

    ``xyxy`` is the box of two corners in pixels, ``mask`` bool (n, height, width), which takes a byte a pixel;
    ``confidence`` the score (None if a mask has none), ``class_id`` the number of the category, as ``categories`` has
    it, or else 0, 1, 2, ... by the alphabet, and ``data["class_name"]`` its name.
    """
    needed("supervision", "supervision", "to_supervision")
    alone = _of_one_image(rows)
    if alone is not None:
        found = entries({"image": alone}, Columns(), sized=False)
    else:
        found = entries(rows, Columns(name, mask, category, score), sized=False)
    numbers = numbering((each.category for entry in found for each in entry.objects), categories, 0)
    if alone is not None:
        return _detections(found[0].objects, numbers)
    return {entry.name: _detections(entry.objects, numbers) for entry in found}


def _of_one_image(rows: Any) -> list[Any] | None:
    """Return the masks where ``rows`` are those of one image."""
    if isinstance(rows, Mask) or (isinstance(rows, Mapping) and ("segmentation" in rows or "counts" in rows)):
        return [rows]
    if isinstance(rows, (list, tuple)):
        given = list(cast("list[Any]", rows))
        return given if all(isinstance(each, Mask) or _is_record(each) for each in given) else None
    return None


def _is_record(given: Any) -> bool:
    """Tell a record of a mask from a row that has one and a name."""
    if not isinstance(given, Mapping):
        return False
    row = cast("Mapping[str, Any]", given)
    return "counts" in row or ("segmentation" in row and not {"name", "file_name", "filename", "path"} & row.keys())


def _detections(objects: Sequence[Object], numbers: Numbering) -> Any:
    sv = needed("supervision", "supervision", "to_supervision")
    np = needed("numpy", "numpy", "to_supervision")
    if not objects:
        return sv.Detections.empty()
    kinds = [numbers[each.category] for each in objects]
    scores = [each.score for each in objects]
    boxes = [(x, y, x + width, y + height) for x, y, width, height in (each.bbox for each in objects)]
    return sv.Detections(
        xyxy=np.array(boxes, np.float32),
        mask=np.stack([to_array(each.size, each.counts) for each in objects]),
        confidence=None if None in scores else np.array(scores, np.float32),
        class_id=np.array(kinds, int),
        data={"class_name": np.array([numbers.names[kind] for kind in kinds])},
    )
