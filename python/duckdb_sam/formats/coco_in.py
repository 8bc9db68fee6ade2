"""COCO's JSON as prompts: ``from_coco``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from duckdb_sam.formats.checks import flag, label, mapping, number, read_json, sequence, short, side, text, whole
from duckdb_sam.formats.files import AnyPath
from duckdb_sam.formats.tables import Annotated, table


def from_coco(given: AnyPath | Mapping[str, Any], *, images: AnyPath | None = None, masks: bool = True) -> Any:
    """Read COCO's JSON as an Arrow table with a row for each image: boxes as prompts, and masks.

        table = from_coco("instances.json", images="photos")
        better = Segmenter("mobile_sam").batch(table, boxes="boxes")
        to_coco(better, "better.json", mask="mask")

    Columns: ``name`` (``file_name``), ``image`` (its path in the folder ``images``; left out without one),
    ``image_id``, ``width``, ``height``; and lists with a value for each annotation: ``boxes`` ([x0, y0, x1, y1] in
    fractions of width and height, as all functions take them), ``masks`` (from polygons, run lengths and compressed run
    lengths; NULL where there is no segmentation), ``categories`` (names), ``category_ids``, ``scores`` (NULL where
    there is none), ``crowd``, ``ids``.

    ``given``: the path of a file, or what was read from one. ``masks=False`` leaves the segmentations alone; the lists
    ``masks`` are then of NULLs. A box is that of the annotation; NULL without one. Raises ValueError, which names the
    image or the annotation, for what is not COCO's JSON, values that cannot be, annotations of images or categories
    that are not listed, and segmentations that are none.
    """
    if isinstance(given, Mapping):
        where, read = "from_coco", given
    else:
        where, read = str(given), read_json(Path(given).expanduser())
    if not isinstance(read, Mapping) or "images" not in read or "annotations" not in read:
        raise ValueError(
            f"{where}: COCO's JSON is an object with images, annotations and categories; "
            "results alone do not say of what images they are"
        )
    data = cast("Mapping[str, Any]", read)
    try:
        found = _images(data, images)
        names = _categories(data)
        for place, each in enumerate(sequence(data["annotations"], "annotations"), 1):
            what = _called("annotation", each, place)
            _add(found, mapping(each, what), names, masks, what)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None
    return table(list(found.values()), where)


def _images(read: Mapping[str, Any], folder: AnyPath | None) -> dict[int, Annotated]:
    found: dict[int, Annotated] = {}
    for place, given in enumerate(sequence(read["images"], "images"), 1):
        what = _called("image", given, place)
        each = mapping(given, what)
        own = whole(_of(each, "id", what), f"{what}: id")
        file = text(_of(each, "file_name", what), f"{what}: file_name")
        width, height = (side(_of(each, name, what), f"{what}: {name}") for name in ("width", "height"))
        if own in found:
            raise ValueError(f"two images have the id {own}")
        path = None if folder is None else str(Path(folder).expanduser() / file)
        found[own] = Annotated(file, path, own, width, height)
    return found


def _categories(read: Mapping[str, Any]) -> dict[int, str]:
    names: dict[int, str] = {}
    for place, given in enumerate(sequence(read.get("categories") or [], "categories"), 1):
        what = _called("category", given, place)
        each = mapping(given, what)
        own = whole(_of(each, "id", what), f"{what}: id")
        name = label(_of(each, "name", what), f"{what}: name")
        if names.setdefault(own, name) != name:
            raise ValueError(f"two categories have the id {own}: {names[own]!r} and {name!r}")
    return names


def _add(
    found: Mapping[int, Annotated], given: Mapping[str, Any], names: Mapping[int, str], masks: bool, what: str
) -> None:
    of = whole(_of(given, "image_id", what), f"{what}: image_id")
    if of not in found:
        raise ValueError(f"{what} is of image {of}, which is not listed")
    image = found[of]
    kind = whole(_of(given, "category_id", what), f"{what}: category_id")
    if kind not in names:
        raise ValueError(f"{what} has category {kind}, which is not listed")
    score, own = given.get("score"), given.get("id")
    segmentation = given.get("segmentation") or None
    if segmentation is not None and not isinstance(segmentation, (list, Mapping)):
        raise TypeError(f"{what}: segmentation must be polygons or run lengths, not {short(segmentation)}")
    image.boxes.append(_box(given.get("bbox"), image, what))
    image.masks.append(segmentation if masks else None)
    image.categories.append(names[kind])
    image.category_ids.append(kind)
    image.scores.append(None if score is None else number(score, f"{what}: score"))
    image.crowd.append(flag(given.get("iscrowd") or 0, f"{what}: iscrowd"))
    image.ids.append(len(image.ids) + 1 if own is None else whole(own, f"{what}: id"))


def _box(given: Any, image: Annotated, what: str) -> list[float] | None:
    """Return a box in fractions; what has neither width nor height is of a mask without pixels."""
    if given is None or given == []:
        return None
    if not isinstance(given, (list, tuple)) or len(sequence(given, what)) != 4:
        raise ValueError(f"{what}: bbox must be four numbers, [x, y, width, height], not {short(given)}")
    x, y, width, height = (number(value, f"{what}: bbox {short(given)}: each") for value in sequence(given, what))
    if width < 0 or height < 0:
        raise ValueError(f"{what}: bbox {short(given)} has a width or height below 0: it is [x, y, width, height]")
    return [x / image.width, y / image.height, (x + width) / image.width, (y + height) / image.height]


def _of(given: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in given:
        raise ValueError(f"{what}: there is no {name!r}, but {', '.join(map(str, given))}")
    return given[name]


def _called(kind: str, given: Any, place: int) -> str:
    """Return how a message calls something: by its id, or by its place in the list."""
    own = given.get("id") if isinstance(given, Mapping) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return f"{kind} {short(own)}" if isinstance(own, int) else f"{kind} no. {place}"
