"""What commands print: text or one JSON document on stdout, all else on stderr."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

_BROKEN_PIPE = 141
"""As of a process that SIGPIPE has ended, 128 + 13."""


def prepare() -> None:
    """Let names of files be printed that are not Unicode, or that the encoding of the terminal has not."""
    stream = sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="surrogateescape" if stream.encoding.lower() == "utf-8" else "backslashreplace")


def say(text: str = "") -> None:
    """Print to stdout. Nobody reads it any more, as of ``| head``: then the process ends without a word."""
    try:
        print(text)
    except BrokenPipeError:
        _unread()


def note(text: str) -> None:
    """Print to stderr."""
    print(text, file=sys.stderr)


def document(value: Any) -> None:
    """Print one JSON document."""
    say(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def flush() -> None:
    """Write what was printed."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _unread()


def _unread() -> NoReturn:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is flushed in the end, and lost
    raise SystemExit(_BROKEN_PIPE)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows below each other; numbers stand at the right, None is nothing."""
    cells = [["" if value is None else str(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    right = [any(isinstance(row[place], (int, float)) for row in rows) for place in range(len(head))]
    for line in [list(head), *cells]:
        fitted = zip(line, widths, right, strict=True)
        say("  ".join(cell.rjust(width) if last else cell.ljust(width) for cell, width, last in fitted).rstrip())


def count(number: int, what: str, plural: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{number:,} {what if number == 1 else plural or what + 's'}"


def megabytes(size: int | None) -> str | None:
    """Return a size in words."""
    if size is None:
        return None
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
