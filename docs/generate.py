"""Writes what is derived from the extension's own list of functions, sam_functions(): the function reference
docs/functions.md, the same as data in python/duckdb_sam/functions.json, and of that the Ibis expressions in
python/duckdb_sam/ibis/expressions.py. What the examples of the reference return is in
docs/results.json and docs/pictures; what the notebooks show on the site is in docs/notebooks.

    make docs
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from ibis.backends.sql.datatypes import DuckDBType

import duckdb_sam
from duckdb_sam.options import WHOLE
from duckdb_sam.signatures import read

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "docs"))  # for the tests, which load this file by its path

import expressions  # noqa: E402
import outputs  # noqa: E402
import results  # noqa: E402
import shown  # noqa: E402

CHAPTERS = {
    "segmentation": "Segmentation",
    "prompts": "Prompts",
    "masks": "Masks",
    "images": "Images",
    "extension": "The extension itself",
}

HEAD = """\
# Functions

Written by `make docs` from what the extension says about itself, `FROM sam_functions()`. In SQL, arguments have no
names: they are given in this order.
"""

EXAMPLES = """\
## The examples

An example that is no query stands for `SELECT example FROM t`. Where the result needs another table, it says so. These
are the tables, made of `photos` of the [README](../README.md#a-query-in-sql):

```sql
{setup}```

![The photograph of a cup](pictures/t_image.webp) ![The cup as a mask](pictures/t_mask.webp)
![A rectangle as a mask](pictures/t_other.webp)

The pictures are `image`, and `mask` and `other` on it. Of masks, blobs and what is long, results show the size or the
beginning. Pictures show images as they are, probabilities in shades of grey, and masks on the photograph, or white on
black if they are of another size. Results are those of `encoder_precision` `f32`, numbers with four digits; other
processors and `bf16` change the last ones.
"""

TYPES = """\
## Types

An `IMAGE` is a `BLOB` with a JPEG, PNG, WebP, GIF, BMP or TIFF, or `STRUCT(bytes BLOB, path VARCHAR)` as Hugging Face's
datasets have it. Its EXIF orientation is applied: see [images.md](images.md). Functions that take a model accept what
`sam_embed` returns as well.

A `MASK` is COCO's compressed run-length encoding, as pycocotools reads it: `STRUCT(size INTEGER[], counts VARCHAR)`,
where `size` is height and width.

A `SEG` is the record of SAM's own mask generator: `STRUCT(segmentation MASK, bbox FLOAT[], area BIGINT, predicted_iou
FLOAT, stability_score FLOAT)`. A `FOUND` has `point_coords FLOAT[][], crop_box FLOAT[]` in addition.

Where a function takes a `MASK`, it takes COCO's other forms as well:

- `counts` as a list of run lengths, or as the bytes that pycocotools returns;
- the same as JSON or as text;
- any record with a mask as its `segmentation`, such as a `SEG`, a `FOUND` or an annotation.

Fields may stand in any order, among others. Polygons do not tell the size of their image: they become masks by
`mask_from_polygons` or `mask_from_coco`.
"""

# What the types of this project are called in the reference; later ones may be made of earlier ones.
NAMED_TYPES = [
    ("IMAGE", "BLOB | STRUCT(bytes BLOB, path VARCHAR)"),
    ("MASK", "STRUCT(size INTEGER[], counts VARCHAR)"),
    ("MASK", "STRUCT(size BIGINT[], counts VARCHAR)"),
    ("SEG", "STRUCT(segmentation MASK, bbox FLOAT[], area BIGINT, predicted_iou FLOAT, stability_score FLOAT)"),
    (
        "FOUND",
        "STRUCT(segmentation MASK, bbox FLOAT[], area BIGINT, predicted_iou FLOAT, stability_score FLOAT, "
        "point_coords FLOAT[][], crop_box FLOAT[])",
    ),
    # TYPES says it once.
    ("RUNS", "STRUCT(size BIGINT[], counts BIGINT[])"),
    ("BYTES", "STRUCT(size BIGINT[], counts BLOB)"),
    ("MASK[]", "MASK[] | SEG[] | FOUND[] | RUNS[] | BYTES[] | VARCHAR[]"),
    ("MASK", "MASK | SEG | FOUND | RUNS | BYTES | VARCHAR"),
    ("MASK", "MASK | MASK | RUNS | BYTES"),
]


def functions() -> list[dict]:
    """Return the rows of sam_functions(): the order of the extension."""
    with duckdb_sam.connect() as con:
        result = con.execute("FROM sam_functions()")
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def reference(rows: list[dict]) -> str:
    """Return docs/functions.md."""
    unknown = {row["category"] for row in rows} - CHAPTERS.keys()
    if unknown:
        raise SystemExit(f"docs/generate.py: give the categories {sorted(unknown)} a chapter")
    kept = results.stored()
    parts = [HEAD, index(rows), TYPES, EXAMPLES.replace("{setup}", results.setup())]
    for category, title in CHAPTERS.items():
        parts.append(f"## {title}\n")
        names = dict.fromkeys(row["function_name"] for row in rows if row["category"] == category)
        for name in names:
            parts.append(entry(name, [row for row in rows if row["function_name"] == name]))
            if name in kept:
                parts.append(shown.result(name, kept[name], results.TABLES.get(name)))
    return "\n".join(parts)


def index(rows: list[dict]) -> str:
    """Return one line for each function: a link to its paragraph, and what it is in few words."""
    lines = []
    for category, title in CHAPTERS.items():
        lines.append(f"**{title}**\n")
        described = {row["function_name"]: row["description"] for row in rows if row["category"] == category}
        lines += [f"- [`{name}`](#{name}): {opening(text)}" for name, text in described.items()]
        lines.append("")
    return "\n".join(lines)


def opening(description: str) -> str:
    """Return the first sentence of a description, up to its first colon or semicolon outside code."""
    return re.match(r"(?:`[^`]*`|[^`])*?(?=[.:;](?:\s|$))", description)[0] + "."


def entry(name: str, rows: list[dict]) -> str:
    """Return the paragraph of one function."""
    calls = [", ".join(map(argument, row["parameters"], row["parameter_types"])) for row in rows]
    lines = [f"{name}({call})" for call in calls]
    returns = list(dict.fromkeys(named(row["return_type"]) for row in rows))
    lines.append("  -> " + " | ".join(returns))
    code = "\n".join("    " + line for line in lines)
    example = "\n".join("    " + line for line in rows[0]["example"].splitlines())
    return f"### {name}\n\n{code}\n\n{rows[0]['description']}\n\nExample:\n\n{example}\n"


def argument(name: str, kind: str) -> str:
    """Return an argument as the reference shows it."""
    return f"{name} {named(kind)}"


def named(kind: str) -> str:
    """Return a type with the names of this project for its own types."""
    for name, definition in NAMED_TYPES:
        kind = kind.replace(definition, name)
    return kind


def described(rows: list[dict]) -> list[dict]:
    """Return what functions.json holds: the scalar functions, with Ibis's types and their forms."""
    found: dict[str, dict] = {}
    for row in rows:
        if row["function_type"] != "scalar":
            continue
        function = found.setdefault(
            row["function_name"],
            {
                "name": row["function_name"],
                "description": row["description"],
                "example": row["example"],
                "options": {},
                "forms": [],
            },
        )
        if "options" in row["parameters"]:
            function["options"] = options(row["description"])
        arguments = [
            {"name": name, "types": [ibis_type(kind) for kind in kinds.split(" | ")], "sql": named(kinds)}
            for name, kinds in zip(row["parameters"], row["parameter_types"], strict=True)
        ]
        function["forms"].append({"arguments": arguments, "returns": ibis_type(row["return_type"])})
    return list(found.values())


def options(description: str) -> dict[str, str]:
    """Return the options that a description lists, `The options are those of X: a, b and c.`, with their types."""
    listed = re.search(r"[Oo]ptions are (?:those of `\w+`: )?((?:`\w+`(?:, | and )?)+)", description)
    names = re.findall(r"`(\w+)`", listed[1]) if listed else []
    return {name: "int64" if name in WHOLE else "float64" for name in names}


def as_json(functions: list[dict]) -> str:
    """Return the text of functions.json: a line for each function."""
    return "[\n" + ",\n".join(map(json.dumps, functions)) + "\n]\n"


def ibis_type(kind: str) -> str:
    """Return Ibis's text for a type of DuckDB."""
    return re.sub(r"\s+", " ", str(DuckDBType.from_string(kind)))


def files() -> dict[Path, str]:
    """Return every generated file with its text."""
    rows = functions()
    scalars = described(rows)
    package = ROOT / "python" / "duckdb_sam"
    return {
        ROOT / "docs" / "functions.md": reference(rows),
        package / "functions.json": as_json(scalars),
        package / "ibis" / "expressions.py": expressions.module(read(scalars)),
    }


if __name__ == "__main__":
    results.update()
    outputs.update()
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
