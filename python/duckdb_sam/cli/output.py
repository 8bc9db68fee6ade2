"""What commands print: text or one JSON document on stdout, all else on stderr."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from duckdb_sam.cli.streams import say

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def document(value: Any) -> None:
    """Print one JSON document. Names of files that are no Unicode have escapes in it, as ``json`` reads them."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2, default=str)
    say(text)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows below each other; numbers stand at the right, None is nothing."""
    cells = [["" if value is None else printable(str(value)) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    right = [any(isinstance(row[place], (int, float)) for row in rows) for place in range(len(head))]
    for line in [list(head), *cells]:
        fitted = zip(line, widths, right, strict=True)
        say("  ".join(cell.rjust(width) if last else cell.ljust(width) for cell, width, last in fitted).rstrip())


def printable(text: str) -> str:
    """Return a text, such as the name of a file, without what would break its line or steer the terminal."""
    return _CONTROLS.sub(lambda sign: sign[0].encode("unicode_escape").decode(), text)


def count(number: int, what: str, plural: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{number:,} {what if number == 1 else plural or what + 's'}"


def megabytes(size: int | None) -> str | None:
    """Return a size in words."""
    if size is None:
        return None
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
