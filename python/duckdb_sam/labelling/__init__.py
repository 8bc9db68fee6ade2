"""Points and boxes from a person: ``label`` in a notebook, ``duckdb-sam label`` as a page of this machine.

Both show the same front end (``static``), which asks a ``Desk``; only how requests travel differs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from duckdb_sam.inputs import connection_of
from duckdb_sam.labelling.errors import LabelError
from duckdb_sam.optional import needed

if TYPE_CHECKING:
    from duckdb_sam.labelling.widget import Label

__all__ = ["LabelError", "label"]


def label(
    table_or_query: Any,
    into: str = "prompts",
    *,
    model: str | os.PathLike[str] = "nano",
    con: Any = None,
    classes: Sequence[str] = (),
    key: str | Sequence[str] | None = None,
    image: str | None = None,
    settings: Mapping[str, Any] | None = None,
    height: int = 640,
) -> Label:
    """Show pictures in a notebook, to mark objects by points and boxes; prompts and masks are written to a table.

        con = duckdb_sam.connect("photos.db")
        duckdb_sam.label("photos", into="prompts", con=con, classes=["cup", "saucer"])

    Each click is answered with a mask, and is in the table then, in a transaction of its own. Objects that are in the
    table already are shown and can be corrected. ``docs/label.md`` has the keys and the columns. Afterwards, the same
    prompts with another model:

        SELECT sam_annotate('mobile_sam', image, points, labels, box) FROM photos JOIN prompts USING (name)

    ``table_or_query``: a table, a query or a relation of ``con``, a data frame or Arrow table, Parquet files, a folder
    or a list of photos.
    ``into``: the table of prompts, in the database of ``con``; it is made if it is not there.
    ``model``: as for ``Segmenter``.
    ``con``: the connection to the database; names mean what they mean there. A result that is being read on it ends.
    ``classes``: names for objects; those in the table are offered too.
    ``key``: the column, or a list of columns, that tells pictures apart; if not given the primary key, or else the
    first column called id, key, name or path that does.
    ``image``: the column of pictures, or of their paths.
    ``settings``: others of ``sam_configure``, such as ``{"image_megapixels": 400}``.
    ``height``: of the widget, in pixels.

    Raises LabelError where the table cannot be written, or has no key.
    """
    needed("anywidget", "notebook", "label")
    from duckdb_sam.labelling.desk import Desk
    from duckdb_sam.labelling.widget import Label

    given = connection_of(con)
    if given is None:
        raise TypeError("con= is missing: the connection to the database in which the prompts are kept")
    desk = Desk(table_or_query, into, con=given, model=model, classes=classes, key=key, image=image, settings=settings)
    return Label(desk, height=height)
