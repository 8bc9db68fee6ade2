"""A job for the tests of ``run``, small enough to be killed often, and what must come of it in the end."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

import duckdb_sam
from conftest import PHOTOS

BAD = {3: b"not an image", 17: b""}
"""Rows whose image cannot be decoded."""
NULL = 11

PROCESSES = multiprocessing.get_context("forkserver")
"""Children of a process that has imported what is slow to import, and has no threads."""
PROCESSES.set_forkserver_preload(["duckdb_sam.jobs", "duckdb_sam.segmenter", "pyarrow.parquet", "pyarrow.dataset"])

KINDS = {"file": "out.parquet", "folder": "out/", "database": "out.db"}
"""What ``into`` may be, for ``run`` alone."""


def source(path: Path, rows: int) -> str:
    """Write a Parquet file with one image, as an embedding, at many points; some rows are bad or NULL."""
    with duckdb_sam.Segmenter() as segmenter:
        embedding = bytes(segmenter.embed(PHOTOS / "coffee.jpg", "f16"))
    images = [BAD.get(row, None if row == NULL else embedding) for row in range(rows)]
    table = pa.table(
        {
            "id": range(rows),
            "name": [f"row {row}" for row in range(rows)],
            "image": pa.array(images, pa.binary()),
            "click": [[(row % 9 + 1) / 10, (row // 9 % 9 + 1) / 10] for row in range(rows)],
        }
    )
    pq.write_table(table, path, row_group_size=10)
    return str(path)


def job(given: Any, into: Any, **options: Any) -> duckdb_sam.Summary:
    """Run the job."""
    asked = {"key": "id", "point": "click", "keep": ["name"], "batch": 6, "progress": False, **options}
    return duckdb_sam.run(given, into=str(into), **asked)


def job_in_steps(given: str, into: str) -> None:
    """Run the job, and write as often as possible."""
    job(given, into, batch=2)


def child(function: Callable[..., Any], *arguments: Any) -> Any:
    """Start ``function`` in a process of its own."""
    process = PROCESSES.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


def read(into: Path | str, errors: bool = False) -> list[tuple[Any, ...]]:
    """Return the results of a job, or its errors, in the order of their keys."""
    text = str(into).rstrip("/")
    name = "_errors" if errors else ""
    if text.endswith(".db"):
        query = f"FROM masks{name}"
    elif text.endswith(".parquet"):
        query = f"FROM read_parquet('{text[: -len('.parquet')]}{name}.parquet')"
    else:
        query = f"FROM read_parquet('{text}{name}/*.parquet')"
    with duckdb.connect(text if text.endswith(".db") else ":memory:") as con:
        return con.execute(f"{query} ORDER BY ALL").fetchall()


def left_over(folder: Path) -> list[str]:
    """Return what a job leaves in a folder beside its results; nothing should."""
    found = [os.path.join(root, name) for root, folders, files in os.walk(folder) for name in [*folders, *files]]
    return [name for name in found if name.endswith((".tmp", ".lock", ".parts", ".wal"))]
