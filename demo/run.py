"""The demo: a table of photographs, queries that segment them, and a page that shows the results.

    make demo

Everything runs in this process: the model `nano` is inside the extension, nothing is downloaded.
"""

from __future__ import annotations

import argparse
import html
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

import duckdb_sam
import fields
from duckdb_sam.gallery.page import whole

HERE = Path(__file__).resolve().parent

# id, name, sensitivity, point; and for the second query points, labels and box.
PHOTOS = [
    (1, "coins", 0.9, [0.555, 0.635], None, None, None),
    (2, "chelsea", 0.2, [0.50, 0.50], None, None, None),
    (3, "coffee", 0.8, [0.55, 0.25], None, None, [0.28, 0.03, 0.69, 0.59]),
    (4, "camera", 0.4, [0.20, 0.60], [[0.20, 0.60], [0.43, 0.20], [0.80, 0.80], [0.60, 0.05]], [1, 1, 0, 0], None),
    (5, "astronaut", 0.7, [0.47, 0.10], None, None, None),
    (6, "rocket", 0.6, [0.505, 0.55], [[0.505, 0.60]], [1], [0.48, 0.30, 0.54, 0.95]),
]

# Clicks on the astronaut: the first, and those that put right what it got wrong.
CLICKS = [
    ("before", [[0.40, 0.60]], [1]),
    ("after three more clicks", [[0.40, 0.60], [0.45, 0.20], [0.05, 0.40], [0.85, 0.85]], [1, 1, 0, 0]),
]


@dataclass
class Part:
    """A section of the page: a table that a query makes, and the query that shows it."""

    table: str
    title: str
    text: str
    query: str
    shown: str


PARTS = [
    Part(
        "by_point",
        "One point for each row",
        "Six photographs are in the table; the filter and the limit leave three to segment: {took}.",
        """\
SELECT id, name, sensitivity, s.iou_score, s.mask
FROM (SELECT *, sam_segment('nano', image, point) AS s
      FROM photos
      WHERE sensitivity >= 0.5
      LIMIT 3)
WHERE s.iou_score > 0.4""",
        "SELECT name, image, point, mask, round(iou_score, 2) AS iou_score FROM by_point JOIN photos USING (id, name)",
    ),
    Part(
        "by_prompt",
        "Boxes and several points",
        "A form with more arguments, each of which may be NULL: {took}.",
        """\
SELECT id, name, sensitivity, s.iou_score, s.mask
FROM (SELECT *, sam_segment('nano', image, points, labels, box) AS s
      FROM photos
      WHERE points IS NOT NULL OR box IS NOT NULL)
ORDER BY id""",
        "SELECT name, image, points, labels, box, mask, round(iou_score, 2) AS iou_score "
        "FROM by_prompt JOIN photos USING (id, name)",
    ),
    Part(
        "corrected",
        "Before and after a correction",
        "One click takes in a flag and a helmet; three more, two of them beside the astronaut, put that right: {took}.",
        """\
SELECT c.name, image, c.points, c.labels, sam_annotate('nano', image, c.points, c.labels, NULL) AS seg
FROM photos, clicks AS c
WHERE photos.name = 'astronaut'""",
        "FROM corrected",
    ),
    Part(
        "everything",
        "Everything in a picture",
        "No prompt at all. Point at an object, or at its number, to see it alone: {took}.",
        """\
SELECT name, image, sam_generate('nano', image, 16) AS objects
FROM photos
WHERE name IN ('coins', 'coffee', 'camera')""",
        "FROM everything ORDER BY name DESC",
    ),
    Part(
        "fields",
        "Boxes of a detector, outlines on a map",
        "A picture as from a plane, drawn for this page, with a box around each field: {took}. "
        "to_geoparquet writes the outlines in metres, for QGIS, GeoPandas and others.",
        """\
SELECT name, image, boxes, categories,
       sam_annotate_many('nano', image, [{'box': box} FOR box IN boxes]) AS masks
FROM plane""",
        "FROM fields",
    ),
]


def create(con: duckdb.DuckDBPyConnection) -> None:
    """Make the tables: one row per photograph, the JPEG bytes in a BLOB, the prompts beside it."""
    con.execute(
        "CREATE TABLE photos (id INTEGER, name VARCHAR, sensitivity DOUBLE, image BLOB, point FLOAT[], "
        "points FLOAT[][], labels INTEGER[], box FLOAT[])"
    )
    for number, name, sensitivity, *prompts in PHOTOS:
        image = (HERE / "photos" / f"{name}.jpg").read_bytes()
        con.execute("INSERT INTO photos VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [number, name, sensitivity, image, *prompts])
    con.execute("CREATE TABLE clicks (name VARCHAR, points FLOAT[][], labels INTEGER[])")
    con.executemany("INSERT INTO clicks VALUES (?, ?, ?)", CLICKS)
    con.execute("CREATE TABLE plane (name VARCHAR, image BLOB, boxes DOUBLE[][], categories VARCHAR[])")
    names = [name for name, _, _ in fields.FIELDS]
    con.execute("INSERT INTO plane VALUES ('fields', ?, ?, ?)", [fields.picture(), fields.boxes(), names])


def counters(con: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """Return how much work the process has done."""
    return dict(con.execute("SELECT counter, value FROM sam_stats()").fetchall())


def run(con: duckdb.DuckDBPyConnection, part: Part) -> str:
    """Keep the result of a query as a table, print it, and return what it took."""
    before, start = counters(con), time.perf_counter()
    con.execute(f"CREATE TABLE {part.table} AS {part.query}")
    seconds = time.perf_counter() - start
    done = {name: int(value - before[name]) for name, value in counters(con).items()}
    print(f"\n{part.query};\n")
    if part.table.startswith("by_"):
        mask = "len(mask) || ' pixels' AS mask"
        print(con.sql(f"SELECT * REPLACE (round(iou_score, 3) AS iou_score, {mask}) FROM {part.table}"))
    took = f"{done['encodes']} pictures encoded, {done['decodes']} prompts decoded, {seconds:.2f} s"
    print(took)
    return took


def outlines(con: duckdb.DuckDBPyConnection) -> duckdb_sam.Gallery:
    """Write the fields as GeoParquet, and show what is in it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fields.parquet"
        rows = con.sql("SELECT categories, masks FROM fields")
        duckdb_sam.to_geoparquet(rows, path, transform=fields.TRANSFORM, crs=fields.CRS, tolerance=1)
        query = f"SELECT categories AS name, area * 4 / 1e4 AS hectares, geometry FROM '{path}' ORDER BY hectares DESC"
        return duckdb_sam.show(query, 3, con=con)


def main() -> None:
    """Run the queries and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "gallery.html")
    parser.add_argument("--sheet", type=Path, help="also write the first pictures as one JPEG: docs/gallery.jpg")
    options = parser.parse_args()
    con = duckdb_sam.connect()
    create(con)
    con.execute("SELECT sam_model_info('nano')").fetchall()  # loads the model, so that the times are those of queries
    title = "Segment Anything inside DuckDB"
    page = [
        f"<h1>{title}</h1><p>Masks from SQL, with the small built-in model nano. Photographs: see "
        "demo/photos/LICENSES.md. This page is what duckdb_sam.show makes of each result.</p>"
    ]
    for part in PARTS:
        text = part.text.format(took=run(con, part))
        gallery = duckdb_sam.show(part.shown, con=con)
        page.append(
            f"<h2>{html.escape(part.title)}</h2><p>{html.escape(text)}</p>"
            f'<pre tabindex="0">{html.escape(part.query)}</pre>{gallery.section()}'
        )
    page.append(outlines(con).section())
    options.out.write_text(whole(title, "\n".join(page)), encoding="utf-8")
    print(f"\nThe pictures: {options.out}")
    print("Your own: duckdb-sam run PHOTOS --generate, and then: duckdb-sam gallery masks.parquet --open")
    print("To mark objects on these photographs by clicking: .venv/bin/duckdb-sam label demo/photos")
    if options.sheet:
        from sheet import write

        write(con, options.sheet)


if __name__ == "__main__":
    main()
