"""``duckdb-sam label``."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import click

from duckdb_sam.cli.errors import Mistake
from duckdb_sam.cli.options import Command, model_names
from duckdb_sam.cli.output import count
from duckdb_sam.cli.streams import flush, note, say
from duckdb_sam.inputs import DATABASES, is_database


@click.command(cls=Command)
@click.argument("source", metavar="DATABASE|PHOTOS|PARQUET")
@click.argument("table", metavar="[TABLE|QUERY]", required=False)
@click.option("--into", metavar="NAME", default="prompts", show_default=True, help="The table of prompts and masks.")
@click.option("--db", metavar="FILE", help="The database of that table, where photos are in none. [default: labels.db]")
@click.option("--key", metavar="COLUMN", multiple=True, help="The column that tells photos apart; again for several.")
@click.option("--image", metavar="COLUMN", help="The column of photos, or of their paths.")
@click.option("--class", "classes", metavar="NAME", multiple=True, help="A name for objects; again for more.")
@click.option("--model", default="nano", show_default=True, shell_complete=model_names, help="The model.")
@click.option("--port", type=click.IntRange(1, 65535), metavar="N", help="Where the page is. [default: any free port]")
@click.option("--browser/--no-browser", default=True, help="Open the page in the browser. [default: open it]")
def command(source: str, table: str | None, browser: bool, port: int | None, **options: Any) -> int:
    """Mark objects by clicking on photos, on a page of this machine.

    A click is a point in the object, a click with Shift or the right button one beside it, a drag is a box. Each is
    answered with a mask at once, and is in the table then: closing the page, or the command, loses nothing. What is in
    the table already can be corrected. Ctrl-C ends the command.

    PHOTOS is a folder with all below it, a photo, or a pattern.

    \b
    Examples:
      duckdb-sam label photos.db images --class cup --class saucer
      duckdb-sam label photos.db "FROM images WHERE NOT checked" --key id
      duckdb-sam label photos --db labels.db
    """
    import duckdb

    from duckdb_sam.labelling.desk import Desk
    from duckdb_sam.labelling.serve import Server
    from duckdb_sam.optional import needed

    for module in ("starlette", "uvicorn"):
        needed(module, "label", "duckdb-sam label")
    database, rows = _place(source, table, options["db"])
    con = _opened(database)
    try:
        given = rows if rows is not None else _only_table(con, options["into"], database)
        try:
            desk = Desk(
                given, options["into"], con=con, model=options["model"], classes=options["classes"],
                key=options["key"] or None, image=options["image"],
            )  # fmt: skip
        except duckdb.IOException as error:
            raise Mistake(str(error)) from error
        try:
            with contextlib.closing(Server(desk, port or 0)) as server:
                server.run(lambda: _started(server.address, len(desk.pictures), desk.notes(), browser))
            counts = desk.store.counts()
        finally:
            desk.close()
    finally:
        con.close()
    say(
        f"{count(sum(counts.values()), 'object')} in {count(len(counts), 'photo')}: "
        f"the table {options['into']} of {database}"
    )
    return 0


def _place(source: str, table: str | None, db: str | None) -> tuple[str, str | None]:
    """Return the database that is written to, and what has the photos; None for the database's own table."""
    path = os.path.expanduser(source)
    if is_database(path):
        if db is not None:
            raise Mistake(f"--db {db}: the prompts are written to {source} itself, the database of the photos")
        return path, table
    if source.lower().endswith(DATABASES):
        what = "is no database of DuckDB" if os.path.exists(path) else "is not there"
        raise Mistake(f"{source} {what}: give a database with a table of photos, or the photos themselves")
    if table is not None:
        raise Mistake(f"{source} is no database, so that it has no table {table}: give patterns of photos in quotes")
    if not os.path.exists(path) and not any(sign in source for sign in "*?["):
        raise Mistake(f"there is no file or folder {source!r}")
    return os.path.expanduser(db or "labels.db"), path


def _opened(database: str) -> Any:
    """Open a database for writing; what is in the way is a Mistake."""
    import duckdb

    import duckdb_sam
    from duckdb_sam.engine import quiet

    try:
        if os.path.exists(database) and not os.access(database, os.W_OK):
            raise Mistake(f"{database} is read-only, and prompts are written to it: change its permissions, or copy it")
        con = duckdb_sam.connect(database)
    except duckdb.IOException as error:
        if "lock" in str(error):
            raise Mistake(f"{database} is in use by another program, which must close it first: {error}") from error
        raise Mistake(str(error)) from error
    quiet(con)
    return con


def _only_table(con: Any, into: str, database: str) -> str:
    """Return the table that must be meant: the only one beside that of the prompts with a column for photos."""
    from duckdb_sam.quoting import identifier

    query = (
        "SELECT DISTINCT table_schema, table_name FROM information_schema.columns WHERE table_catalog = "
        "current_database() AND (data_type = 'BLOB' OR data_type LIKE 'STRUCT(bytes BLOB%' "
        "OR lower(column_name) IN ('image', 'path', 'content')) AND lower(table_name) <> lower(?) ORDER BY ALL"
    )
    found = con.execute(query, [into]).fetchall()
    if len(found) == 1:
        return identifier(*found[0])
    if not found:
        raise Mistake(f"{database} has no table with a column of photos (bytes, or paths in a column path)")
    raise Mistake(f"which table of {database} has the photos? Name it: {', '.join(name for _, name in found)}")


def _started(address: str, pictures: int, notes: list[str], browser: bool) -> None:
    say(address)
    flush()
    for each in notes:
        note(f"{each}.")
    note(f"{count(pictures, 'photo')}. What you mark is saved as you go. Ctrl-C ends it.")
    if browser:
        import webbrowser

        webbrowser.open(address)
