"""Numbers of the Python package that its pages name; docs say which.

.venv/bin/python bench/package.py label                        docs/label.md: clicks until there is a mask
.venv/bin/python bench/package.py service http://HOST:PORT     docs/recipes/service.md: the service that runs there
.venv/bin/python bench/package.py exports                      docs/formats.md: memory and time of 200,000 masks
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from machine import describe
from PIL import Image

import duckdb_sam

PHOTO = Path(__file__).parent.parent / "demo" / "photos" / "coffee.jpg"
CLICKS = 40
FORMATS = {"coco": 200_000, "yolo": 200_000, "geoparquet": 200_000, "labelme": 50_000}


def milliseconds(work: Callable[[int], object], times: int = CLICKS) -> str:
    """Time calls of ``work``, of which the first does not count."""
    work(0)
    taken: list[float] = []
    for number in range(1, times + 1):
        begin = time.perf_counter()
        work(number)
        taken.append((time.perf_counter() - begin) * 1000)
    return f"median {statistics.median(taken):.0f} ms, slowest {max(taken):.0f} ms"


def label() -> None:
    """Click on photos of two sizes, directly and over HTTP; each click is written to a database file."""
    from duckdb_sam.labelling.desk import Desk
    from duckdb_sam.labelling.serve import Server

    with tempfile.TemporaryDirectory() as folder, duckdb_sam.connect(f"{folder}/photos.db") as con:
        con.execute("CREATE TABLE images (name VARCHAR, image BLOB)")
        for size in ((600, 400), (6000, 4000)):
            buffer = io.BytesIO()
            with Image.open(PHOTO) as image:
                image.resize(size).save(buffer, "JPEG", quality=90)
            con.execute("INSERT INTO images VALUES (?, ?)", ["{} x {}".format(*size), buffer.getvalue()])
        desk = Desk("images", "prompts", con=con)
        server = Server(desk)
        thread = server.start()
        address = urlsplit(server.address)
        connection = http.client.HTTPConnection(address.netloc)

        def ask(request: str, given: dict[str, Any]) -> None:
            head = {"content-type": "application/json"}
            connection.request("POST", f"{address.path}ask/{request}", json.dumps(given), head)
            answer = connection.getresponse()
            assert answer.status == 200 and b"refused" not in answer.read()

        for place, key in enumerate(desk.pictures.keys):
            desk.ask("objects", {"place": place})

            def click(number: int, key: tuple[str, ...] = key) -> dict[str, Any]:
                points = [[0.3 + number / 200, 0.45]]
                return {"key": list(key), "object": 1, "class": None, "points": points, "labels": [1], "changed": ""}

            print(f"{key[0]}, directly: {milliseconds(lambda number: desk.ask('put', click(number)))}")
            # Other points, whose answers are not known yet.
            print(f"{key[0]}, over HTTP: {milliseconds(lambda number: ask('put', click(number + CLICKS + 1)))}")
        server.stop()
        thread.join(10)
        desk.close()


def service(address: str) -> None:
    """Send photos that are others to the cache each time, by one client and by eight."""
    place, data = urlsplit(address), PHOTO.read_bytes()

    def ask(number: int) -> float:
        connection = http.client.HTTPConnection(place.netloc)
        begin = time.perf_counter()
        connection.request("POST", "/mask?x=0.5&y=0.6", data + number.to_bytes(4, "big") + begin.hex().encode())
        answer = connection.getresponse()
        assert answer.status == 200 and b"segmentation" in answer.read()
        return time.perf_counter() - begin

    ask(0)
    for clients, requests in ((1, 100), (8, 320)):
        begin = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            taken = sorted(pool.map(ask, range(requests)))
        rate = requests / (time.perf_counter() - begin)
        p50, p99 = (taken[int(part * (requests - 1))] for part in (0.5, 0.99))
        print(f"{clients} clients, {requests} requests: p50 {p50:.2f} s, p99 {p99:.2f} s, {rate:.1f} a second")


def rows(count: int) -> Iterator[tuple[str, Any]]:
    """Give images with one mask each, 600 x 400 pixels."""
    mask = duckdb_sam.Segmenter().predict(PHOTO, [0.5, 0.6])
    return ((f"{number}.jpg", mask) for number in range(count))


def exports() -> None:
    """Write many masks in each format, in a process of its own."""
    for kind, count in FORMATS.items():
        subprocess.run([sys.executable, __file__, "export", kind, str(count)], check=True)


def export(kind: str, count: int) -> None:
    """Write many masks in one format."""
    with tempfile.TemporaryDirectory() as folder:
        given, begin = dict(rows(count)), time.perf_counter()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ending = {"coco": "coco.json", "geoparquet": "masks.parquet"}.get(kind, "masks")
        write: Any = getattr(duckdb_sam, f"to_{kind}")
        write(given, f"{folder}/{ending}")
        peak, seconds = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter() - begin
        print(f"{kind}, {count:,} masks: {peak / 1e6:.2f} GB ({before / 1e6:.2f} before), {seconds:.0f} s", flush=True)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("label", "service", "exports", "export"))
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    if options.what == "export":
        return export(options.arguments[0], int(options.arguments[1]))
    machine = describe()
    print(f"{machine['Processor']}, {machine['Cores']} cores")
    return {"label": label, "service": service, "exports": exports}[options.what](*options.arguments)


if __name__ == "__main__":
    main()
