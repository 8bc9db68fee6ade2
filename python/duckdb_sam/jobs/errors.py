"""What can go wrong with a job as a whole; images that fail are rows of its errors table."""

from __future__ import annotations


class JobError(RuntimeError):
    """A job cannot start or go on; the text says what to do. What was written before is whole, and stays."""
