"""Boxes from a file, for each photo: COCO's JSON, a YOLO data set, or a table in CSV or Parquet."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from duckdb_sam.cli.errors import Mistake, spoken
from duckdb_sam.cli.output import count
from duckdb_sam.cli.photos import Photos, photos
from duckdb_sam.cli.results import escaped
from duckdb_sam.cli.streams import note
from duckdb_sam.formats.checks import short
from duckdb_sam.optional import needed
from duckdb_sam.prompts import BoxFormat, Form, Unit, prompt

_NAMES = ("path", "name", "file_name", "filename", "file", "image")
_SIDES = {
    "xyxy": (("x0", "y0", "x1", "y1"), ("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"),
             ("left", "top", "right", "bottom")),
    "xywh": (("x", "y", "width", "height"), ("x", "y", "w", "h")),
}  # fmt: skip
_CATEGORIES = ("category", "class", "label")


class Boxes(NamedTuple):
    """Photos with their boxes."""

    photos: Photos
    boxes: list[list[list[float]]]
    """For each photo."""
    categories: list[list[str | None]] | None
    """For each box of each photo."""
    numbers: dict[int, str] | None
    """The numbers of the categories, where the file has some."""
    fractions: bool
    """Whether the boxes are fractions of width and height, two corners each; else they are as the user says."""
    without: int
    """Photos that have no boxes."""
    unused: list[str]
    """Images in the file that are not among the photos."""

    def table(self) -> Any:
        """Return it as an Arrow table with the columns ``path``, ``boxes`` and maybe ``categories``."""
        pa = needed("pyarrow", "cli", "--boxes")
        columns: dict[str, Any] = {
            "path": pa.array(self.photos.paths, pa.string()),
            "boxes": pa.array(self.boxes, pa.list_(pa.list_(pa.float64()))),
        }
        if self.categories is not None:
            columns["categories"] = pa.array(self.categories, pa.list_(pa.string()))
        return pa.table(columns)


class _Image(NamedTuple):
    boxes: list[list[float]]
    categories: list[str | None]


def boxes(file: str, given: Sequence[str], unit: Unit = "fraction", box_format: BoxFormat = "xyxy") -> Boxes:
    """Read a file of boxes for the photos that are given, or else for those that the file names.

    ``unit`` and ``box_format`` are those of tables. A box that is wrong for every image is a Mistake; whether it lies
    in its own is found out when that is segmented.
    """
    if not os.path.exists(file):
        raise Mistake(f"--boxes: there is no file or folder {file!r}")
    suffix = os.path.splitext(file)[1].lower()
    if os.path.isdir(file) and not all(os.path.isdir(os.path.join(file, name)) for name in ("images", "labels")):
        raise Mistake(f"--boxes {file}: a folder is a YOLO data set, with the folders images and labels in it")
    if os.path.isdir(file) or suffix in (".yaml", ".yml"):
        from duckdb_sam.formats.yolo_in import from_yolo

        found, numbers = _annotated(from_yolo(file, masks=False), file)
        folder = os.path.join(file if os.path.isdir(file) else os.path.dirname(file), "images")
    elif suffix == ".json":
        from duckdb_sam.formats.coco_in import from_coco

        found, numbers = _annotated(from_coco(file, masks=False), file)
        folder = os.path.dirname(file)
    elif suffix in (".csv", ".tsv", ".parquet", ".pq"):
        found, numbers = _table(file, Form(unit, box_format, lambda: None)), None
        folder = os.path.dirname(file)
    else:
        raise Mistake(f"--boxes {file}: give COCO's JSON, the folder of a YOLO data set, or a table as CSV or Parquet")
    if not any(image.boxes for image in found.values()):
        raise Mistake(f"--boxes {file}: there are no boxes in it")
    chosen = photos(given) if given else _named(file, found, folder)
    matched, unused = _matched(file, chosen, found)
    some = any(category is not None for image in found.values() for category in image.categories)
    return Boxes(
        chosen,
        [image.boxes if image else [] for image in matched],
        [image.categories if image else [] for image in matched] if some else None,
        numbers,
        suffix not in (".csv", ".tsv", ".parquet", ".pq"),
        sum(not (image and image.boxes) for image in matched),
        unused,
    )


def _annotated(table: Any, file: str) -> tuple[dict[str, _Image], dict[int, str]]:
    """Take what ``from_coco`` and ``from_yolo`` return; annotations without a box are left out."""
    found: dict[str, _Image] = {}
    numbers: dict[int, str] = {}
    empty = 0
    for row in table.to_pylist():
        numbers.update(zip(row["category_ids"], row["categories"], strict=True))
        pairs = [pair for pair in zip(row["boxes"], row["categories"], strict=True) if pair[0] is not None]
        empty += sum(not any(box) for box, _ in pairs)
        pairs = [pair for pair in pairs if any(pair[0])]  # masks without pixels are written so
        for number, (box, _) in enumerate(pairs, 1):
            if not (box[0] < box[2] and box[1] < box[3]):
                raise Mistake(
                    f"--boxes {file}: box {number} of {len(pairs)} of the image {row['name']} has no area: its corners "
                    f"are {box}, in fractions of width and height. Mend it or take it out"
                )
        if row["name"] in found:
            raise Mistake(f"--boxes {file}: two images have the name {row['name']}, so that boxes cannot be told apart")
        found[row["name"]] = _Image([box for box, _ in pairs], [category for _, category in pairs])
    if empty:
        note(f"{count(empty, 'box', 'boxes')} [0, 0, 0, 0] in {file} left out: objects without pixels")
    return found, dict(sorted(numbers.items()))


def _table(file: str, form: Form) -> dict[str, _Image]:
    """Read a table with a row for each box, or for each image with a list of boxes."""
    import duckdb

    from duckdb_sam.engine import quiet

    if file.lower().endswith((".parquet", ".pq")):
        reader = "read_parquet(?)"
    else:  # everything as it is written: 007 and 1.50 are names
        reader = "read_csv(?, all_varchar = true, header = true)"
    with duckdb.connect() as con:
        quiet(con)
        try:
            result = con.execute(f"FROM {reader}", [escaped(file)])
            columns = [str(column[0]) for column in result.description or []]
            rows = [dict(zip(columns, row, strict=True)) for row in result.fetchall()]
        except duckdb.Error as error:
            raise Mistake(f"--boxes {file}: {str(error).strip().splitlines()[0]}") from error
    known = {column.lower(): column for column in columns}
    name = next((known[each] for each in _NAMES if each in known), None)
    if name is None:
        raise Mistake(f"--boxes {file}: no column names the photos ({', '.join(_NAMES)}); it has {', '.join(columns)}")
    category = next((known[each] for each in _CATEGORIES if each in known), None)
    found: dict[str, _Image] = {}
    for number, row in enumerate(rows, 1):
        if row[name] is None:
            raise Mistake(f"--boxes {file}: row {number} names no photo")
        image = found.setdefault(str(row[name]), _Image([], []))
        kind = row[category] if category else None
        for box in _boxes(row, known, file, number):
            try:
                prompt(None, None, None, box, form)
            except ValueError as error:
                raise Mistake(f"--boxes {file}: row {number}, {row[name]}: {spoken(str(error))}") from error
            image.boxes.append(box)
            image.categories.append(None if kind is None or kind == "" else str(kind))
    return found


def _boxes(row: Mapping[str, Any], known: Mapping[str, str], file: str, number: int) -> Iterable[list[float]]:
    import json

    column = next((known[each] for each in ("box", "boxes", "bbox") if each in known), None)
    given: Any
    if column is not None:
        given = row[column]
        if given is None or given == "":
            return
        try:
            given = json.loads(given) if isinstance(given, str) else given
            many = given if given and isinstance(given[0], (list, tuple)) else [given]
            for box in cast("list[list[Any]]", many):
                yield [float(side) for side in box]
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            text = short(row[column])
            raise Mistake(f"--boxes {file}: row {number} has the box {text}, not four numbers") from error
        return
    sides = next((each for form in _SIDES.values() for each in form if all(side in known for side in each)), None)
    if sides is None:
        forms = "; ".join(" ".join(each) for form in _SIDES.values() for each in form)
        raise Mistake(f"--boxes {file}: there is no column box, nor four columns such as {forms}")
    given = [row[known[side]] for side in sides]
    if all(side is None for side in given):
        return
    if any(side is None for side in given):
        raise Mistake(f"--boxes {file}: row {number} has the box {given}, not four numbers")
    try:
        yield [float(side) for side in given]
    except (ValueError, TypeError, OverflowError) as error:
        raise Mistake(f"--boxes {file}: row {number} has the box {given}, not four numbers") from error


def _named(file: str, found: Mapping[str, _Image], folder: str) -> Photos:
    """Take the images that the file names, which are beside it or in the current folder."""
    for root in (folder, ""):
        paths = [os.path.join(root, name) for name in found]
        if any(map(os.path.exists, paths)):
            return Photos(paths, [root] if root else [])
    raise Mistake(
        f"--boxes {file}: {next(iter(found))!r} and the others are not beside it: give the folder of the photos"
    )


def _matched(file: str, chosen: Photos, found: Mapping[str, _Image]) -> tuple[list[_Image | None], list[str]]:
    """Return what belongs to each photo: by its path, its path in the folder that was given, or its name alone."""
    names: dict[str, str | None] = {}
    for name in found:
        base = os.path.basename(name.replace("\\", "/"))
        names[base] = None if base in names else name
    matched: list[_Image | None] = []
    used: dict[str, str] = {}
    for path in chosen.paths:
        ways = [path, *(os.path.relpath(path, folder).replace(os.sep, "/") for folder in chosen.folders)]
        name = next((way for way in ways if way in found), None)
        if name is None:
            name = names.get(os.path.basename(path))
        if name is not None and (other := used.setdefault(name, path)) != path:
            raise Mistake(f"--boxes {file}: {name!r} may be {other} or {path}: name the photos by their paths")
        matched.append(None if name is None else found[name])
    if not used:
        raise Mistake(
            f"--boxes {file}: none of the {len(found):,} images that it names, such as {next(iter(found))!r}, is among "
            f"the photos, such as {chosen.paths[0]!r}"
        )
    return matched, [name for name in found if name not in used]
