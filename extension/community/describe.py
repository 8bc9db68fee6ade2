"""Writes docs/function_descriptions.csv, from which the extension's page in the community repository is made.

DuckDB's C API has no place for descriptions, so that duckdb_functions() shows none; sam_functions() has them.

    make docs
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import duckdb_sam

PATH = Path(__file__).parent / "docs" / "function_descriptions.csv"


def descriptions() -> str:
    """Return the file: for each function its first sentence, the others, and an example."""
    with duckdb_sam.connect() as con:
        rows = con.execute(
            "SELECT function_name, any_value(description), any_value(example) FROM sam_functions() "
            "GROUP BY function_name ORDER BY function_name"
        ).fetchall()
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["function", "description", "comment", "example"])
    for name, description, example in rows:
        first, _, rest = re.sub(r"\. (?=[A-Z`])", ".\n", description, count=1).partition("\n")
        table.writerow([name, first, rest, example])
    return text.getvalue()


if __name__ == "__main__":
    PATH.write_text(descriptions(), encoding="utf-8")
