"""The options of ``generate``, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from operator import index
from typing import Any

WHOLE = ("points_per_side", "crop_n_layers", "crop_n_points_downscale_factor", "min_mask_region_area")
RANGES = {
    "points_per_side": (1, 256),
    "pred_iou_thresh": (0, 1),
    "stability_score_thresh": (0, 1),
    "stability_score_offset": (0, 100),
    "box_nms_thresh": (0, 1),
    "crop_n_layers": (0, 4),
    "crop_nms_thresh": (0, 1),
    "crop_overlap_ratio": (0, 0.5),
    "crop_n_points_downscale_factor": (1, 16),
    "min_mask_region_area": (0, 10**15),
}
"""The least and the most that ``sam_generate`` takes: it checks them when it has encoded an image, which is late."""
OPTIONS = tuple(RANGES)


def generate_options(given: Mapping[str, Any]) -> dict[str, float]:
    """Check the options of ``generate``; ``None`` stands for the default.

    Raises TypeError for an unknown option or another type, ValueError for a value out of range.
    """
    options: dict[str, float] = {}
    for name, value in given.items():
        if name not in RANGES:
            raise TypeError(f"generate has no option {name!r}; the options are {', '.join(OPTIONS)}")
        if value is None:
            continue
        try:
            if isinstance(value, (str, bytes, bool)):
                raise TypeError
            number = index(value) if name in WHOLE else float(value)
        except TypeError:
            kind = "a whole number" if name in WHOLE else "a number"
            raise TypeError(f"{name} must be {kind}, not {value!r}") from None
        except OverflowError:
            number = math.inf
        least, most = RANGES[name]
        if not least <= number <= most:  # NaN is not
            raise ValueError(f"{name} is {short(value)}; it must lie between {least} and {most}")
        options[name] = number
    return options


def batch_options(given: Any) -> dict[str, float] | None:
    """Return the options of ``generate`` as ``batch`` and ``run`` take it: a bool, or a dict of them; None for no."""
    if given is None or given is False:
        return None
    if given is True:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"generate must be True, False or a dict of options ({', '.join(OPTIONS)}), not {given!r}")
    return generate_options(given)  # pyright: ignore[reportUnknownArgumentType]


def short(value: object) -> str:
    """Return a value as text that fits into a line."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"
