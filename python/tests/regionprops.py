"""Writes test/data/regionprops.json: masks with their shapes as scikit-image computes them, for test_measure.py.

scikit-image is no dependency of the tests: with SciPy it takes longer to install than the tests take that would use it.
Run this where it is installed: ``python python/tests/regionprops.py``.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np

from conftest import ROOT
from masks import encode, shapes

PATH = ROOT / "test" / "data" / "regionprops.json"
PROPERTIES = [
    "area",
    "area_convex",
    "axis_major_length",
    "axis_minor_length",
    "eccentricity",
    "equivalent_diameter_area",
    "extent",
    "orientation",
    "perimeter",
    "solidity",
]


def measure(mask: np.ndarray) -> dict[str, Any]:
    """Return what scikit-image says of a mask with pixels, with x before y."""
    from skimage.measure import regionprops

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of hulls that are lines
        [region] = regionprops(mask.astype(np.uint8))
        found = {name: float(getattr(region, name)) for name in PROPERTIES}
    y, x = region.centroid
    return found | {"centroid": [float(x), float(y)]}


if __name__ == "__main__":
    import skimage

    random = np.random.default_rng(15)
    rows = [{"mask": encode(mask), "shape": measure(mask)} for mask in shapes(random, 250) if mask.any()]
    text = ",\n".join(json.dumps(row) for row in rows)
    PATH.write_text(f'{{"scikit-image": "{skimage.__version__}", "rows": [\n{text}\n]}}\n', encoding="utf-8")
