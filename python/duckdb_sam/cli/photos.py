"""What images are meant: files, folders, patterns, and lists of them in a file or on stdin."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from duckdb_sam.cli.errors import Mistake
from duckdb_sam.cli.streams import note

HELP = (
    "PHOTOS are files, folders (with all below them), patterns such as 'photos/*.jpg', @list.txt for a file with a "
    "path in each line, or - for such a list on stdin."
)


class Photos(NamedTuple):
    """Images by their paths, each once."""

    paths: list[str]
    folders: list[str]
    """The folders among what was given."""
    others: int = 0
    """Files in these folders that do not end as images do, and were left out."""

    @property
    def root(self) -> str | None:
        """The folder, if one was given that has all of them."""
        if len(self.folders) != 1 or not all(inside(path, self.folders[0]) for path in self.paths):
            return None
        return self.folders[0]


def photos(given: Sequence[str], missing: dict[str, str] | None = None) -> Photos:
    """Find the images. What was named and is not there is a Mistake; so is nothing at all.

    With ``missing``, what is not there is put into it, with the reason, while the others are found.
    """
    from duckdb_sam.jobs.source_paths import plain_path

    paths: list[str] = []
    folders: dict[str, list[str]] = {}
    for each in given:
        try:
            if each == "-" or (each.startswith("@") and not os.path.exists(each)):
                for line in _listed(each):
                    paths += _found(line, folders, listed=True)
            else:
                paths += _found(each, folders, listed=False)
        except Mistake as mistake:
            if missing is None:
                raise
            missing[each] = mistake.message
    if not paths and not missing:
        where = ", ".join("the list on stdin" if each == "-" else each for each in given)
        raise Mistake(f"there are no images in {where}")
    others = {plain_path(other) for found in folders.values() for other in found}
    return Photos(
        list(dict.fromkeys(map(plain_path, paths))), list(dict.fromkeys(map(plain_path, folders))), len(others)
    )


def inside(path: str, folder: str) -> bool:
    """Whether a path is in a folder, or is the folder."""
    whole, outer = os.path.realpath(path), os.path.realpath(folder)
    return whole == outer or whole.startswith(os.path.join(outer, ""))


def _listed(name: str) -> Iterator[str]:
    """Read a list, whose lines end as they do anywhere, or with the zeros of ``find -print0``."""
    if name == "-":
        if sys.stdin.isatty():
            note("Give paths, one in each line, and end them with Ctrl-D:")
        data = sys.stdin.buffer.read()
    else:
        try:
            with open(os.path.expanduser(name[1:]), "rb") as file:
                data = file.read()
        except OSError as error:
            raise Mistake(f"the list {name}: {error.strerror}") from error
    data = data.removeprefix(b"\xef\xbb\xbf")
    for line in data.split(b"\0") if b"\0" in data else data.splitlines():
        if line.strip():
            yield os.fsdecode(line)


def _found(given: str, folders: dict[str, list[str]], *, listed: bool) -> list[str]:
    from duckdb_sam.jobs.source_paths import SUFFIXES, walked

    path = os.path.expanduser(given)
    if os.path.isdir(path):
        images, folders[path] = walked(path)
        if not images:
            raise Mistake(f"the folder {given} holds no images ({', '.join(SUFFIXES)})")
        return images
    if os.path.exists(path):
        return [path]
    if glob.has_magic(path):
        images = sorted(each for each in glob.glob(path, recursive=True) if os.path.isfile(each))
        if images:
            return images
        raise Mistake(f"no file matches {given!r}")
    if listed:  # a job tells of it with the others that fail
        return [path]
    raise Mistake(f"there is no file or folder {given!r}")
