"""The options of ``generate`` have the ranges that the extension has, with its words."""

from __future__ import annotations

import duckdb
import pytest

import duckdb_sam
from conftest import ROOT
from duckdb_sam.options import RANGES, WHOLE, generate_options

DISC = ROOT / "test" / "data" / "disc.png"


@pytest.mark.parametrize("name", RANGES)
def test_ranges(name: str) -> None:
    few = "" if name == "points_per_side" else "'points_per_side': 1, "
    call = f"SELECT sam_generate('nano', ?::BLOB, MAP {{{few}?: ?::DOUBLE}})"
    least, most = RANGES[name]
    step = 1 if name in WHOLE else 0.25  # which is a number of 32 bits, too
    with duckdb_sam.connect() as con:
        for value in (least - step, most + step):
            with pytest.raises(ValueError) as here:
                generate_options({name: value})
            with pytest.raises(duckdb.InvalidInputException, match=f"sam_generate: {name} is ") as there:
                con.execute(call, [DISC.read_bytes(), name, value])
            if name != "min_mask_region_area" and value >= 0:
                assert str(here.value) in str(there.value)
        for value in (least,) if name in ("points_per_side", "crop_n_layers") else (least, most):  # or it takes long
            assert generate_options({name: value}) == {name: value}
            con.execute(call, [DISC.read_bytes(), name, value])
    for wrong in (float("nan"), float("inf"), 10**400):
        with pytest.raises((ValueError, TypeError), match=name):
            generate_options({name: wrong})
