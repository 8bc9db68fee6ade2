"""Releases that are known not to work together, told when ``duckdb_sam.ibis`` is imported."""

from __future__ import annotations

import re
import warnings
from importlib import metadata


class VersionError(ImportError):
    """Ibis, as installed, can run no query on DuckDB, as installed; the text has the command that mends it."""


class VersionWarning(UserWarning):
    """Some calls of Ibis fail with another package, as installed; the text has the command that mends it."""


def check() -> None:
    """Raise or warn if the installed releases do not fit."""
    ibis, duckdb, sqlglot = (_version(name) for name in ("ibis-framework", "duckdb", "sqlglot"))
    if not ibis or _numbers(ibis)[0] != 12:
        return  # missing, which is said elsewhere, or a release of which nothing is known
    pins: list[str] = []
    failures: list[str] = []
    if duckdb and _numbers(duckdb) >= (2, 0):
        pins.append("'duckdb>=1.4,<2'")
        failures.append(f"no query runs on DuckDB {duckdb}, which has no fetch_arrow_table()")
    if sqlglot and _numbers(sqlglot) >= (30, 18):
        pins.append("'sqlglot<30.18'")
        failures.append(
            f"create_table() of data in memory, drop_table() and the end of a cache() fail with sqlglot {sqlglot}, "
            "which drops the name in DROP VIEW"
        )
    if not failures:
        return
    text = f"Ibis {ibis}: {'; '.join(failures)}. Install releases that fit: pip install {' '.join(pins)}"
    if len(failures) == 2 or "duckdb" in pins[0]:
        raise VersionError(text)
    warnings.warn(text, VersionWarning, stacklevel=3)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """Return the first two numbers of a version; of a pre-release, those of the release that it leads to."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
