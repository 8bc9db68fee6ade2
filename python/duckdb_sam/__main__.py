"""``python -m duckdb_sam`` is the command ``duckdb-sam``."""

from __future__ import annotations

from duckdb_sam.cli import main

if __name__ == "__main__":
    main()
