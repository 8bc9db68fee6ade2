"""Values and names as SQL has them, where a statement cannot take them as parameters."""

from __future__ import annotations


def literal(value: object) -> str:
    """Return a value as text in quotes."""
    return "'" + str(value).replace("'", "''") + "'"


def identifier(*parts: str) -> str:
    """Return a name in quotes: of a column, or of a table with its schema and database before it."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)
