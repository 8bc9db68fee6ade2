"""A column of images in an Arrow table, for engines that hand over one batch after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from duckdb_sam.columns import Failures, as_table, column_of, image_column, is_list, sizes
from duckdb_sam.engine import Engine
from duckdb_sam.optional import needed
from duckdb_sam.prompts import BoxFormat, Form, Unit, check_constants, check_given, prompt
from duckdb_sam.reading import arrow


class Batches:
    """Runs batches with one model: all rows at once, then those that failed alone, to learn why."""

    def __init__(self, model: str, engine: Engine, strict: Engine) -> None:
        """Take an engine in which rows that fail are NULL, and one in which they raise."""
        self._model, self._engine, self._strict = model, engine, strict

    def close(self) -> None:
        """Close the engine of its own."""
        self._engine.close()

    def run(
        self,
        table: Any,
        image: str,
        prompts: Mapping[str, Any],
        options: Mapping[str, float] | None,
        unit: Unit,
        box_format: BoxFormat,
        into: str,
        *,
        with_errors: bool,
    ) -> tuple[Any, Failures]:
        """Return the table with its new columns, and what failed by row; see ``Segmenter.batch``."""
        pa = needed("pyarrow", "arrow", "batch")
        _check(prompts, options)
        check_constants(prompts, unit, box_format)
        given, whole = table, _table(pa, table)
        new = [into, f"{into}_error"] if with_errors else [into]
        for name in new:
            if name in whole.column_names:
                raise ValueError(f"the table has a column {name!r} already: give another name, into=...")
        failures: Failures = {}
        column_of(whole, image)
        images = image_column(whole, image, failures)
        columns: dict[str, Any] = {"image": images}
        if options is None:
            values = {name: _values(pa, whole, name, value) for name, value in prompts.items() if value is not None}
            columns |= self._prompts(pa, images, values, unit, box_format, failures)
            call = (
                "sam_annotate_many(?, image, boxes)"
                if "boxes" in values
                else "sam_annotate(?, image, points, labels, box)"
            )
            arguments: list[Any] = [self._model]
        else:
            call = "sam_generate(?, image, MAP(?::VARCHAR[], ?::DOUBLE[]))"
            arguments = [self._model, list(options), list(options.values())]
        rows = pa.table({"row": pa.array(range(len(whole)), pa.int64()), **columns})
        query = f"SELECT {call} AS mask, image IS NOT NULL AS given FROM rows ORDER BY row"
        with self._engine.query(query, arguments, rows=rows) as result:
            answer = arrow(result)
        found = answer["mask"]
        for row in _failed(answer, rows, options is None):
            try:
                with self._strict.query(f"SELECT {call} FROM rows", arguments, rows=rows.slice(row, 1)) as result:
                    result.fetchall()
                failures[row] = "failed, and did not when it was tried again"
            except ValueError as error:
                failures[row] = str(error)
        failures = dict(sorted(failures.items()))
        whole = whole.append_column(into, found)
        if with_errors:
            reasons = [failures.get(row) for row in range(len(whole))]
            whole = whole.append_column(new[1], pa.array(reasons, pa.string()))
        return _like(pa, whole, given), failures

    def _prompts(
        self,
        pa: Any,
        images: Any,
        values: Mapping[str, Callable[[int], Any]],
        unit: Unit,
        box_format: BoxFormat,
        failures: Failures,
    ) -> dict[str, Any]:
        """Return the columns that the SQL functions take, in fractions."""
        size = sizes(pa, self._engine, images) if unit == "pixel" else None
        points: list[Any] = []
        labels: list[Any] = []
        box: list[Any] = []
        boxes: list[Any] = []
        for row in range(len(images)):
            here = {name: value(row) for name, value in values.items()}
            form = Form(unit, box_format, lambda row=row: size[row] if size else None)
            one = (None, None, None)
            many = None
            if row not in failures:
                try:
                    if here.get("boxes") is not None:
                        many = [{"box": prompt(None, None, None, each, form).box} for each in here["boxes"]]
                    elif any(here.get(name) is not None for name in ("point", "points", "box")):
                        one = prompt(here.get("point"), here.get("points"), here.get("labels"), here.get("box"), form)
                except (ValueError, TypeError) as error:
                    failures[row] = str(error)
            points.append(one[0])
            labels.append(one[1])
            box.append(one[2])
            boxes.append(many)
        number, whole = pa.float64(), pa.int64()
        if "boxes" in values:
            return {"boxes": pa.array(boxes, pa.list_(pa.struct([("box", pa.list_(number))])))}
        return {
            "points": pa.array(points, pa.list_(pa.list_(number))),
            "labels": pa.array(labels, pa.list_(whole)),
            "box": pa.array(box, pa.list_(number)),
        }


def _check(prompts: Mapping[str, Any], options: Mapping[str, float] | None) -> None:
    """Refuse prompts that exclude each other, before any row is read."""
    others = [name for name, value in prompts.items() if value is not None and name != "boxes"]
    if options is not None:
        if others or prompts["boxes"] is not None:
            raise TypeError("generate takes no prompts: give either generate or a prompt")
    elif prompts["boxes"] is not None:
        if others:
            raise TypeError(f"give either boxes or {others[0]}, not both")
    else:
        check_given(prompts["point"], prompts["points"], prompts["labels"], prompts["box"])


def _table(pa: Any, table: Any) -> Any:
    whole = as_table(pa, table)
    if whole is None:
        raise TypeError(f"batch takes an Arrow table, not {type(table).__module__}.{type(table).__qualname__}")
    return whole


def _like(pa: Any, table: Any, given: Any) -> Any:
    """Return the result as what was given: a RecordBatch for one."""
    if not isinstance(given, pa.RecordBatch):
        return table
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


_LISTS = {
    "point": (1, "lists of two numbers, [x, y]"),
    "points": (2, "lists of points, [[x, y], ...]"),
    "labels": (1, "lists of 1 (in the object) and 0 (not in it)"),
    "box": (1, "lists of four numbers"),
    "boxes": (2, "lists of boxes, each a list of four numbers"),
}
"""How deep the lists of each prompt are, and what they are in words."""


def _values(pa: Any, table: Any, name: str, value: Any) -> Callable[[int], Any]:
    """Return what gives a prompt for a row: a column's value, or the same for all."""
    if not isinstance(value, str):
        return lambda _row: value
    column = column_of(table, value)
    depth, words = _LISTS[name]
    kind, found = column.type, 0
    while is_list(pa, kind):
        kind, found = kind.value_type, found + 1
    numbers = any(getattr(pa.types, test)(kind) for test in ("is_integer", "is_floating", "is_decimal", "is_boolean"))
    fits = (numbers and found == depth) or (pa.types.is_null(kind) and found <= depth)
    if not fits and not isinstance(kind, pa.BaseExtensionType):  # such as Ray's tensors
        raise TypeError(f"{name}: the column {value!r} holds {column.type}; it must hold {words}")
    rows: list[Any] = column.to_pylist()
    return rows.__getitem__


def _failed(answer: Any, rows: Any, prompted: bool) -> list[int]:
    """Return the rows that are NULL although their image and their prompt are not."""
    compute = needed("pyarrow.compute", "arrow", "batch")
    failed = compute.and_(compute.is_null(answer["mask"]), answer["given"])
    if prompted:
        first, *others = [name for name in ("points", "box", "boxes") if name in rows.column_names]
        given = compute.is_valid(rows[first])
        for name in others:
            given = compute.or_(given, compute.is_valid(rows[name]))
        failed = compute.and_(failed, given)
    return [row for row, each in enumerate(failed.to_pylist()) if each]
