"""What the expressions take, for type checkers. An argument may always be a column or a deferred expression as well."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, SupportsFloat, SupportsIndex, TypeVar, Union

from duckdb_sam.masks import Mask

T = TypeVar("T")


class Value(Protocol):
    """A column or value of Ibis, or of xorq's copy of it. (Ibis's own types say little of a table's columns.)"""

    def op(self) -> Any:
        """Return the operation."""


class Deferred(Protocol):
    """An expression that waits for its table, such as ``_.image``."""

    def resolve(self, _: Any = None, **kwargs: Any) -> Any:
        """Return the expression on a table."""


class Array(Protocol):
    """An array of NumPy, or of a library like it."""

    def tolist(self) -> Any:
        """Return its values as nested lists."""


Expression = Union[Value, Deferred]  # noqa: UP007
Text = Union[str, Expression]  # noqa: UP007
Model = Union[str, os.PathLike[str], Expression]  # noqa: UP007
"""The name or path of a model."""
Bytes = Union[bytes, bytearray, memoryview, Expression]  # noqa: UP007
Image = Union[bytes, bytearray, memoryview, Mapping[str, Any], Expression]  # noqa: UP007
"""The bytes of an image file, also as {"bytes", "path"}. A path is read by DuckDB's ``read_blob``."""
MaskLike = Union[Mask, Mapping[str, Any], str, Expression]  # noqa: UP007
"""A mask: COCO's run lengths, a record with them as its ``segmentation``, a ``Mask``, or JSON of any of them."""
Flag = Union[bool, Expression]  # noqa: UP007
Whole = Union[SupportsIndex, Expression]  # noqa: UP007
"""A whole number: an int or NumPy's, no float and no bool."""
Number = Union[SupportsFloat, Expression]  # noqa: UP007
Record = Union[Mapping[str, Any], Expression]  # noqa: UP007
Options = Union[Mapping[str, Number], Expression]  # noqa: UP007
"""Options by name."""
ListOf = Union[Sequence[T], Array, Expression]  # noqa: UP007
"""A list or tuple, in which there may be expressions, or an array."""
