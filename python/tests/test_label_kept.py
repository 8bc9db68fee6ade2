"""Bytes that are kept while a page is open."""

from __future__ import annotations

from duckdb_sam.labelling.kept import Kept


def test_the_latest_are_kept() -> None:
    kept: Kept[str] = Kept(10)
    for name in "abc":
        kept.put(name, name.encode() * 4)
    assert [kept.get(name) for name in "abc"] == [None, b"bbbb", b"cccc"]
    assert kept.get("b") == b"bbbb"  # asked for later than c
    kept.put("d", b"d")
    kept.put("e", b"eeee")
    assert [kept.get(name) for name in "bcde"] == [b"bbbb", None, b"d", b"eeee"]
    kept.put("e", b"e")  # another time, and shorter
    kept.put("f", b"ffff")
    assert [kept.get(name) for name in "bdef"] == [b"bbbb", b"d", b"e", b"ffff"]
    kept.put("large", b"x" * 11)  # one is kept in any case
    assert [kept.get(name) for name in ("b", "f", "large")] == [None, None, b"x" * 11]
