"""What a text stands for: a query, images, a Parquet file, a database or the name of a table, as a relation.

Results of ``duckdb_sam.run`` are recognised by the record that they carry: the images are found from wherever one is,
and what failed follows with the reason.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

import duckdb_sam
from duckdb_sam.engine import Engine, quiet
from duckdb_sam.images import irregular
from duckdb_sam.inputs import DATABASES, PARQUET, QUERY, connection_of, is_database, is_one_select
from duckdb_sam.interrupt import interruptible
from duckdb_sam.jobs.record import RELATIVE, Record, parse
from duckdb_sam.jobs.sink_parquet import place_of_errors
from duckdb_sam.jobs.sink_table import tables
from duckdb_sam.jobs.sinks import TABLE
from duckdb_sam.jobs.source_paths import SUFFIXES, as_text, in_folder
from duckdb_sam.options import short
from duckdb_sam.quoting import identifier, literal

_STATEMENT = re.compile(
    r"\s*(DESC(RIBE)?|SHOW|PRAGMA|EXPLAIN|CALL|CREATE|INSERT|UPDATE|DELETE|DROP|ALTER|COPY|SET|ATTACH|DETACH|INSTALL|LOAD|"
    r"MERGE|TRUNCATE|EXPORT|IMPORT|EXECUTE|PREPARE)\s+\S",
    re.IGNORECASE,
)
"""How a text begins that is a statement of another kind than a query. DESCRIBE, SHOW and some PRAGMAs return rows."""


class Found(NamedTuple):
    """A relation, and what there is to say about it."""

    relation: duckdb.DuckDBPyRelation
    note: str = ""


class _Results(NamedTuple):
    """Results and errors of a job, or rows of another kind."""

    rows: str
    errors: str | None
    record: Record | None
    folder: str
    """In which they lie."""


def at_place(given: str, con: Any, engine: Engine, table: str | None, held: ExitStack) -> Found:
    """Find out what a text or path stands for. What has to be closed after reading goes to ``held``.

    ``con`` is the connection for queries and tables; ``table`` one in the database that is given by its path.
    """
    connection = connection_of(con)

    def at_hand() -> duckdb.DuckDBPyConnection:
        found = connection if connection is not None else held.enter_context(engine.cursor())
        held.enter_context(interruptible(found))
        return found

    if table is not None:
        return _database(given, table, held)
    if (QUERY.match(given) or _is_statement(given)) and not os.path.exists(given):
        return Found(_query(given, at_hand()))
    path = os.path.expanduser(given)
    if os.path.exists(path) or re.search(r"[*?\[/\\]", given):
        return _path(path, given, at_hand, held)
    if connection is not None:
        try:
            return Found(at_hand().table(given))
        except duckdb.CatalogException:
            pass
    raise FileNotFoundError(
        f"{given!r} is no file, folder or pattern of files here, no query, and no table of a connection"
    )


def _query(text: str, con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
    if not is_one_select(con, text):
        kinds = [str(each.type).rpartition(".")[2] for each in con.extract_statements(text)]
        what = f"{len(kinds)} statements" if len(kinds) != 1 else f"the statement {kinds[0]}"
        hint = "run it first, and show a query of what it has made"
        if kinds == ["CALL"]:
            hint = "a function that returns rows is shown by FROM name(...)"
        elif kinds == ["EXPLAIN"]:
            hint = "a plan has no pictures: print it"
        raise ValueError(f"only one query can be shown, a SELECT, not {what}, {short(text)}: {hint}")
    return con.sql(text)


def _is_statement(text: str) -> bool:
    """Whether a text begins as statements do that are called by no SELECT, and does not end as names of files do."""
    return bool(_STATEMENT.match(text)) and not text.lower().endswith((*SUFFIXES, *PARQUET, *DATABASES))


def _path(path: str, given: str, con: Callable[[], duckdb.DuckDBPyConnection], held: ExitStack) -> Found:
    if os.path.isfile(path) and (path.lower().endswith(DATABASES) or is_database(path)):
        return _database(path, None, held)
    if os.path.isdir(path):
        images = in_folder(path)
        if images:
            return _images(images, con())
        files = sorted(glob.glob(os.path.join(glob.escape(path), "*.parquet")))
        if not files:
            raise FileNotFoundError(f"the folder {path} holds no images ({', '.join(SUFFIXES)}) and no Parquet files")
        own = con()
        return _job(_parquet(own, files, Path(path)), own)
    files = [path] if os.path.isfile(path) else sorted(filter(os.path.isfile, glob.glob(path, recursive=True)))
    if not files:
        if odd := irregular(path):
            raise ValueError(f"{given!r} is {odd}")
        raise FileNotFoundError(f"no file matches {given!r}")
    if all(file.lower().endswith(PARQUET) for file in files):
        own = con()
        return _job(_parquet(own, files, Path(path) if len(files) == 1 else None), own)
    odd = next((file for file in files if not file.lower().endswith(SUFFIXES)), None)
    if odd is not None:
        raise ValueError(
            f"{odd} is neither an image, a Parquet file nor a database; other files can be read by a query, such as "
            f"FROM read_csv({literal(odd)})"
        )
    return _images(files, con())


def _images(paths: list[str], con: duckdb.DuckDBPyConnection) -> Found:
    """Return a row for each path, or URI where a name is not UTF-8."""
    given = list(map(as_text, paths))
    return Found(con.sql("SELECT unnest($paths::VARCHAR[]) AS path", params={"paths": given}))


def _database(path: str, table: str | None, held: ExitStack) -> Found:
    path = os.path.expanduser(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no database {path}")
    con = held.enter_context(duckdb_sam.connect(path, read_only=True))
    held.enter_context(interruptible(con))
    quiet(con)
    query = "SELECT table_name FROM information_schema.tables WHERE table_catalog = current_database() ORDER BY 1"
    names = [name for (name,) in con.execute(query).fetchall()]
    if table is None:
        others = [name for name in names if not name.endswith("_errors")]
        table = TABLE if TABLE in names else others[0] if len(others) == 1 else None
        if table is None:
            listed = ", ".join(names) or "none"
            raise ValueError(f"{path} has no table {TABLE!r}: say which one is meant with table=, of {listed}")
    results, errors = tables(table, None)
    comment = "SELECT comment FROM duckdb_tables() WHERE table_name = ? AND database_name = current_database()"
    rows = con.execute(comment, [results[-1]]).fetchall()
    record = parse(rows[0][0]) if rows else None
    failed = identifier(*errors) if record and errors[-1] in names else None
    return _job(_Results(identifier(*results), failed, record, os.path.dirname(os.path.abspath(path))), con)


def _parquet(con: duckdb.DuckDBPyConnection, files: list[str], place: Path | None) -> _Results:
    """Return what reads Parquet files. ``place`` is the one file, or the folder, that a job may have written."""
    query = "SELECT decode(value) FROM parquet_kv_metadata(?) WHERE decode(key) = 'duckdb_sam'"
    with con.cursor() as cursor:
        rows = cursor.execute(query, [files[0]]).fetchall() if place is not None else []
    record = parse(rows[0][0]) if rows else None
    errors = None
    if place is not None and record is not None:
        other = place_of_errors(place.absolute(), None)
        failed = [str(other)] if other.is_file() else sorted(map(str, other.glob("*.parquet")))
        errors = _reads(failed) if failed else None
    folder = os.path.dirname(os.path.abspath(place or "."))
    return _Results(_reads(files), errors, record, folder)


def _reads(files: list[str]) -> str:
    return f"read_parquet([{', '.join(map(literal, files))}], union_by_name := true)"


def _job(results: _Results, con: duckdb.DuckDBPyConnection) -> Found:
    """Return the rows with paths that lead to the images from here, and with what failed at the end."""
    rows = f"SELECT * FROM {results.rows}"
    note = ""
    if results.errors is not None:
        [[failed]] = con.sql(f"SELECT count(*) FROM {results.errors}").fetchall()
        if failed:
            rows += f" UNION ALL BY NAME SELECT * FROM {results.errors}"
            note = "1 image failed, the last row" if failed == 1 else f"{failed:,} images failed, the last rows"
    relation = con.sql(rows)
    base = (results.record or {}).get(RELATIVE)
    if base is not None and "path" in relation.columns:
        folder = os.path.normpath(os.path.join(results.folder, base))
        if os.path.realpath(folder) != os.path.realpath(os.curdir):
            absolute = "regexp_matches(path, '^([/~\\\\]|[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]+://)')"
            moved = f"CASE WHEN {absolute} THEN path ELSE {literal(os.path.join(folder, ''))} || path END"
            relation = relation.project(f"* REPLACE ({moved} AS path)")
    return Found(relation, note)
