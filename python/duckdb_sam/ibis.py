"""The extension's functions as typed Ibis expressions.

    import duckdb_sam.ibis as sam
    from ibis import _

    con = sam.connect()
    t = con.read_parquet("photos.parquet")
    expr = t.mutate(s=sam.segment("nano", _.image, [0.5, 0.6])).filter(_.s.iou_score > 0.5)

Points and boxes are fractions of the width and height of the upright picture, x first. ``image`` is a column of
encoded pictures: binary, or struct<bytes, path> as Hugging Face writes it. Every argument may be a Python value,
a column or a deferred expression. Expressions of xorq's own copy of Ibis work too.

``segment`` and ``annotate`` have keywords for their prompts. Every other scalar function of the extension is here under
its SQL name, without the prefix ``sam_``, and takes its arguments in the order of SQL.
"""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import duckdb_sam
from duckdb_sam.functions import FUNCTIONS, Function

try:
    import ibis
    from ibis.backends.duckdb import Backend
except ImportError as error:
    raise ImportError("duckdb_sam.ibis needs Ibis with its DuckDB parts: pip install 'duckdb-sam[ibis]'") from error

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["annotate", "connect", "load", "segment"]  # and the functions that are made below

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
    functions = [f for f in FUNCTIONS if f.name == name and len(f.arguments) == count]
    if not functions:
        forms = [f"({', '.join(what for what, _ in f.arguments)})" for f in FUNCTIONS if f.name == name]
        raise TypeError(f"{name} takes {' or '.join(forms)}, not {count} arguments")

    def typed(function: Function, arguments: tuple[Any, ...]) -> Any:
        pairs = [
            _value(flavour, what, argument, types)
            for (what, types), argument in zip(function.arguments, arguments, strict=True)
        ]
        kinds = tuple(kind for _, kind in pairs)
        return _builtin(flavour, function, kinds)(*(value for value, _ in pairs))

    def construct(*arguments: Any) -> Any:
        for function in functions[:-1]:
            try:
                return typed(function, arguments)
            except TypeError:
                continue  # the next one of as many arguments
        return typed(functions[-1], arguments)

    construct.__name__ = name
    deferred = importlib.import_module(f"{module}.common.deferred")
    return deferred.deferrable(construct)


@functools.cache
def _builtin(flavour: ModuleType, function: Function, kinds: tuple[str, ...]) -> Any:
    """Declare a SQL function to Ibis, with arguments of these types."""

    # Ibis reads the names of the arguments from a function. A __signature__ would do for it, but not for xorq, which
    # hashes the function's attributes for its cache keys.
    stub = eval(f"lambda {', '.join(what for what, _ in function.arguments)}: None")
    stub.__name__ = function.name
    return flavour.udf.scalar.builtin(stub, name=function.name, signature=(kinds, function.returns))


def _value(flavour: ModuleType, what: str, value: Any, kinds: tuple[str, ...]) -> tuple[Any, str]:
    """Return a Python value or expression as an expression of one of the types ``kinds``, and which of them."""
    if value is None:
        return flavour.null(kinds[0]), kinds[0]
    if hasattr(value, "type"):
        found = value.type()
        for kind in kinds:
            wanted = flavour.dtype(kind)
            if _fits(found, wanted):
                # Ibis knows fewer implicit casts than DuckDB: none of decimals inside a struct.
                return value if found.castable(wanted) or not _holds_struct(wanted) else value.cast(wanted), kind
        hint = "; a path is read by DuckDB's read_blob" if what == "image" and found.is_string() else ""
        raise TypeError(f"{what} must be {' or '.join(kinds)}, not {found}{hint}")
    if what == "model" and not isinstance(value, (str, Path)):
        raise TypeError(f"model must be the name or path of a model, not {value!r}")
    if isinstance(value, Path):
        value = str(value)
    for kind in kinds:
        if kind == "binary" and not isinstance(value, (bytes, bytearray)):
            continue  # Ibis would encode a text
        if isinstance(value, (list, tuple)) and kind.startswith("array<") and _holds_expression(value):
            element = kind.removeprefix("array<").removesuffix(">")
            return flavour.array([_value(flavour, what, item, (element,))[0] for item in value]), kind
        try:
            return flavour.literal(bytes(value) if kind == "binary" else value, type=kind), kind
        except (TypeError, ValueError):
            continue
    shown = type(value).__name__ if kinds[0] == "binary" else repr(value)
    raise TypeError(f"{what} must be {' or '.join(kinds)}, not {shown}")


def _fits(found: Any, wanted: Any) -> bool:
    """Tell whether DuckDB accepts a value of one type for another without being asked to cast it."""
    if wanted.is_binary():
        return found.is_binary() or found.is_null()
    if wanted.is_struct() and not found.is_null():
        return found.is_struct() and set(found.names) == set(wanted.names)
    if wanted.is_array() and found.is_array():
        return _fits(found.value_type, wanted.value_type)
    return found.castable(wanted)


def _holds_struct(kind: Any) -> bool:
    return kind.is_struct() or (kind.is_array() and _holds_struct(kind.value_type))


def _holds_expression(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_holds_expression(item) for item in value)
    return hasattr(value, "type")


def _plain(name: str) -> Any:
    """Return the function that calls the SQL function ``name`` with the arguments it is given."""

    def call(*arguments: Any) -> Any:
        return _call(name, *arguments)

    forms = [function for function in FUNCTIONS if function.name == name]
    calls = [f"{name}({', '.join(what for what, _ in form.arguments)}) -> {form.returns}" for form in forms]
    call.__name__ = call.__qualname__ = name.removeprefix("sam_")
    call.__doc__ = "\n\n".join([*calls, forms[0].description])
    return call


for _name in dict.fromkeys(function.name for function in FUNCTIONS):
    if _name.removeprefix("sam_") not in globals():
        globals()[_name.removeprefix("sam_")] = _plain(_name)
        __all__ += [_name.removeprefix("sam_")]
