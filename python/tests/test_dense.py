"""``dense``: masks as arrays."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import duckdb_sam
from conftest import PHOTOS
from duckdb_sam import Segmenter, dense


@pytest.fixture(scope="module")
def photos() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb_sam.connect() as con:
        con.execute("""CREATE TABLE photos AS SELECT parse_filename(filename) AS name, content AS image,
                       image_info(content).width AS width, image_info(content).height AS height,
                       sam_segment('nano', content, [0.5, 0.6]) AS seg FROM read_blob(?)
                       UNION ALL VALUES ('none', NULL, 3, 2, NULL) ORDER BY name""", [str(PHOTOS / "c*")])  # fmt: skip
        yield con


def expected(con: duckdb.DuckDBPyConnection) -> list[np.ndarray | None]:
    rows = con.execute("SELECT seg.mask, height, width FROM photos ORDER BY name").fetchall()
    return [None if mask is None else np.array(mask, np.float32).reshape(height, width) for mask, height, width in rows]


def same(found: list[np.ndarray | None], wanted: list[np.ndarray | None]) -> bool:
    return [each is None for each in found] == [each is None for each in wanted] and all(
        one.dtype == other.dtype and np.array_equal(one, other)
        for one, other in zip(found, wanted, strict=True)
        if one is not None
    )


def test_probabilities(photos: duckdb.DuckDBPyConnection) -> None:
    wanted = expected(photos)
    relation = photos.sql("SELECT image, seg FROM photos ORDER BY name")
    table = relation.to_arrow_table()
    found = dense(table)
    assert same(found, wanted)
    address = table["seg"].chunk(0).field("mask").values.buffers()[1].address
    assert all(each is None or not each.flags.writeable for each in found)
    assert found[0].ctypes.data == address
    assert same(dense(relation), wanted)
    assert same(dense(photos.sql("SELECT seg.mask AS mask, height, width FROM photos ORDER BY name")), wanted)
    for given in (
        table.slice(1, 3),
        table.to_batches()[0].slice(1, 3),
        pa.concat_tables([table.slice(1, 1), table.slice(2, 2)]),
        pl.from_arrow(table.slice(1, 3)),
    ):
        assert same(dense(given, "seg", image="image"), wanted[1:4])
    paired = photos.sql("SELECT seg, [height, width] AS s FROM photos ORDER BY name")
    assert same(dense(paired, size="s"), wanted)
    assert same(dense(photos.sql("SELECT seg FROM photos WHERE name = 'coffee.jpg'"), size=(400, 600)), wanted[2:3])


def test_compact_masks() -> None:
    seg = Segmenter()
    data = (PHOTOS / "coffee.jpg").read_bytes()
    one = seg.predict(data, [0.5, 0.6])
    many = seg.generate(data, points_per_side=5)
    table = pa.table({"image": pa.array([data, None], pa.binary())})
    assert same(dense(seg.batch(table, point=[0.5, 0.6])), [one.to_numpy(), None])
    generated = seg.batch(table, generate={"points_per_side": 5}, into="found")
    assert same(dense(generated, "found"), [np.stack([mask.to_numpy() for mask in many]), None])
    assert same(dense(pa.table({"mask": [one.rle]})), [one.to_numpy()])
    assert dense(
        pa.table(
            {"masks": pa.array([[]], pa.list_(pa.struct([("size", pa.list_(pa.int32())), ("counts", pa.string())])))}
        )
    )[0].shape == (0, 0, 0)


def test_other_lists() -> None:
    pixels = np.arange(6).reshape(2, 3) % 2
    for kind in (pa.list_(pa.uint8()), pa.large_list(pa.float64()), pa.list_(pa.float32(), 6), pa.list_(pa.bool_())):
        column = pa.array([None, pixels.ravel().tolist(), pixels.ravel().tolist()], pa.list_(pa.int64())).cast(kind)
        found = dense(pa.table({"mask": column}).slice(0, 2), size=(2, 3))
        assert found[0] is None
        assert np.array_equal(found[1], pixels)


def test_what_is_wrong() -> None:
    table = pa.table({"mask": [[0.1] * 6], "n": [1], "image": pa.array([None], pa.binary())})
    for arguments, message in [
        ({"size": (2, 2)}, "row 0: a mask of 6 values is not one of 2 x 2 pixels"),
        ({"size": "s"}, "no column 's'; its columns are mask, n, image"),
        ({"column": "x"}, "the table has no column 'x'"),
        ({"column": "n"}, "column 'n' holds no masks but int64"),
        ({}, "row 0: the size of the mask is not known: its image is NULL or cannot be read"),
    ]:
        with pytest.raises(ValueError, match=message):
            dense(table, **arguments)
    with pytest.raises(ValueError, match="probabilities do not tell the size of their image: give size="):
        dense(table.select(["mask"]))
    with pytest.raises(ValueError, match="no column named mask; its columns are n"):
        dense(table.select(["n"]))
    with pytest.raises(TypeError, match=r"dense takes a DuckDB relation or an Arrow table, not builtins\.list"):
        dense([1])
