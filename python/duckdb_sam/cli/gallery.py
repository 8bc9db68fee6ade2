"""``duckdb-sam gallery``."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import click

from duckdb_sam.cli.errors import Mistake
from duckdb_sam.cli.options import Command, as_json
from duckdb_sam.cli.output import count, document
from duckdb_sam.cli.streams import say

_EXAMPLES = """\
\b
Examples:
  duckdb-sam gallery masks.parquet --open
      the results of duckdb-sam run, on their photos
  duckdb-sam gallery photos.db --table masks --limit 100
      a table of a database
  duckdb-sam gallery "FROM masks ORDER BY mask.predicted_iou LIMIT 20" --db photos.db
      the masks that the model trusts least
  duckdb-sam gallery "SELECT content, sam_generate('nano', content) FROM read_blob('photos/*.jpg')"
      all objects in the first photos of a folder; no others are segmented
  duckdb-sam gallery photos
      the photos of a folder
"""


@click.command(cls=Command, epilog=_EXAMPLES)
@click.argument("what", metavar="QUERY_OR_FILE")
@click.option("--out", default="gallery.html", show_default=True, metavar="FILE", help="The page that is written.")
@click.option("--limit", type=click.IntRange(0), default=12, show_default=True, metavar="N",
              help="The most rows. Those beyond it are not computed.")  # fmt: skip
@click.option("--table", metavar="NAME", help="The table, where a database is given.  [default: masks]")
@click.option("--db", metavar="FILE", help="The database of a query; it is only read.")
@click.option("--size", type=click.IntRange(32, 2048), default=480, show_default=True, metavar="N",
              help="The longer side of the pictures in pixels.")  # fmt: skip
@click.option("--title", metavar="TEXT", help="What stands above it.")
@click.option("--open", "open_it", is_flag=True, help="Open the page in the browser.")
@as_json
def command(
    what: str, out: str, limit: int, table: str | None, db: str | None, size: int, title: str | None, open_it: bool,
    json: bool,
) -> None:  # fmt: skip
    """Write a page with pictures: masks, points and boxes on the image of their row, the other columns beside.

    QUERY_OR_FILE is a query, a Parquet file, a database, photos, or a folder or pattern of them. Of results of
    duckdb-sam run, the photos are found by their paths, and images that failed come last, with the reason.

    The page is one file that needs nothing else. It holds thumbnails, and not the photos.
    """
    import duckdb_sam
    from duckdb_sam.engine import quiet
    from duckdb_sam.gallery import show
    from duckdb_sam.gallery.result import check_target

    if db is not None and table is not None:
        raise click.UsageError("give either --db with a query, or a database with --table", click.get_current_context())
    check_target(out)
    with ExitStack() as held:
        con = None
        if db is not None:
            path = os.path.expanduser(db)
            if not os.path.isfile(path):
                raise Mistake(f"there is no database {db}")
            con = held.enter_context(duckdb_sam.connect(path, read_only=True))
            quiet(con)
        gallery = show(what, limit, con=con, table=table, size=size, title=title)
        written = gallery.save(out)
    length = written.stat().st_size
    if json:
        document({"path": str(written), "rows": len(gallery), "columns": gallery.columns, "bytes": length})
    else:
        say(f"{written} ({count(len(gallery), 'row')}, {length / 1e3:,.0f} kB)")
    if open_it:
        import webbrowser

        webbrowser.open(Path(written).absolute().as_uri())
