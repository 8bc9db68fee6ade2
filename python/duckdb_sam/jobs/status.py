"""How far a job is, and what it has done."""

from __future__ import annotations

from typing import NamedTuple


class Status(NamedTuple):
    """What a job's ``progress`` function is given."""

    done: int
    """Rows that are finished, those that were there before this run among them; it moves within a batch."""
    total: int | None
    """Rows in the source; None where only reading it to the end would tell."""
    failed: int
    """Rows of this run that went into the errors."""
    rate: float
    """Images per second, lately; 0 before the first."""
    left: float | None
    """Seconds that are left at this rate, if that can be said."""


class Summary(NamedTuple):
    """What a run of a job has done."""

    rows: int
    """Results that were written; rows whose image or prompt is NULL among them."""
    failed: int
    """Rows that went into the errors instead."""
    skipped: int
    """Rows of the source that were there already, as results or errors."""
    seconds: float
    """From the first batch to the end."""
    into: str
    """Where the results are: a table, a Parquet file, or a folder of them."""
    errors: str
    """Where the errors are. A Parquet file or folder exists only if there are some."""

    @property
    def images_per_second(self) -> float:
        """Rows, failed ones included, by seconds."""
        return (self.rows + self.failed) / self.seconds if self.seconds > 0 else 0.0

    def __repr__(self) -> str:
        parts = [f"{self.rows:,} rows into {self.into}"]
        if self.failed:
            parts.append(f"{self.failed:,} failed into {self.errors}")
        if self.skipped:
            parts.append(f"{self.skipped:,} were there already")
        if self.rows + self.failed:
            parts.append(f"{self.seconds:.1f} s, {self.images_per_second:.1f} images/s")
        return f"Summary({'; '.join(parts)})"

    __str__ = __repr__
