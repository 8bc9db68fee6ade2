"""Many pictures through sam_annotate: the memory held stays flat.

    python test/soak/memory.py [--small 20000] [--large 200]

Pictures are made as they are read: small ones of 320 x 240 pixels, large ones of 4000 x 3000, each with bytes of its
own. The exit status tells whether the peak of the second half of the work exceeds that of the first by less than 64 MB,
and the whole stays below the limit.
"""

from __future__ import annotations

import argparse
import io
import sys
import threading
import time
from pathlib import Path

import duckdb
from PIL import Image

import duckdb_sam

PHOTO = Path(__file__).resolve().parents[2] / "demo" / "photos" / "coffee.jpg"
LIMIT_MB = 1500
"""What the process may hold: the memo's 100 MB, a large picture per thread, the vectors of compressed pictures."""


def jpeg(size: tuple[int, int]) -> bytes:
    """Return the photograph at another size."""
    out = io.BytesIO()
    with Image.open(PHOTO) as photo:
        photo.resize(size).save(out, "JPEG", quality=80)
    return out.getvalue()


def resident() -> float:
    """Return the megabytes of memory that the process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def measure(con: duckdb.DuckDBPyConnection, name: str, picture: bytes, count: int) -> tuple[float, float]:
    """Annotate ``count`` pictures and return the peaks of both halves."""
    con.execute("CREATE OR REPLACE TABLE picture AS SELECT ?::BLOB AS image", [picture])
    # A comment behind the first marker makes the bytes of each picture its own.
    images = f"""SELECT from_hex('FFD8FFFE000A') || encode(printf('%08d', i)) || rest AS image
        FROM (SELECT from_hex(hex(image)[5:]) AS rest FROM picture), range({count}) AS r(i)"""
    annotate = "sam_annotate('nano', image, [0.5, 0.5])"
    query = f"SELECT count(s), count(DISTINCT s.area) FROM (SELECT {annotate} AS s FROM ({images}))"
    peaks, over, start = [], threading.Event(), time.monotonic()

    def watch() -> None:
        while not over.wait(0.05):
            peaks.append(resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    before = counters(con)
    rows = con.execute(query).fetchone()
    over.set()
    watcher.join()
    encoded = counters(con) - before
    half = len(peaks) // 2
    first, second = max(peaks[:half]), max(peaks[half:])
    print(
        f"{name}: {rows[0]} masks, {encoded:.0f} encoded, {time.monotonic() - start:.0f} s, "
        f"peaks of the halves {first:.0f} and {second:.0f} MB",
        flush=True,
    )
    assert rows == (count, 1)
    assert encoded == count
    return first, second


def counters(con: duckdb.DuckDBPyConnection) -> float:
    return con.execute("SELECT value FROM sam_stats() WHERE counter = 'encodes'").fetchone()[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", type=int, default=20_000)
    parser.add_argument("--large", type=int, default=200)
    options = parser.parse_args()
    flat = True
    with duckdb_sam.connect() as con:
        con.execute("CALL sam_configure(cache_mb := 100)")
        measure(con, "warm-up", jpeg((310, 240)), min(300, options.small))
        for name, size, count in (("small", (320, 240), options.small), ("large", (4000, 3000), options.large)):
            first, second = measure(con, name, jpeg(size), count)
            flat &= second < first + 64 and second < LIMIT_MB
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
