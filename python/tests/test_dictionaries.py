"""Rows that a filter or a limit has dropped are not computed, in whatever form the engine reads the column.

DuckDB 1.4 and 1.5 run some functions on whole dictionaries, which is how Parquet comes from pyarrow, pandas and polars,
how DuckDB's own storage compresses repeated values, and what a join makes of a small table. ``evaluations.test``
counts for flat columns; this file for all others.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from conftest import counters

PICTURES = 60
BAD = b"no picture at all"

# Expressions over `image` that run the model.
CALLS = {
    "generate": "len(sam_generate('nano', {image}, 2))",
    "many": "len(sam_annotate_many('nano', {image}, [{{'points': [[0.5, 0.5]]}}]))",
    "embed": "octet_length(sam_embed('nano', {image}))",
}


def picture(number: int) -> bytes:
    image = Image.new("RGB", (40 + number, 40), (40, 60, 80))
    ImageDraw.Draw(image).ellipse((5, 5, 30, 30), fill=(220, 180, number))
    out = io.BytesIO()
    image.save(out, "WEBP", lossless=True)
    return out.getvalue()


IMAGES = [picture(number) for number in range(PICTURES)]


def rows(images: list[bytes]) -> dict[str, list[Any]]:
    """Every picture twice, so that the writer takes a dictionary for worth while."""
    ids = list(range(len(images)))
    return {"id": ids * 2, "copy": [0] * len(ids) + [1] * len(ids), "image": images * 2}


def by_pyarrow(images: list[bytes], path: Path) -> str:
    pq.write_table(pa.table(rows(images)), path / "t.parquet")
    return f"'{path}/t.parquet'"


def by_pandas(images: list[bytes], path: Path) -> str:
    pd.DataFrame(rows(images)).to_parquet(path / "t.parquet")
    return f"'{path}/t.parquet'"


def by_polars(images: list[bytes], path: Path) -> str:
    pl.DataFrame(rows(images)).write_parquet(path / "t.parquet")
    return f"'{path}/t.parquet'"


def by_hugging_face(images: list[bytes], path: Path) -> str:
    columns = rows(images)
    file = pa.StructArray.from_arrays(
        [pa.array(columns["image"]), pa.array(["a.webp"] * len(columns["image"]))], ["bytes", "path"]
    )
    pq.write_table(pa.table({"id": columns["id"], "copy": columns["copy"], "file": file}), path / "t.parquet")
    return f"(SELECT id, copy, file.bytes AS image FROM '{path}/t.parquet')"


def by_duckdb(images: list[bytes], path: Path) -> str:
    with duckdb.connect() as con:
        con.register("t", pa.table(rows(images)))
        con.execute(f"COPY t TO '{path}/t.parquet' (FORMAT parquet)")
    return f"'{path}/t.parquet'"


def in_storage(images: list[bytes], path: Path) -> str:
    with duckdb.connect() as con:
        con.register("source", pa.table(rows(images)))
        con.execute(f"ATTACH '{path}/t.db' AS db (STORAGE_VERSION 'latest')")
        con.execute("CREATE TABLE db.t AS FROM source")
    return "db.t"


def of_a_join(images: list[bytes], path: Path) -> str:
    pq.write_table(pa.table({"id": list(range(len(images))), "image": images}), path / "t.parquet")
    return f"(SELECT id, copy, image FROM (SELECT range // 2 AS id, range % 2 AS copy FROM range({2 * len(images)})) \
              JOIN '{path}/t.parquet' USING (id))"


SOURCES = [by_pyarrow, by_pandas, by_polars, by_hugging_face, by_duckdb, in_storage, of_a_join]


@pytest.fixture(params=SOURCES, ids=lambda source: source.__name__)
def table(request: pytest.FixtureRequest, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> Callable[..., str]:
    def make(images: list[bytes]) -> str:
        source = request.param(images, tmp_path)
        if source == "db.t":
            con.execute(f"ATTACH '{tmp_path}/t.db' AS db (READ_ONLY)")
        return source

    con.execute("CALL sam_unload('nano')")
    return make


def encodes(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[list[Any], int]:
    before = counters(con)
    found = con.execute(sql).fetchall()
    return found, int(counters(con)["encodes"] - before["encodes"])


@pytest.mark.parametrize("name", ["many", "embed"])
def test_only_the_rows_of_the_result(con: duckdb.DuckDBPyConnection, table: Callable[..., str], name: str) -> None:
    call, source = CALLS[name].format(image="image"), table(IMAGES)
    # Each with its rows and the pictures in them.
    queries = [
        (f"SELECT {call} FROM {source} WHERE id < 3 AND copy = 0", 3, 3),
        (f"SELECT CASE WHEN id < 3 THEN {call} END FROM {source}", 2 * PICTURES, 3),
        (f"SELECT {call} FROM (FROM {source} ORDER BY id, copy LIMIT 6)", 6, 3),
        # Above a join the engine computes the projection first, whatever the function.
        (f"SELECT {call} FROM {source} ORDER BY id, copy LIMIT 6", 6, None if "JOIN" in source else 3),
        (f"SELECT {call} FROM (SELECT DISTINCT ON (id) * FROM {source}) WHERE id >= 55", 5, 5),
        (f"SELECT {call} FROM (SELECT DISTINCT ON (id) * FROM {source}) LIMIT 3", 3, 3),
        (f"SELECT {call} FROM (SELECT DISTINCT ON (id) * FROM {source}) USING SAMPLE 3", 3, 3),
    ]
    for sql, count, pictures in queries:
        con.execute("CALL sam_unload('nano')")
        found, runs = encodes(con, sql)
        assert len(found) == count, sql
        assert runs == pictures or not pictures, (runs, sql)


@pytest.mark.parametrize("name", ["generate", "embed"])
def test_a_bad_row_outside_the_result_is_no_concern(
    con: duckdb.DuckDBPyConnection, table: Callable[..., str], name: str
) -> None:
    call, source = CALLS[name].format(image="image"), table([*IMAGES[:3], BAD])
    good = con.execute(f"SELECT id, copy, {call} FROM {source} WHERE id < 3 ORDER BY ALL").fetchall()
    assert len(good) == 6
    tried = con.execute(f"SELECT id, copy, TRY({call}) FROM {source} ORDER BY ALL").fetchall()
    assert tried == [*good, (3, 0, None), (3, 1, None)]
    con.execute("CALL sam_configure(on_error := 'null')")
    try:
        listed = con.execute("SELECT count(*) FROM sam_errors()").fetchone()
        con.execute(f"SELECT {call} FROM {source} WHERE id < 3").fetchall()
        assert con.execute("SELECT count(*) FROM sam_errors()").fetchone() == listed
    finally:
        con.execute("CALL sam_configure(on_error := 'fail')")


@pytest.mark.parametrize(
    "call",
    ["image_thumbnail(image, 0)", "image_crop(image, [0, 0, -1, 1])", "image_convert(image, 'no format')"],
)
def test_wrong_arguments_outside_the_result_are_no_concern(
    con: duckdb.DuckDBPyConnection, table: Callable[..., str], call: str
) -> None:
    source = table(IMAGES)
    assert con.execute(f"SELECT {call} FROM {source} WHERE id < 0").fetchall() == []
    with pytest.raises(duckdb.InvalidInputException):
        con.execute(f"SELECT {call} FROM {source} WHERE id < 1").fetchall()


MASK = "{'size': [2, 2], 'counts': [1, 2, 1]}"
SOME = ['{"size": [2, 2], "counts": [1, 2, 1]}', '{"size": [2, 2], "counts": [1, 3]}', "[[0, 0, 1, 0, 1, 1]]"]


def dictionary(path: Path, values: list[Any]) -> str:
    """A file whose only column but `id` is in a dictionary, each value four times."""
    ids = list(range(len(values)))
    pq.write_table(pa.table({"id": ids * 4, "value": values * 4}), path / "t.parquet")
    return f"'{path}/t.parquet'"


@pytest.mark.parametrize("column", ["value", "value::JSON", "json_extract(value, '$')", "upper(value).lower()"])
@pytest.mark.parametrize(
    "call",
    [
        "mask_area(COLUMN)",
        "mask_to_wkt(COLUMN, 1.0)",
        f"mask_iou({MASK}, COLUMN)",
        f"mask_iou(COLUMN, {MASK})",
        f"mask_iou('{SOME[0]}', COLUMN)",
    ],
)
def test_masks_as_text(con: duckdb.DuckDBPyConnection, tmp_path: Path, call: str, column: str) -> None:
    """COCO's segmentations as JSON: polygons, which these functions refuse, among masks."""
    call, source = call.replace("COLUMN", column), dictionary(tmp_path, [*SOME, None])
    assert con.execute(f"SELECT count({call}), count(*) FROM {source} WHERE id <> 2").fetchone() == (8, 12)
    assert con.execute(f"SELECT count(TRY({call})), count(*) FROM {source}").fetchone() == (8, 16)
    flat = f"(SELECT unnest({SOME[:2]}) AS value)"
    expected = con.execute(f"SELECT {call} FROM {flat} ORDER BY ALL").fetchall()
    assert con.execute(f"SELECT DISTINCT {call} FROM {source} WHERE id < 2 ORDER BY ALL").fetchall() == expected
    with pytest.raises(duckdb.InvalidInputException, match="mask_from_polygons"):
        con.execute(f"SELECT {call} FROM {source}").fetchall()


@pytest.mark.parametrize(
    ("call", "known"),
    [
        ("image_convert($1, value)", "png"),
        ("image_convert($1, 'png', value)", "full"),
        ("sam_embed('nano', $1, value)", "f16"),
        ("sam_embed(value, $1)", "nano"),
    ],
)
def test_texts_beside_a_constant_picture(con: duckdb.DuckDBPyConnection, tmp_path: Path, call: str, known: str) -> None:
    source, picture = dictionary(tmp_path, [known, "gif", None]), [IMAGES[0]]
    assert con.execute(f"SELECT count({call}), count(*) FROM {source} WHERE id <> 1", picture).fetchone() == (4, 8)
    assert con.execute(f"SELECT count(TRY({call})), count(*) FROM {source}", picture).fetchone() == (4, 12)
    with pytest.raises(duckdb.InvalidInputException, match="gif"):
        con.execute(f"SELECT {call} FROM {source}", picture).fetchall()


def test_ibis_filters_and_limits_before_it_computes(tmp_path: Path) -> None:
    import duckdb_sam.ibis as sam

    pq.write_table(pa.table(rows(IMAGES)), tmp_path / "t.parquet")
    con = sam.connect()
    con.raw_sql("CALL sam_unload('nano')")
    before = counters(con.con)
    t = con.read_parquet(tmp_path / "t.parquet")
    t = t.filter([t.id >= 20, t.copy == 0]).limit(6)
    assert len(t.select(found=sam.generate("nano", t.image, 2).length()).execute()) == 6
    assert counters(con.con)["encodes"] - before["encodes"] == 6
