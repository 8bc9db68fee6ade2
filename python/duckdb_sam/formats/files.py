"""Files and folders that are there as a whole or not at all, and nothing overwritten that was not meant."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from duckdb_sam.formats import ledger

AnyPath = str | os.PathLike[str]


def _beside(path: Path) -> Path:
    """Return a name that is not taken, in the same folder."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")


@contextlib.contextmanager
def replaced(path: AnyPath) -> Generator[Path, None, None]:
    """Give a file to write, which becomes ``path`` when the block ends without an error; missing folders are made.

    Within ``ledger.kept``, a file that is not to be replaced stays.
    """
    final = Path(path).expanduser()
    if final.is_dir():
        raise IsADirectoryError(f"{final} is a folder: give the path of a file")
    if final.exists() and not final.is_file():
        raise ValueError(f"{final} is a device or a pipe: give the path of a file")
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(final)
    try:
        yield partial
        if ledger.take(final, partial):
            os.replace(partial, final)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: AnyPath, value: Any) -> Path:
    """Write JSON (ASCII, so that readers with any default encoding take it) and return its path."""
    with replaced(path) as partial, partial.open("x", encoding="ascii") as file:
        json.dump(value, file, allow_nan=False)
    return Path(path).expanduser()


@contextlib.contextmanager
def staged(folder: AnyPath, *, overwrite: bool, owned: Sequence[str] = ()) -> Generator[Path, None, None]:
    """Give an empty folder, whose files move into ``folder`` when the block ends without an error.

    Other files in ``folder`` stay. Files that are there already are a FileExistsError, and nothing moves, unless
    ``overwrite``. The subfolders ``owned`` are replaced as a whole, so that nothing of an earlier export stays in them.
    Within ``ledger.kept``, ``overwrite`` replaces only what may be replaced.
    """
    final = Path(folder).expanduser()
    if final.exists() and not final.is_dir():
        raise NotADirectoryError(f"{final} is a file: give the path of a folder")
    if not final.absolute().name:
        raise IsADirectoryError(f"{final} is the root of the file system: give a folder in it")
    final.parent.mkdir(parents=True, exist_ok=True)
    stage = _beside(final.absolute())
    stage.mkdir()
    try:
        yield stage
        files = sorted(path.relative_to(stage) for path in stage.rglob("*") if not path.is_dir() or path.is_symlink())
        if not final.exists():
            for path in files:
                ledger.take(final / path, stage / path)
            os.replace(stage, final)
            return
        taken = [path for path in files if (final / path).exists()]
        taken += [Path(name) for name in owned if (stage / name).is_dir() and any_in(final / name)]
        if taken and not overwrite:
            exist = f"and {len(taken) - 1} more exist" if len(taken) > 1 else "exists"
            raise FileExistsError(f"{final / taken[0]} {exist} already: give another folder, or overwrite=True")
        files = [path for path in files if ledger.take(final / path, stage / path)]
        for name in owned:
            if (final / name).is_dir() and (stage / name).is_dir():
                os.replace(final / name, _beside(stage / name))  # goes with the stage
        for path in files:
            (final / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(stage / path, final / path)
        for name in owned:
            if (stage / name).is_dir():
                (final / name).mkdir(exist_ok=True)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def any_in(folder: Path) -> bool:
    """Tell whether there is something in a folder."""
    return folder.is_dir() and any(folder.iterdir())
