"""The columns by which a picture is found again, and the column that holds it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import duckdb

from duckdb_sam.jobs.keys import key_names
from duckdb_sam.labelling.errors import LabelError
from duckdb_sam.labelling.rows import Rows
from duckdb_sam.quoting import identifier

_PLAIN = re.compile(
    r"(VARCHAR|BLOB|BOOLEAN|DATE|TIMESTAMP|UUID|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL\(.*|ENUM\(.*)$"
)
"""Types whose text leads back to the very same value."""

_USUAL = ("id", "key", "image_id", "path", "name", "file_name", "filename", "file")
_IMAGES = ("image", "content", "picture", "photo", "img")


class Column(NamedTuple):
    """A column of a table."""

    name: str
    type: str


class Keyed(NamedTuple):
    """What tells pictures apart, and what holds them."""

    keys: list[Column]
    image: Column


def keyed(con: duckdb.DuckDBPyConnection, rows: Rows, key: str | Sequence[str] | None, image: str | None) -> Keyed:
    """Find the columns, or check those that were named. A key that does not tell rows apart is a LabelError."""
    described = con.execute(f"DESCRIBE FROM {rows.query}").fetchall()
    columns = {str(row[0]): Column(str(row[0]), str(row[1])) for row in described}
    picture = columns[_image(image, columns)]
    if key is None:
        return Keyed(_found(con, rows, columns), picture)
    names = key_names(key, list(columns))
    for name in names:
        if not _PLAIN.match(columns[name].type):
            raise LabelError(
                f"key: the column {name!r} holds {columns[name].type}; a key is text, bytes, whole numbers, decimals, "
                "dates, timestamps or UUIDs: cast it to one of them"
            )
    if wrong := _wrong(con, rows, names):
        raise LabelError(f"key: {wrong}")
    return Keyed([columns[name] for name in names], picture)


def _image(image: str | None, columns: dict[str, Column]) -> str:
    if image is not None:
        if image not in columns:
            raise LabelError(f"image: there is no column {image!r}; the columns are {', '.join(columns)}")
        return image
    lower = {name.lower(): name for name in columns}
    for name in _IMAGES:
        if name in lower:
            return lower[name]
    fitting = [column.name for column in columns.values() if column.type.startswith(("BLOB", "STRUCT(bytes BLOB, "))]
    fitting = fitting or [lower[name] for name in ("path", "filename", "file_name", "file") if name in lower]
    if len(fitting) != 1:
        raise LabelError(
            f"image= is missing: name the column of pictures, or of their paths, among {', '.join(columns)}"
        )
    return fitting[0]


def _found(con: duckdb.DuckDBPyConnection, rows: Rows, columns: dict[str, Column]) -> list[Column]:
    """Return the primary key, or the first column that is called as keys are and is one."""
    if rows.table is not None:
        query = (
            "SELECT constraint_column_names FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY' "
            "AND database_name = ? AND schema_name = ? AND lower(table_name) = lower(?)"
        )
        for (names,) in con.execute(query, list(rows.table)).fetchall():
            if all(_PLAIN.match(columns[name].type) for name in names):
                return [columns[name] for name in names]
    reasons: list[str] = []
    lower = {name.lower(): name for name in columns}
    for name in (lower[usual] for usual in _USUAL if usual in lower):
        if not _PLAIN.match(columns[name].type):
            continue
        wrong = _wrong(con, rows, [name])
        if wrong is None:
            return [columns[name]]
        reasons.append(wrong)
    tried = f" ({'; '.join(reasons)})" if reasons else ""
    raise LabelError(
        f"key= is missing: name the column, or a list of columns, that tells the rows of {rows.title} apart, of "
        f"{', '.join(columns)}{tried}. A table that has none can be given one: CREATE TABLE keyed AS "
        "SELECT row_number() OVER () AS id, * FROM ..."
    )


def _wrong(con: duckdb.DuckDBPyConnection, rows: Rows, names: Sequence[str]) -> str | None:
    """Return why columns are no key."""
    listed = ", ".join(map(identifier, names))
    lacking = " OR ".join(f"{identifier(name)} IS NULL" for name in names)
    said = names[0] if len(names) == 1 else f"({', '.join(names)})"
    counted = con.execute(
        f"SELECT count(*), count(DISTINCT ({listed})), count(*) FILTER ({lacking}) FROM {rows.query}"
    ).fetchall()
    [(total, different, empty)] = counted
    if empty:
        return f"{said} is NULL in {empty:,} of {total:,} rows"
    if different != total:
        return f"{said} is not unique: {total:,} rows have {different:,} different ones"
    return None
