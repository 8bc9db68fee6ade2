"""sam_annotate on damaged pictures: a mask or NULL and an entry in sam_errors(), never anything else."""

from __future__ import annotations

import random

import duckdb

from conftest import ROOT

SEEDS = sorted((ROOT / "test" / "data").glob("*.*g*"))


def damaged(count: int) -> list[bytes]:
    """Return damaged pictures, the same in every run."""
    choose = random.Random(1)
    pictures = [path.read_bytes() for path in SEEDS]
    result = []
    for _ in range(count):
        picture = bytearray(choose.choice(pictures))
        for _ in range(choose.randint(1, 6)):
            at = choose.randrange(choose.choice([min(len(picture), 600), len(picture)]))
            match choose.randrange(3):
                case 0:
                    picture[at] = choose.randrange(256)
                case 1:
                    del picture[at : at + choose.randrange(40)]
                case 2:
                    picture[at:at] = choose.randbytes(choose.randrange(40))
            picture = picture or bytearray(b"\0")
        result.append(bytes(picture))
    return result


def test_damaged_pictures(con: duckdb.DuckDBPyConnection) -> None:
    count = 300
    con.execute("CREATE TABLE t (id INTEGER, image BLOB)")
    con.executemany("INSERT INTO t VALUES (?, ?)", list(enumerate(damaged(count))))
    errors = "SELECT value FROM sam_stats() WHERE counter = 'errors'"
    before = con.execute(errors).fetchone()[0]
    con.execute("CALL sam_configure(on_error := 'null', image_megapixels := 2)")
    try:
        con.execute("CREATE TABLE masks AS SELECT image, sam_annotate('nano', image, [0.4, 0.5]) AS s FROM t")
        failed = con.execute(errors).fetchone()[0] - before
        # image_info raises too, on pictures of a kind that it knows and cannot read, so it is asked afterwards.
        masks, sizes = con.execute("""
            SELECT count(s), count(*) FILTER (s IS NULL OR s.segmentation.size = [i.height, i.width])
            FROM (SELECT s, image_info(image) AS i FROM masks)
        """).fetchone()
    finally:
        con.execute("CALL sam_configure(on_error := 'fail', image_megapixels := 100)")
    assert 0 < masks < count
    assert masks + failed == count
    assert sizes == count
    assert not con.execute("SELECT message FROM sam_errors() WHERE message LIKE '%internal error%'").fetchall()
