"""What goes wrong with weights."""

from __future__ import annotations


class PullError(RuntimeError):
    """A model could not be downloaded or checked; the text says why and what to do."""
