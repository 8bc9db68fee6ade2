"""Writes the module python/duckdb_sam/ibis/expressions.py: a function with a signature and a docstring for each scalar
function of the extension. Called by generate.py.
"""

from __future__ import annotations

import ast
import keyword
import re
import textwrap
from collections.abc import Iterable

from duckdb_sam.signatures import PROMPT, Form, Function

HEAD = '''\
"""The scalar functions of the extension as typed Ibis expressions.

Written by `make docs` from what the extension says about itself; do not edit.
"""

from __future__ import annotations

{typing}import ibis.expr.types as ir

from duckdb_sam.ibis.calls import call
from duckdb_sam.ibis.types import (
{aliases}
)

__all__ = [
{names}
]
'''

ALIASES = {
    "BLOB": "Bytes",
    "BOOLEAN": "Flag",
    "DOUBLE": "Number",
    "FLOAT": "Number",
    "IMAGE": "Image",
    "MASK": "MaskLike",
    "VARCHAR": "Text",
    **dict.fromkeys(["TINYINT", "SMALLINT", "INTEGER", "BIGINT"], "Whole"),
    **dict.fromkeys(["UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"], "Whole"),
}
"""The aliases of duckdb_sam/ibis/types.py, by the types of the reference."""

MEANINGS = {
    "IMAGE": "bytes of an image file, or a struct of bytes and path",
    "MASK": "COCO's run lengths, a record with them as its segmentation, a Mask, or JSON",
    "MASK[]": "several masks",
}

PROMPTS = {
    "point": "[x, y] in fractions of width and height",
    "points": "[[x, y], ...] in fractions of width and height",
    "labels": "1 in the object or 0 not, one for each of the points; 1 if not given",
    "box": "[x0, y0, x1, y1], two corners in fractions of width and height",
}

RETURNS = {"struct": "Struct", "array": "Array", "map": "Map", "string": "String", "binary": "Binary"}
RETURNS |= {"boolean": "Boolean", "float32": "Floating", "float64": "Floating", "json": "JSON"}

WIDTH = 116
"""Columns of a docstring, which is indented by four."""


def module(functions: dict[str, Function]) -> str:
    """Return the text of the module."""
    names = [function.python_name for function in functions.values()]
    taken = {"connect", "load", "call", "overload", "ir", "Any"}
    if clash := [name for name in names if names.count(name) > 1 or name in taken or keyword.iskeyword(name)]:
        raise SystemExit(f"docs/expressions.py: {sorted(set(clash))} cannot be names in duckdb_sam.ibis")
    body = "\n\n".join(map(text, functions.values()))
    used = set(re.findall(r"\w+", re.sub(r'""".*?"""', "", body, flags=re.DOTALL)))
    head = HEAD.format(
        typing=f"from typing import {', '.join(typing)}\n\n" if (typing := sorted({"Any", "overload"} & used)) else "",
        aliases=listed(f"{name}," for name in sorted({*ALIASES.values(), *SPECIAL} & used)),
        names=listed(f'"{name}",' for name in sorted(names)),
    )
    return f"{head}\n\n{body}"


def listed(lines: Iterable[str]) -> str:
    """Return lines in brackets as they are written."""
    return "\n".join(f"    {line}" for line in lines)


SPECIAL = ("ListOf", "Model", "Options", "Record")
"""Aliases of types that are made of others."""


def text(function: Function) -> str:
    """Return the source of one function, with its overloads for type checkers if it has several forms."""
    overloads = [header(function, some, returns) + " ...\n" for some, returns in variants(function)]
    source = "".join(f"@overload\n{each}" for each in overloads) if len(overloads) > 1 else ""
    parameters = whole(function)
    returns = dict.fromkeys(returned(form) for form in function.forms)
    lines = [f'    """{docstring(function)}"""']
    names = [name for name, _, _ in parameters if name != "*"]
    given = [f"{safe(name)}={safe(name)}" if safe(name) == name else f'**{{"{name}": {safe(name)}}}' for name in names]
    arguments = "".join(f"        {each},\n" for each in [f'"{function.name}"', *given])
    lines.append(f"    return call(\n{arguments}    )" if given else f'    return call("{function.name}")')
    return source + header(function, parameters, " | ".join(returns)) + "\n" + "\n".join(lines) + "\n"


Parameter = tuple[str, str, bool]
"""A name, its annotation, and whether None stands for leaving it out. ``*`` and ``/`` are as in Python."""


def whole(function: Function) -> list[Parameter]:
    """Return the parameters of the function that has all forms."""
    parameters: list[Parameter] = []
    free = False  # after a parameter that may be left out all may, as far as Python is concerned
    for place, name in enumerate(function.positional):
        free = free or name not in function.required
        kinds = [form.arguments[place].sql for form in function.forms if place < len(form.places)]
        kinds += [each.sql for form in function.forms for each in form.arguments if each.name == name]
        parameters.append((name, annotation(name, kinds), free))
    if function.keywords:
        parameters.append(("*", "", True))
        parameters += [(name, annotation(name, kinds_of(function, name)), True) for name in function.keywords]
    return parameters


def kinds_of(function: Function, name: str) -> list[str]:
    """Return the types that a keyword may have."""
    if name in function.options:
        return ["BIGINT" if function.options[name] == "int64" else "DOUBLE"]
    return [each.sql for form in function.forms for each in form.arguments if each.name == name]


def variants(function: Function) -> Iterable[tuple[list[Parameter], str]]:
    """Yield what the overloads take: one for each form, and one for options by keyword.

    Forms of which each goes on where the one before ends are one, whose last arguments may be left out.
    """
    forms = sorted(function.forms, key=lambda form: len(form.arguments))
    longest = forms[-1]
    if all(longest.arguments[: len(form.arguments)] == form.arguments for form in forms):
        least = len(forms[0].arguments)
        yield (
            [
                (each.name, annotation(each.name, [each.sql]), place >= least)
                for place, each in enumerate(longest.arguments)
            ],
            returned(longest),
        )
        return
    for form in function.forms:
        arguments = [(each.name, annotation(each.name, [each.sql]), False) for each in form.arguments]
        if form.is_prompt:
            start = [each for each in arguments if each[0] in form.places]
            points, labels, box = (next(each for each in arguments if each[0] == name) for name in PROMPT)
            loose = [(name, kind, True) for name, kind, _ in (labels, box)]
            yield [*start, ("*", "", True), points, *loose], returned(form)
            yield [*start, ("*", "", True), box], returned(form)
            continue
        shared = next((place for place, name in enumerate(form.names) if name != function.positional[place]), None)
        if shared is None:
            yield arguments, returned(form)
        else:  # a place that has another name in Python
            yield [*arguments, ("/", "", True)], returned(form)
            yield [*arguments[:shared], ("*", "", True), *arguments[shared:]], returned(form)
        if "options" in form.names and function.options:
            start = [each for each in arguments if each[0] != "options"]
            named = [(name, annotation(name, kinds_of(function, name)), True) for name in function.options]
            yield [*start, ("*", "", True), *named], returned(form)


def header(function: Function, parameters: list[Parameter], returns: str) -> str:
    """Return the first lines of a definition, up to its colon."""
    lines = []
    for name, kind, free in parameters:
        if name in ("*", "/"):
            lines.append(f"    {name},\n")
        elif free:
            lines.append(
                f"    {safe(name)}: {kind} | None = None,\n" if kind != "Any" else f"    {name}: Any = None,\n"
            )
        else:
            lines.append(f"    {safe(name)}: {kind},\n")
    inside = f"\n{''.join(lines)}" if lines else ""
    return f"def {function.python_name}({inside}) -> {returns}:"


def safe(name: str) -> str:
    """Return a name that Python takes."""
    return f"{name}_" if keyword.iskeyword(name) else name


def annotation(name: str, kinds: Iterable[str]) -> str:
    """Return the annotation of an argument that may have these types, in the words of the reference."""
    if name == "model":
        return "Model"
    parts = dict.fromkeys(alias(kind) for each in kinds for kind in each.split(" | "))
    return "Any" if "Any" in parts else " | ".join(parts)


def alias(kind: str) -> str:
    """Return the annotation of one type."""
    if kind in ALIASES:
        return ALIASES[kind]
    if kind.endswith("[]"):
        inner = alias(kind.removesuffix("[]"))
        return "Any" if inner == "Any" else f"ListOf[{inner}]"
    if kind == "MAP(VARCHAR, DOUBLE)":
        return "Options"
    return "Record" if kind.startswith(("STRUCT(", "MAP(")) else "Any"


def returned(form: Form) -> str:
    """Return Ibis's class of what a form returns."""
    kind = re.split(r"[<(]", form.returns)[0]
    if re.fullmatch(r"u?int\d+", kind):
        return "ir.IntegerValue"
    return f"ir.{RETURNS[kind]}Value" if kind in RETURNS else "ir.Value"


def docstring(function: Function) -> str:
    """Return the docstring: what the extension says, the ways to call it, arguments, result and an example."""
    first, _, rest = function.description.partition(". ")
    opening = first if first.endswith(".") else first + "."
    parts = [filled("---" + opening).removeprefix("---")]  # three columns are quotes
    if rest:
        parts.append(filled(rest))
    if len(function.forms) > 1:
        parts.append("\n".join(f"    {function.python_name}({usage(function, form)})" for form in function.forms))
    kinds: dict[str, list[str]] = {}
    for form in function.forms:
        for argument in form.arguments:
            kinds.setdefault(argument.name, []).append(argument.sql)
    for name, kind in function.options.items():
        kinds.setdefault(name, ["a whole number, an option" if kind == "int64" else "a number, an option"])
    if kinds:
        prompt = any(form.is_prompt for form in function.forms)
        said = {name: meaning(name, some, prompt) for name, some in kinds.items()}
        parts.append("\n".join(filled(f"``{name}``: {words}", "    ") for name, words in said.items()))
    returns = " or ".join(dict.fromkeys(form.returns for form in function.forms))
    parts.append(filled(f"Returns {returns}."))
    parts.append(f"    {example(function)}")
    indented = "\n\n".join(parts).replace("\\", "\\\\").replace('"""', "'''")
    return textwrap.indent(indented, "    ").lstrip() + "\n    "


def filled(words: str, indent: str = "") -> str:
    """Return a paragraph in lines."""
    return textwrap.fill(words, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def usage(function: Function, form: Form) -> str:
    """Return the arguments of a form as they are written in a call."""
    return ", ".join(f"{name}=" if name in function.keywords else name for name in form.names)


def meaning(name: str, kinds: list[str], prompt: bool) -> str:
    """Return what may be given for an argument, in few words. ``prompt``: of a function that takes one."""
    if prompt and name in PROMPTS:
        return f"{kinds[0]}, {PROMPTS[name]}."
    if name == "model":
        return "VARCHAR, the name or path of a model."
    said = [
        f"{kind}, {MEANINGS[kind]}" if kind in MEANINGS else kind
        for each in dict.fromkeys(kinds)
        for kind in each.split(" | ")
    ]
    return "; or ".join(said) + "."


def example(function: Function) -> str:
    """Return the example of SQL as Python: columns are deferred, keywords have their names."""
    sql = function.example
    try:
        start = sql.index(f"{function.name}(")
        source = re.sub(r"\bMAP\s*\{", "{", sql[start:])
        source = re.sub(r"\bNULL\b", "None", source)
        source = re.sub(r"'((?:[^']|'')*)'", lambda found: repr(found[1].replace("''", "'")), source)
        call = ast.unparse(Columns(function).visit(ast.parse(balanced(source), mode="eval")))
        return call if '"' in call else call.replace("'", '"')
    except (ValueError, SyntaxError, StopIteration):
        return f"In SQL: {sql}"


def balanced(source: str) -> str:
    """Return the call that ``source`` begins with, and the fields that are taken from it."""
    depth, quote = 0, ""
    for place, letter in enumerate(source):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in "([{") - (letter in ")]}")
            if letter == ")" and depth == 0:
                return source[: place + 1] + re.match(r"(?:\.\w+)*", source[place + 1 :])[0]
    raise ValueError("a bracket is not closed")


class Columns(ast.NodeTransformer):
    """Turns names of columns into ``_.name`` and calls into those of ``duckdb_sam.ibis``."""

    def __init__(self, function: Function) -> None:
        self.function = function

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Attribute(ast.Name("_", ast.Load()), node.id, ast.Load())

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        arguments = [self.visit(argument) for argument in node.args]
        keywords: list[ast.keyword] = []
        if name == self.function.name:
            arguments, keywords = self.named(arguments)
        call = ast.Name("sam." + name.removeprefix("sam_"), ast.Load())
        return ast.Call(call, arguments, keywords)

    def named(self, arguments: list[ast.expr]) -> tuple[list[ast.expr], list[ast.keyword]]:
        """Give keywords to what has no place, and to options."""
        forms = [form for form in self.function.forms if len(form.names) == len(arguments)]
        options = bool(self.function.options and arguments and isinstance(arguments[-1], ast.Dict))
        form = next(form for form in forms if not options or form.names[-1] == "options")
        given = list(zip(form.names, arguments, strict=True))
        arguments = [value for name, value in given if name in form.places]
        keywords = [ast.keyword(name, value) for name, value in given if name not in form.places]
        if options:
            given_options = arguments.pop()
            pairs = zip(given_options.keys, given_options.values, strict=True)
            keywords += [ast.keyword(key.value, value) for key, value in pairs]
        return arguments, keywords
