"""Ctrl-C stops a job within seconds and loses nothing that was written."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import duckdb_sam
import jobs
from conftest import PHOTOS

IMAGES = 28

SCRIPT = """
    import signal, sys
    import duckdb_sam

    signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal, whatever the tests run in

    def tell(status):
        print(status.done, flush=True)

    duckdb_sam.run(sys.argv[1], into=sys.argv[2], point=[0.5, 0.5], batch=10, progress=tell)
"""


@pytest.mark.parametrize("kind", ["file", "database"])
def test_interrupted(kind: str, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(IMAGES):  # different images
        (photos / f"{number:03}.jpg").write_bytes((PHOTOS / "coins.jpg").read_bytes() + bytes([number]))
    into = f"{tmp_path}/{jobs.KINDS[kind]}"
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(photos), into],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    assert process.stdout
    for line in process.stdout:
        if int(line) > 10:  # within the second batch
            break
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - begin < 5
    assert process.returncode == -signal.SIGINT
    last = errors.splitlines()[-1]
    found = re.fullmatch(
        r"KeyboardInterrupt: interrupted: (\d+) of 28 rows are in (.*); the same call goes on from there", last
    )
    assert found, errors
    assert 8 <= int(found[1]) < IMAGES
    summary = duckdb_sam.run(photos, into=into, point=[0.5, 0.5], progress=False)
    assert summary.skipped == int(found[1])
    assert [row[0] for row in jobs.read(into)] == sorted(map(str, photos.iterdir()))
    assert not jobs.left_over(tmp_path)


def test_interrupted_while_keys_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise RuntimeError("Query interrupted")  # what DuckDB makes of Ctrl-C

    monkeypatch.setattr("duckdb_sam.jobs.source_keyed.RelationRows.keys", interrupted)
    query = f"SELECT 1 AS id, '{PHOTOS / 'coins.jpg'}' AS image"
    for into in jobs.KINDS.values():
        with pytest.raises(KeyboardInterrupt):
            duckdb_sam.run(query, into=f"{tmp_path}/{into}", key="id", point=[0.5, 0.5], progress=False)
    assert not list(tmp_path.iterdir())
