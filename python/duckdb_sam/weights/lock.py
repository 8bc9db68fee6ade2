"""One process at a time: a lock that the system lets go of when its holder dies."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _take(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


_AGAIN = 0.1
"""Seconds between two looks at a lock that another process holds."""


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Generator[None]:
    """Hold the lock file at ``path``, which is removed in the end. ``waiting`` is called once if another holds it.

    An OSError says that the file cannot be made or that its file system has no locks.
    """
    told = False
    while (handle := _try(path)) is None:
        if not told:
            waiting()
            told = True
        time.sleep(_AGAIN)
    try:
        yield
    finally:
        # Still locked where that is possible, so that nobody else takes it in between.
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(handle)
        if sys.platform == "win32":
            with contextlib.suppress(OSError):
                path.unlink()


def _try(path: Path) -> int | None:
    """Return a handle that holds the lock, or None if another process holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _take(handle)
        # Whoever held it may have removed the file since: then this lock is on a file that nobody else sees.
        if os.path.samestat(os.fstat(handle), os.stat(path)):
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    except PermissionError:
        if sys.platform != "win32":  # there it is how a held lock is told
            os.close(handle)
            raise
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None
