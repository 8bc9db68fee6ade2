"""What can go wrong with a job as a whole; images that fail are rows of its errors table."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Generator
from typing import Any

import duckdb

from duckdb_sam.optional import needed


class JobError(RuntimeError):
    """A job cannot start or go on; the text says what to do. What was written before is whole, and stays."""


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR)


@contextlib.contextmanager
def writing(into: str) -> Generator[None]:
    """Make a JobError of what the place of the results refuses, with what to do about it."""
    pa = needed("pyarrow", "jobs", "run")
    try:
        yield
    except duckdb.InterruptException:
        raise
    except (OSError, duckdb.Error, pa.ArrowException) as error:
        raise JobError(f"{into} cannot be written or read: {_said(error)}. {_remedy(error)}") from error


def _said(error: Exception) -> str:
    return str(error).strip().rstrip(".!")


def _remedy(error: Exception) -> str:
    number, text = getattr(error, "errno", None), str(error).lower()
    if number in _FULL or "no space left" in text or "file too large" in text or "disk quota" in text:
        return (
            "Free space there, and make the same call again: it goes on with what was written, which is whole; or give "
            "another place as into="
        )
    if number in _FORBIDDEN or "read-only" in text or "permission denied" in text or "readonly" in text:
        return "Give a place as into= that can be written, or change its permissions, and make the same call again"
    if isinstance(error, duckdb.FatalException) or "has been invalidated" in text:
        return "Open the database anew, and make the same call again: it goes on with what was written, which is whole"
    return "Mend that, and make the same call again: it goes on with what was written, which is whole"


def check_fits(schema: Any, attempt: Callable[[Any], object], where: str) -> None:
    """Refuse a column that the place of the results cannot hold; ``attempt`` writes a table without rows there."""
    pa = needed("pyarrow", "jobs", "run")
    for field in schema:
        try:
            attempt(pa.schema([field]).empty_table())
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid, duckdb.NotImplementedException) as error:
            raise TypeError(
                f"the column {field.name!r} holds {field.type}, which {where} cannot hold: cast it in the source, such "
                f"as to text, or leave it out ({_said(error)})"
            ) from error
