"""Prints what docs/results.json keeps of results, for the reference docs/functions.md."""

from __future__ import annotations

from typing import Any

WIDTH = 110
"""Values that are longer are broken into lines."""
CELL = 60
"""The longest text in a cell of a table."""


def result(name: str, kept: dict[str, Any], table: str | None) -> str:
    """Return the paragraphs below an example: its result, a picture of it, and what is to be said."""
    parts = [heading(kept, table), values(kept), kept.get("varies"), kept.get("note")]
    if "picture" in kept:
        parts.append(f"![What {name} returns, as a picture](pictures/{kept['picture']})")
    return "\n\n".join(part for part in parts if part) + "\n"


def heading(kept: dict[str, Any], table: str | None) -> str:
    """Return the line above a result: of which query, and how much of it."""
    what = f"Then `{kept['query']}` returns" if "query" in kept else "Result"
    where = f", on the table `{table}`" if table else ""
    left = kept["count"] - len(kept["rows"])
    much = f", the first {len(kept['rows'])} of {kept['count']:,} rows" if left else ""
    return f"{what}{where}{much}:"


def values(kept: dict[str, Any]) -> str:
    """Return the rows of a result: a value by itself as code, others as a table."""
    rows, columns = kept["rows"], kept["columns"]
    if len(columns) == 1 and len(rows) == 1:
        return indented(broken(rows[0][0]))
    if columns == ["result"]:
        return indented("\n".join(broken(value) for (value,) in rows))
    lines = [columns, ["---"] * len(columns), *([cell(value) for value in row] for row in rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return table if rows else f"{table}\n\nNo rows."


def indented(code: str) -> str:
    """Return a block of code, as the reference has them."""
    return "\n".join(f"    {line}" for line in code.splitlines())


def cell(value: Any) -> str:
    """Return a value in a cell of a table."""
    text = value if isinstance(value, str) else printed(value)
    text = text if len(text) <= CELL else text[:CELL].rsplit(" ", 1)[0] + " …"
    return "`" + text.replace("|", "\\|").replace("`", "'") + "`" if text else ""


def printed(value: Any, inside: bool = False) -> str:
    """Return a value in one line, much as DuckDB prints it; texts inside others stand in quotes."""
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).lower()
        case str():
            return "'" + value.replace("'", "''") + "'" if inside else value
        case {"$text": length, "first": first}:
            return f"{first}… {length:,} characters"
        case {"$blob": length}:
            image = f"{value['format'].upper()}, {value['width']} x {value['height']}, " if "format" in value else ""
            return f"BLOB ({image}{length:,} bytes)"
        case {"$mask": size}:
            return f"{{'size': {size}, 'counts': '…'}}"
        case {"$list": length, "first": first}:
            return f"[{', '.join(printed(each, True) for each in first)}, … {length:,} in all]"
        case dict():
            return "{" + ", ".join(f"'{key}': {printed(each, True)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(printed(each, True) for each in value) + "]"
        case _:
            return str(value)


def broken(value: Any) -> str:
    """Return a value in lines that are not too long: one for each part of a struct or list."""
    line = printed(value)
    if len(line) <= WIDTH:
        return line
    match value:
        case {"$list": length, "first": first}:
            return block("[", [*map(nested, first), f"… {length:,} in all"], "]")
        case dict() if not any(key.startswith("$") for key in value):
            return block("{", [f"'{key}': {nested(each)}" for key, each in value.items()], "}")
        case list():
            return block("[", [nested(each) for each in value], "]")
        case _:
            return line


def nested(value: Any) -> str:
    """Return a part of a value, in lines of its own where it is long."""
    return broken(value) if isinstance(value, (dict, list)) else printed(value, True)


def block(opening: str, parts: list[str], closing: str) -> str:
    """Return parts between brackets, each on lines of its own."""
    lines = ",\n".join(parts).splitlines()
    return "\n".join([opening, *(f"  {line}" for line in lines), closing])
