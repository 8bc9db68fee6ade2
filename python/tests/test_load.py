"""connect, load and what they say when they cannot."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

import duckdb_sam
from conftest import PHOTOS

UNSIGNED = {"allow_unsigned_extensions": "true"}
COFFEE = (PHOTOS / "coffee.jpg").read_bytes()


def area(con: duckdb.DuckDBPyConnection) -> int:
    return con.execute("SELECT sam_annotate('nano', ?::BLOB, [0.5, 0.6]).area", [COFFEE]).fetchone()[0]


def test_connect_gives_a_connection_that_segments(con: duckdb.DuckDBPyConnection) -> None:
    assert con.execute("SELECT sam_version()").fetchone() == (duckdb_sam.__version__,)
    assert 0 < area(con) < 600 * 400


def test_connect_passes_settings_on(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with duckdb_sam.connect(path, threads=1, config={"memory_limit": "1GB"}) as con:
        settings = "SELECT current_setting('threads'), current_setting('memory_limit')"
        assert con.execute(settings).fetchone() == (1, "953.6 MiB")
        con.execute("CREATE TABLE t AS SELECT 1 AS a")
    with (
        duckdb_sam.connect(path, read_only=True) as con,
        pytest.raises(duckdb.InvalidInputException, match="read-only"),
    ):
        con.execute("INSERT INTO t VALUES (2)")


def test_settings_that_do_not_exist_are_refused() -> None:
    with pytest.raises(duckdb.Error, match="thread_count"):
        duckdb_sam.connect(thread_count=2)


def test_load_twice_and_cursors() -> None:
    with duckdb.connect(config=UNSIGNED) as con:
        duckdb_sam.load(con)
        duckdb_sam.load(con)
        with con.cursor() as cursor:
            duckdb_sam.load(cursor)
            assert area(cursor) == area(con)


def test_load_through_a_cursor_serves_the_connection() -> None:
    with duckdb.connect(config=UNSIGNED) as con, con.cursor() as cursor:
        duckdb_sam.load(cursor)
        assert area(con) > 0


def test_load_leaves_a_result_that_is_being_read() -> None:
    with duckdb.connect(config=UNSIGNED) as con:
        con.execute("FROM range(3)")
        assert con.fetchone() == (0,)
        duckdb_sam.load(con)
        assert con.fetchall() == [(1,), (2,)]


def test_load_within_a_transaction() -> None:
    with duckdb.connect(config=UNSIGNED) as con:
        con.execute("BEGIN")
        con.execute("CREATE TABLE t AS SELECT 1 AS a")
        duckdb_sam.load(con)
        con.execute("COMMIT")
        assert con.execute("SELECT a, sam_version() IS NOT NULL FROM t").fetchone() == (1, True)


def test_two_databases_in_one_process(tmp_path: Path) -> None:
    with duckdb_sam.connect() as memory, duckdb_sam.connect(tmp_path / "a.db") as file:
        assert area(memory) == area(file)
    with duckdb_sam.connect() as again:
        assert area(again) > 0


def test_unsigned_extensions_not_allowed(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with duckdb.connect(path) as con:
        with pytest.raises(duckdb_sam.LoadError) as failure:
            duckdb_sam.load(con)
        assert 'config={"allow_unsigned_extensions": "true"}' in str(failure.value)
        assert f'duckdb.connect("{path}"' in str(failure.value)
        # The remedy that the text gives works.
    with duckdb.connect(path, config={"allow_unsigned_extensions": "true"}) as con:
        duckdb_sam.load(con)


def test_database_open_with_other_settings(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with duckdb.connect(path), pytest.raises(duckdb_sam.LoadError, match="already open in this process"):
        duckdb_sam.connect(path)


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (None, "not builtins.NoneType"),
        ("a.db", "not builtins.str"),
        (duckdb, r"not the module duckdb: open one with duckdb_sam.connect\(\)"),
    ],
)
def test_load_refuses_what_is_no_connection(thing: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        duckdb_sam.load(thing)


def test_closed_connection() -> None:
    con = duckdb_sam.connect()
    con.close()
    with pytest.raises(duckdb.ConnectionException, match="closed"):
        duckdb_sam.load(con)


def test_external_access_off() -> None:
    config = {**UNSIGNED, "enable_external_access": "false"}
    with duckdb.connect(config=config) as con, pytest.raises(duckdb.PermissionException, match="disabled"):
        duckdb_sam.load(con)


def test_missing_extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duckdb_sam, "__path__", [str(tmp_path)])
    with pytest.raises(duckdb_sam.LoadError, match=r"sam\.duckdb_extension is missing from .*pip install \."):
        duckdb_sam.connect(tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()


def test_path_with_a_quote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extension: Path) -> None:
    folder = tmp_path / "it's"
    folder.mkdir()
    shutil.copy(extension, folder)
    monkeypatch.setattr(duckdb_sam, "__path__", [str(folder)])
    with duckdb_sam.connect() as con:
        assert con.execute("SELECT sam_version()").fetchone()


def test_base_package_needs_neither_ibis_nor_pyarrow() -> None:
    code = (
        "import sys; sys.modules.update(ibis=None, pyarrow=None, numpy=None, pandas=None, PIL=None)\n"
        "import duckdb_sam; print(duckdb_sam.connect().execute('SELECT sam_version()').fetchone()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == duckdb_sam.__version__, done.stderr


def test_without_ibis_the_extra_is_named() -> None:
    code = "import sys; sys.modules['ibis'] = None; import duckdb_sam.ibis"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: duckdb_sam.ibis needs Ibis" in done.stderr
    assert "pip install 'duckdb-sam[ibis]'" in done.stderr
