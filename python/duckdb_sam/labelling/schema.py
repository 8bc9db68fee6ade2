"""The table of prompts: its columns, and how a table that is there already is taken over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import duckdb

from duckdb_sam.labelling.errors import LabelError
from duckdb_sam.labelling.keys import Column
from duckdb_sam.quoting import identifier

RECORD = (
    "STRUCT(segmentation STRUCT(size INTEGER[], counts VARCHAR), bbox FLOAT[], area BIGINT, predicted_iou FLOAT, "
    "stability_score FLOAT)"
)
"""What ``sam_annotate`` returns."""

COLUMNS = {
    "object": "INTEGER",  # numbers from 1 on, within the picture
    "class": "VARCHAR",
    "points": "DOUBLE[][]",  # the three as sam_annotate takes them
    "labels": "BIGINT[]",
    "box": "DOUBLE[]",
    "mask": RECORD,
    "iou_score": "FLOAT",
    "model": "VARCHAR",  # which made the mask
    "changed": "TIMESTAMP",  # UTC
}
"""All columns but those of the key, which are called as in the table of pictures."""

_LISTS = {"points": "[][]", "labels": "[]", "box": "[]"}

Table = tuple[str, str, str]


MOST = 2**53 - 1
"""The highest number of an object: pages count in JavaScript's numbers."""


class Prepared(NamedTuple):
    """A table of prompts."""

    types: list[str]
    """Of the columns of the key, which may differ from those of the pictures."""
    notes: list[str]
    """What was done to a table that was there, and people must know."""


def prepare(con: duckdb.DuckDBPyConnection, table: Table, keys: Sequence[Column], said: str) -> Prepared:
    """Create the table, or add what it lacks: a detector's boxes, or prompts by hand, are continued."""
    clash = [key.name for key in keys if key.name.lower() in COLUMNS]
    if clash:
        raise LabelError(
            f"the column {clash[0]!r} of the key is called as one of the prompts' own, {', '.join(COLUMNS)}: rename "
            f"it in a query, SELECT {identifier(clash[0])} AS picture, ... (key='picture')"
        )
    name = identifier(*table)
    notes: list[str] = []
    try:
        con.begin()
        try:
            have = _columns(con, table)
            if not have:
                keyed = [f"{identifier(key.name)} {key.type} NOT NULL" for key in keys]
                own = [f"{identifier(column)} {kind}" for column, kind in COLUMNS.items()]
                con.execute(f"CREATE TABLE {name} ({', '.join([*keyed, *own])})")
            else:
                _take_over(con, name, have, keys, said)
                notes = _number(con, name, keys, said)
            have = _columns(con, table)
            con.commit()
        except BaseException:
            con.rollback()
            raise
    except (duckdb.InvalidInputException, duckdb.PermissionException) as error:
        if "read-only" not in str(error):
            raise
        raise LabelError(
            f"{said} cannot be written: the database is open read-only. Open it for writing, or name a table of "
            "another database"
        ) from error
    return Prepared([have[key.name.lower()] for key in keys], notes)


def _columns(con: duckdb.DuckDBPyConnection, table: Table) -> dict[str, str]:
    query = (
        "SELECT lower(column_name), data_type FROM duckdb_columns() WHERE database_name = ? AND schema_name = ? "
        "AND lower(table_name) = lower(?)"
    )
    return dict(con.execute(query, list(table)).fetchall())


def _take_over(
    con: duckdb.DuckDBPyConnection, name: str, have: dict[str, str], keys: Sequence[Column], said: str
) -> None:
    lacking = [key.name for key in keys if key.name.lower() not in have]
    if lacking or not {"points", "box"} & have.keys():
        wanted = f"the key {', '.join(lacking)}" if lacking else "points or box"
        raise LabelError(
            f"{said} is there already and is no table of prompts: it lacks {wanted} (its columns are "
            f"{', '.join(have)}). Name another table, or the key= that both have"
        )
    for column, ending in _LISTS.items():
        if column in have and not have[column].endswith(ending):
            raise LabelError(f"the column {column} of {said} is {have[column]}, not {COLUMNS[column]}")
    if "mask" in have and have["mask"].replace('"', "") != RECORD:
        raise LabelError(
            f"the column mask of {said} is {have['mask']}, not a record of sam_annotate: rename it, ALTER TABLE ... "
            "RENAME mask TO other_mask"
        )
    if not re.match(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$", have.get("object", "INTEGER")):
        raise LabelError(f"the column object of {said} is {have['object']}, not a whole number")
    for column, kind in COLUMNS.items():
        if column not in have:
            con.execute(f"ALTER TABLE {name} ADD COLUMN {identifier(column)} {kind}")
        elif column in _LISTS and have[column] != kind:  # [0.2, 0.5] in SQL is DECIMAL(2, 1)[], which would round
            con.execute(f"ALTER TABLE {name} ALTER COLUMN {identifier(column)} TYPE {kind}")


def _number(con: duckdb.DuckDBPyConnection, name: str, keys: Sequence[Column], said: str) -> list[str]:
    """Give numbers to rows that have none, or that of another object of their picture; return what was done.

    A click changes the row with its number: there must be one. Those that are alone keep their numbers.
    """
    listed = ", ".join(identifier(key.name) for key in keys)
    for row in con.execute(
        f"SELECT {listed}, object FROM {name} WHERE abs(object::HUGEINT) > {MOST} LIMIT 1"
    ).fetchall():
        raise LabelError(
            f"{said} has an object {row[-1]} of {', '.join(map(str, row[:-1]))}: the column object must number the "
            f"objects of each picture, up to {MOST:,}"
        )
    [(lacking,)] = con.execute(f"SELECT count(*) FROM {name} WHERE object IS NULL").fetchall()
    ranked = f"row_number() OVER (PARTITION BY {listed}, object ORDER BY rowid)"
    twice = f"SELECT rowid AS place FROM {name} WHERE object IS NOT NULL QUALIFY {ranked} > 1"
    [(renumbered,)] = con.execute(f"SELECT count(*) FROM ({twice})").fetchall()
    if lacking or renumbered:
        # They follow the highest number of their picture, in their order; each has one of its own then.
        new = (
            "SELECT rowid AS place, greatest(0, max(object) FILTER (object <= 1_000_000) OVER (PARTITION BY "
            f"{listed})) AS highest, {listed} FROM {name}"
        )
        con.execute(
            f"UPDATE {name} SET object = found.number FROM (SELECT place, coalesce(highest, 0) + row_number() OVER "
            f"(PARTITION BY {listed} ORDER BY place) AS number FROM ({new}) WHERE place IN ({twice}) OR place IN "
            f"(SELECT rowid FROM {name} WHERE object IS NULL)) AS found WHERE {name}.rowid = found.place"
        )
        for row in con.execute(
            f"SELECT {listed}, object FROM ({twice}) JOIN {name} ON rowid = place LIMIT 1"
        ).fetchall():
            raise LabelError(
                f"{said} has object {row[-1]} of {', '.join(map(str, row[:-1]))} twice: the column object must number "
                "the objects of each picture"
            )
    if not renumbered:
        return []
    return [
        f"{said} had the number of another object of the same picture in {renumbered:,} "
        f"row{'' if renumbered == 1 else 's'}: {'it has' if renumbered == 1 else 'they have'} new numbers now"
    ]
