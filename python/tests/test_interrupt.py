"""Ctrl-C and sam_cancel(): a query stops within the time of one picture, not of a vector."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import duckdb
import pytest

import duckdb_sam
from conftest import PHOTOS

# One vector of 2,000 prompts: seconds of work.
TABLE = """CREATE TABLE t AS SELECT content AS image, x / 2000 AS x
FROM read_blob('{photo}'), range(2000) AS r(x)"""
WORK = "SELECT count({call}) FROM t"
CALL = "sam_annotate('nano', image, [0.5, x])"

SCRIPT = """
import signal, sys, time
import duckdb_sam

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
con = duckdb_sam.connect(threads=int(sys.argv[3]))
con.execute(sys.argv[1])
con.execute("CALL sam_load('nano')")
start = time.perf_counter()
print("running", flush=True)
try:
    with duckdb_sam.interruptible(con):
        con.execute(sys.argv[2]).fetchall()
except KeyboardInterrupt:
    print(f"stopped after {time.perf_counter() - start:.3f} s", flush=True)
print(con.execute("SELECT 42").fetchone(), flush=True)
"""


def table() -> str:
    return TABLE.format(photo=PHOTOS / "coffee.jpg")


@pytest.mark.parametrize("threads", [1, 2])  # with one, the main thread itself computes
def test_ctrl_c_stops_within_a_picture(threads: int) -> None:
    command = [sys.executable, "-c", SCRIPT, table(), WORK.format(call=CALL), str(threads)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "running\n"
        time.sleep(0.7)
        process.send_signal(signal.SIGINT)
        sent = time.perf_counter()
        stopped = process.stdout.readline()
        took = time.perf_counter() - sent
        assert process.stdout.readline() == "(42,)\n"
    assert process.returncode == 0
    assert stopped.startswith("stopped"), stopped
    assert took < 2, f"it took {took:.2f} s to stop"


SWALLOWING = """
import os, signal, sys, threading, time
import duckdb_sam

signal.signal(signal.SIGINT, signal.default_int_handler)
con = duckdb_sam.connect(threads=int(sys.argv[3]))
con.execute(sys.argv[1])
con.execute("CALL sam_load('nano')")
finished = 0
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
start = time.perf_counter()
try:
    with duckdb_sam.interruptible(con):
        for _ in range(3):
            try:
                con.execute(sys.argv[2]).fetchall()
                finished += 1
            except Exception:
                pass  # as scripts do that go on with the next file
except KeyboardInterrupt:
    print(f"KeyboardInterrupt {finished} {time.perf_counter() - start < 3}")
"""


@pytest.mark.parametrize("threads", [1, 2])  # with two, DuckDB itself takes Python's KeyboardInterrupt for an error
@pytest.mark.parametrize("query", [WORK.format(call=CALL), "SELECT count(*) FROM range(200_000_000_000)"])
def test_a_block_that_catches_errors_does_not_swallow_ctrl_c(threads: int, query: str) -> None:
    command = [sys.executable, "-c", SWALLOWING, table(), query, str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "KeyboardInterrupt 0 True\n", done.stderr


def test_without_a_signal_nothing_changes(con: duckdb.DuckDBPyConnection) -> None:
    before = signal.set_wakeup_fd(-1)
    with duckdb_sam.interruptible(con):
        assert con.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(duckdb.CatalogException), duckdb_sam.interruptible(con):
        con.execute("FROM no_such_table")
    assert signal.set_wakeup_fd(before) == -1
    assert not [thread for thread in threading.enumerate() if thread.name == "duckdb-sam-interrupt"]


def test_in_another_thread_it_does_nothing(con: duckdb.DuckDBPyConnection) -> None:
    results = []

    def run() -> None:
        with duckdb_sam.interruptible(con):
            results.append(con.execute("SELECT 1").fetchone())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert results == [(1,)]


def test_who_listened_before_still_does(con: duckdb.DuckDBPyConnection) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), duckdb_sam.interruptible(con):
            signal.raise_signal(signal.SIGINT)
            time.sleep(1)
        assert os.read(reader, 16) == bytes([signal.SIGINT])
    finally:
        signal.signal(signal.SIGINT, handler)
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


def test_sam_cancel_from_another_connection(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(table())
    outcome = []

    def run() -> None:
        with con.cursor() as cursor:
            try:
                outcome.append(cursor.execute(WORK.format(call=CALL)).fetchone())
            except duckdb.Error as error:
                outcome.append(str(error))

    con.execute("CALL sam_unload('nano')")
    thread = threading.Thread(target=run)
    thread.start()
    cancelled, deadline = 0, time.perf_counter() + 30
    while not cancelled and time.perf_counter() < deadline:
        time.sleep(0.1)
        cancelled = con.execute("SELECT cancelled FROM sam_cancel()").fetchone()[0]
    start = time.perf_counter()
    thread.join()
    took = time.perf_counter() - start
    assert outcome == ["Invalid Input Error: sam_annotate: cancelled by sam_cancel()"]
    assert took < 2, f"it took {took:.2f} s to stop"
    # A cancelled call is forgotten: the next one runs, and with what was computed before.
    assert con.execute("SELECT count(sam_annotate('nano', image, [0.5, x])) FROM t WHERE x < 0.01").fetchone() == (20,)
