"""The same expressions in xorq, which has its own copy of Ibis."""

from __future__ import annotations

import pyarrow as pa
import pytest
import xorq.api as xo

from conftest import PHOTOS, counters


@pytest.mark.filterwarnings("default")
def test_the_whole_query_with_a_cache() -> None:
    from xorq.caching import SourceCache

    import duckdb_sam.ibis as sam

    images = [(PHOTOS / f"{name}.jpg").read_bytes() for name in ("coins", "chelsea", "coffee", "rocket")]
    table = pa.table({"id": range(4), "sensitivity": [0.9, 0.1, 0.8, 0.7], "image": images})
    engine = xo.duckdb.connect(allow_unsigned_extensions=True)
    sam.load(engine)
    engine.con.execute("CALL sam_unload('nano')")  # nothing is remembered from other tests
    before = counters(engine.con)["encodes"]
    expression = (
        xo.connect()
        .register(table, table_name="images")
        .into_backend(engine)
        .select(["id", "sensitivity", sam.segment("nano", xo._.image, [0.5, 0.6]).name("segmented")])
        .filter([xo._.sensitivity >= 0.5])
        .limit(3)
        .cache(SourceCache.from_kwargs(source=xo.duckdb.connect()))
        .filter([xo._.segmented.iou_score > 0.0])
        .select([xo._.id, xo._.segmented.iou_score])
    )
    first = expression.execute()
    assert list(first["id"]) == [0, 2, 3]
    assert counters(engine.con)["encodes"] - before == 3
    assert expression.execute().equals(first)
    assert counters(engine.con)["encodes"] - before == 3
