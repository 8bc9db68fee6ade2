"""Ultralytics' YOLO data sets as prompts: ``from_yolo``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from duckdb_sam.engine import shared
from duckdb_sam.formats.checks import label, read_text, sequence, short, whole
from duckdb_sam.formats.checks import text as of_text
from duckdb_sam.formats.files import AnyPath
from duckdb_sam.formats.names import is_image
from duckdb_sam.formats.tables import Annotated, table
from duckdb_sam.images import picture
from duckdb_sam.optional import needed
from duckdb_sam.prompts import BOX_SLACK

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_MOST_CLASSES = 2**31 - 1


def from_yolo(
    path: AnyPath,
    *,
    images: AnyPath | None = None,
    labels: AnyPath | None = None,
    categories: Sequence[str] | Mapping[int, str] | None = None,
    masks: bool = True,
) -> Any:
    """Read a YOLO data set as an Arrow table with a row for each image: boxes as prompts, and masks.

        table = from_yolo("dataset")
        masks = Segmenter("mobile_sam").batch(table, boxes="boxes")

    ``path`` is the folder with the folders ``images`` and ``labels``, or its ``data.yaml``; other folders may be given
    as
    ``images`` and ``labels``. Subfolders are read too. ``categories``: the names of the classes; else those of
    ``data.yaml``, in the folder or the one above, which takes PyYAML; else their numbers.

    The columns are those of ``from_coco``; ``name`` is the image's path in its folder. Lines may have a box (class,
    centre, size), an outline (class, x, y, x, y, ...), and a confidence at their end, which becomes the score. The
    box of an outline is that around it; an outline becomes a mask, unless ``masks=False``.
    Raises ValueError for lines that are neither, boxes without area or more than a twentieth outside of their image,
    classes below 0 or without a name, and labels without an image.
    """
    folder = Path(path).expanduser()
    stated = folder if folder.suffix in (".yaml", ".yml") else None
    folder = folder.parent if stated else folder
    pictures = Path(images).expanduser() if images is not None else folder / "images"
    texts = Path(labels).expanduser() if labels is not None else folder / "labels"
    for each in (pictures, texts):
        if not each.is_dir():
            raise FileNotFoundError(f"there is no folder {each}: give images=... and labels=..., the two folders")
    names = _names(categories, [stated] if stated else [folder / "data.yaml", folder.parent / "data.yaml"])
    files = sorted(file for file in pictures.rglob("*") if is_image(file.name))
    wanted = {(texts / file.relative_to(pictures)).with_suffix(".txt"): file for file in files}
    if len(wanted) < len(files):
        twice = next(file for file in files if wanted[(texts / file.relative_to(pictures)).with_suffix(".txt")] != file)
        raise ValueError(f"two images would have the labels of {twice}: their names differ only in the ending")
    for text in sorted(texts.rglob("*.txt")):
        if text not in wanted and text.name != "classes.txt":
            raise ValueError(f"{text} has no image in {pictures}")
    found: list[Annotated] = []
    for number, (text, file) in enumerate(wanted.items(), 1):
        height, width = _size(file)
        name = of_text(file.relative_to(pictures).as_posix(), f"{pictures}: the name of an image")
        image = Annotated(name, str(file), number, width, height)
        if text.is_file():
            for place, line in enumerate(read_text(text).splitlines(), 1):
                if line.strip():
                    _add(image, line.split(), names, masks, f"{text}, line {place}")
        found.append(image)
    return table(found, "from_yolo")


def _names(given: Sequence[str] | Mapping[int, str] | None, files: Sequence[Path]) -> dict[int, str] | None:
    if given is None:
        file = next((file for file in files if file.is_file()), None)
        if file is None:
            return None
        yaml = needed("yaml", "formats", f"reading {file} (or give categories=[...])")
        try:
            data = yaml.safe_load(read_text(file))
        except (yaml.YAMLError, RecursionError) as error:
            raise ValueError(f"{file} is not YAML that can be read: {' '.join(str(error).split())}") from None
        given = cast("Mapping[str, Any]", data).get("names") if isinstance(data, Mapping) else None
        if given is None:
            raise ValueError(f"{file} has no names of classes: give categories=[...]")
        where = f"{file}: names"
    else:
        where = "categories"
    if isinstance(given, Mapping):
        pairs: Any = given.items()
    else:
        pairs = enumerate(sequence(given, f"{where} of classes"))
    return {whole(number, f"{where}: a number", 0): label(name, f"{where}: {number}") for number, name in pairs}


def _size(file: Path) -> tuple[int, int]:
    info = shared.value("image_info(?::BLOB)", picture(file).data)
    if info is None:
        raise ValueError(f"{file} is not an image that can be decoded")
    return info["height"], info["width"]


def _add(image: Annotated, parts: Sequence[str], names: Mapping[int, str] | None, masks: bool, where: str) -> None:
    if not all(map(_NUMBER.fullmatch, parts)):
        raise ValueError(f"{where}: {short(' '.join(parts))} is not a class and numbers")
    values = [float(part) for part in parts[1:]]
    if not all(map(math.isfinite, values)):
        raise ValueError(f"{where}: the numbers must be finite")
    kind = whole(float(parts[0]), f"{where}: the class", 0, _MOST_CLASSES)
    if names is not None and kind not in names:
        raise ValueError(f"{where}: class {kind} is not among the {len(names)} of the data set")
    score = values.pop() if len(values) == 5 or (len(values) > 6 and len(values) % 2) else None
    outline = None
    if len(values) == 4:
        x, y, width, height = values
        if not (width > 0 and height > 0):
            raise ValueError(f"{where}: the box has a width of {width} and a height of {height}: they must be above 0")
        box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    elif len(values) >= 6:
        across, down = values[::2], values[1::2]
        box = [min(across), min(down), max(across), max(down)]
        sides = (value * (image.height if place % 2 else image.width) for place, value in enumerate(values))
        outline = [[round(side, 2) for side in sides]]
    else:
        raise ValueError(f"{where}: {len(parts)} numbers are neither a box (5) nor an outline (7 or more)")
    if not all(-BOX_SLACK <= side <= 1 + BOX_SLACK for side in box):
        raise ValueError(
            f"{where}: the corners {short([round(side, 6) for side in box])} lie outside the image: coordinates are "
            "fractions of its width and height, 0 to 1"
        )
    image.boxes.append(box)
    image.masks.append(outline if masks else None)
    image.categories.append(str(kind) if names is None else names[kind])
    image.category_ids.append(kind)
    image.scores.append(score)
    image.crowd.append(False)
    image.ids.append(len(image.ids) + 1)
