"""The extension's functions as typed Ibis expressions.

    import duckdb_sam.ibis as sam
    from ibis import _

    con = sam.connect()
    t = con.read_parquet("photos.parquet")
    expr = t.mutate(s=sam.segment("nano", _.image, [0.5, 0.6])).filter(_.s.iou_score > 0.5)

Points and boxes are fractions of the width and height of the upright image, x first. ``image`` is a column of
encoded images: binary, or struct<bytes, path> as Hugging Face writes it. Every argument may be a Python value,
a column or a deferred expression. Expressions of xorq's own copy of Ibis work too.

Every scalar function of the extension is here under its SQL name, without the prefix ``sam_``: ``help(sam.generate)``
shows its arguments, which are given in the order of SQL or by keyword. ``None`` stands for what is not given.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb_sam
from duckdb_sam.ibis.versions import VersionError, VersionWarning, check

check()

try:
    import ibis
    from ibis.backends.duckdb import Backend
except ImportError as error:
    raise ImportError("duckdb_sam.ibis needs Ibis with its DuckDB parts: pip install 'duckdb-sam[ibis]'") from error

from duckdb_sam.ibis import expressions  # noqa: E402 (these import Ibis)
from duckdb_sam.ibis.expressions import *  # noqa: E402, F403

__all__ = ["VersionError", "VersionWarning", "connect", "load"]
__all__ += expressions.__all__


def connect(database: str | Path = ":memory:", *, read_only: bool = False, **settings: Any) -> Backend:
    """Open ``database`` as an Ibis backend with the sam extension loaded; ``settings`` are DuckDB's."""
    return ibis.duckdb.from_connection(duckdb_sam.connect(database, read_only=read_only, **settings))


def load(con: Backend) -> None:
    """Load the sam extension into an Ibis DuckDB backend (or xorq's).

    Ibis's own ``con.load_extension(path)`` returns without a word and without loading anything: it acts only on
    extensions that DuckDB already knows by name.
    """
    if not hasattr(con, "con"):
        kind = f"{type(con).__module__}.{type(con).__qualname__}"
        raise TypeError(f"load() takes an Ibis DuckDB backend, not {kind}: use duckdb_sam.load for a DuckDB connection")
    duckdb_sam.load(con.con)
