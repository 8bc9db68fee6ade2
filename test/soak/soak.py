"""Many threads on one database for minutes: the same answers as one thread gives, no deadlock, flat memory.

    python test/soak/soak.py [--seconds 120] [--threads 16] [--models 3]

Threads ask for masks of several models with several functions and prompts, while others unload models in use, change
settings, cancel, and work in a second database of the process. Prints a line every ten seconds; the exit status
tells whether all answers were right and memory stayed flat.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import statistics
import sys
import threading
import time
from pathlib import Path

import duckdb

import duckdb_sam

ROOT = Path(__file__).resolve().parents[2]
MODELS = ["nano", str(ROOT / "extension/model/assets/nano.safetensors"), str(ROOT / "test/reference/vit_tiny/plain.pt")]
CALLS = [
    "sam_annotate($model, image, [0.3 + id / 40, 0.45])",
    "sam_segment($model, image, [0.25 + id / 50, 0.5])",
    "sam_annotate($model, image, [[0.4, 0.5], [0.9, 0.1 * (id % 5)]], [1, 0], [0.1, 0.1, 0.9, 0.95])",
    "sam_annotate_many($model, image, [{'points': [[0.2, 0.3]], 'labels': NULL, 'box': NULL}, NULL, "
    "{'points': NULL, 'labels': NULL, 'box': [0.2, 0.1, 0.7, 0.8]}])",
    "sam_annotate($model, sam_embed($model, image), [0.5, 0.5])",
]
# The same rows in any order give the same number.
QUERIES = [
    "SELECT bit_xor(hash(id, {call})) FROM t",
    "SELECT bit_xor(hash(id, {call})) FROM (SELECT * FROM t, range(3) ORDER BY hash(id))",
    "SELECT bit_xor(hash(id, s)) FROM (SELECT id, {call} AS s FROM t) WHERE s IS NOT NULL",
]
TABLE = f"""CREATE TABLE t AS SELECT row_number() OVER (ORDER BY filename) AS id, content AS image
FROM read_blob(['{ROOT}/test/data/disc*', '{ROOT}/test/data/chelsea.jpg', '{ROOT}/demo/photos/co*.jpg'])"""
FAILS = "SELECT sam_annotate('nano', 'no picture'::BLOB, [0.5, 0.5])"
CANCELLED = "cancelled by sam_cancel()"


def jobs(models: int) -> list[tuple[str, str]]:
    """Return all queries with so many models."""
    return [(model, query.format(call=call)) for model in MODELS[:models] for call in CALLS for query in QUERIES]


def answer(con: duckdb.DuckDBPyConnection, model: str, query: str) -> int:
    return con.execute(query.replace("$model", f"'{model}'")).fetchone()[0]


def resident() -> float:
    """Return the megabytes of memory that the process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


class Soak:
    """What the threads share."""

    def __init__(self, wanted: dict[tuple[str, str], int]):
        self.wanted = wanted
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.answers = self.cancelled = 0
        self.wrong: list[str] = []

    def ask(self, con: duckdb.DuckDBPyConnection, seed: int, cancellable: bool) -> None:
        """Ask at random until it is over, in a database in which queries are cancelled or in one that has its peace."""
        choose = random.Random(seed)
        todo = list(self.wanted)
        while not self.over.is_set():
            job = choose.choice(todo)
            try:
                got = answer(con, *job)
            except duckdb.Error as error:
                if CANCELLED not in str(error) or not cancellable:
                    self.note(f"{job}: {error}")
                with self.lock:
                    self.cancelled += 1
                continue
            if got != self.wanted[job]:
                self.note(f"{job}: {got}, not {self.wanted[job]}")
            with self.lock:
                self.answers += 1

    def fail(self, con: duckdb.DuckDBPyConnection, tolerant: bool) -> None:
        """Ask for what fails: a database's setting says whether it is NULL or an error."""
        while not self.over.wait(0.05):
            try:
                outcome = con.execute(FAILS).fetchone()[0]
            except duckdb.Error as error:
                outcome = str(error)
            expected = [None, CANCELLED] if tolerant else ["not a picture"]
            if not any(outcome is it or (it and it in str(outcome)) for it in expected):
                self.note(f"{FAILS}: {outcome}")

    def disturb(self, con: duckdb.DuckDBPyConnection) -> None:
        """Unload models in use, change threads and the cache, cancel."""
        choose = random.Random(0)
        while not self.over.wait(choose.uniform(0.05, 0.5)):
            action = choose.choice(
                [
                    f"CALL sam_unload('{choose.choice(MODELS)}')",
                    f"CALL sam_configure(threads := {choose.randint(1, 4)})",
                    f"CALL sam_configure(cache_mb := {choose.choice([0, 1, 5, 50])})",
                    *["CALL sam_cancel()"] * (choose.random() < 0.1),
                    "FROM sam_stats()",
                    "FROM sam_models()",
                ]
            )
            try:
                con.execute(action).fetchall()
            except duckdb.Error as error:
                self.note(f"{action}: {error}")

    def note(self, text: str) -> None:
        with self.lock:
            self.wrong.append(text)
        self.over.set()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--models", type=int, default=len(MODELS))
    options = parser.parse_args()
    faulthandler.dump_traceback_later(options.seconds + 300, exit=True)  # a deadlock
    with duckdb_sam.connect() as first, duckdb_sam.connect() as second:
        first.execute(TABLE)
        second.execute(TABLE)
        first.execute("CALL sam_configure(cache_mb := 0, threads := 1)")  # the serial answers, each computed
        soak = Soak({job: answer(first, *job) for job in jobs(options.models)})
        first.execute("CALL sam_configure(on_error := 'null')")
        threads = [threading.Thread(target=soak.disturb, args=(first.cursor(),))]
        for con in (first, second):
            threads.append(threading.Thread(target=soak.fail, args=(con.cursor(), con is first)))
        for index in range(options.threads):
            con = first if index % 4 else second
            threads.append(threading.Thread(target=soak.ask, args=(con.cursor(), index, con is first)))
        for thread in threads:
            thread.start()
        start, held = time.monotonic(), []
        while time.monotonic() - start < options.seconds and not soak.over.wait(0.1):
            held.append(resident())
            if len(held) % 100 == 0:
                print(
                    f"{time.monotonic() - start:5.0f} s: {soak.answers} right, {soak.cancelled} cancelled, "
                    f"{held[-1]:.0f} MB",
                    flush=True,
                )
        soak.over.set()
        for thread in threads:
            thread.join()
    # What is held at a moment depends on what runs; a leak shows in the middle of many moments.
    quarter = len(held) // 4
    early, late = statistics.median(held[quarter : 2 * quarter]), statistics.median(held[3 * quarter :])
    print(
        f"{options.threads} threads, {time.monotonic() - start:.0f} s: {soak.answers} answers, {len(soak.wrong)} "
        f"wrong, {soak.cancelled} cancelled; memory in the second quarter {early:.0f} MB, in the last {late:.0f} MB"
    )
    for text in soak.wrong[:10]:
        print(text)
    return 1 if soak.wrong or late > early + 150 or not soak.answers else 0


if __name__ == "__main__":
    sys.exit(main())
