"""What the tests share. They test the installed package, not the sources beside them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import duckdb_sam
from browser import browser as browser  # fixtures
from browser import page as page
from browser import seen as seen

# What a shell starts in the background ignores Ctrl-C, and so do its children, to which tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ROOT / "demo" / "photos"


@pytest.fixture(scope="session")
def extension() -> Path:
    return duckdb_sam.extension_path()


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb_sam.connect() as connection:
        yield connection


def counters(con: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """Return the work counters of the process."""
    return dict(con.execute("SELECT counter, value FROM sam_stats()").fetchall())


@pytest.fixture(scope="session")
def wheel() -> Path:
    wheels = list((ROOT / "dist").glob("duckdb_sam-*.whl"))
    if not wheels and "CI" not in os.environ:
        pytest.skip("there is no wheel in dist: make build")
    [wheel] = wheels
    return wheel


WITHOUT_IBIS = pytest.mark.skipif(duckdb.__version__ >= "2", reason="Ibis 12 runs no query on DuckDB 2")


@pytest.fixture
def sam() -> Any:
    """``duckdb_sam.ibis``, which refuses to be imported where Ibis does not work."""
    if duckdb.__version__ >= "2":
        pytest.skip("Ibis 12 runs no query on DuckDB 2")
    import duckdb_sam.ibis

    return duckdb_sam.ibis
