"""``run``: where its rows come from and go to, what it refuses, and what it says meanwhile."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import ibis
import polars
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import duckdb_sam
import jobs
from conftest import PHOTOS, ROOT, WITHOUT_IBIS

ROWS = 20
DISC = ROOT / "test" / "data" / "disc.png"
NAMES = sorted(path.name for path in PHOTOS.glob("*.jpg"))


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> str:
    return jobs.source(tmp_path_factory.mktemp("source") / "source.parquet", ROWS)


@pytest.fixture(scope="module")
def whole(given: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    into = tmp_path_factory.mktemp("whole") / "out.parquet"
    jobs.job(given, into)
    return jobs.read(into), jobs.read(into, errors=True)


def relation(path: str) -> Any:
    con = duckdb.connect()
    con.execute(f"CREATE TABLE rows AS FROM '{path}' ORDER BY hash(id)")
    return con.table("rows")


def backend(path: str) -> Any:
    con = ibis.duckdb.connect()
    return con.create_table("rows", pq.read_table(path)).filter(ibis._.id >= 0)


def chunks(path: str) -> Iterator[Any]:
    yield from pq.read_table(path).to_batches(max_chunksize=3)


SOURCES: dict[str, Callable[[str], Any]] = {
    "pattern": lambda path: str(Path(path).parent / "*.parquet"),
    "path": Path,
    "query": lambda path: f"SELECT * FROM '{path}'",
    "relation": relation,
    "filtered": lambda path: relation(path).filter("id < 1000"),
    "ibis": backend,
    "table": pq.read_table,
    "dataset": ds.dataset,
    "reader": lambda path: ds.dataset(path).scanner().to_reader(),
    "batches": chunks,
    "polars": polars.read_parquet,
    "pandas": lambda path: pq.read_table(path).to_pandas(),
}


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=WITHOUT_IBIS if kind == "ibis" else ()) for kind in SOURCES])
def test_sources(kind: str, given: str, whole: tuple[Any, Any], tmp_path: Path) -> None:
    into = tmp_path / "out.parquet"
    with pytest.raises(RuntimeError, match="enough"):
        jobs.job(SOURCES[kind](given), into, progress=stop)
    summary = jobs.job(SOURCES[kind](given), into)
    assert summary.rows + summary.failed + summary.skipped == ROWS
    assert (jobs.read(into), jobs.read(into, errors=True)) == whole
    if kind in ("query", "reader"):
        assert jobs.job(SOURCES[kind](given), into)[:3] == (0, 0, ROWS)
    assert not jobs.left_over(tmp_path)


def stop(status: duckdb_sam.Status) -> None:
    raise RuntimeError("enough")


@pytest.mark.parametrize("kind", ["folder", "list", "paths", "generator", "pattern"])
def test_paths(kind: str, con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    os.symlink(PHOTOS, "photos")
    paths = [f"photos/{name}" for name in NAMES]
    source: Any = {
        "folder": "photos",
        "list": paths,
        "paths": [Path(path) for path in paths],
        "generator": iter(paths),
        "pattern": "photos/*.jpg",
    }[kind]
    summary = duckdb_sam.run(source, into="masks", con=con, point=[0.5, 0.6], progress=False)
    assert summary[:3] == (len(NAMES), 0, 0)
    assert summary.into == "masks" and summary.errors == "masks_errors"
    expected = con.execute("""
        SELECT filename, sam_annotate('nano', content, [0.5, 0.6]) FROM read_blob('photos/*.jpg') ORDER BY 1
    """).fetchall()
    assert con.execute("SELECT path, mask FROM masks ORDER BY 1").fetchall() == expected


def test_folders_hold_images_and_others(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("a/x.JPG", "y.heic", ".z.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"no image")
    summary = duckdb_sam.run(tmp_path, into=tmp_path / "out.parquet", point=[0.5, 0.5], progress=False)
    assert (summary.rows, summary.failed) == (0, 2)
    paths = [row[0] for row in jobs.read(tmp_path / "out.parquet", errors=True)]
    assert paths == [str(tmp_path / "a" / "x.JPG"), str(tmp_path / "y.heic")]
    assert jobs.read(tmp_path / "out.parquet") == []
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no images"):
        duckdb_sam.run(tmp_path / "empty", into=tmp_path / "other.parquet", point=[0.5, 0.5])
    with pytest.raises(FileNotFoundError, match="no file, folder or pattern"):
        duckdb_sam.run("nowhere", into=tmp_path / "other.parquet", point=[0.5, 0.5])


def test_missing_files_are_errors_and_may_be_tried_again(tmp_path: Path) -> None:
    late = tmp_path / "late.jpg"
    call: dict[str, Any] = {"into": tmp_path / "out.db", "box": [0.2, 0.2, 0.8, 0.8], "progress": False}
    source = [PHOTOS / "coffee.jpg", late]
    assert duckdb_sam.run(source, **call)[:2] == (1, 1)
    [(path, reason)] = jobs.read(tmp_path / "out.db", errors=True)
    assert path == str(late) and "No such file" in reason
    late.write_bytes((PHOTOS / "coins.jpg").read_bytes())
    assert duckdb_sam.run(source, **call)[:3] == (0, 0, 2)
    assert duckdb_sam.run(source, **call, retry_errors=True)[:3] == (1, 0, 1)
    assert jobs.read(tmp_path / "out.db", errors=True) == []


@pytest.mark.parametrize("kind", jobs.KINDS)
def test_new_rows_are_added(kind: str, given: str, tmp_path: Path) -> None:
    into = f"{tmp_path}/{jobs.KINDS[kind]}"
    source = f"SELECT * FROM '{given}' WHERE id % 3 = 0"
    jobs.job(source, into)
    summary = jobs.job(given, into)
    assert summary.skipped == len(range(0, ROWS, 3))
    assert [row[0] for row in jobs.read(into)] == [row for row in range(ROWS) if row not in jobs.BAD]


@pytest.mark.parametrize("kind", jobs.KINDS)
def test_other_options_are_refused(kind: str, given: str, tmp_path: Path) -> None:
    into = f"{tmp_path}/{jobs.KINDS[kind]}"
    jobs.job(given, into)
    before = jobs.read(into)
    for other, told in (
        ({"point": [0.5, 0.5]}, r"point was 'click', now \[0.5, 0.5\]"),
        ({"unit": "pixel"}, "unit was 'fraction', now 'pixel'"),
        ({"keep": []}, r"keep was \['name'\], now \[\]"),
        ({"point": None, "generate": {"points_per_side": 2}}, "generate was None, now {'points_per_side': 2}"),
    ):
        with pytest.raises(duckdb_sam.JobError, match=told) as caught:
            jobs.job(given, into, **other)
        assert "restart=True" in str(caught.value)
    assert jobs.read(into) == before
    summary = jobs.job(given, into, point=[0.5, 0.5], restart=True)
    assert (summary.rows, summary.failed, summary.skipped) == (ROWS - 2, 2, 0)
    assert jobs.read(into) != before
    assert len(jobs.read(into)) == len(before)
    jobs.job(given, into, point=(0.5, 0.5), batch=7, threads=2)  # which change nothing


def test_what_is_not_a_job_is_left_alone(given: str, tmp_path: Path) -> None:
    with duckdb_sam.connect() as con:
        con.execute("CREATE TABLE out AS SELECT 1 AS a; CREATE TABLE other_errors AS SELECT 1 AS a")
        for restart in (False, True):
            with pytest.raises(duckdb_sam.JobError, match="the table out is there already and was not written by"):
                jobs.job(given, "out", con=con, restart=restart)
        with pytest.raises(duckdb_sam.JobError, match="other_errors is not of this job"):
            jobs.job(given, "other", con=con)
        assert con.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall() == [
            ("other_errors",),
            ("out",),
        ]
        jobs.job(given, "other", con=con, errors="failures")
        assert con.execute("SELECT count(*) FROM failures").fetchall() == [(2,)]
    pq.write_table(pa.table({"a": [1]}), tmp_path / "out.parquet")
    (tmp_path / "out").mkdir()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "out" / "a.parquet")
    (tmp_path / "text.parquet").write_text("text")
    for into in ("out.parquet", "out/"):
        for restart in (False, True):
            with pytest.raises(duckdb_sam.JobError, match="was not written by a job"):
                jobs.job(given, f"{tmp_path}/{into}", restart=restart)
    with pytest.raises(duckdb_sam.JobError, match="is no Parquet file"):
        jobs.job(given, tmp_path / "text.parquet")


def test_keys(given: str, tmp_path: Path) -> None:
    into = tmp_path / "out.parquet"
    with pytest.raises(TypeError, match=r"key= is missing: name the column.* of id, name, image, click"):
        jobs.job(given, into, key=None)
    with pytest.raises(ValueError, match="no column 'ident'"):
        jobs.job(given, into, key="ident")
    for source in (f"FROM '{given}'", given, SOURCES["reader"](given)):
        twice = source if not isinstance(source, str) else pa.concat_tables([pq.read_table(given)] * 2)
        if isinstance(source, str) and source.startswith("FROM"):
            twice = f"{source} UNION ALL {source}"
        elif not isinstance(source, str):
            twice = iter(pa.concat_tables([pq.read_table(given)] * 2).to_batches())
        with pytest.raises(ValueError, match="key id is not unique: 0 is there twice"):
            jobs.job(twice, into)
        into = tmp_path / f"{into.stem}x.parquet"
    with pytest.raises(ValueError, match="key code is NULL in a row"):
        jobs.job(f"SELECT *, nullif(id, 4) AS code FROM '{given}'", into, key="code")
    with pytest.raises(TypeError, match="the column 'half' holds double"):
        jobs.job(f"SELECT *, id::DOUBLE AS half FROM '{given}'", into, key="half")
    with pytest.raises(ValueError, match=r"path is not unique: 'a\.jpg'"):
        jobs.job(["a.jpg", "a.jpg"], into, key=None, point=[0, 0], keep=[])
    with pytest.raises(duckdb_sam.JobError, match=r"gave other rows when it was read again|not unique"):
        jobs.job(f"SELECT id + (random() * 1e9)::BIGINT AS id, name, image, click FROM '{given}'", into)


@pytest.mark.parametrize("source", ["query", pytest.param("ibis", marks=WITHOUT_IBIS)])
def test_keys_of_several_columns(source: str, given: str, tmp_path: Path) -> None:
    query = f"""
        SELECT id // 3 AS a, 'it''s ' || id % 3 AS b, TIMESTAMP '2024-01-01' + to_days(id::INT) AS c,
               encode(name) AS d, image, click
        FROM '{given}'
    """
    table = duckdb.sql(query).to_arrow_table()
    rows = query if source == "query" else ibis.duckdb.connect().create_table("t", table)
    for key in (["a", "b"], ["c", "d"]):
        into = tmp_path / f"{''.join(key)}.db"
        with pytest.raises(RuntimeError, match="enough"):
            jobs.job(rows, into, key=key, image="image", keep=[], progress=stop)
        jobs.job(rows, into, key=key, image="image", keep=[])
        assert len(jobs.read(into)) == ROWS - 2
        assert len(jobs.read(into, errors=True)) == 2


@pytest.mark.parametrize("into", ["out.parquet", "out/"])
def test_a_pattern_does_not_mean_the_output(into: str, given: str, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(Path(given).read_bytes())
    for source in (tmp_path / "**" / "*.parquet", tmp_path):
        jobs.job(str(source), f"{tmp_path}/{into}")
    assert len(jobs.read(f"{tmp_path}/{into}")) == ROWS - 2


def test_columns(given: str, con: duckdb.DuckDBPyConnection) -> None:
    jobs.job(f"FROM '{given}'", "kept", con=con, keep=True, mask="seg")
    assert con.table("kept").columns == ["id", "name", "click", "seg"]
    jobs.job(f"FROM '{given}'", "plain", con=con, keep=["image"])
    assert con.table("plain").columns == ["id", "image", "mask"]
    jobs.job("kept", "again", con=con, key="name", image="name", keep=[], point=[0.5, 0.5])
    assert con.execute("SELECT count(*) FROM again_errors").fetchall() == [(ROWS - 2,)]
    with pytest.raises(ValueError, match="a column 'name' already: name that of the masks with mask="):
        jobs.job(f"FROM '{given}'", "odd", con=con, mask="name")
    with pytest.raises(ValueError, match="keep: the source has no column 'nam'"):
        jobs.job(f"FROM '{given}'", "odd", con=con, keep=["nam"])
    with pytest.raises(ValueError, match="a prompt: the source has no column 'clik'"):
        jobs.job(f"FROM '{given}'", "odd", con=con, point="clik")
    with pytest.raises(ValueError, match="image= is missing: name the column"):
        jobs.job("SELECT 1 AS id", "odd", con=con, point=[0.5, 0.5], keep=[])


def test_what_into_means(given: str, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"out.parquet.*out/.*out.db"):
        jobs.job(given, "out")
    with pytest.raises(TypeError, match="table= belongs to a database file"):
        jobs.job(given, tmp_path / "out.parquet", table="masks")
    with pytest.raises(TypeError, match="into must be"):
        duckdb_sam.run(given, into=None, key="id")  # type: ignore[arg-type]
    jobs.job(given, tmp_path / "x.db", table="other")
    with duckdb.connect(str(tmp_path / "x.db")) as other:
        assert other.execute("SELECT count(*) FROM other").fetchall() == [(ROWS - 2,)]
    con.execute(f"ATTACH '{tmp_path / 'y.db'}' AS y; CREATE SCHEMA y.s")
    for name in ("y.a", "y.s.b", 'y.s."c d"'):
        jobs.job(given, name, con=con)
        assert con.execute(f"SELECT count(*) FROM {name}").fetchall() == [(ROWS - 2,)]
    with pytest.raises(ValueError, match="temporary"):
        jobs.job(given, "temp.a", con=con)


def test_a_database_is_source_and_output(given: str, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "photos.db")) as con:
        con.execute(f"CREATE TABLE photos AS FROM '{given}'")
    assert jobs.job("photos", tmp_path / "photos.db").rows == ROWS - 2
    assert jobs.job("FROM photos WHERE id < 5", tmp_path / "photos.db").skipped == 5


def test_raise(given: str, tmp_path: Path) -> None:
    into = tmp_path / "out.parquet"
    for _ in range(2):
        with pytest.raises(duckdb_sam.JobError, match="id=3: not a picture that can be decoded"):
            jobs.job(given, into, on_error="raise")
    assert jobs.job(given, into).skipped == 10  # the good rows of two batches


def test_boxes_and_generate(tmp_path: Path) -> None:
    table = pa.table({"id": [1, 2], "image": [str(PHOTOS / "coffee.jpg")] * 2, "found": [[[60, 40, 300, 200]], None]})
    call: dict[str, Any] = {"key": "id", "progress": False}
    duckdb_sam.run(table, into=tmp_path / "a.parquet", boxes="found", unit="pixel", box_format="xywh", **call)
    assert [mask and len(mask) for _, mask in jobs.read(tmp_path / "a.parquet")] == [1, None]
    duckdb_sam.run(table, into=tmp_path / "b.parquet", generate={"points_per_side": 4}, **call)
    assert all(isinstance(mask, list) for _, mask in jobs.read(tmp_path / "b.parquet"))


def test_two_runs_at_once(given: str, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for into, more in ((str(tmp_path / "out.parquet"), {}), (f"{tmp_path}/out/", {}), ("out", {"con": con})):
        entered, go = threading.Event(), threading.Event()

        def wait(status: duckdb_sam.Status, entered: Any = entered, go: Any = go) -> None:
            entered.set()
            go.wait(30)

        first = threading.Thread(target=jobs.job, args=(given, into), kwargs={**more, "progress": wait})
        first.start()
        assert entered.wait(30)
        with pytest.raises(duckdb_sam.JobError, match=r"another run writes into .*out"):
            jobs.job(given, into, **more)
        go.set()
        first.join()
        assert jobs.job(given, into, **more)[:3] == (0, 0, ROWS)


def test_a_database_that_is_open_elsewhere(given: str, tmp_path: Path) -> None:
    ready, done = jobs.PROCESSES.Event(), jobs.PROCESSES.Event()
    process = jobs.PROCESSES.Process(target=hold, args=(str(tmp_path / "out.db"), ready, done))
    process.start()
    assert ready.wait(30)
    with pytest.raises(duckdb_sam.JobError, match=r"out.db is open in another process"):
        jobs.job(given, tmp_path / "out.db")
    done.set()
    process.join()
    jobs.job(given, tmp_path / "out.db")


def hold(path: str, ready: Any, done: Any) -> None:
    with duckdb.connect(path):
        ready.set()
        done.wait(30)


def test_progress(given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[duckdb_sam.Status] = []
    jobs.job(f"FROM '{given}' WHERE id < 5", tmp_path / "out.parquet")
    jobs.job(given, tmp_path / "out.parquet", progress=told.append)
    assert [status.done for status in told] == sorted(status.done for status in told)
    assert told[-1].done == told[-1].total == ROWS
    assert told[-1].failed == 1 and told[-1].rate > 0 and told[-1].left == 0
    assert capsys.readouterr() == ("", "")
    jobs.job(given, tmp_path / "other.parquet", progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith(f"{tmp_path}/other.parquet: 20 of 20, ") and lines[-1].endswith("2 failed")


def test_progress_moves_within_a_batch(tmp_path: Path) -> None:
    told: list[int] = []
    paths = []
    for number in range(16):  # different images, which are encoded anew
        paths.append(tmp_path / f"{number}.jpg")
        paths[-1].write_bytes((PHOTOS / "coins.jpg").read_bytes() + bytes([number]))
    begin = time.monotonic()
    duckdb_sam.run(
        paths, into=tmp_path / "out.parquet", point=[0.5, 0.5], progress=lambda status: told.append(status.done)
    )
    if time.monotonic() - begin > 1:  # else the machine is too fast to see it
        assert len(set(told) - {0, 8, 16}) > 0


def test_summary(given: str, tmp_path: Path) -> None:
    summary = jobs.job(given, tmp_path / "out.parquet")
    assert repr(summary).startswith(
        f"Summary(18 rows into {tmp_path}/out.parquet; 2 failed into {tmp_path}/out_errors.parquet; "
    )
    assert summary.images_per_second > 0
    again = jobs.job(given, tmp_path / "out.parquet")
    assert repr(again) == f"Summary(0 rows into {tmp_path}/out.parquet; 20 were there already)"


def test_wrong_arguments(given: str, tmp_path: Path) -> None:
    for wrong, told in (
        ({"batch": 0}, "batch must be a whole number of rows"),
        ({"batch_mb": 0}, "batch_mb must be"),
        ({"on_error": "null"}, "on_error must be 'record' or 'raise'"),
        ({"unit": "px"}, "unit must be"),
        ({"model": "none"}, "none"),
        ({"point": None}, "give a prompt"),
        ({"point": [2, 2]}, "lies outside the image"),
    ):
        with pytest.raises((ValueError, TypeError), match=told):
            summary = jobs.job(given, tmp_path / "out.parquet", **wrong)
            raise ValueError(jobs.read(tmp_path / "out.parquet", errors=True)[0][-1], summary)


def test_threads() -> None:
    query = "SELECT value FROM sam_configure() WHERE setting = 'threads'"
    with duckdb_sam.connect() as con:
        before = con.execute(query).fetchall()[0][0]
    try:
        with duckdb_sam.connect(threads=1) as con:
            assert con.execute(query).fetchall() == [("1",)]
            duckdb_sam.Segmenter().predict(PHOTOS / "coins.jpg", [0.5, 0.5])
            assert con.execute(query).fetchall() == [("1",)]
        with duckdb_sam.connect(config={"threads": 2, "lock_configuration": True}):
            pass
    finally:
        with duckdb_sam.connect() as con:
            con.execute(f"CALL sam_configure(threads := {before})")


def test_relative_paths_mean_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"key": None, "point": [0.5, 0.5], "keep": []}
    for name in ("one/photos", "two/photos"):
        (tmp_path / name).mkdir(parents=True)
        shutil.copy(ROOT / "test" / "data" / "disc.png", tmp_path / name / "a.png")
    into = tmp_path / "one" / "masks.parquet"
    monkeypatch.chdir(tmp_path / "one")
    assert jobs.job("photos", "masks.parquet", **options).rows == 1
    assert jobs.job("photos", into, **options).skipped == 1
    # The same name of another file, and another name of the same file.
    monkeypatch.chdir(tmp_path / "two")
    with pytest.raises(duckdb_sam.JobError, match=r"relative to \., as seen .*, now they are relative to \.\./two"):
        jobs.job("photos", into, **options)
    with pytest.raises(duckdb_sam.JobError, match="now they are absolute"):
        jobs.job(str(tmp_path / "one" / "photos"), into, **options)
    # Moved together they are the same.
    (tmp_path / "one").rename(tmp_path / "three")
    monkeypatch.chdir(tmp_path / "three")
    assert jobs.job("photos", "masks.parquet", **options).skipped == 1


def test_keys_of_another_type_are_refused(tmp_path: Path) -> None:
    images = [DISC.read_bytes()] * 2
    options = {"key": "id", "point": [0.5, 0.5], "keep": []}
    for kind, into in jobs.KINDS.items():
        place = f"{tmp_path}/{kind}-{into}"
        assert jobs.job(pa.table({"id": pa.array([1, 2], pa.int32()), "image": images}), place, **options).rows == 2
        assert jobs.job(pa.table({"id": pa.array([1, 2], pa.int64()), "image": images}), place, **options).skipped == 2
        with pytest.raises(duckdb_sam.JobError, match=r"types was {'id': 'whole numbers'}, now {'id': 'text'}"):
            jobs.job(pa.table({"id": ["1", "2"], "image": images}), place, **options)
    moments = pa.array([0, 3_600_000_000], pa.timestamp("us", "America/New_York"))
    with pytest.raises(TypeError, match="without a time zone"):
        jobs.job(pa.table({"id": moments, "image": images}), tmp_path / "zone.parquet", **options)
    with pytest.raises(TypeError, match="a key is text"):
        jobs.job(pa.table({"id": [["a"], ["b"]], "image": images}), tmp_path / "lists.parquet", **options)


def test_keys_that_are_an_enum_and_names_in_any_case(tmp_path: Path) -> None:
    con = duckdb_sam.connect()
    con.execute("CREATE TABLE s (k ENUM('b', 'a'), image BLOB)")
    con.executemany("INSERT INTO s VALUES (?, ?)", [["a", DISC.read_bytes()], ["b", DISC.read_bytes()]])
    options = {"key": "k", "point": [0.5, 0.5], "keep": [], "con": con, "batch": 1}
    assert jobs.job("s", "Results", **options).rows == 2
    assert jobs.job("s", "results", **options).skipped == 2


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    shutil.copy(DISC, tmp_path / "photos" / "a.png")
    os.mkfifo(tmp_path / "photos" / "pipe.png")
    options = {"key": None, "point": [0.5, 0.5], "keep": []}
    assert jobs.job(str(tmp_path / "photos"), tmp_path / "masks.parquet", **options).rows == 1
    summary = jobs.job(["/dev/zero"], tmp_path / "zero.parquet", **options)
    assert (summary.rows, summary.failed) == (0, 1)
    assert "a device, which has no end" in str(jobs.read(tmp_path / "zero.parquet", errors=True))


def test_names_mean_what_they_mean_on_the_connection(given: str) -> None:
    """``USE`` of another schema or database holds for source and results."""
    with duckdb_sam.connect() as con:
        con.execute("ATTACH ':memory:' AS other; CREATE SCHEMA other.s; USE other.s")
        con.execute(f"CREATE TABLE photos AS FROM '{given}' LIMIT 3")
        for source in ("photos", "FROM photos"):
            jobs.job(source, "masks", con=con, restart=True)
            assert con.execute("SELECT count(*) FROM other.s.masks JOIN photos USING (id)").fetchall() == [(3,)]
