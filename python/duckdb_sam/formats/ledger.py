"""What a job has written beside its results, so that nothing else is ever replaced by it.

Before a file gets its name, its size and SHA-256 are noted in a file beside the output of the job. What is found later
under that name and has not one of these sums is somebody's work.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Generator
from contextvars import ContextVar
from pathlib import Path

ENDING = ".exports"


class Ledger:
    """Names and sums of files; names are relative to the folder of the ledger, so that all may be moved together."""

    def __init__(self, path: Path, job: str = "", *, overwrite: bool = False) -> None:
        """Read what ``job`` has noted at ``path``, if there is something.

        Jobs are the tables of one database. With ``overwrite`` every file may be replaced.
        """
        self._path, self._job, self._overwrite = path, job, overwrite
        self._folder = os.path.realpath(path.parent)
        self._known: dict[str, set[str]] = {}
        self.kept: list[Path] = []
        """Files that were to be written, and were left as they are."""
        with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii", errors="replace") as file:
            for line in file:
                self._read(line)

    def forget(self) -> None:
        """Begin anew: the results to which the files belong are gone."""
        if self._known:
            self._known.clear()
            self._note(None, None)

    def knows(self, path: Path) -> bool:
        """Whether a file of that name was written, whatever is there now."""
        return self._name(path) in self._known

    def knows_in(self, folder: Path) -> bool:
        """Whether a file in a folder was written."""
        inside = os.path.join(self._name(folder), "")
        return any(name.startswith(inside) for name in self._known)

    def may_replace(self, path: Path) -> bool:
        """Whether there is nothing at ``path``, or exactly what the job has written."""
        if self._overwrite or not os.path.lexists(path):
            return True
        return summed(path) in self._known.get(self._name(path), ())

    def take(self, path: Path, new: Path) -> bool:
        """Note that ``new`` is about to become ``path``; False if what is there has to stay."""
        if not self.may_replace(path):
            self.kept.append(path)
            return False
        name, total = self._name(path), summed(new)
        known = self._known.setdefault(name, set())
        if total not in known:
            known.add(total)
            self._note(name, total)
        return True

    def _name(self, path: Path) -> str:
        whole = os.path.join(os.path.realpath(path.parent), path.name)
        try:
            return os.path.relpath(whole, self._folder)
        except ValueError:  # another drive of Windows
            return whole

    def _read(self, line: str) -> None:
        try:
            job, name, total = json.loads(line)
        except (ValueError, TypeError):  # a line that was half-written by a process that was killed
            return
        if job == self._job and name is None:
            self._known.clear()
        elif job == self._job:
            self._known.setdefault(name, set()).add(total)

    def _note(self, name: str | None, total: str | None) -> None:
        with open(self._path, "ab") as file:
            # A line that was half-written ends here.
            begin = b"\n" if file.tell() and not self._ended() else b""
            file.write(begin + json.dumps([self._job, name, total]).encode() + b"\n")

    def _ended(self) -> bool:
        with open(self._path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"


def summed(path: Path) -> str:
    """Return size and SHA-256 of a file, or where a link leads."""
    if path.is_symlink():
        return f"-> {os.readlink(path)}"
    if not path.is_file():
        return "no file"
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
            size += len(data)
    return f"{size} {digest.hexdigest()}"


_current: ContextVar[Ledger | None] = ContextVar("ledger", default=None)


@contextlib.contextmanager
def kept(ledger: Ledger) -> Generator[None]:
    """Note all files that are written within the block, and leave what is not to be replaced."""
    token = _current.set(ledger)
    try:
        yield
    finally:
        _current.reset(token)


def take(path: Path, new: Path) -> bool:
    """Whether ``new`` may become ``path``, as the ledger in use has it; without one it may."""
    ledger = _current.get()
    return ledger is None or ledger.take(path, new)
