"""Segment Anything inside DuckDB.

``connect`` opens a DuckDB connection that knows the functions of the ``sam`` extension; ``load`` gives
them to a connection that is already open:

    import duckdb_sam

    con = duckdb_sam.connect()
    con.sql("SELECT sam_annotate('nano', content, [0.5, 0.6]) FROM read_blob('photos/*.jpg')")

``duckdb_sam.ibis`` offers the same functions as typed Ibis expressions, ``Segmenter`` masks without SQL, ``run`` long
jobs, which may be stopped and killed, ``show`` rows as pictures, and ``label`` pictures to click on.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Nothing that is slow to import, DuckDB included, is imported before it is used: the command line starts at once.
if TYPE_CHECKING:
    import duckdb

    from duckdb_sam.arrays import dense
    from duckdb_sam.columns import lance_images
    from duckdb_sam.formats.coco import to_coco
    from duckdb_sam.formats.coco_in import from_coco
    from duckdb_sam.formats.geoparquet import to_geoparquet
    from duckdb_sam.formats.labelme import to_labelme
    from duckdb_sam.formats.supervision import to_supervision
    from duckdb_sam.formats.yolo import to_yolo
    from duckdb_sam.formats.yolo_in import from_yolo
    from duckdb_sam.gallery import Gallery, show
    from duckdb_sam.interrupt import interruptible
    from duckdb_sam.jobs import JobError, Status, Summary, run
    from duckdb_sam.labelling import LabelError, label
    from duckdb_sam.masks import Mask, Masks
    from duckdb_sam.segmenter import Segmenter
    from duckdb_sam.weights import Model, PullError, convert, models, pull

    __version__: str

__all__ = [
    "Gallery",
    "JobError",
    "LabelError",
    "LoadError",
    "Mask",
    "Masks",
    "Model",
    "PullError",
    "Segmenter",
    "Status",
    "Summary",
    "connect",
    "convert",
    "dense",
    "extension_path",
    "from_coco",
    "from_yolo",
    "interruptible",
    "label",
    "lance_images",
    "load",
    "models",
    "pull",
    "run",
    "show",
    "to_coco",
    "to_geoparquet",
    "to_labelme",
    "to_supervision",
    "to_yolo",
]

_LAZY = {
    "Gallery": "gallery",
    "JobError": "jobs",
    "LabelError": "labelling",
    "Mask": "masks",
    "Masks": "masks",
    "Model": "weights",
    "PullError": "weights",
    "Segmenter": "segmenter",
    "Status": "jobs",
    "Summary": "jobs",
    "convert": "weights",
    "dense": "arrays",
    "from_coco": "formats.coco_in",
    "from_yolo": "formats.yolo_in",
    "interruptible": "interrupt",
    "label": "labelling",
    "lance_images": "columns",
    "models": "weights",
    "pull": "weights",
    "run": "jobs",
    "show": "gallery",
    "to_coco": "formats.coco",
    "to_geoparquet": "formats.geoparquet",
    "to_labelme": "formats.labelme",
    "to_supervision": "formats.supervision",
    "to_yolo": "formats.yolo",
}
"""What is imported when it is first used, and the module that has it."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, "__version__"})


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("duckdb-sam")
    except metadata.PackageNotFoundError:  # imported from a source checkout that is not installed
        return "0+unknown"


_EXTENSION = "sam.duckdb_extension"
_UNSIGNED = "allow_unsigned_extensions"

_UNSIGNED_TEXT = f"""\
this DuckDB connection does not allow unsigned extensions, and the sam extension in this package is not signed.
DuckDB takes this setting only when a database is opened:
    duckdb_sam.connect({{database}})
or  duckdb.connect({{database}}, config={{{{"{_UNSIGNED}": "true"}}}})
or  ibis.duckdb.connect({_UNSIGNED}=True)"""


class LoadError(RuntimeError):
    """The sam extension cannot be loaded; the text says what to do about it."""


def extension_path() -> Path:
    """Return the file ``sam.duckdb_extension`` that this package carries.

    Its path is what ``LOAD`` takes anywhere else: in the DuckDB CLI, in dbt, in another language's client.
    """
    # An editable install has two folders: the sources and what the build made.
    for folder in __path__:
        path = Path(folder) / _EXTENSION
        if path.is_file():
            return path
    raise LoadError(
        f"{_EXTENSION} is missing from {__path__[0]}: this is a source checkout, or a broken installation. "
        "Build and install it with `pip install .` in the checkout, or reinstall with "
        "`pip install --force-reinstall duckdb-sam`."
    )


def connect(
    database: str | Path = ":memory:",
    *,
    read_only: bool = False,
    config: dict[str, Any] | None = None,
    **settings: Any,
) -> duckdb.DuckDBPyConnection:
    """Open ``database`` with the sam extension loaded.

    Settings of DuckDB may be given as ``config``, as for ``duckdb.connect``, or as keywords. ``threads=2`` also sets
    the threads of the extension, which all databases of the process share; not so under ``lock_configuration``.
    """
    import duckdb

    options = {**(config or {}), **settings, _UNSIGNED: "true"}
    extension_path()  # a missing file is reported before a database file is created
    try:
        con = duckdb.connect(str(database), read_only=read_only, config=options)
    except duckdb.ConnectionException as error:
        if "different configuration" not in str(error):
            raise
        raise LoadError(
            f"{database} is already open in this process, with other settings. Close that connection, or open it "
            f'with the same ones (which must include "{_UNSIGNED}": "true") and give it to duckdb_sam.load.'
        ) from error
    try:
        load(con)
        if "threads" in options and not options.get("lock_configuration"):
            with con.cursor() as cursor:
                threads = _scalar(cursor, "SELECT current_setting('threads')")
                cursor.execute(f"CALL sam_configure(threads := {threads})")
    except BaseException:
        con.close()
        raise
    return con


def load(con: duckdb.DuckDBPyConnection) -> None:
    """Load the sam extension into the database of ``con``: its functions are then known to all its connections.

    Doing so twice does no harm. A query whose result is still being read on ``con`` is not disturbed.
    """
    from duckdb_sam.quoting import literal

    _check_connection(con)
    # A cursor is another connection to the same database: it leaves a pending result of `con` alone.
    with con.cursor() as cursor:
        if _is_loaded(cursor):
            return
        if not _scalar(cursor, f"SELECT current_setting('{_UNSIGNED}')"):
            raise LoadError(_UNSIGNED_TEXT.format(database=_database_literal(cursor)))
        cursor.execute(f"LOAD {literal(extension_path())}")


def _check_connection(con: object) -> None:
    """Refuse what is no DuckDB connection, naming what to use instead where that is known."""
    import duckdb

    if isinstance(con, duckdb.DuckDBPyConnection):
        return
    kind = f"{type(con).__module__}.{type(con).__qualname__}"
    if isinstance(getattr(con, "con", None), duckdb.DuckDBPyConnection):
        raise TypeError(f"load() takes a DuckDB connection, not {kind}: use duckdb_sam.ibis.load for an Ibis backend")
    if con is duckdb:
        raise TypeError("load() takes a DuckDB connection, not the module duckdb: open one with duckdb_sam.connect()")
    raise TypeError(f"load() takes a DuckDB connection, not {kind}")


def _is_loaded(con: duckdb.DuckDBPyConnection) -> bool:
    import duckdb

    try:
        con.execute("SELECT sam_version()")
    except duckdb.CatalogException:
        return False
    return True


def _database_literal(con: duckdb.DuckDBPyConnection) -> str:
    """Return the database of ``con`` as it is written in ``duckdb.connect``."""
    import json

    path = _scalar(con, "SELECT path FROM duckdb_databases() WHERE database_name = current_database()")
    return json.dumps(path or ":memory:")


def _scalar(con: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = con.execute(query).fetchone()
    return row[0] if row else None
