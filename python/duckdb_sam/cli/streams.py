"""Standard input, output and errors as they may be: closed, full, without a reader, in an encoding of few signs."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import NoReturn

UNREAD = 141
"""As of a process that SIGPIPE has ended, 128 + 13."""


class OutputError(Exception):
    """What was printed could not be written."""


def prepare() -> None:
    """Open what is closed, as ``>&-`` does it, so that no other file takes its number; and let all names be printed.

    Names of files may be no Unicode, or have signs that the encoding of the terminal has not.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape" if stream.encoding.lower() == "utf-8" else "backslashreplace")


def say(text: str = "") -> None:
    """Print to stdout. Nobody reads it any more, as of ``| head``: then the process ends without a word."""
    try:
        print(text)
    except OSError as failure:
        _unwritten(failure)


def flush() -> None:
    """Write what was printed. Raises OutputError where that cannot be."""
    try:
        sys.stdout.flush()
    except OSError as failure:
        _unwritten(failure)


def note(text: str) -> None:
    """Print to stderr, if there is somebody to read it."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _dropped(2)


def _unwritten(failure: OSError) -> NoReturn:
    _dropped(1)
    if isinstance(failure, BrokenPipeError) or failure.errno == errno.EINVAL:  # the latter is Windows' word for it
        raise SystemExit(UNREAD)
    raise OutputError(f"stdout cannot be written to: {failure.strerror or failure}")


def _dropped(number: int) -> None:
    """Let what is still to be written go nowhere, else Python tries it again in the end, and complains."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
