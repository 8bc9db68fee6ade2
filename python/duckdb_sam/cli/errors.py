"""What may go wrong through no fault of ours, in one line and in the words of the command line."""

from __future__ import annotations

import errno
import os
import re
import sys
from pathlib import Path

import click

USAGE = 2
SOME_FAILED = 3
INTERRUPTED = 130
"""Exit statuses beside 0 and 1."""

_PACKAGE = Path(__file__).resolve().parents[1]

_OPTIONS = (
    *("batch", "boxes", "box", "box_format", "errors", "force", "generate", "image_size", "into", "labels", "model"),
    *("overwrite", "point", "points", "replace", "restart", "retry_errors", "table", "threads", "unit"),
)
"""Arguments of Python's functions that are options here."""


class Mistake(click.ClickException):
    """Something that the user can mend; the status is 1."""


def reason(error: BaseException) -> str | None:
    """Return what is to be told of an error instead of a traceback; None for one that is a fault of this package."""
    if isinstance(error, OSError):
        return _system(error)
    duckdb = sys.modules.get("duckdb")
    known = (ValueError, ImportError, MemoryError, *([duckdb.Error] if duckdb else []))
    if isinstance(error, known) or type(error).__module__.startswith("duckdb_sam.") or _refused(error):
        said = re.sub(r"^(?:[A-Z][A-Za-z]* ){1,3}Error: (?:(?:sam|mask|image|box)_\w+: )?", "", str(error))
        text = _unknown_model(said) or spoken(said) or type(error).__name__
        if "database file with version number" in text:
            return f"{text.splitlines()[0].rstrip('.')}: pip install --upgrade duckdb, or give another file"
        return f"{text}; is the disk full? The same command goes on" if "No space left" in text else text
    from duckdb_sam import LoadError

    return str(error) if isinstance(error, LoadError) else None


def _system(error: OSError) -> str:
    text = error.strerror or str(error)
    if error.errno == errno.ENOENT and not os.path.exists(os.curdir):
        return "the current folder is no longer there: change to another"
    if error.filename is not None and error.strerror:
        text = f"{error.filename}: {text}"
    if error.errno == errno.ENOSPC:
        text += "; when there is room again, the same command goes on"
    return spoken(text)


def _unknown_model(text: str) -> str | None:
    """Return what to do for a model that is published and not here."""
    match = re.match(r"unknown model '([^']*)'", text)
    if match is None:
        return None
    from duckdb_sam.weights.registry import models

    names = [model.name for model in models()]
    if match[1] not in names:
        return None
    return f"the model {match[1]} is not in the model folder yet: duckdb-sam pull {match[1]} downloads it"


def _refused(error: BaseException) -> bool:
    """Whether it is a TypeError with which this package refuses an argument."""
    if not isinstance(error, TypeError):
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and _PACKAGE in Path(trace.tb_frame.f_code.co_filename).resolve().parents


def spoken(text: str) -> str:
    """Return a message of the Python package as the command line says it: ``--unit pixel`` for ``unit='pixel'``."""
    for name in _OPTIONS:
        option = f"--{name.replace('_', '-')}"
        text = re.sub(rf"\b{name}=True\b", option, text)
        text = re.sub(rf"\b{name}='([^' ]*)'", rf"{option} \1", text)
        text = re.sub(rf"\b{name}=\[\[?x, y\]?[^\]]*\]*", f"{option} X Y", text)
        text = re.sub(rf"\b{name}=(?=[\s,.;:)]|$)", option, text)
    text = text.replace("duckdb_sam.pull('mobile_sam') in Python, or ", "").replace(" on the command line", "")
    text = text.replace("pull(..., folder=...)", "--folder")
    text = text.replace("say that it is to be replaced", "--replace it")
    text = re.sub(r"\bpull\('([^']*)', --force\)", r"duckdb-sam pull --force \1", text)
    text = re.sub(r"\bpull\('([^']*)'\)", r"duckdb-sam pull \1", text)
    return text.replace("the same call", "the same command").replace("duckdb_sam.run", "duckdb-sam run")
