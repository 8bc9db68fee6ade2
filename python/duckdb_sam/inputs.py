"""What users name their rows by: connections, files of databases, Parquet files, texts of queries."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

DATABASES = (".db", ".duckdb", ".ddb")
"""What the file of a database ends with."""

PARQUET = (".parquet", ".parq", ".pq")
"""What a Parquet file ends with."""

QUERY = re.compile(
    r"(\s|--.*\n|/\*(?s:.*?)\*/|\()*(SELECT|FROM|WITH|VALUES|PIVOT|UNPIVOT|SUMMARIZE|TABLE)\b", re.IGNORECASE
)
"""How a text begins that is a query, unless there is a file of that name."""


def connection_of(con: Any) -> duckdb.DuckDBPyConnection | None:
    """Return a connection as it is, or that of an Ibis backend; None for None. Raises TypeError for anything else."""
    import duckdb

    if con is None or isinstance(con, duckdb.DuckDBPyConnection):
        return con
    inner = getattr(con, "con", None)  # an Ibis backend
    if isinstance(inner, duckdb.DuckDBPyConnection):
        return inner
    raise TypeError(f"con must be a DuckDB connection or an Ibis backend of one, not {type(con).__qualname__}")


def is_one_select(con: duckdb.DuckDBPyConnection, text: str) -> bool:
    """Whether a text is one statement, and one that only reads."""
    statements = con.extract_statements(text)
    return len(statements) == 1 and "SELECT" in str(statements[0].type)


def is_database(path: str) -> bool:
    """Whether it is the path of a file that begins as DuckDB's databases do."""
    if not os.path.isfile(path):  # a pipe would be waited for
        return False
    try:
        with open(path, "rb") as file:
            return file.read(12)[8:] == b"DUCK"
    except (OSError, ValueError):
        return False
