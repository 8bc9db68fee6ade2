"""The runner of the SQL test files must fail when it should."""

from __future__ import annotations

from pathlib import Path

import pytest

import sqllogic


def run(tmp_path: Path, text: str) -> sqllogic.Runner:
    path = tmp_path / "x.test"
    path.write_text(text)
    runner = sqllogic.Runner(Path("absent.duckdb_extension"))
    runner.run(path)
    return runner


@pytest.mark.parametrize(
    "text",
    [
        "statement ok\nSELECT 1",
        "# a comment\n\nstatement error\nSELECT nothing_like_this\n----\nBinder Error",
        "statement error\nSELECT nothing_like_this\n----\n<REGEX>:^Binder.*nothing_like",
        "query I\nSELECT 1\n----\n1",
        "query IT\nSELECT 1, 'a b'\n----\n1\ta b",
        "query IT\nSELECT 1, 'a b'\n----\n1\na b",
        "query TTTT\nSELECT NULL, '', true, [1.5, NULL]\n----\nNULL\t(empty)\ttrue\t[1.5, NULL]",
        "query T\nSELECT {'a': 1, 'b': 'x'}\n----\n{'a': 1, 'b': x}",
        "query R\nSELECT 0.7::FLOAT\n----\n0.7",
        "query R\nSELECT 0.7::FLOAT::DOUBLE\n----\n0.7",
        "query T\nSELECT '\\xAB'::BLOB\n----\n\\xAB",
        "query T\nSELECT 'abc'\n----\n<REGEX>:^a.c$",
        "query I rowsort\nSELECT unnest([2, 1])\n----\n1\n2",
        "query II valuesort\nSELECT 2, 1\n----\n1\n2",
        "query I rowsort label\nSELECT 1\n----\n1",
        "query I\nSELECT 1 WHERE false\n----",
        "query I\nSELECT 1 -- with a comment\n----\n1",
        "query TTTTTT\nDESCRIBE SELECT 1 AS a\n----\na\tINTEGER\tYES\tNULL\tNULL\tNULL",
        "statement ok other\nCREATE TABLE t AS SELECT 1 AS a\n\nquery I\nFROM t\n----\n1",
        "onlyif duckdb<1.0\nstatement ok\nSELECT nothing\n\nstatement ok\nSELECT 1",
        "skipif duckdb>=1.0\nstatement ok\nSELECT nothing\n\nstatement ok\nSELECT 1",
        "onlyif duckdb>=1.0\nstatement ok\nSELECT 1",
        "require parquet\n\nstatement ok\nCOPY (SELECT 1) TO '__TEST_DIR__/a.parquet'",
    ],
)
def test_accepts(tmp_path: Path, text: str) -> None:
    run(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("statement ok\nSELECT nothing", "Binder Error"),
        ("statement error\nSELECT 1\n----\nBinder Error", "should have failed"),
        ("statement error\nSELECT nothing\n----\nParser Error", "expected the error"),
        ("statement error\nSELECT nothing\n----\n<REGEX>:^nothing", "expected the error"),
        ("statement error\nSELECT nothing", "needs the text"),
        ("statement error\nSELECT nothing\n----", "expected text is empty"),
        ("statement ok\nSELECT 1\n----\n1", "needs the text"),
        ("query I\nSELECT 1\n----\n2", "expected\n  2\nbut got\n  1"),
        ("query I\nSELECT 1\n----", "no row"),
        ("query I\nSELECT 1 WHERE false\n----\n1", "no row"),
        ("query I\nSELECT unnest([1, 2])\n----\n1", "but got"),
        ("query I\nSELECT unnest([2, 1])\n----\n1\n2", "but got"),
        ("query I\nSELECT 1, 2\n----\n1", "2 columns, not 1"),
        ("query II\nSELECT 1, 2\n----\n1", "do not fill"),
        ("query I\nSELECT 1", "needs its column types"),
        ("query\nSELECT 1\n----\n1", "needs its column types"),
        ("query I\nSELECT nothing\n----\n1", "Binder Error"),
        ("query T\nSELECT NULL\n----\n(empty)", "but got"),
        ("query T\nSELECT ''\n----\nNULL", "but got"),
        ("query R\nSELECT 0.70001\n----\n0.7", "but got"),
        ("query I\nSELECT 1000001\n----\n1000000", "but got"),
        ("query T\nSELECT 'abc'\n----\n<REGEX>:^b", "but got"),
        ("statement maybe\nSELECT 1", "not understood"),
        ("loop i 0 3\n\nstatement ok\nSELECT 1", "not understood"),
        ("mode skip\n\nstatement ok\nSELECT 1", "not understood"),
        ("require no_such_extension\n\nstatement ok\nSELECT 1", "not built into"),
        ("onlyif mysql\nstatement ok\nSELECT 1", "not understood"),
        ("statement ok\nSELECT 1\n\nonlyif duckdb>=1.0", "guards nothing"),
        ("statement ok\n\nSELECT 1", "no SQL"),
        ("# nothing but a comment", "holds no test"),
        ("query T\nCALL pragma_version()\n----\n1", "columns, not 1"),
    ],
)
def test_refuses(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(sqllogic.SqlTestError) as failure:
        run(tmp_path, text)
    assert message in str(failure.value)


def test_transcript_holds_what_queries_returned(tmp_path: Path) -> None:
    assert run(tmp_path, "query IT\nSELECT 1, 'a'\n----\n1\ta").transcript == {"x.test:1": ["1", "a"]}


def test_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.test", tmp_path / "bad.test"
    good.write_text("query I\nSELECT 1\n----\n1")
    bad.write_text("query I\nSELECT 1\n----\n2")
    assert sqllogic.main(["absent.duckdb_extension", str(good)]) == 0
    assert sqllogic.main(["absent.duckdb_extension", str(good), str(bad)]) == 1
    assert "1 passed, 1 failed" in capsys.readouterr().out
