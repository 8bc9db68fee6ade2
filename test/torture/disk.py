"""Masks that are spilled to a folder for temporary files, with room and without.

python test/torture/disk.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import duckdb

import duckdb_sam

ROOT = Path(__file__).resolve().parents[2]
SPILL = """CREATE OR REPLACE TABLE x AS SELECT i, sam_segment('nano', image, [0.5, i / 400]).mask AS mask FROM photos
ORDER BY hash(i)"""


def main() -> int:
    for room, enough in [("10 GB", True), ("20 MB", False)]:
        with tempfile.TemporaryDirectory() as folder:
            con = duckdb_sam.connect(threads=1, temp_directory=folder, max_temp_directory_size=room)
            image = (ROOT / "demo/photos/coffee.jpg").read_bytes()
            con.execute("CREATE TABLE photos AS SELECT i, $1::BLOB AS image FROM range(200) AS r(i)", [image])
            con.execute("SET memory_limit = '600 MB'")
            try:
                con.execute(SPILL)
                outcome = "done"
            except duckdb.Error as error:
                outcome = f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
                assert not enough, outcome
            print(f"{room}: {outcome}", flush=True)
            assert con.execute(
                "SELECT sam_annotate('nano', image, [0.5, 0.5]).area > 0 FROM photos LIMIT 1"
            ).fetchone()[0]
            con.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
