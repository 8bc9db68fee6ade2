"""Runs the plain common subset of DuckDB's sqllogictest files with the duckdb package that is importable.

    python sqllogic.py EXTENSION FILE... [--transcript OUT.json]

Understood: comments; ``require sam`` and ``require`` of what is built into the engine; ``statement ok|error
[CONNECTION]``; ``query TYPES [CONNECTION]`` or ``query TYPES nosort|rowsort|valuesort [LABEL]``; the guards ``onlyif
duckdb>=1.3`` and ``skipif duckdb<1.3`` before a record; ``__TEST_DIR__``. Values stand one to a line or separated by
tabs, as DuckDB prints them cast to VARCHAR, an empty text as ``(empty)``, or as ``<REGEX>:pattern``. Anything else is
an error: a record that is not understood must not count as passed.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

_GUARD = re.compile(r"duckdb\s*(>=|<|==)\s*(\d+(?:\.\d+)*)")
_WRAPPABLE = re.compile(r"\s*(SELECT|FROM|WITH|VALUES|\(|UNPIVOT|PIVOT|DESCRIBE|SUMMARIZE|SHOW)\b|\s*\(", re.IGNORECASE)


class SqlTestError(AssertionError):
    """A record whose outcome is not the expected one, or that this runner does not understand."""


@dataclass
class Record:
    """One ``statement``, ``query`` or ``require``, as written in the file."""

    place: str
    head: list[str]
    sql: str = ""
    expected: list[str] | None = None
    guards: list[tuple[str, str]] = field(default_factory=list)


def parse(path: Path) -> Iterator[Record]:
    """Split a file into records; a record ends at an empty line."""
    guards: list[tuple[str, str]] = []
    lines = path.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        line, start = lines[number], number + 1
        number += 1
        if not line.strip() or line.startswith("#"):
            continue
        place = f"{path.name}:{start}"
        head = line.split()
        if head[0] in ("onlyif", "skipif"):
            guards.append((head[0], line.removeprefix(head[0]).strip()))
            continue
        record = Record(place, head, guards=guards)
        guards = []
        if head[0] in ("statement", "query"):
            body = []
            while number < len(lines) and lines[number].strip():
                body.append(lines[number])
                number += 1
            if "----" in body:
                cut = body.index("----")
                record.expected = body[cut + 1 :]
                body = body[:cut]
            record.sql = "\n".join(body)
            if not body:
                raise SqlTestError(f"{place}: no SQL after '{line}'")
        elif head[0] != "require":
            raise SqlTestError(f"{place}: '{line}' is not understood")
        yield record
    if guards:
        raise SqlTestError(f"{path.name}: a guard at the end guards nothing")


class Runner:
    """Runs files, each on a database of its own; ``transcript`` gathers what every query returned."""

    def __init__(self, extension: Path):
        self.extension = extension
        self.transcript: dict[str, list[str]] = {}

    def run(self, path: Path) -> int:
        """Run one file and return how many statements and queries were checked."""
        checked = 0
        with (
            tempfile.TemporaryDirectory() as scratch,
            duckdb.connect(config={"allow_unsigned_extensions": "true"}) as con,
        ):
            cursors = {"": con}
            for record in parse(path):
                if not _applies(record):
                    continue
                record.sql = record.sql.replace("__TEST_DIR__", scratch)
                if record.head[0] == "require":
                    self._require(con, record)
                    continue
                name = _connection_name(record)
                if name not in cursors:
                    cursors[name] = con.cursor()
                if record.head[0] == "statement":
                    _statement(cursors[name], record)
                else:
                    self.transcript[record.place] = _query(cursors[name], record)
                checked += 1
            for name in cursors.keys() - {""}:
                cursors[name].close()
        if not checked:
            raise SqlTestError(f"{path.name}: holds no test")
        return checked

    def _require(self, con: duckdb.DuckDBPyConnection, record: Record) -> None:
        if record.head[1:] == ["sam"]:
            path = str(self.extension).replace("'", "''")
            con.execute(f"LOAD '{path}'")
            return
        known = con.execute("SELECT extension_name FROM duckdb_extensions() WHERE loaded").fetchall()
        if record.head[1:] not in ([name] for (name,) in known):
            raise SqlTestError(f"{record.place}: '{' '.join(record.head)}' is not built into this engine")


def _applies(record: Record) -> bool:
    for keyword, condition in record.guards:
        match = _GUARD.fullmatch(condition)
        if match is None:
            raise SqlTestError(f"{record.place}: guard '{keyword} {condition}' is not understood")
        want = tuple(map(int, match[2].split(".")))
        have = tuple(int(part) for part in re.findall(r"\d+", duckdb.__version__)[: len(want)])
        holds = {">=": have >= want, "<": have < want, "==": have == want}[match[1]]
        if holds != (keyword == "onlyif"):
            return False
    return True


def _connection_name(record: Record) -> str:
    """Return the connection of a statement or query ('' is the file's own); a query's label is told by its sort."""
    words = record.head[2:]
    if record.head[0] == "query" and words and words[0] in ("nosort", "rowsort", "valuesort"):
        words = words[2:]  # what follows the sort mode is a label, which nothing here needs
    if len(words) > 1:
        raise SqlTestError(f"{record.place}: '{' '.join(record.head)}' is not understood")
    return words[0] if words else ""


def _statement(con: duckdb.DuckDBPyConnection, record: Record) -> None:
    kind = record.head[1] if len(record.head) > 1 else ""
    if kind not in ("ok", "error"):
        raise SqlTestError(f"{record.place}: '{' '.join(record.head)}' is not understood")
    if (kind == "error") != (record.expected is not None):
        raise SqlTestError(f"{record.place}: 'statement error' needs the text after ----, and only that has one")
    try:
        con.execute(record.sql).fetchall()
    except duckdb.Error as error:
        text = str(error)
        if kind == "ok":
            raise SqlTestError(f"{record.place}: {text}\n{record.sql}") from error
        expected = "\n".join(record.expected or [])
        if not expected:
            raise SqlTestError(f"{record.place}: the expected text is empty; the error was: {text}") from error
        if not (_matches(expected, text) if expected.startswith("<REGEX>:") else expected in text):
            raise SqlTestError(f"{record.place}: expected the error\n  {expected}\nbut got\n  {text}") from error
        return
    if kind == "error":
        raise SqlTestError(f"{record.place}: this should have failed:\n{record.sql}")


def _query(con: duckdb.DuckDBPyConnection, record: Record) -> list[str]:
    if len(record.head) < 2 or not re.fullmatch("[ITR]+", record.head[1]) or record.expected is None:
        raise SqlTestError(f"{record.place}: a query needs its column types (I, T, R) and ---- with the expected rows")
    width = len(record.head[1])
    try:
        rows = _rows(con, record.sql)
    except duckdb.Error as error:
        raise SqlTestError(f"{record.place}: {error}\n{record.sql}") from error
    if any(len(row) != width for row in rows):
        raise SqlTestError(f"{record.place}: {len(rows[0])} columns, not {width}")
    sort = record.head[2] if len(record.head) > 2 else "nosort"
    expected = [value for line in record.expected for value in (line.split("\t") if width > 1 else [line])]
    if len(expected) % width:
        raise SqlTestError(f"{record.place}: {len(expected)} expected values do not fill {width} columns")
    wanted = [expected[i : i + width] for i in range(0, len(expected), width)]
    if sort == "rowsort":
        rows, wanted = sorted(rows), sorted(wanted)
    got = [value for row in rows for value in row]
    want = [value for row in wanted for value in row]
    if sort == "valuesort":
        got, want = sorted(got), sorted(want)
    if len(got) != len(want) or not all(map(_matches, want, got)):
        table = ["\n".join("  " + "\t".join(row) for row in block) or "  (no row)" for block in (wanted, rows)]
        raise SqlTestError(f"{record.place}: expected\n{table[0]}\nbut got\n{table[1]}\nfrom\n{record.sql}")
    return got


def _rows(con: duckdb.DuckDBPyConnection, sql: str) -> list[list[str]]:
    """Run a query and return its values as DuckDB prints them."""
    sql = sql.rstrip().rstrip(";")
    if _WRAPPABLE.match(sql):
        sql = f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM (\n{sql}\n) AS result"
    return [[_text(value) for value in row] for row in con.execute(sql).fetchall()]


def _text(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int)):
        return str(value).replace("\n", "\\n") if value != "" else "(empty)"
    raise SqlTestError(f"a {type(value).__name__} of CALL or PRAGMA is not rendered here; select from it instead")


def _matches(expected: str, got: str) -> bool:
    if expected.startswith("<REGEX>:"):
        return re.search(expected.removeprefix("<REGEX>:"), got, re.DOTALL) is not None
    if expected == got:
        return True
    try:  # the shortest text of a FLOAT may differ in its last digit; nothing else is forgiven
        return "." in expected and math.isclose(float(expected), float(got), rel_tol=1e-6)
    except ValueError:
        return False


def main(arguments: list[str]) -> int:
    """Run the given files; the exit status tells whether all of them passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("extension", type=Path)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--transcript", type=Path, help="write what every query returned, as JSON")
    options = parser.parse_args(arguments)
    runner, failed = Runner(options.extension.resolve()), 0
    for path in options.files:
        try:
            print(f"ok      {path} ({runner.run(path)} checks)")
        except SqlTestError as failure:
            failed += 1
            print(f"FAILED  {failure}")
    print(f"{len(options.files) - failed} passed, {failed} failed (duckdb {duckdb.__version__})")
    if options.transcript:
        options.transcript.write_text(json.dumps(runner.transcript, indent=1), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
