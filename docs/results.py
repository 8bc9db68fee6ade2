"""Runs the example of every function on the photographs of demo/, for the reference docs/functions.md.

What the examples return is kept in docs/results.json, and what is to be looked at in docs/pictures. `make docs` runs
them again, and keeps what is there as long as the new results agree: so the files are the same on any processor.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / "docs" / "results.json"
PICTURES = ROOT / "docs" / "pictures"

PHOTOS = """\
CREATE TABLE photos AS
SELECT parse_filename(filename) AS name, content AS image FROM read_blob('{photos}/*.jpg')
"""

# Shown at the top of the reference. `other` is drawn, so that what is made of both masks is easy to see.
SETUP = """\
CREATE TABLE t AS
SELECT image, mask, other, [mask, other] AS masks
FROM (
    SELECT image,
        sam_annotate('nano', image, NULL, NULL, [0.14, 0.08, 0.9, 0.97]).segmentation AS mask,
        mask_from_polygons([[300, 120, 580, 120, 580, 330, 300, 330]], 400, 600) AS other
    FROM photos WHERE name = 'coffee.jpg'
);

CREATE TABLE labels AS SELECT mask_labels(masks, 'png') AS image FROM t;

CREATE TABLE stack AS SELECT from_base64(  -- a GIF with two frames
{stack}
) AS image;
"""
# A GIF with two frames of 16 x 16 pixels, a square in each.
STACK = (
    "R0lGODdhEAAQAIEAAAAAAP///wAAAAAAACH5BAQAAAAALAAAAAAQABAAAAgtAAEIHEiwoMGDCBMqXBigocMACR86jC"
    "gRIsKKFg9ipCiR40OPExeKHEmyZMGAACH5BAUAAAIALAIABAAMAAgAgQAAAP///wAAAAAAAAgnAAEIFChAQICDBwcS"
    "NIgwgEIABRs6VBix4cOKCC8yzEhxY8KOEgMCADs="
)

# The table of an example that is an expression, where it is not `t`.
TABLES = {"masks_from_labels": "labels", "image_page": "stack", "image_pages": "stack"}

# What is shown in the place of the many rows that an example returns.
INSTEAD = {"sam_configure": "SELECT setting, value, scope FROM sam_configure() WHERE setting = 'cache_mb'"}

# Why a result is not the same everywhere. Such results are shown as they once were, and not compared.
VARIES = {
    "sam_stats": "It counts what the process has done until then.",
    "sam_model_stats": "It depends on the processor, and on what the process has done until then.",
}

# What a reader may ask at a result.
NOTES = {
    "image_geo": "The photograph is not a GeoTIFF.",
    "image_error": "Nothing is wrong with the photograph.",
    "sam_errors": "Nothing has failed.",
    "sam_cancel": "Nothing was running.",
}

# Results that are images, and yet nothing to look at: the photograph as it was, and labels that are all but black.
UNSEEN = {"image_convert", "image_tile", "mask_labels"}

# The columns of `t`, for the top of the reference.
TABLE_PICTURES = {
    "t_image.webp": "image",
    "t_mask.webp": "image_overlay(image, mask)",
    "t_other.webp": "image_overlay(image, other)",
}

ROWS = 4
"""So many rows of a result are kept."""
ITEMS = 3
"""So many elements are kept of a list that is longer than LIST."""
LIST = 8
TEXT = 100
"""Longer texts are kept by their beginning."""
BEGINNING = 60
SIDE = 240
"""The longer side of a picture."""
TOLERANCE = 0.02
WHOLE = 2**53
"""Larger numbers are hashes, and compared as they are."""


def setup() -> str:
    """Return the statements that make the tables of the examples, from the table `photos` of the README."""
    pieces = [f"    '{STACK[at : at + 90]}'" for at in range(0, len(STACK), 90)]
    return SETUP.replace("{stack}", " ||\n".join(pieces))


def query(name: str, example: str) -> str:
    """Return the query that an example stands for."""
    if example.startswith(("SELECT", "FROM", "CALL")):
        return example
    return f"SELECT {example} AS result FROM {TABLES.get(name, 't')}"


def fresh(folder: Path) -> dict[str, Any]:
    """Run all examples in a process of its own; return their results. Pictures are written into a folder.

    Masks are computed in f32, which differs less between processors than what they choose themselves.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SAM_")}
    with tempfile.TemporaryDirectory() as models:
        environment |= {"SAM_PRECISION": "f32", "SAM_MODEL_DIR": models}
        command = [sys.executable, str(Path(__file__).resolve()), str(folder.resolve())]
        subprocess.run(command, check=True, env=environment, cwd=models)
    return json.loads((folder / STORED.name).read_text(encoding="utf-8"))


def stored() -> dict[str, Any]:
    """Return the results that docs/results.json holds."""
    return json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}


def update() -> None:
    """Run all examples, and write what no longer agrees with docs/results.json and docs/pictures."""
    kept = stored()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = fresh(folder)
        PICTURES.mkdir(exist_ok=True)
        for function, result in results.items():
            if function in kept and agree(kept[function], result) and seen(kept[function]):
                results[function] = kept[function]
            elif "picture" in result:
                shutil.copy(folder / result["picture"], PICTURES)
        for name in TABLE_PICTURES:
            if not (PICTURES / name).exists():
                shutil.copy(folder / name, PICTURES)
    for path in PICTURES.iterdir():
        if path.name not in {*TABLE_PICTURES, *(result.get("picture") for result in results.values())}:
            path.unlink()
    STORED.write_text(as_json(results), encoding="utf-8")


def seen(result: dict[str, Any]) -> bool:
    """Tell whether the picture of a result is there, if it has one."""
    return "picture" not in result or (PICTURES / result["picture"]).exists()


def as_json(results: dict[str, Any]) -> str:
    """Return the text of docs/results.json: a line for each function."""
    lines = [f"{json.dumps(name)}: {json.dumps(result, ensure_ascii=False)}" for name, result in results.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def agree(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two results of an example are the same, but for what a processor makes of them."""
    if any(one.get(key) != other.get(key) for key in ("example", "query", "columns", "count", "picture", "note")):
        return False
    return "varies" in one or near(one["rows"], other["rows"], 0)


def near(one: Any, other: Any, size: float) -> bool:
    """Tell whether two values are the same within 2 %: of themselves, or of `size`, the largest number beside them."""
    if is_number(one) and is_number(other):
        if max(abs(one), abs(other)) > WHOLE:
            return one == other
        return abs(one - other) <= TOLERANCE * max(abs(one), abs(other), size, 1)
    if isinstance(one, dict) and isinstance(other, dict):
        if "$text" in one and "$text" in other:  # a text of which there is the beginning: of one kind
            return one["first"].split(" ")[0] == other["first"].split(" ")[0]
        return one.keys() == other.keys() and all(near(one[key], other[key], size) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        largest = max((abs(value) for value in one if is_number(value)), default=0)
        return len(one) == len(other) and all(near(a, b, largest) for a, b in zip(one, other, strict=True))
    return one == other


def is_number(value: Any) -> bool:
    """Tell whether a value is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class Examples:
    """The database in which the examples run."""

    def __init__(self, folder: Path) -> None:
        import duckdb_sam  # here, so that what only reads results needs no extension

        self.folder = folder
        self.con = duckdb_sam.connect()
        self.con.execute(PHOTOS.format(photos=(ROOT / "demo" / "photos").as_posix()))
        self.con.execute(setup())

    def functions(self) -> list[tuple[str, str]]:
        """Return every function with its example."""
        return self.con.execute(
            "SELECT function_name, first(example) FROM (SELECT *, row_number() OVER () AS n FROM sam_functions()) "
            "GROUP BY function_name ORDER BY min(n)"
        ).fetchall()

    def result(self, name: str, example: str) -> dict[str, Any]:
        """Run an example; return what is kept of its result."""
        result = self.con.execute(query(name, example))
        kept: dict[str, Any] = {"example": example}
        if name in INSTEAD:
            result.fetchall()
            result, kept["query"] = self.con.execute(INSTEAD[name]), INSTEAD[name]
        kept["columns"] = [column[0] for column in result.description]
        rows = result.fetchall()
        kept["count"] = len(rows)
        kept["rows"] = [[self.compact(value) for value in row] for row in rows[:ROWS]]
        if name in VARIES:
            kept["varies"] = VARIES[name]
        if name in NOTES:
            kept["note"] = NOTES[name]
        picture = None if name in UNSEEN or not rows else self.picture(name, rows[0][0])
        if picture is not None:
            kept["picture"] = f"{name}.webp"
            (self.folder / kept["picture"]).write_bytes(picture)
        return kept

    def compact(self, value: Any) -> Any:
        """Return a value as JSON keeps it: what is long by its beginning, blobs and masks by their size."""
        match value:
            case None | bool() | int():
                return value
            case float():
                return float(f"{value:.4g}")
            case str() if len(value) <= TEXT:
                return value
            case str():
                return {"$text": len(value), "first": value[:BEGINNING]}
            case bytes():
                return {"$blob": len(value), **self.header(value)}
            case {"size": size, "counts": str(counts), **others} if not others and len(counts) > TEXT:
                return {"$mask": size}
            case dict():
                return {key: self.compact(each) for key, each in value.items()}
            case list() if len(value) > LIST or (len(value) > ITEMS and isinstance(value[0], dict)):
                return {"$list": len(value), "first": [self.compact(each) for each in value[:ITEMS]]}
            case list():
                return [self.compact(each) for each in value]
            case _:
                return str(value)

    def header(self, blob: bytes) -> dict[str, Any]:
        """Return format and size of an image; nothing for other bytes."""
        info = self.one("SELECT image_info(?)", blob)
        return {key: info[key] for key in ("format", "width", "height")} if info else {}

    def picture(self, name: str, value: Any) -> bytes | None:
        """Return a small picture of a value with an image or masks in it; None for others."""
        if isinstance(value, dict) and "iou_score" in value:
            value = self.one(
                "SELECT image_from_pixels(list_transform(?::FLOAT[], p -> round(p * 255)), height, width, 1) "
                "FROM (SELECT unnest(image_info(image)) FROM t)",
                value["mask"],
            )
        masks = masks_in(value)
        if masks:
            size = self.one("SELECT [i.height, i.width] FROM (SELECT image_info(image) AS i FROM t)")
            if all(mask["size"] == size for mask in masks):
                value = self.one(
                    "SELECT image_overlay(image, ?::STRUCT(size INTEGER[], counts VARCHAR)[]) FROM t", masks
                )
            else:
                value = self.one("SELECT mask_to_png(?::STRUCT(size INTEGER[], counts VARCHAR))", masks[0])
        header = self.header(value) if isinstance(value, bytes) else {}
        if not header or min(header["width"], header["height"]) < 32:
            return None
        return self.small(value)

    def small(self, image: bytes) -> bytes:
        """Return an image as a small picture."""
        return self.one("SELECT image_convert(image_thumbnail(?, ?), 'webp', 70)", image, SIDE)

    def one(self, statement: str, *parameters: Any) -> Any:
        """Return the only value of a query."""
        [(value,)] = self.con.execute(statement, list(parameters)).fetchall()
        return value


def masks_in(value: Any) -> list[dict[str, Any]]:
    """Return the masks in a value."""
    if isinstance(value, dict):
        if value.keys() == {"size", "counts"}:
            return [value]
        return [mask for each in value.values() for mask in masks_in(each)]
    if isinstance(value, list) and value and isinstance(value[0], (dict, list)):
        return [mask for each in value for mask in masks_in(each)]
    return []


def main(folder: Path) -> None:
    """Write results and pictures of all examples into a folder."""
    examples = Examples(folder)
    for name, expression in TABLE_PICTURES.items():
        (folder / name).write_bytes(examples.small(examples.one(f"SELECT {expression} FROM t")))
    listed = examples.functions()
    ordered = sorted(listed, key=lambda function: function[0] == "sam_unload")  # the last: others describe the model
    found = {name: examples.result(name, example) for name, example in ordered}
    results = {name: found[name] for name, _ in listed}
    (folder / STORED.name).write_text(as_json(results), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
