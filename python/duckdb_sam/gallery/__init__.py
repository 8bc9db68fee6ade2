"""Rows as pictures, in a notebook or as a page: ``show``.

``reading`` and ``places`` take rows of any kind, the first few of them; ``cells`` finds out what is in them, with
``pictures``, ``outlines`` and ``prompts``; ``cards`` puts each row together; ``draw``, ``maps`` and ``page`` make HTML.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from duckdb_sam.engine import Engine
from duckdb_sam.gallery.cards import Named, card, is_alien, read
from duckdb_sam.gallery.cells import Drawn
from duckdb_sam.gallery.draw import article
from duckdb_sam.gallery.reading import Rows, first_rows
from duckdb_sam.gallery.result import Gallery

__all__ = ["Gallery", "show"]

_THREADS = 4
_SIDES = (32, 2048)


def show(
    x: Any,
    limit: int = 12,
    *,
    con: Any = None,
    table: str | None = None,
    size: int = 480,
    title: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Gallery:
    """Show the first rows of ``x`` with their pictures: masks, points and boxes drawn on the image of their row.

        con = duckdb_sam.connect()
        photos = con.sql("SELECT content AS image FROM read_blob('demo/photos/*.jpg')")
        duckdb_sam.show(photos.project("image, sam_annotate('nano', image, [0.5, 0.6]) AS mask"), limit=3)

    As the last line of a cell it is seen in Jupyter, VS Code, marimo and Colab; ``.save("gallery.html")`` writes it as
    one page.

    ``x``: a DuckDB relation, a query or the name of a table (on ``con``), an Arrow table, reader or data set, a frame
    of pandas or Polars, an Ibis expression, a list of dicts; images (a folder, a file, ``"photos/*.jpg"``); results of
    ``run`` and other Parquet files; a database, with ``table``.
    ``limit``: the most rows. Those beyond it are not computed: the limit goes into the query.
    ``size``: the longer side of thumbnails in pixels. ``title`` stands above the gallery.
    ``settings``: of ``sam_configure``, for drawing, such as ``{"image_megapixels": 400}``.

    Images are bytes or paths, or whatever else ``Segmenter`` takes; a path is drawn where its row has no other image.
    Masks are any that SQL takes, and those of ``sam_segment``. Points are columns called point, points or click, with
    labels; boxes are called box or boxes (two corners), or bbox (COCO's). They are fractions if all numbers are within
    0 to 1, and pixels otherwise. Columns called error, reason or ..._error tell why a row has no result.
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"limit must be a number of rows, not {limit!r}")
    if not _SIDES[0] <= size <= _SIDES[1]:
        raise ValueError(f"size must be from {_SIDES[0]} to {_SIDES[1]} pixels, not {size!r}")
    engine = Engine(settings, stoppable=False)
    with ExitStack() as held:
        held.callback(engine.close)
        rows = first_rows(x, limit, con, table, engine, held)
        read_rows = _read(engine, rows, size)
        binary = _binary(read_rows)
        cards = [article(card(engine, number, cells, binary)) for number, cells in enumerate(read_rows, 1)]
    return Gallery(rows.columns, cards, _said(len(cards), limit, rows), title)


def _read(engine: Engine, rows: Rows, size: int) -> list[list[Named]]:
    """Draw the images of all rows, a few at a time, so that only theirs are held."""
    found: list[list[Named]] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: list[Any] = []
        for row in rows.rows:
            waiting.append(pool.submit(read, engine, rows.columns, row, size))
            if len(waiting) >= 2 * _THREADS:
                found.append(waiting.pop(0).result())
        found += [each.result() for each in waiting]
    return found


def _binary(rows: list[list[Named]]) -> set[str]:
    """Return the columns of bytes that are no image in any row."""
    images = {name for cells in rows for name, cell in cells if isinstance(cell, Drawn) and not is_alien(cell)}
    aliens = {name for cells in rows for name, cell in cells if is_alien(cell)}
    return {name for name in aliens - images if name.lower() not in ("image", "img", "photo", "picture")}


def _said(count: int, limit: int, rows: Rows) -> str:
    many = f"{count:,} row{'' if count == 1 else 's'}"
    if rows.more:
        many = f"the first {many}"
    elif rows.more is None and count == limit > 0:  # counting them might compute them
        many = f"{many} (limit {limit:,})"
    return f"{many}; {rows.note}" if rows.note else many
