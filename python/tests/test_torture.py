"""A short part of `make torture`: what could take the process down, each in a process of its own."""

from __future__ import annotations

import sys

import pytest

from conftest import ROOT
from processes import run

TORTURE = ROOT / "test" / "torture"
OTHER = ROOT / "build" / "duckdb-1.4.4"


def torture(name: str, *arguments: object) -> str:
    return run(f"import runpy; runpy.run_path({str(TORTURE / name)!r}, run_name='__main__')", *arguments, timeout=300)


def test_duckdb_has_no_memory_left() -> None:
    assert "failed" in torture("memory.py", "duckdb", 60)


def test_the_exception_of_the_engine_arrives_as_it_is() -> None:
    # Half of the limit is more than the masks need, but it is used up: DuckDB throws when their list is reserved.
    output = run(f"""
        import duckdb, duckdb_sam
        con = duckdb_sam.connect(threads=1, memory_limit="600MB", temp_directory="")
        con.execute("SET enable_progress_bar = false")
        photo = open({str(ROOT / "demo/photos/coffee.jpg")!r}, "rb").read()
        con.execute("CREATE TEMP TABLE used AS SELECT hash(range) AS h FROM range(50_000_000)")
        for _ in range(20):
            try:
                call = "sam_segment('nano', $1::BLOB, [.5, j / 2000])"
                con.execute("CREATE TABLE x AS SELECT " + call + " FROM range(200) AS r(j)", [photo])
                print("there was memory")
            except duckdb.OutOfMemoryException as error:
                assert "failed to allocate data of size" in str(error), error
        con.execute("DROP TABLE used")
        print(con.execute("SELECT sam_annotate('nano', $1::BLOB, [.5, .5]).area > 0", [photo]).fetchone())
    """)
    assert output == "(True,)\n"


@pytest.mark.skipif(sys.platform != "linux", reason="the size of the process is read from /proc")
def test_the_system_has_no_memory_left() -> None:
    assert "failed" in torture("memory.py", "system", 100)


def test_masks_are_spilled_to_a_disk_that_is_full() -> None:
    assert "full: IOException" in torture("disk.py", "full")


def test_signals() -> None:
    assert "round 1 of 1" in torture("signals.py", 1)


@pytest.mark.skipif(not OTHER.is_dir(), reason="make build/duckdb-1.4.4/.stamp installs another release")
@pytest.mark.parametrize("copy", [[], ["copy"]])
def test_two_engines(copy: list[str]) -> None:
    output = torture("engines.py", OTHER, *copy)
    assert ("both work" if copy else "use one of them in each process") in output
