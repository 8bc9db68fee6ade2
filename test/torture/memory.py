"""All functions while memory runs out, in one process: DuckDB's own limit in steps, or that of the system.

    python test/torture/memory.py duckdb [MB ...]
    python test/torture/memory.py system [MB ...]

``duckdb`` sets ``memory_limit``; ``system`` limits the address space (RLIMIT_AS) to so much more than the process
has taken. A query may succeed or fail with an error; after each the connection must answer, and nothing may end the
process. Prints a line for each limit, with the number of queries that failed of those that ran.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import duckdb

import duckdb_sam

ROOT = Path(__file__).resolve().parents[2]
STEPS = {"duckdb": [20, 30, 45, 70, 100, 150, 250, 500, 1000], "system": [1, 3, 10, 30, 60, 100, 200, 400, 1000]}

# Many large results, kept in a table, so that the engine's own memory counts: of pictures, of masks, of both.
MASK = "{'size': [400, 600], 'counts': counts}"
CALLS = {
    "sam_segment('nano', image, [0.5, j / 2000])": "photos",
    "sam_annotate('nano', image, [0.5, j / 2000])": "photos",
    "sam_annotate_many('nano', image, [{'points': [[0.5, j / 2000]]}, {'points': [[0.2, 0.2]]}])": "photos",
    "sam_embed('nano', image)": "photos",
    "sam_generate('nano', image, 2)": "photos",
    "sam_model_info(['nano', 'nano'][1 + j % 2])": "photos",
    "image_info(image)": "photos",
    "image_resize(image, 300, 200)": "photos",
    "image_thumbnail(image, 200)": "photos",
    "image_convert(image, 'png')": "photos",
    "image_crop(image, [0.1, 0.1, 0.9, 0.9])": "photos",
    "image_tile(image, 256, 32)": "photos",
    "image_hash(image)": "photos",
    "image_overlay(image, {mask})": "photos",
    "image_cutout(image, {mask})": "photos",
    "mask_from_rle({mask})": "masks",
    "mask_to_rle([1.0, 0.0, 1.0, 1.0], 2, 2)": "masks",
    "mask_to_png({mask})": "masks",
    "mask_to_wkb({mask})": "masks",
    "mask_to_wkt({mask})": "masks",
    "mask_area({mask})": "masks",
    "mask_bbox({mask})": "masks",
    "mask_iou({mask}, {mask})": "masks",
    "mask_union([{mask}, {mask}])": "masks",
    "mask_intersect([{mask}, {mask}])": "masks",
    "mask_difference({mask}, {mask})": "masks",
    "mask_clean({mask}, 10)": "masks",
    "mask_error({mask})": "masks",
    "repeat(sam_version(), 10000)": "masks",
}
ONLY = os.environ.get("SAM_TORTURE_ONLY", "")  # names of functions begin with, all if empty
VERBOSE = "SAM_TORTURE_VERBOSE" in os.environ
TABLES = ["sam_stats()", "sam_functions()", "sam_models()", "sam_errors()", "sam_configure()", "sam_load('nano')"]


def queries() -> list[str]:
    """Return queries whose results stay in memory, and those that list."""
    made = []
    for call, table in CALLS.items():
        if not call.startswith(tuple(ONLY.split(","))):
            continue
        # The number of a row is part of the call, so that no two are equal; most pictures are.
        call = call.replace("{mask}", MASK)
        made.append(f"CREATE OR REPLACE TEMP TABLE x AS SELECT i, {call} AS v FROM {table}")
    return made + [f"CREATE OR REPLACE TEMP TABLE x AS FROM {table}" for table in TABLES]


def connect() -> duckdb.DuckDBPyConnection:
    con = duckdb_sam.connect(threads=2, temp_directory=tempfile.mkdtemp())
    con.execute("CALL sam_load('nano')").fetchall()
    image = (ROOT / "demo/photos/coffee.jpg").read_bytes()
    con.execute(
        "CREATE TABLE photos AS SELECT i, i * 6 AS j, $1::BLOB AS image, "
        "sam_annotate('nano', $1::BLOB, [0.5, 0.5]).segmentation.counts AS counts FROM range(300) AS r(i)",
        [image],
    )
    con.execute(
        "CREATE TABLE masks AS SELECT i, sam_annotate('nano', $1::BLOB, [0.5, i % 20 / 20]).segmentation.counts "
        "AS counts FROM range(1000) AS r(i)",
        [image],
    )
    return con


def attempt(con: duckdb.DuckDBPyConnection, query: str, failures: Counter[str]) -> None:
    start = time.monotonic()
    try:
        con.execute(query).fetchall()
    except (duckdb.Error, MemoryError, RuntimeError) as error:
        if VERBOSE:
            print(f"{query[:90]}: {type(error).__name__}: {str(error).splitlines()[0][:140]}", flush=True)
        failures[type(error).__name__] += 1
        if "internal" in str(error).lower():
            raise AssertionError(f"{query}: {error}") from error
    if VERBOSE and time.monotonic() - start > 2:
        print(f"{query[:90]}: {time.monotonic() - start:.1f} s", flush=True)
    con.execute("DROP TABLE IF EXISTS temp.x").fetchall()
    assert con.execute("SELECT 42").fetchone() == (42,)


def main() -> int:
    kind, steps = sys.argv[1], [int(step) for step in sys.argv[2:]] or STEPS[sys.argv[1]]
    con = connect()
    todo = queries()
    for step in steps:
        failures: Counter[str] = Counter()
        limited(con, kind, step)
        for query in todo:
            attempt(con, query, failures)
        limited(con, kind, None)
        print(f"{kind} {step} MB: {failures.total()} of {len(todo)} failed: {dict(failures)}", flush=True)
        assert con.execute("SELECT sam_annotate('nano', image, [0.5, 0.1]).area > 0 FROM photos LIMIT 1").fetchone()[0]
    return 0


def limited(con: duckdb.DuckDBPyConnection, kind: str, megabytes: int | None) -> None:
    if kind == "duckdb":
        con.execute(f"SET memory_limit = '{megabytes} MB'" if megabytes else "SET memory_limit = '8 GB'")
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft = pages * 4096 + megabytes * 1_000_000 if megabytes else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_AS, (soft, resource.RLIM_INFINITY))


if __name__ == "__main__":
    sys.exit(main())
