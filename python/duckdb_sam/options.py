"""The options of ``generate``, checked."""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import Any

WHOLE = ("points_per_side", "crop_n_layers", "crop_n_points_downscale_factor", "min_mask_region_area")
OPTIONS = (
    *("points_per_side", "pred_iou_thresh", "stability_score_thresh", "stability_score_offset", "box_nms_thresh"),
    *("crop_n_layers", "crop_nms_thresh", "crop_overlap_ratio", "crop_n_points_downscale_factor"),
    "min_mask_region_area",
)


def generate_options(given: Mapping[str, Any]) -> dict[str, float]:
    """Check the options of ``generate``; ``None`` stands for the default."""
    options: dict[str, float] = {}
    for name, value in given.items():
        if name not in OPTIONS:
            raise TypeError(f"generate has no option {name!r}; the options are {', '.join(OPTIONS)}")
        if value is None:
            continue
        try:
            if isinstance(value, (str, bytes, bool)):
                raise TypeError
            options[name] = index(value) if name in WHOLE else float(value)
        except TypeError:
            kind = "a whole number" if name in WHOLE else "a number"
            raise TypeError(f"{name} must be {kind}, not {value!r}") from None
    return options
