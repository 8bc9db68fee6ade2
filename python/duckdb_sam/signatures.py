"""How functions of SQL are called from Python: one function with keywords for all the forms of a SQL function.

``docs/generate.py`` writes the signatures by these rules, and ``duckdb_sam.ibis`` binds arguments by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

PROMPT = ("points", "labels", "box")
"""A form that has all of these takes NULL for any of them."""


class Argument(NamedTuple):
    """An argument of a SQL function, with the types that it may have."""

    name: str
    types: tuple[str, ...]
    sql: str
    """The same in the words of docs/functions.md, such as ``IMAGE`` or ``DOUBLE[]``."""


class Form(NamedTuple):
    """One list of arguments that a SQL function takes, and what it returns then."""

    arguments: tuple[Argument, ...]
    returns: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arguments, in the order of SQL."""
        return tuple(argument.name for argument in self.arguments)

    @property
    def is_prompt(self) -> bool:
        """Whether it takes points, labels and a box, any of which may be NULL."""
        return set(self.names) >= set(PROMPT)

    @property
    def optional(self) -> tuple[str, ...]:
        """The arguments that may be left out, and are NULL then."""
        return PROMPT if self.is_prompt else ()

    @property
    def places(self) -> tuple[str, ...]:
        """The arguments that need no name in Python: all but those of a prompt, which nobody could tell apart."""
        return tuple(name for name in self.names if name not in self.optional)


class Function(NamedTuple):
    """A SQL function. In Python all its forms are one function with keywords."""

    name: str
    forms: tuple[Form, ...]
    options: Mapping[str, str]
    """Names and types of what its argument ``options`` may hold; empty where it has none."""
    description: str
    example: str

    @property
    def python_name(self) -> str:
        """Its name in ``duckdb_sam.ibis``."""
        return self.name.removeprefix("sam_")

    @property
    def required(self) -> tuple[str, ...]:
        """The arguments that no form can do without."""
        return tuple(name for name in self.forms[0].places if all(name in form.places for form in self.forms))

    @property
    def positional(self) -> tuple[str, ...]:
        """The names of the places: where forms differ, the name that the first of them gives to a place."""
        names: list[str] = []
        for form in self.forms:
            names += [name for name in form.places[len(names) :] if name not in names]
        return tuple(names)

    @property
    def keywords(self) -> tuple[str, ...]:
        """The names that are given by keyword only: of other forms, and of options."""
        others = [name for form in self.forms for name in form.names]
        return tuple(name for name in dict.fromkeys([*others, *self.options]) if name not in self.positional)


def read(rows: list[dict[str, Any]]) -> dict[str, Function]:
    """Return the functions that the rows of ``functions.json`` describe, by their SQL names."""
    return {
        row["name"]: Function(
            row["name"],
            tuple(
                Form(
                    tuple(Argument(each["name"], tuple(each["types"]), each["sql"]) for each in form["arguments"]),
                    form["returns"],
                )
                for form in row["forms"]
            ),
            row["options"],
            row["description"],
            row["example"],
        )
        for row in rows
    }
