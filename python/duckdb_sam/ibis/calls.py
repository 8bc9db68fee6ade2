"""Calls of SQL functions as expressions: which of a function's forms is meant, and what is wrong with the arguments."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple, cast

from duckdb_sam.functions import FUNCTIONS
from duckdb_sam.ibis import values
from duckdb_sam.signatures import Argument, Form, Function

_XORQ = "xorq.vendor.ibis"

_LENGTHS = {"point": 2, "box": 4, "bbox": 4}
"""How many numbers a list has, by the name of the argument."""

_FORMS = {
    "MASK": "a mask: struct<size, counts>, a record with one as its segmentation, or JSON of them",
    "MASK[]": "a list of masks",
    "MASK | MASK[]": "a mask or a list of masks: struct<size, counts>, records with one as segmentation, or JSON",
}
"""What is said instead of a long list of types, by what docs/functions.md calls it."""


class Choice(NamedTuple):
    """A form of a function, and for each of its arguments the value and its type."""

    form: Form
    arguments: tuple[tuple[Any, Any], ...]


def call(name: str, **given: Any) -> Any:
    """Return the call of the SQL function ``name``. None stands for what is not given, or NULL if it is needed."""
    function = FUNCTIONS[name]
    given = {what: _path(what, values.plain(value)) for what, value in given.items()}
    _check_lengths(given)
    choose(function, given)  # so that an error is raised here, also where a deferred argument waits for its table
    flavour = _XORQ if any(map(values.is_xorq, given.values())) else "ibis"
    return _constructor(flavour, name)(**{what: value for what, value in given.items() if value is not None})


def _path(what: str, value: Any) -> Any:
    return os.fspath(cast("os.PathLike[str]", value)) if what == "model" and _is_path(value) else value


def _is_path(value: object) -> bool:
    return isinstance(value, os.PathLike)


@functools.cache
def _constructor(module: str, name: str) -> Callable[..., Any]:
    """Return what makes the expression, in ``ibis`` or xorq's copy of it; with deferred arguments it is deferred."""
    flavour = importlib.import_module(module)

    def construct(**given: Any) -> Any:
        form, arguments = choose(FUNCTIONS[name], given)
        built = [values.build(flavour, value, flavour.dtype(str(kind))) for value, kind in arguments]
        kinds = tuple(_declared(flavour, each, str(kind)) for each, (_, kind) in zip(built, arguments, strict=True))
        return _builtin(flavour, name, form, kinds)(*built)

    construct.__name__ = name
    return importlib.import_module(f"{module}.common.deferred").deferrable(construct)


def _declared(flavour: ModuleType, value: Any, kind: str) -> Any:
    """Return the type that an argument is declared with: its own, where Ibis would cast it and DuckDB need not."""
    return kind if value.type().castable(flavour.dtype(kind)) else value.type()


@functools.cache
def _builtin(flavour: ModuleType, name: str, form: Form, kinds: tuple[Any, ...]) -> Callable[..., Any]:
    """Declare a SQL function to Ibis, with arguments of these types."""
    # Ibis reads the names of the arguments from a function. A __signature__ would do for it, but not for xorq, which
    # hashes the function's attributes for its cache keys. The names are those of functions.json.
    stub = eval(f"lambda {', '.join(form.names)}: None")
    stub.__name__ = name
    return flavour.udf.scalar.builtin(stub, name=name, signature=(kinds, form.returns))


def choose(function: Function, given: Mapping[str, Any]) -> Choice:
    """Return the form that the given arguments are for, by their names and then their types.

    TypeError for an argument of a wrong type and for a missing one; ValueError for those that exclude each other.
    """
    given = {name: value for name, value in given.items() if value is not None or name in function.required}
    given = {**dict.fromkeys(function.required), **given}
    for name, value in given.items():
        _check_options(function, name, value)
    bound = _bound(function, given)
    if not bound and function.options.keys() & given.keys():
        given = _folded(function, given)
        bound = _bound(function, given)
    if not bound:
        raise _mismatch(function, given)
    best: tuple[int, Choice] | None = None
    for form, names in bound:
        found = [_nearest(each, given.get(names.get(each.name, ""))) for each in form.arguments]
        if None in found:
            continue
        nearest = cast("list[tuple[int, Any, Any]]", found)
        total = sum(far for far, _, _ in nearest)
        if best is None or total < best[0]:
            best = total, Choice(form, tuple((value, kind) for _, value, kind in nearest))
    if best is None:
        raise _wrong_type(bound, given)
    return best[1]


Bound = tuple[Form, dict[str, str]]
"""A form, and the names that its arguments were given by."""


def _bound(function: Function, given: Mapping[str, Any]) -> list[Bound]:
    """Return the forms that have a place for all that is given, and lack nothing."""
    found: list[Bound] = []
    for form in function.forms:
        names = {name: name for name in form.names if name in given}
        for name in given.keys() - names.keys():
            place = function.positional.index(name) if name in function.positional else len(form.places)
            if place >= len(form.places) or form.places[place] in names:
                break
            names[form.places[place]] = name
        else:
            missing = set(form.names) - names.keys() - set(form.optional)
            needed = "points" if "labels" in names else "box"
            if not missing and (not form.is_prompt or names.keys() & {"points", needed}):
                found.append((form, names))
    return found


def _folded(function: Function, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with options that are given by keyword in one mapping."""
    options = {name: value for name, value in given.items() if name in function.options}
    if "options" in given:
        raise ValueError(f"give either options or {next(iter(options))}, not both")
    others = {name: value for name, value in given.items() if name not in options}
    return {**others, "options": options}


def _nearest(argument: Argument, value: Any) -> tuple[int, Any, Any] | None:
    """Return the distance from the nearest of an argument's types, the value, and that type; None if none fits."""
    best: tuple[int, Any, Any] | None = None
    for kind in argument.types:
        far = values.distance(value, _dtype(kind))
        if far and "binary" in argument.types and values.is_expression(value):
            continue  # of an image DuckDB casts no struct that has other fields
        if far is not None and (best is None or far < best[0]):
            best = far, value, kind
    return best


@functools.cache
def _dtype(kind: str) -> Any:
    return importlib.import_module("ibis").dtype(kind)


def _check_options(function: Function, name: str, value: Any) -> None:
    """Refuse an option that is unknown, and one that is not the number that it has to be."""
    several = _mapping(value)
    if several is not None and (name == "options" or name in function.options):
        for each, number in several.items():
            if function.options and each not in function.options:
                known = ", ".join(function.options)
                raise TypeError(f"{function.python_name} has no option {each!r}; the options are {known}")
            _check_option(function, each, number)
    elif not (values.is_expression(value) and value.type().is_map()):  # options in the place of the first of them
        _check_option(function, name, value)


def _mapping(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _check_option(function: Function, name: str, value: Any) -> None:
    kind = function.options.get(name)
    if kind and values.distance(value, _dtype(kind)) is None:
        number = "a whole number" if kind == "int64" else "a number"
        raise TypeError(f"{name} must be {number} ({kind}), not {values.shown(value)}")


def _wrong_type(bound: Iterable[Bound], given: Mapping[str, Any]) -> TypeError:
    """Return the error about the first argument that fits no form."""
    takes: dict[str, list[Argument]] = {}
    for form, names in bound:
        for argument in form.arguments:
            if argument.name in names:
                takes.setdefault(names[argument.name], []).append(argument)
    for name, arguments in takes.items():
        if not any(_nearest(argument, given[name]) for argument in arguments):
            return _wrong(name, given[name], arguments)
    name = next(name for name, arguments in takes.items() if not all(_nearest(each, given[name]) for each in arguments))
    return _wrong(name, given[name], takes[name])


def _wrong(name: str, value: Any, arguments: Sequence[Argument]) -> TypeError:
    if name == "model" and not values.is_expression(value):
        return TypeError(f"model must be the name or path of a model, not {values.shown(value)}")
    takes = dict.fromkeys(
        kind for each in arguments for kind in ([_FORMS[each.sql]] if each.sql in _FORMS else each.types)
    )
    path = isinstance(value, str) or _is_path(value) or (values.is_expression(value) and value.type().is_string())
    hint = "; a path is read by DuckDB's read_blob" if path and "binary" in takes else ""
    return TypeError(f"{name} must be {' or '.join(takes)}, not {values.shown(value)}{hint}")


def _mismatch(function: Function, given: Mapping[str, Any]) -> Exception:
    """Return the error about arguments that are those of no form."""
    forms = function.forms
    names = [name for name in given if name not in function.required]
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            if not any({one, other} <= set(form.names) for form in forms):
                hint = f"; with {other}, one point is points=[[x, y]]" if one == "point" else ""
                return ValueError(f"give either {one} or {other}, not both{hint}")
    if any(form.is_prompt for form in forms):
        if "labels" in names:
            return ValueError("labels belong to points: give points=[[x, y], ...] with one label each")
        return ValueError("give point=[x, y], points=[[x, y], ...] or box=[x0, y0, x1, y1]")
    usages = " or ".join(f"({', '.join(form.names)})" for form in forms)
    return TypeError(f"{function.python_name} takes {usages}, not ({', '.join(given)})")


def _check_lengths(given: Mapping[str, Any]) -> None:
    """Check points and boxes that are written out; columns and expressions are checked when the query runs."""
    for name, count in _LENGTHS.items():
        _check_numbers(name, given.get(name), count)
    points, labels = given.get("points"), given.get("labels")
    if isinstance(points, list):
        for index, point in enumerate(cast("list[Any]", points)):
            _check_numbers(f"points[{index}]", point, 2)
        if isinstance(labels, list) and len(cast("list[Any]", labels)) != len(cast("list[Any]", points)):
            count = len(cast("list[Any]", labels))
            raise ValueError(
                f"{count} labels for {len(cast('list[Any]', points))} points: give one label for each point"
            )


def _check_numbers(what: str, value: Any, count: int) -> None:
    if isinstance(value, list):
        numbers = cast("list[Any]", value)
        if len(numbers) != count:
            raise ValueError(f"{what} has {len(numbers)} numbers, not {count}: {numbers!r}")
        for number in numbers:
            if isinstance(number, (str, bytes, list, bool, dict)):
                raise TypeError(f"{what} must hold {count} numbers, not {numbers!r}")
    elif isinstance(value, (str, bytes, int, float, dict)):
        raise TypeError(f"{what} must be a list of {count} numbers or an expression, not {values.shown(value)}")
