"""Libraries that the package uses where they are installed, and does not require."""

from __future__ import annotations

import importlib
from typing import Any


def needed(module: str, extra: str, purpose: str) -> Any:
    """Import ``module``, or say which extra of the package brings it. ``purpose`` begins the message."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise ImportError(f"{purpose} needs {library}: pip install 'duckdb-sam[{extra}]'") from error
