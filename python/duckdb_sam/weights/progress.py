"""How far a download is, on a terminal or in a notebook; nothing at all elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Generator

from duckdb_sam.notebook import Bar, is_notebook

Report = Callable[[int, "int | None"], None]
"""Takes the bytes that are here and those that there will be, if that is known."""

_EVERY = 0.2
"""Seconds between two changes of a plain line."""


@contextlib.contextmanager
def shown(label: str) -> Generator[Report]:
    """Show the progress of ``label``: with Rich if it is installed, else as a line that is written again and again.

    In a notebook it is a bar in the cell.
    """
    if is_notebook():
        yield _sparing(Bar(label).move)
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.progress import TransferSpeedColumn as SpeedColumn
    except ImportError:
        with _line(label) as report:
            yield report
        return
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), SpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _sparing(show: Callable[[int, int | None, str], None]) -> Report:
    """Return what calls ``show``, with megabytes in words, now and then and in the end."""
    last = 0.0

    def report(done: int, total: int | None) -> None:
        nonlocal last
        if time.monotonic() - last < _EVERY and done != total:
            return
        last = time.monotonic()
        show(done, total, _megabytes(done, total))

    return report


def _megabytes(done: int, total: int | None) -> str:
    of = f" of {total / 1e6:.1f}" if total else ""
    return f"{done / 1e6:.1f}{of} MB"


@contextlib.contextmanager
def _line(label: str) -> Generator[Report]:
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return

    def show(_done: int, _total: int | None, text: str) -> None:
        print(f"\r{label}: {text}", end="", file=sys.stderr, flush=True)

    try:
        yield _sparing(show)
    finally:
        print(file=sys.stderr)


def say(text: str) -> None:
    """Write ``text`` to a terminal."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr)
