"""The demo: a table of photographs, two queries that segment them, and a page that shows the result.

    make demo

Everything runs in this process: the model `nano` is inside the extension, nothing is downloaded.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import duckdb

import duckdb_sam
from gallery import Picture, Section, sheet, write

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

POINT_QUERY = """\
SELECT id, name, sensitivity, s.iou_score, s.mask
FROM (SELECT *, sam_segment('nano', image, point) AS s
      FROM photos
      WHERE sensitivity >= 0.5
      LIMIT 3)
WHERE s.iou_score > 0.4"""

PROMPT_QUERY = """\
SELECT id, name, sensitivity, s.iou_score, s.mask
FROM (SELECT *, sam_segment('nano', image, points, labels, box) AS s
      FROM photos
      WHERE points IS NOT NULL OR box IS NOT NULL)
ORDER BY id"""


def create_photos(con: duckdb.DuckDBPyConnection) -> None:
    """Make the table: one row per photograph, the JPEG bytes in a BLOB, the prompts beside it."""
    con.execute(
        "CREATE TABLE photos (id INTEGER, name VARCHAR, sensitivity DOUBLE, image BLOB, point FLOAT[], "
        "points FLOAT[][], labels INTEGER[], box FLOAT[])"
    )
    for number, name, sensitivity, *prompts in PHOTOS:
        image = (HERE / "photos" / f"{name}.jpg").read_bytes()
        con.execute("INSERT INTO photos VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [number, name, sensitivity, image, *prompts])


def counters(con: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """Return how much work the process has done."""
    return dict(con.execute("SELECT counter, value FROM sam_stats()").fetchall())


def run(con: duckdb.DuckDBPyConnection, table: str, query: str) -> str:
    """Keep the result of ``query`` as ``table``, print it, and return what it took."""
    before, start = counters(con), time.perf_counter()
    con.execute(f"CREATE TABLE {table} AS {query}")
    seconds = time.perf_counter() - start
    done = {name: int(value - before[name]) for name, value in counters(con).items()}
    print(f"\n{query};\n")
    print(con.sql(f"SELECT * REPLACE (round(iou_score, 3) AS iou_score, len(mask) || ' pixels' AS mask) FROM {table}"))
    took = f"{done['encodes']} pictures encoded, {done['decodes']} prompts decoded, {seconds:.2f} s"
    print(took)
    return took


def pictures(con: duckdb.DuckDBPyConnection, table: str, *, point: bool) -> list[Picture]:
    """Return the rows of ``table`` with their photographs and prompts."""
    prompts = "[point], NULL, NULL" if point else "coalesce(points, []), labels, box"
    rows = con.execute(
        f"SELECT name, image, mask, iou_score, {prompts} FROM {table} JOIN photos USING (id, name) ORDER BY id"
    )
    return [Picture(*row) for row in rows.fetchall()]


def main() -> None:
    """Run the queries and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "gallery.html")
    parser.add_argument("--sheet", type=Path, help="also write the pictures as one JPEG: docs/gallery.jpg")
    options = parser.parse_args()
    con = duckdb_sam.connect()
    create_photos(con)
    con.execute("SELECT sam_model_info('nano')").fetchall()  # loads the model, so that the times are those of queries
    by_point = run(con, "by_point", POINT_QUERY)
    by_prompt = run(con, "by_prompt", PROMPT_QUERY)
    sections = [
        Section(
            "One point for each row",
            f"Six photographs are in the table; the filter and the limit leave three to segment. {by_point}.",
            POINT_QUERY,
            pictures(con, "by_point", point=True),
        ),
        Section(
            "Boxes and several points",
            f"The form with five arguments; a prompt may be NULL. {by_prompt}.",
            PROMPT_QUERY,
            pictures(con, "by_prompt", point=False),
        ),
    ]
    text = "Masks from SQL, with the small built-in model nano. Photographs: see demo/photos/LICENSES.md."
    write(options.out, "Segment Anything inside DuckDB", text, sections)
    print(f"\nThe pictures: {options.out}")
    if options.sheet:
        sheet(options.sheet, [section.pictures for section in sections])


if __name__ == "__main__":
    main()
