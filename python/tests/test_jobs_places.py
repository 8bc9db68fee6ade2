"""Places that cannot be written: what to do is said, what was written stays, and the job goes on afterwards."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import duckdb_sam
import jobs
from conftest import ROOT

DISC = (ROOT / "test" / "data" / "disc.png").read_bytes()
ROWS = 40
OPTIONS: dict[str, Any] = {"key": "k", "point": [0.5, 0.5], "keep": True, "batch": 4}


def source() -> pa.Table:
    """Rows of 50 kB that cannot be compressed."""
    return pa.table({"k": range(ROWS), "image": [DISC] * ROWS, "noise": [os.urandom(50_000) for _ in range(ROWS)]})


def run_in_little_space(table: pa.Table, into: str, limit: int, queue: Any) -> None:
    """Run the job where no file may be larger."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # Python ignores the signal: it is an error of the file
    try:
        jobs.job(table, into, **OPTIONS)
        queue.put("")
    except Exception as error:
        queue.put(f"{type(error).__name__}: {error}")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
@pytest.mark.parametrize("kind", jobs.KINDS)
def test_no_space_left(kind: str, tmp_path: Path) -> None:
    table, into = source(), f"{tmp_path}/{jobs.KINDS[kind]}"
    limit = 100_000 if kind == "folder" else 900_000
    queue = jobs.PROCESSES.SimpleQueue()
    process = jobs.PROCESSES.Process(target=run_in_little_space, args=(table, into, limit, queue))
    process.start()
    told = queue.get()
    process.join()
    assert told.startswith("JobError: ")
    assert "too large" in told.lower() and "Free space there, and make the same call again" in told, told
    summary = jobs.job(table, into, **OPTIONS)
    assert summary.rows + summary.skipped == ROWS
    assert kind == "folder" or summary.skipped > 0
    assert [row[0] for row in jobs.read(into)] == list(range(ROWS))
    assert not jobs.left_over(tmp_path)


def test_places_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "text.db").write_bytes(b"text" * 2000)
    (tmp_path / "folder.db").mkdir()
    for into in ("file/out.parquet", "file/out/", "file/out.db", "text.db", "folder.db", f"{'x' * 300}.parquet"):
        with pytest.raises(duckdb_sam.JobError, match=r"cannot be written or read: .*same call again"):
            jobs.job(source(), f"{tmp_path}/{into}", **OPTIONS)
    for into in jobs.KINDS.values():
        with pytest.raises(ValueError, match="holds a NUL character"):
            jobs.job(source(), f"{tmp_path}/a\0{into}", **OPTIONS)
    assert jobs.job(source(), tmp_path / "new" / "folder" / "out.db", **OPTIONS).rows == ROWS


def test_a_database_that_is_read_only(tmp_path: Path) -> None:
    path = str(tmp_path / "out.db")
    jobs.job(source().slice(0, 10), path, **OPTIONS)
    with duckdb.connect(path, read_only=True, config={"allow_unsigned_extensions": "true"}) as con:
        for into in ("masks", "others"):
            with pytest.raises(duckdb_sam.JobError, match=r"read-only.*Give a place as into= that can be written"):
                jobs.job(source(), into, con=con, **OPTIONS)
    assert jobs.job(source(), path, **OPTIONS)[:3] == (ROWS - 10, 0, 10)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o500)
    try:
        for into in jobs.KINDS.values():
            with pytest.raises(duckdb_sam.JobError, match="change its permissions"):
                jobs.job(source(), f"{tmp_path}/{into}", **OPTIONS)
    finally:
        os.chmod(tmp_path, 0o700)
