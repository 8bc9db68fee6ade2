"""Long jobs: ``run`` segments many images into a table or Parquet files, and goes on where it was after any end."""

from __future__ import annotations

from duckdb_sam.jobs.errors import JobError
from duckdb_sam.jobs.job import run
from duckdb_sam.jobs.status import Status, Summary

__all__ = ["JobError", "Status", "Summary", "run"]
