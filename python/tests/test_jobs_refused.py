"""``run``: what would be wrong for every image is one error, before anything is written, and keys are what they are."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pandas
import polars
import pyarrow as pa
import pytest

import duckdb_sam
import jobs
from conftest import ROOT, WITHOUT_IBIS

PATH = ROOT / "test" / "data" / "disc.png"
DISC = PATH.read_bytes()
OPTIONS: dict[str, Any] = {"key": "k", "point": [0.5, 0.5], "keep": []}


def rows(**columns: Any) -> pa.Table:
    """Two images with two keys, and other columns."""
    return pa.table({"k": [1, 2], "image": [DISC, DISC], **columns})


@pytest.fixture
def images() -> Any:
    with duckdb_sam.connect() as con:
        con.execute("CREATE TABLE images AS SELECT $1 AS image", [DISC])
        yield con


def keyed(con: duckdb.DuckDBPyConnection, *keys: str) -> duckdb.DuckDBPyRelation:
    return con.sql(f"SELECT k, image FROM ({' UNION ALL '.join(f'SELECT {key} AS k' for key in keys)}), images")


def test_options_and_constant_prompts(tmp_path: Path) -> None:
    for wrong, kind, message in [
        ({"generate": {"points_per_side": 0}}, ValueError, "points_per_side is 0; it must lie between 1 and 256"),
        ({"generate": {"pred_iou_thresh": float("nan")}}, ValueError, "pred_iou_thresh is nan; it must lie"),
        ({"generate": {"box_nms_thresh": 10**400}}, ValueError, r"box_nms_thresh is 1000.* \(401 characters\)"),
        ({"generate": [1]}, TypeError, r"generate must be True, False or a dict of options"),
        ({"point": [5, 0.5]}, ValueError, "lies outside the image"),
        ({"point": [[0.5, 0.5]]}, TypeError, "several are points="),
        ({"point": [10**400, 0.5]}, ValueError, "must hold finite numbers"),
        ({"points": [0.5, 0.5]}, TypeError, r"points\[0\] must be a list, not 0.5"),
        ({"points": [[0.5, 0.5]], "labels": [1, 0]}, ValueError, "2 labels for 1 points"),
        ({"box": [0.5, 0.5, 0.1, 0.1]}, ValueError, "has no area"),
        ({"box": [5, 5, 1, 1], "unit": "pixel"}, ValueError, "has no area"),
        ({"boxes": [[0.1, 0.1, 0.5, 0.5], [0.1]]}, ValueError, r"boxes\[1\]: box has 1 numbers"),
        ({"point": "text"}, TypeError, "point: the column 'text' holds string; it must hold lists of two numbers"),
        ({"box": "deep"}, TypeError, "box: the column 'deep' holds list<.*list<"),
        ({"points": "flat"}, TypeError, "points: the column 'flat' holds list<"),
        ({"settings": {"cache_gb": 1}, "point": [0, 0]}, ValueError, "cache_gb"),
    ]:
        source = rows(text=["a", "b"], deep=[[[0.5]]] * 2, flat=[[0.5, 0.5]] * 2)
        for into in jobs.KINDS.values():
            with pytest.raises(kind, match=message):
                jobs.job(source, f"{tmp_path}/{into}", **{**OPTIONS, "point": None, **wrong})
    assert not list(tmp_path.iterdir())


def test_batch_limits(tmp_path: Path) -> None:
    for limit in (float("inf"), float("nan"), 10**400, -1, "64"):
        with pytest.raises(ValueError, match="batch_mb must be a number of megabytes above 0"):
            jobs.job(rows(), tmp_path / "out.parquet", batch_mb=limit, **OPTIONS)
    assert jobs.job(rows(), tmp_path / "out.parquet", **{**OPTIONS, "batch": 10**400}).rows == 2


@pytest.mark.parametrize("kind", jobs.KINDS)
def test_a_job_without_results_may_begin_anew(kind: str, tmp_path: Path) -> None:
    into = f"{tmp_path}/{jobs.KINDS[kind]}"
    source = rows(box=[[1, 1, 9, 9], [2, 2, 9, 9]])
    call = {**OPTIONS, "point": None, "box": "box"}
    assert jobs.job(source, into, **call)[:2] == (0, 2)
    assert jobs.job(source, into, **call, unit="pixel")[:3] == (2, 0, 0)
    assert jobs.read(into, errors=True) == [] if kind == "database" else not list(tmp_path.rglob("*errors*.parquet"))
    with pytest.raises(duckdb_sam.JobError, match="unit was 'pixel', now 'fraction'"):
        jobs.job(source, into, **call)
    assert len(jobs.read(into)) == 2


def test_numbers_of_sql_are_prompts(images: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    source = images.sql("SELECT 1 AS k, image, [0.5, 0.5] AS click FROM images")
    assert str(source.types[2]).startswith("DECIMAL")
    assert jobs.job(source, tmp_path / "out.parquet", **{**OPTIONS, "point": "click"}).rows == 1


TEXTS = {
    "NUL": ("'a' || chr(0) || 'b'", "'a'", "'a' || chr(0)", "'it''s' || chr(0)"),
    "cases": ("'a'", "'A'", "'b'", "'Z'", "'é'", "'É'"),
    "JSON": ("""'{"a": 1}'::JSON""", "'[1]'::JSON"),
    "UUID": ("'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID", "'00eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID"),
    "HUGEINT": ("99999999999999999999999999999999999999::HUGEINT", "-5::HUGEINT"),
    "DECIMAL": ("0.0000000001::DECIMAL(20, 10)", "0::DECIMAL(20, 10)"),
    "BLOB": (r"'\x00\xFF'::BLOB", "''::BLOB"),
    "TIMESTAMP_S": ("TIMESTAMP_S '2020-01-01 00:00:01'", "TIMESTAMP_S '0001-01-01'"),
}


@pytest.mark.parametrize("collation", ["", "NOCASE"])
@pytest.mark.parametrize("kind", TEXTS)
def test_keys_are_compared_as_they_are(kind: str, collation: str, images: Any, tmp_path: Path) -> None:
    images.execute(f"SET default_collation = '{collation}'")
    for into in jobs.KINDS.values():
        source = keyed(images, *TEXTS[kind])
        assert jobs.job(source, f"{tmp_path}/{into}", **OPTIONS, batch=1).rows == len(TEXTS[kind])
        assert jobs.job(source, f"{tmp_path}/{into}", **OPTIONS).skipped == len(TEXTS[kind])
    twice = source.select("k, k AS other, image")
    call = {**OPTIONS, "key": ["k", "other"], "batch": 1}
    assert jobs.job(twice, tmp_path / "two.parquet", **call).rows == len(TEXTS[kind])


@WITHOUT_IBIS
def test_keys_with_a_collation_of_ibis(images: Any, tmp_path: Path) -> None:
    con = ibis.duckdb.from_connection(images)
    images.execute("CREATE TABLE named (k VARCHAR COLLATE NOCASE, j VARCHAR, image BLOB)")
    images.executemany("INSERT INTO named VALUES (?, ?, ?)", [[name, name, DISC] for name in ("a", "A", "b", "Z")])
    for key in ("k", ["k", "j"]):
        into = tmp_path / f"{len(key)}{key[0]}.parquet"
        assert jobs.job(con.table("named"), into, **{**OPTIONS, "key": key, "batch": 1}).rows == 4
    images.execute("UPDATE named SET k = k || chr(0)")
    with pytest.raises(ValueError, match="holds a NUL character"):
        jobs.job(con.table("named"), tmp_path / "nul.parquet", **OPTIONS)


def test_keys_that_do_not_come_back(images: Any, tmp_path: Path) -> None:
    big = "170141183460469231731687303715884105727"
    for key, kind, message in [
        ("'101'::BIT", TypeError, r"'k' holds BIT, which .*CAST\(\"k\" AS VARCHAR\)"),
        ("1::UHUGEINT", TypeError, r"'k' holds UHUGEINT, which .*CAST"),
        (f"{big}::HUGEINT", ValueError, r"more than 38 digits: .*CAST"),
        ("DATE 'infinity'", ValueError, r"'k' holds a date32.*infinity.*CAST"),
        ("DATE '12000-01-01'", ValueError, r"'k' holds a date32.*after 9999.*CAST"),
        ("TIMESTAMP '-infinity'", ValueError, r"'k' holds a timestamp.*CAST"),
        ("TIMESTAMPTZ '2020-01-01'", TypeError, r"without a time zone.*CAST"),
        ("1.5::DOUBLE", TypeError, r"'k' holds double; .*CAST"),
        ("INTERVAL 1 DAY", TypeError, "a key is text"),
    ]:
        for into in jobs.KINDS.values():
            with pytest.raises(kind, match=message):
                jobs.job(keyed(images, key), f"{tmp_path}/{into}", **OPTIONS)
        cast = keyed(images, f"({key})::VARCHAR")
        assert jobs.job(cast, "cast", con=images, **OPTIONS, restart=True).rows == 1
    days = pa.array([2**31 - 1, 5], pa.int32()).cast(pa.date32())
    with pytest.raises(ValueError, match="infinity"):
        jobs.job(pa.table({"k": days, "image": [DISC, DISC]}), tmp_path / "out.parquet", **OPTIONS)
    assert not list(tmp_path.iterdir())


def test_names_that_are_one_to_duckdb(images: Any, tmp_path: Path) -> None:
    call = {**OPTIONS, "keep": True}
    for source, message in [
        (rows(a=[1, 2], A=[3, 4]), "several columns named 'a' and 'A': rename them"),
        (rows(K=[1, 2]), "several columns named 'k' and 'K'"),
        (rows(MASK=[1, 2]), "a column 'MASK' already: name that of the masks"),
        (rows(Mask_Error=[1, 2]), "a column 'Mask_Error' already"),
        (pa.table([[1, 2], [3, 4], [DISC] * 2], ["k", "k", "image"]), "several columns named 'k' and 'k'"),
        (pa.table([[1, 2], [DISC] * 2, [DISC] * 2], ["k", "image", "image"]), "several columns named 'image' and"),
        (images.sql('SELECT 1 AS k, 2 AS "K", image FROM images'), "several columns named 'k' and 'K'"),
    ]:
        with pytest.raises(ValueError, match=message):
            jobs.job(source, tmp_path / "out.db", **call)
    with pytest.raises(ValueError, match="the errors have a column 'reason': rename 'Reason'"):
        jobs.job(rows(Reason=[1, 2]), tmp_path / "out.db", **{**call, "key": "Reason"})
    assert not list(tmp_path.iterdir())
    source = rows(Path=["a", "b"])
    assert jobs.job(source, tmp_path / "path.db", **{**call, "key": "Path"}).rows == 2


def test_columns_that_the_output_cannot_hold(images: Any, tmp_path: Path) -> None:
    call = {**OPTIONS, "keep": True}
    source = images.sql("SELECT 1 AS k, INTERVAL 1 DAY AS i, image FROM images")
    with pytest.raises(TypeError, match="the column 'i' holds month_day_nano_interval, which a Parquet file cannot"):
        jobs.job(source, tmp_path / "out.parquet", **call)
    assert jobs.job(source, tmp_path / "out.db", **call).rows == 1
    with pytest.raises(TypeError, match=r"the column 'h' holds decimal256.*, which a table cannot hold"):
        jobs.job(rows(h=pa.array([1, 2], pa.decimal256(50, 0))), tmp_path / "other.db", **call)
    with pytest.raises(TypeError, match=r"the column 'u' holds .*union.*, which Arrow cannot filter"):
        jobs.job(images.sql("SELECT 1 AS k, union_value(a := 1) AS u, image FROM images"), "out", con=images, **call)


def test_images_in_structs_of_any_form(tmp_path: Path) -> None:
    given = [{"bytes": None, "path": str(PATH)}, {"bytes": None, "path": str(PATH)}]
    nulls = pa.array(given, pa.struct([("bytes", pa.null()), ("path", pa.string())]))
    mixed = polars.DataFrame({"k": [1, 2], "image": [{"bytes": DISC, "path": "x"}, given[0]], "l": [["a"], ["b"]]})
    paths = polars.DataFrame({"k": [1, 2], "image": given})
    dictionary = pa.array([str(PATH)] * 2).dictionary_encode()
    for number, source in enumerate((rows().set_column(1, "image", nulls), mixed, paths, rows(other=dictionary))):
        into = tmp_path / f"{number}.parquet"
        image = "other" if number == 3 else "image"
        assert jobs.job(source, into, **{**OPTIONS, "keep": number == 1, "image": image})[:2] == (2, 0)


def test_frames_that_arrow_cannot_read(tmp_path: Path) -> None:
    frame = polars.DataFrame({"k": polars.Series([1, 2], dtype=polars.Int128), "image": [DISC, DISC]})
    with pytest.raises(
        TypeError, match=r"the data frame cannot be read as an Arrow table: .*; convert the column first"
    ):
        jobs.job(frame, tmp_path / "out.parquet", **OPTIONS)


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode")
def test_a_name_that_is_not_unicode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkdir("photos")
    shutil.copy(PATH, b"photos/a\xff b.png")
    Path(os.fsdecode(b"photos/bad\xff.jpg")).write_bytes(b"no image")
    for kind, into in jobs.KINDS.items():
        summary = duckdb_sam.run("photos", into=f"{kind}-{into}", point=[0.5, 0.5], progress=False)
        assert summary[:2] == (1, 1)
        assert duckdb_sam.run("photos", into=f"{kind}-{into}", point=[0.5, 0.5], progress=False).skipped == 2
        [(path, _)] = jobs.read(f"{kind}-{into}")
        assert path == f"file://{tmp_path}/photos/a%FF%20b.png"
        assert duckdb_sam.Segmenter().predict(path, [0.5, 0.5]).area > 0
        assert jobs.read(f"{kind}-{into}", errors=True)[0][0].endswith("/bad%FF.jpg")


def test_sources_in_more_forms(tmp_path: Path) -> None:
    categories = polars.Series(["a", "b"], dtype=polars.Categorical)
    frames: list[Any] = [
        polars.DataFrame({"k": categories, "image": [DISC, DISC]}),
        pandas.DataFrame({"image": [DISC, DISC]}, index=pandas.Index([5, 6], name="k")),
        f"/* a comment */ -- and another\nSELECT 'a' AS k, '{PATH}' AS image UNION ALL SELECT 'b', '{PATH}';",
    ]
    for number, source in enumerate(frames):
        into = tmp_path / f"{number}.db"
        assert jobs.job(source, into, **OPTIONS)[:3] == (2, 0, 0)
        assert jobs.job(source, into, **OPTIONS)[:3] == (0, 0, 2)


def test_sources_that_are_none(images: Any, tmp_path: Path) -> None:
    text = pa.table({"k": ["1"], "image": [DISC]})
    for source, kind, message in [
        (polars.LazyFrame({"k": [1]}), TypeError, r"not polars.*LazyFrame; \.collect\(\) it first"),
        ({"k": [1]}, TypeError, r"not builtins.dict; pyarrow.table\(\.\.\.\) makes"),
        (images, TypeError, r"con\.sql\(\.\.\.\) gives a relation"),
        ("nothere.parquet", FileNotFoundError, "'nothere.parquet' is no file"),
        ("s3://bucket/*.parquet", FileNotFoundError, r"give a query of it, such as \"FROM 's3://bucket/\*.parquet'\""),
        (iter([rows(), rows().rename_columns(["k", "img"])]), ValueError, "the tables of the source differ: one has"),
        (iter([rows(), text]), ValueError, "differ: one has k string, image binary, the first k int64"),
    ]:
        with pytest.raises(kind, match=message):
            jobs.job(source, tmp_path / "out.parquet", **OPTIONS)


def test_a_table_that_was_altered(images: Any) -> None:
    for column, message in (
        ("ALTER k TYPE VARCHAR", "the column 'k' of the table out holds text now, and whole numbers in the source"),
        ("RENAME k TO key", "out cannot be written or read: .*Mend that, and make the same call again"),
        ("DROP mask", r"(?s)out cannot be written or read: .*Mend that"),
    ):
        jobs.job(rows().slice(0, 1), "out", con=images, **OPTIONS, restart=True)
        images.execute(f"ALTER TABLE out {column}")
        with pytest.raises(duckdb_sam.JobError, match=f"(?s){message}"):
            jobs.job(rows(), "out", con=images, **OPTIONS)
    images.execute("DROP TABLE out; DROP TABLE out_errors")
    jobs.job(rows().slice(0, 1), "out", con=images, **OPTIONS)
    images.execute("ALTER TABLE out ADD COLUMN note VARCHAR; DROP TABLE out_errors")
    assert jobs.job(rows(), "out", con=images, **OPTIONS)[:3] == (1, 0, 1)
