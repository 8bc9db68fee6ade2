"""Results of queries, as Arrow."""

from __future__ import annotations

import warnings
from typing import Any


def arrow(result: Any) -> Any:
    """Read a result or a relation as an Arrow table, by the name that this release of DuckDB has for it."""
    if not hasattr(result, "to_arrow_table"):  # before 1.5
        return result.fetch_arrow_table()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Arrow output on a DB-API result", UserWarning)  # 2.0: of a copy, of masks
        return result.to_arrow_table()
