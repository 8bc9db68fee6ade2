"""Paths of images: a folder, a list, or whatever gives them one by one. The files are read batch by batch."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from duckdb_sam.jobs.keys import Key, Unique
from duckdb_sam.optional import needed
from duckdb_sam.options import short

COLUMN = "path"
"""The only column: key and image at once."""

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    *(".heic", ".heif", ".avif", ".jxl", ".jp2"),  # not decoded: the errors say what to do about them
)
"""What a file in a folder must end with to be taken for an image."""


def in_folder(folder: str) -> list[str]:
    """Return the images in a folder and all below it, in the order of their names; hidden files are left out."""
    return walked(folder)[0]


def plain_path(path: str) -> str:
    """Leave out what changes nothing, so that ``./a.jpg`` and ``a.jpg`` are one image; ``..`` may pass a link."""
    parts = [part for part in path.split(os.sep) if part not in ("", ".")]
    return (os.sep if path.startswith(os.sep) else "") + os.sep.join(parts) or "."


def walked(folder: str) -> tuple[list[str], list[str]]:
    """Return the images as ``in_folder`` does, and the other files that are not hidden."""
    found: list[str] = []
    others: list[str] = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.startswith("."):
                continue
            path = os.path.join(root, name)
            # Not a pipe, which would be waited for; a link that leads nowhere is told of when it is read.
            is_image = name.lower().endswith(SUFFIXES) and not stat.S_ISFIFO(_mode(path))
            (found if is_image else others).append(path)
    return found, others


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


class Paths:
    """Rows with one column, ``path``."""

    refused: Mapping[str, str] = MappingProxyType({})
    passed = 0

    def __init__(self, paths: Iterable[str | os.PathLike[str]], first: Any = None) -> None:
        """Take a list, or what gives paths once, of which the ``first`` is known."""
        pa = needed("pyarrow", "jobs", "run")
        self._paths, self._first = paths, first
        self.schema = pa.schema([(COLUMN, pa.string())])

    def relative_to(self, output: str | None) -> str | None:
        """Return the folder that paths are relative to, as seen from that of the output; None if they are absolute.

        The same relative paths mean other files elsewhere, unless images and output have moved together.
        """
        some = self._paths if isinstance(self._paths, list) else [self._first]
        if some and all(isinstance(path, (str, os.PathLike)) and os.path.isabs(_local(path)) for path in some):
            return None
        here = os.path.realpath(os.getcwd())
        return here if output is None else os.path.relpath(here, os.path.realpath(output))

    def keys(self, names: Sequence[str]) -> list[Key] | None:
        """Return the paths, if they are a list."""
        return [as_text(path) for path in self._paths] if isinstance(self._paths, list) else None

    def chunks(
        self, columns: Sequence[str], names: Sequence[str], done: Collection[Key], rows: Callable[[], int]
    ) -> Iterator[Any]:
        """Give the paths that are not done."""
        pa = needed("pyarrow", "jobs", "run")
        unique = Unique(names)
        iterator = iter(self._paths)
        while True:
            taken = [as_text(path) for path in islice(iterator, rows())]
            if not taken:
                return
            unique.check(taken)
            new = [path for path in taken if path not in done]
            self.passed += len(taken) - len(new)
            if new:
                yield pa.table({COLUMN: pa.array(new, pa.string())})


def _local(path: Any) -> str:
    text = os.fsdecode(path)
    return "/" if "://" in text else os.path.expanduser(text)  # an address is the same everywhere


def as_text(path: Any) -> str:
    """Return a path as a table can hold it: that of a file whose name is not UTF-8 as its URI."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"the list of paths holds {short(path)}, which is no path")
    text: str = os.fsdecode(path)  # pyright: ignore[reportUnknownArgumentType]
    try:
        text.encode()
    except UnicodeEncodeError:
        return Path(text).expanduser().absolute().as_uri()
    return text
