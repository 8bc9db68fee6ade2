"""Published weights: which there are (``models``) and how to get them (``pull``), and any weights
as one file (``convert``).

The table is ``registry.json``: another model is another entry there.
"""

from __future__ import annotations

from duckdb_sam.weights.convert import convert
from duckdb_sam.weights.errors import PullError
from duckdb_sam.weights.registry import Model, models
from duckdb_sam.weights.store import pull

__all__ = ["Model", "PullError", "convert", "models", "pull"]
