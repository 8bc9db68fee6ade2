"""Masks that are spilled to temporary files: with room, with a limit of DuckDB's, and on a disk that is full.

    python test/torture/disk.py [CASE ...]

The cases are room, limit and full. The disk is full where the system lets no file grow beyond 20 MB (RLIMIT_FSIZE): a
write fails in the middle, as it does with no space left.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

import duckdb

import duckdb_sam

ROOT = Path(__file__).resolve().parents[2]
ROWS = 20_480
"""Of 96 x 64 pixels: 500 MB of masks, 50 MB a vector."""

SPILL = """CREATE OR REPLACE TEMP TABLE x AS
SELECT i, sam_segment('nano', image, [0.5, 0.1 * (i % 10)]).mask AS mask FROM photos"""
WRONG = """SELECT count(*) FILTER (len(mask) <> 96 * 64), count(DISTINCT list_sum(mask)) FROM x"""


def main() -> int:
    for name, room, size in [
        ("room", "10 GB", resource.RLIM_INFINITY),
        ("limit", "20 MB", resource.RLIM_INFINITY),
        ("full", "10 GB", 20_000_000),
    ]:
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            con = duckdb_sam.connect(threads=1, temp_directory=folder)
            image = (ROOT / "test/data/disc.png").read_bytes()
            con.execute(f"CREATE TABLE photos AS SELECT i, $1::BLOB AS image FROM range({ROWS}) AS r(i)", [image])
            con.execute("SET memory_limit = '300 MB'")
            con.execute(f"SET max_temp_directory_size = '{room}'")
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            try:
                con.execute(SPILL)
                spilled = sum(file.stat().st_size for file in Path(folder).iterdir())
                outcome = f"done, with {spilled / 1e6:.0f} MB in files"
                assert name == "room", outcome
                assert spilled > 100e6, outcome
                assert con.execute(WRONG).fetchone() == (0, 10)
            except duckdb.Error as error:
                outcome = f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
                assert name != "room", outcome
            print(f"{name}: {outcome}", flush=True)
            one = "SELECT sam_annotate('nano', image, [0.5, 0.5]).area > 0 FROM photos LIMIT 1"
            assert con.execute(one).fetchone() == (True,)
            con.close()
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return 0


if __name__ == "__main__":
    sys.exit(main())
