"""The scalar functions of the extension as data: ``functions.json``, which ``make docs`` writes.

Types are Ibis's, as text, so that this module needs no Ibis. Inputs are float64 and int64 because Ibis infers those for
Python lists; outputs are what the functions return: declaring anything else would make Ibis cast whole masks.
"""

from __future__ import annotations

import json
from importlib.resources import files

from duckdb_sam.signatures import read

FUNCTIONS = read(json.loads(files("duckdb_sam").joinpath("functions.json").read_text(encoding="utf-8")))
"""By their SQL names."""
