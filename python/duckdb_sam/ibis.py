"""The extension's functions as typed Ibis expressions.

    import duckdb_sam.ibis as sam
    from ibis import _

    con = sam.connect()
    t = con.read_parquet("photos.parquet")
    expr = t.mutate(s=sam.segment("nano", _.image, [0.5, 0.6])).filter(_.s.iou_score > 0.5)

Points and boxes are fractions of the width and height of the upright picture, x first. ``image`` is a column of
encoded pictures: binary, or struct<bytes, path> as Hugging Face writes it. Every argument may be a Python value,
a column or a deferred expression. Expressions of xorq's own copy of Ibis work too.
"""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import duckdb_sam
from duckdb_sam.functions import FUNCTIONS, IMAGE, IMAGE_TYPES, Function

try:
    import ibis
    from ibis.backends.duckdb import Backend
except ImportError as error:
    raise ImportError("duckdb_sam.ibis needs Ibis with its DuckDB parts: pip install 'duckdb-sam[ibis]'") from error

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["annotate", "connect", "image_info", "load", "model_info", "segment", "version"]

_XORQ = "xorq.vendor.ibis"


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


def segment(
    model: str | ir.StringValue,
    image: bytes | ir.Value,
    point: Any = None,
    *,
    points: Any = None,
    labels: Any = None,
    box: Any = None,
) -> ir.StructValue:
    """Segment the object at ``point``; or at ``points`` with ``labels`` (1 in, 0 out), within ``box``.

    Returns struct<mask, iou_score>: for every pixel, row by row, the probability that it belongs to the object, and
    the model's estimate of the mask's quality. A mask takes 4 bytes a pixel: ``annotate`` is the form to keep.
    """
    return _prompted("sam_segment", model, image, point, points, labels, box)


def annotate(
    model: str | ir.StringValue,
    image: bytes | ir.Value,
    point: Any = None,
    *,
    points: Any = None,
    labels: Any = None,
    box: Any = None,
) -> ir.StructValue:
    """Segment as ``segment`` does, and return a compact record.

    That is struct<segmentation, bbox, area, predicted_iou, stability_score>, the names of SAM's own mask generator;
    ``segmentation`` is COCO's run-length encoding, which pycocotools reads.
    """
    return _prompted("sam_annotate", model, image, point, points, labels, box)


def image_info(image: bytes | ir.Value) -> ir.StructValue:
    """Return width, height, channels, format and EXIF orientation of a picture, without decoding it."""
    return _call("image_info", image)


def model_info(model: str | ir.StringValue) -> ir.StructValue:
    """Return what a model says about itself: architecture, sizes, checksum of its file."""
    return _call("sam_model_info", model)


def version() -> ir.StringScalar:
    """Return the version of the extension."""
    return _call("sam_version")


def _prompted(name: str, model: Any, image: Any, point: Any, points: Any, labels: Any, box: Any) -> Any:
    """Choose between the two argument lists of the SQL function ``name``."""
    if point is not None:
        for other, value in (("points", points), ("labels", labels), ("box", box)):
            if value is not None:
                raise ValueError(f"give either point or {other}, not both; with {other}, one point is points=[[x, y]]")
        return _call(name, model, image, _numbers("point", point, 2))
    if points is None and box is None:
        raise ValueError("give point=[x, y], points=[[x, y], ...] or box=[x0, y0, x1, y1]")
    if points is None and labels is not None:
        raise ValueError("labels belong to points: give points=[[x, y], ...] with one label each")
    if isinstance(points, (list, tuple)):
        points = [_numbers(f"points[{index}]", item, 2) for index, item in enumerate(points)]
        if isinstance(labels, (list, tuple)) and len(labels) != len(points):
            raise ValueError(f"{len(labels)} labels for {len(points)} points: give one label for each point")
    return _call(name, model, image, points, labels, _numbers("box", box, 4))


def _numbers(what: str, value: Any, count: int) -> Any:
    """Check a point or box that is written out; columns and expressions are checked when the query runs."""
    if type(value).__module__ == "numpy":
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        if len(value) != count:
            raise ValueError(f"{what} has {len(value)} numbers, not {count}: {value!r}")
        for number in value:
            if isinstance(number, (str, bytes, list, tuple, bool)):
                raise TypeError(f"{what} must hold {count} numbers, not {value!r}")
    elif isinstance(value, (str, bytes, int, float)):
        raise TypeError(f"{what} must be a list of {count} numbers or an expression, not {value!r}")
    return value


def _call(name: str, *arguments: Any) -> Any:
    """Build the call of a SQL function in the Ibis that its arguments come from."""
    module = _XORQ if any(_is_xorq(argument) for argument in arguments) else "ibis"
    return _constructor(module, name, len(arguments))(*arguments)


def _is_xorq(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_is_xorq(item) for item in value)
    return type(value).__module__.startswith("xorq.")


@functools.cache
def _constructor(module: str, name: str, count: int) -> Any:
    """Return what makes the expression, for ``ibis`` or for xorq's copy of it; deferred arguments stay deferred."""
    flavour = importlib.import_module(module)
    function = next(f for f in FUNCTIONS if f.name == name and len(f.arguments) == count)
    by_image = {image: _builtin(flavour, function, image) for image in IMAGE_TYPES}

    def construct(*arguments: Any) -> Any:
        image_type = IMAGE_TYPES[0]
        values = []
        for (what, kind), argument in zip(function.arguments, arguments, strict=True):
            if kind == IMAGE:
                argument, image_type = _image(flavour, argument)
            values.append(_value(flavour, what, argument, image_type if kind == IMAGE else kind))
        return by_image[image_type](*values)

    construct.__name__ = name
    deferred = importlib.import_module(f"{module}.common.deferred")
    return deferred.deferrable(construct)


def _builtin(flavour: ModuleType, function: Function, image_type: str) -> Any:
    """Declare a SQL function to Ibis, with ``image_type`` for its picture."""

    # Ibis reads the names of the arguments from a function. A __signature__ would do for it, but not for xorq, which
    # hashes the function's attributes for its cache keys.
    stub = eval(f"lambda {', '.join(what for what, _ in function.arguments)}: None")
    stub.__name__ = function.name
    types = tuple(image_type if kind == IMAGE else kind for _, kind in function.arguments)
    return flavour.udf.scalar.builtin(stub, name=function.name, signature=(types, function.returns))


def _image(flavour: ModuleType, image: Any) -> tuple[Any, str]:
    """Return the picture as an expression, and which of IMAGE_TYPES it has."""
    if isinstance(image, (bytes, bytearray)):
        image = flavour.literal(bytes(image), type="binary")
    if not hasattr(image, "type"):
        raise TypeError(f"image must be a column of pictures or bytes, not {type(image).__name__}")
    kind = image.type()
    if kind.is_binary():
        return image, IMAGE_TYPES[0]
    if kind.is_struct() and set(kind.names) == {"bytes", "path"}:
        return image, IMAGE_TYPES[1]
    hint = "; a path is read by DuckDB's read_blob" if kind.is_string() else ""
    raise TypeError(f"image must be binary or struct<bytes: binary, path: string>, not {kind}{hint}")


def _value(flavour: ModuleType, what: str, value: Any, kind: str) -> Any:
    """Return a Python value as an expression of type ``kind``; lists may hold expressions."""
    if value is None:
        return flavour.null(kind)
    if hasattr(value, "type"):
        if not value.type().castable(flavour.dtype(kind)):
            raise TypeError(f"{what} must be {kind}, not {value.type()}")
        return value
    if what == "model" and not isinstance(value, (str, Path)):
        raise TypeError(f"model must be the name or path of a model, not {value!r}")
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, (list, tuple)) and _holds_expression(value):
        element = kind.removeprefix("array<").removesuffix(">")
        return flavour.array([_value(flavour, what, item, element) for item in value])
    try:
        return flavour.literal(value, type=kind)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{what} must be {kind}, not {value!r}") from error


def _holds_expression(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_holds_expression(item) for item in value)
    return hasattr(value, "type")
