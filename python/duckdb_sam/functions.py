"""The SQL functions of the extension that have a typed expression, as data.

``functions.json`` is written by ``make docs`` from what the extension says about itself. Types are Ibis's, as text, so
that this module needs no Ibis. Inputs are float64 and int64 because Ibis infers those for Python lists; outputs are
what the functions return: declaring anything else would make Ibis cast whole masks.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import NamedTuple


class Function(NamedTuple):
    """A SQL function with one list of arguments: pairs of a name and the types it may have."""

    name: str
    arguments: tuple[tuple[str, tuple[str, ...]], ...]
    returns: str
    description: str


def _load() -> tuple[Function, ...]:
    rows = json.loads(files(__package__).joinpath("functions.json").read_text(encoding="utf-8"))
    return tuple(
        Function(
            row["name"],
            tuple((name, tuple(types)) for name, types in row["parameters"]),
            row["returns"],
            row["description"],
        )
        for row in rows
    )


FUNCTIONS = _load()
