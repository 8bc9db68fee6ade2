"""Jobs that are killed at any moment go on where they were: no row twice, none missing.

``SAM_KILLS=60`` kills more often than the 12 times of ``make test``, and at every step.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

import jobs
from duckdb_sam.jobs import parts

KILLS = int(os.environ.get("SAM_KILLS", "12"))
ROWS = 28


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> str:
    return jobs.source(tmp_path_factory.mktemp("source") / "source.parquet", ROWS)


@pytest.fixture(scope="module")
def whole(given: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """What a run that nobody stops gives."""
    into = tmp_path_factory.mktemp("whole") / "out.parquet"
    summary = jobs.job(given, into)
    assert (summary.rows, summary.failed, summary.skipped) == (ROWS - len(jobs.BAD), len(jobs.BAD), 0)
    rows, errors = jobs.read(into), jobs.read(into, errors=True)
    assert [row[0] for row in rows] == [row for row in range(ROWS) if row not in jobs.BAD]
    assert [row[0] for row in rows if row[-1] is None] == [jobs.NULL]
    assert [row[0] for row in errors] == list(jobs.BAD)
    return rows, errors


@pytest.mark.parametrize("kind", jobs.KINDS)
def test_killed_at_random(kind: str, given: str, whole: tuple[Any, Any], tmp_path: Path) -> None:
    chance = random.Random(kind)
    into = str(tmp_path / kind / jobs.KINDS[kind])
    if kind != "folder":
        os.mkdir(tmp_path / kind)
    begin = time.monotonic()
    process = jobs.child(jobs.job_in_steps, given, into)
    process.join()
    assert process.exitcode == 0
    most = time.monotonic() - begin
    kills = finished = 0
    while kills < KILLS / len(jobs.KINDS):
        if finished or not kills:
            shutil.rmtree(tmp_path / kind)
            os.mkdir(tmp_path / kind)
        process = jobs.child(jobs.job_in_steps, given, into)
        process.join(chance.uniform(0.1, 1.1) * most)
        finished = not process.is_alive()
        if finished:
            assert process.exitcode == 0
            assert (jobs.read(into), jobs.read(into, errors=True)) == whole
        else:
            process.kill()
            process.join()
            kills += 1
    process = jobs.child(jobs.job_in_steps, given, into)
    process.join()
    assert process.exitcode == 0
    assert (jobs.read(into), jobs.read(into, errors=True)) == whole
    assert not jobs.left_over(tmp_path)


def die_at(step: int, given: str, into: str) -> None:
    """Run the job, and end the process without a word before its call number ``step`` that changes a folder."""
    parts._MANY = 3
    calls = 0

    def counted(name: str, owner: Any) -> None:
        real = getattr(owner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == step:
                os._exit(9)
            return real(*arguments, **named)

        setattr(owner, name, call)

    for name in ("fsync", "replace", "mkdir"):
        counted(name, os)
    for name in ("unlink", "rmdir"):
        counted(name, Path)
    jobs.job(given, into, batch=8)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_killed_at_each_step(kind: str, given: str, whole: tuple[Any, Any], tmp_path: Path) -> None:
    step, steps = 0, 11 if KILLS < 50 else 1
    while True:
        step += steps
        into = str(tmp_path / str(step) / jobs.KINDS[kind])
        process = jobs.child(die_at, step, given, into)
        process.join()
        finished = process.exitcode == 0
        assert finished or process.exitcode == 9
        jobs.job(given, into)
        assert (jobs.read(into), jobs.read(into, errors=True)) == whole, f"killed before step {step}"
        assert not jobs.left_over(tmp_path)
        if finished:
            break
    assert step > 20
