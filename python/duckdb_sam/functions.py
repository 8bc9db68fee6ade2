"""The SQL functions of the extension that have a typed expression, as data.

One row per SQL function and number of arguments. Types are Ibis's, written as text, so that this module needs no
Ibis. Inputs are float64 because Ibis infers that for Python lists; DuckDB casts them. Outputs are float32,
as the functions return them: declaring anything else would make Ibis cast whole masks.
"""

from __future__ import annotations

from typing import NamedTuple

IMAGE = "image"
"""Stands for one of IMAGE_TYPES, chosen by the argument."""

IMAGE_TYPES = ("binary", "struct<bytes: binary, path: string>")

_POINT = "array<float64>"
_POINTS = "array<array<float64>>"
_SEGMENT = "struct<mask: array<float32>, iou_score: float32>"
_ANNOTATION = (
    "struct<segmentation: struct<size: array<int32>, counts: string>, bbox: array<float32>, area: int64, "
    "predicted_iou: float32, stability_score: float32>"
)
_MODEL = (
    "struct<name: string, path: string, architecture: string, image_size: int32, mask_size: int32, parameters: int64, "
    "bytes: int64, license: string, sha256: string>"
)
_IMAGE_INFO = "struct<width: int32, height: int32, channels: int32, format: string, orientation: int32>"
_ONE_POINT = (("model", "string"), ("image", IMAGE), ("point", _POINT))
_PROMPTS = (
    ("model", "string"),
    ("image", IMAGE),
    ("points", _POINTS),
    ("labels", "array<int64>"),
    ("box", "array<float64>"),
)


class Function(NamedTuple):
    """A SQL function with one list of arguments."""

    name: str
    arguments: tuple[tuple[str, str], ...]
    returns: str


FUNCTIONS = (
    Function("sam_segment", _ONE_POINT, _SEGMENT),
    Function("sam_segment", _PROMPTS, _SEGMENT),
    Function("sam_annotate", _ONE_POINT, _ANNOTATION),
    Function("sam_annotate", _PROMPTS, _ANNOTATION),
    Function("sam_model_info", (("model", "string"),), _MODEL),
    Function("image_info", (("image", IMAGE),), _IMAGE_INFO),
    Function("sam_version", (), "string"),
)
