"""``show``: rows of every kind, the first of them, and nothing computed for others."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import ibis
import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

import duckdb_sam
from conftest import PHOTOS, WITHOUT_IBIS, counters
from duckdb_sam import Gallery, Masks, Segmenter, show
from galleries import Row, rows

POINT = [0.5, 0.6]


@pytest.fixture
def photos(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Forty photographs that the cache takes for different ones, and differ from those of all other tests."""
    con.execute(
        "CREATE TABLE photos AS SELECT 'photo ' || i AS name, "
        "content || encode(i::VARCHAR || ?) AS image FROM read_blob(?), range(40) AS t(i) ORDER BY i",
        [os.urandom(8).hex(), str(PHOTOS / "coins.jpg")],
    )
    return con


@pytest.fixture(scope="module")
def table() -> pa.Table:
    with duckdb_sam.connect() as con:
        relation = con.sql(
            "SELECT parse_filename(filename) AS name, content AS image, "
            "sam_annotate('nano', content, [0.5, 0.6]) AS mask, "
            f"0.25 AS score FROM read_blob('{PHOTOS}/c*.jpg') ORDER BY name"
        )
        return relation.to_arrow_table()


def check(found: list[Row]) -> None:
    """The rows of ``table``."""
    assert [row.name for row in found] == ["camera.jpg", "chelsea.jpg", "coffee.jpg", "coins.jpg"]
    for row in found:
        [image], [path] = row.images, row.paths
        assert image.attributes["alt"] == f"{row.name}, image with 1 mask"
        assert image.attributes["src"].startswith(("data:image/jpeg;base64,", "data:image/webp;base64,"))
        assert path.attributes["d"].startswith("M")
        assert "IoU" in row.captions[0]
        assert row.values == {"score": "0.25"}
        assert not (row.faults or row.broken or row.chips)


def _parquet(table: pa.Table, path: Path) -> Any:
    pq.write_table(table, path / "photos.parquet")
    return path / "photos.parquet"


def _result(table: pa.Table) -> duckdb.DuckDBPyConnection:
    return duckdb.connect().register("given", table).execute("FROM given")


KINDS: dict[str, Callable[[pa.Table, Path], Any]] = {
    "table": lambda table, _: table,
    "batch": lambda table, _: table.combine_chunks().to_batches()[0],
    "reader": lambda table, _: table.to_reader(max_chunksize=1),
    "dataset": lambda table, _: pads.dataset(table),
    "pandas": lambda table, _: table.to_pandas(),
    "polars": lambda table, _: polars.from_arrow(table),
    "lazy": lambda table, _: polars.from_arrow(table).lazy(),
    "ibis": lambda table, _: ibis.memtable(table),
    "dicts": lambda table, _: table.to_pylist(),
    "parquet": _parquet,
    "pattern": lambda table, path: f"{_parquet(table, path).parent}/*.parquet",
    "relation": lambda table, _: duckdb.connect().from_arrow(table),
    "result": lambda table, _: _result(table),
}


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=WITHOUT_IBIS if kind == "ibis" else ()) for kind in KINDS])
def test_rows_of_every_kind(kind: str, table: pa.Table, tmp_path: Path) -> None:
    found = show(KINDS[kind](table, tmp_path), 4)
    check(rows(found))
    assert found.columns == ["name", "image", "mask", "score"]
    assert [row.name for row in rows(show(KINDS[kind](table, tmp_path), 2))] == ["camera.jpg", "chelsea.jpg"]


def test_only_the_rows_that_are_shown_are_segmented(photos: duckdb.DuckDBPyConnection) -> None:
    before = counters(photos)["encodes"]
    relation = photos.sql("SELECT name, image, sam_annotate('nano', image, [0.5, 0.6]) AS mask FROM photos")
    assert len(show(relation)) == 12
    assert counters(photos)["encodes"] - before == 12
    assert len(show("SELECT *, sam_segment('nano', image, [0.5, 0.5]) AS s FROM photos", 3, con=photos)) == 3
    assert counters(photos)["encodes"] - before == 12  # they are known
    shown = show("SELECT *, sam_generate('nano', image, 2) AS m FROM photos WHERE name = 'photo 39'", 1, con=photos)
    assert counters(photos)["encodes"] - before == 13
    assert repr(shown) == "Gallery(1 row (limit 1): name, image, m)"


def test_only_the_rows_that_are_shown_are_segmented_by_ibis(photos: duckdb.DuckDBPyConnection, sam: Any) -> None:
    backend = sam.connect()
    backend.con.register("given", photos.sql("FROM photos").to_arrow_table())
    t = backend.table("given")
    before = counters(photos)["encodes"]
    found = rows(show(t.mutate(mask=sam.annotate("nano", t.image, POINT)), 2))
    assert len(found) == 2
    assert all(row.paths for row in found)
    assert counters(photos)["encodes"] - before == 2


def test_a_name_is_a_table_of_a_backend(sam: Any) -> None:
    backend = sam.connect()
    backend.con.execute("CREATE TABLE here AS SELECT 1 AS a")
    assert len(show("here", con=backend)) == 1


def test_how_many_there_are_is_said(table: pa.Table, con: duckdb.DuckDBPyConnection) -> None:
    assert repr(show(table, 4)).startswith("Gallery(4 rows: name")
    assert repr(show(table, 3)).startswith("Gallery(the first 3 rows: ")
    assert repr(show(table.to_reader(), 3)).startswith("Gallery(the first 3 rows: ")
    assert repr(show(con.sql("SELECT 1 AS a"), 1)) == "Gallery(1 row (limit 1): a)"
    assert repr(show(con.sql("SELECT 1 AS a"), 2)) == "Gallery(1 row: a)"
    nothing = show(con.sql("SELECT 1 AS a WHERE false"))
    assert len(nothing) == 0
    assert "No rows" in nothing._repr_html_()
    assert len(show([])) == len(show(table, 0)) == 0


def test_a_name_is_a_table_of_the_connection(photos: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert len(show("photos", 2, con=photos)) == 2
    with pytest.raises(FileNotFoundError, match="'nowhere' is no file, folder or pattern of files here, no query, and"):
        show("nowhere", con=photos)
    for text, told in (
        ("SELECT 1; SELECT 2", "a SELECT, not 2 statements"),
        ("CREATE TABLE made (i INTEGER)", "not the statement CREATE, 'CREATE TABLE made .*: run it first"),
        ("call sam_models()", r"not the statement CALL, .*FROM name\(\.\.\.\)"),
        ("EXPLAIN FROM photos", "not the statement EXPLAIN, .*: a plan has no pictures"),
        (f"SELECT 1; SELECT '{'x' * 9000}'", r"xx\.\.\. \("),
    ):
        with pytest.raises(ValueError, match=told):
            show(text, con=photos)
    assert "made" not in str(photos.execute("SHOW TABLES").fetchall())
    for text in ("DESCRIBE photos", "show tables", "PRAGMA table_info('photos')", "SUMMARIZE photos"):
        assert len(show(text, con=photos)) > 0
    with pytest.raises(FileNotFoundError, match="is no file"):
        show("show me.jpg", con=photos)
    with pytest.raises(TypeError, match="con must be a DuckDB connection"):
        show("photos", con=3)


def test_lists_of_images_and_what_is_none() -> None:
    file = PHOTOS / "coffee.jpg"
    pixels = np.zeros((40, 60, 3), np.uint8)
    for given in ([file.read_bytes(), file, str(file), pixels], (pixels,), pixels, [pixels[..., 0]]):
        found = rows(show(given))
        assert [len(row.images) for row in found] == [1] * (len(given) if isinstance(given, (list, tuple)) else 1)
    frame = pandas.DataFrame(np.zeros((20, 10)))
    assert len(show(frame, 3)) == 3
    for wrong in ([file.read_bytes(), 5], [["x" * 10_000]]):
        with pytest.raises(TypeError, match=r"row 0 is .*characters\)") as caught:
            show(wrong)
        assert len(str(caught.value)) < 500


def test_names_mean_what_they_mean_on_the_connection(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("ATTACH ':memory:' AS other; CREATE SCHEMA other.s; USE other.s; CREATE TABLE here AS SELECT 1 AS a")
    for x in ("here", "FROM here", con.sql("FROM here")):
        assert len(show(x, con=con)) == 1


def test_a_row_that_fails_is_told_with_what_to_do(con: duckdb.DuckDBPyConnection) -> None:
    for x in ("SELECT error('the row is bad') AS a", "SELECT CAST('x' AS INTEGER) AS a FROM range(3)"):
        with pytest.raises((duckdb.InvalidInputException, duckdb.ConversionException), match=r"TRY\(\.\.\.\) around"):
            show(x, con=con)
    assert len(show("SELECT TRY(CAST(i::VARCHAR || 'x' AS INTEGER)) AS a FROM range(3) AS t(i)", con=con)) == 3


def test_a_connection_without_the_extension(table: pa.Table) -> None:
    with duckdb.connect() as plain:
        dense = show(plain.sql("SELECT 'a' AS name, [i / 150 FOR i IN range(150)]::FLOAT[] AS mask"))
        [row] = rows(dense)
        assert row.faults == ["mask the size of its image is not known"]
        with pytest.raises(duckdb.CatalogException):
            plain.execute("SELECT sam_version()")  # nothing was loaded into it


def test_images_by_their_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = rows(show(PHOTOS, 3))
    assert [Path(row.name).name for row in found] == ["astronaut.jpg", "camera.jpg", "chelsea.jpg"]
    assert all(len(row.images) == 1 for row in found)
    assert len(show(str(PHOTOS / "c*.jpg"))) == 4
    monkeypatch.chdir(PHOTOS)
    assert len(rows(show("coffee.jpg"))[0].images) == 1
    with pytest.raises(FileNotFoundError, match="no file matches"):
        show("*.nix")
    with pytest.raises(ValueError, match="FROM read_csv"):
        show(PHOTOS / "LICENSES.md")


def test_results_of_a_job_are_drawn_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "else").mkdir()
    (tmp_path / "in" / "coffee.jpg").write_bytes((PHOTOS / "coffee.jpg").read_bytes())
    (tmp_path / "in" / "bad.jpg").write_bytes(b"no image")
    monkeypatch.chdir(tmp_path)
    for into in ("masks.parquet", "masks/", "masks.db"):
        duckdb_sam.run("in", into=into, point=POINT, progress=False)
    monkeypatch.chdir(tmp_path / "else")
    for into in ("masks.parquet", "masks/", "masks.db"):
        found = show(f"../{into}")
        good, bad = rows(found)
        assert good.name == str(tmp_path / "in" / "coffee.jpg")
        assert len(good.images) == len(good.paths) == 1
        assert good.values == {}
        assert "1 image failed, the last row" in repr(found)
        assert bad.name.endswith("bad.jpg")
        assert bad.broken[0].startswith("no image")
        assert "not a picture that can be decoded" in bad.faults[0]
    monkeypatch.chdir(tmp_path)
    assert rows(show("masks.parquet"))[0].name == "in/coffee.jpg"
    (tmp_path / "in" / "coffee.jpg").unlink()
    [gone, _] = rows(show("masks.parquet"))
    assert not gone.images
    assert len(gone.paths) == 1
    assert "not found: there is no file in/coffee.jpg" in gone.captions[0]


def test_databases(tmp_path: Path) -> None:
    path = tmp_path / "some.data"
    with duckdb_sam.connect(path) as con:
        con.execute("CREATE TABLE a AS SELECT 1 AS x; CREATE TABLE b AS SELECT 2 AS x")
    assert rows(show(path, table="b"))[0].values == {"x": "2"}
    with pytest.raises(ValueError, match="has no table 'masks': say which one is meant with table=, of a, b"):
        show(path)
    with pytest.raises(FileNotFoundError, match="there is no database"):
        show("nix.db", table="a")
    with duckdb_sam.connect(path) as con:
        con.execute("DROP TABLE a")
    assert rows(show(path))[0].values == {"x": "2"}


def test_masks_of_the_segmenter() -> None:
    seg = Segmenter()
    coffee = str(PHOTOS / "coffee.jpg")
    [row] = rows(show([seg.generate(coffee, points_per_side=8)]))
    assert len(row.paths) == len(row.chips) > 1
    assert len(row.images) == 1
    [row] = rows(show([{"image": coffee, "mask": seg.predict(coffee, POINT)}]))
    assert len(row.paths) == len(row.images) == 1


def test_masks_of_the_segmenter_of_which_there_are_none() -> None:
    seg = Segmenter()
    coffee = PHOTOS / "coffee.jpg"
    for image in (coffee, coffee.read_bytes()):
        none = seg.generate(image, points_per_side=4, pred_iou_thresh=1)
        assert none == []
        some = seg.generate(image, points_per_side=8)
        for given in ([none], [none, some]):
            shown = rows(show(given))
            assert [len(row.images) for row in shown] == [1] * len(given)
            assert shown[0].values["mask"] == "no masks"
        assert len(shown[1].paths) == len(some) > 0
    assert rows(show([Masks()]))[0].values["mask"] == "no masks"
    assert pickle.loads(pickle.dumps(none[:0])) == copy.copy(none) == []
    kept = pickle.loads(pickle.dumps(seg.generate(coffee, points_per_side=4, pred_iou_thresh=1)))
    assert kept.image == str(coffee)


def test_what_has_no_rows_is_refused() -> None:
    with pytest.raises(TypeError, match="not builtins"):
        show(3)
    with pytest.raises(ValueError, match="limit must be a number of rows"):
        show([], -1)
    with pytest.raises(ValueError, match="size must be from 32 to 2048 pixels"):
        show([], size=3)


def test_it_is_saved(table: pa.Table, tmp_path: Path) -> None:
    shown = show(table)
    path = shown.save(tmp_path / "new" / "gallery.html")
    assert path.read_text(encoding="utf-8") == shown.html()
    assert shown.save(path) == path
    other = tmp_path / "notes.html"
    other.write_text("mine")
    with pytest.raises(FileExistsError, match="is there already and is no gallery"):
        shown.save(other)
    with pytest.raises(ValueError, match="give it a name that ends in"):
        shown.save(tmp_path / "photos.db")
    assert other.read_text() == "mine"
    assert isinstance(shown, Gallery)


def test_it_stays_small(con: duckdb.DuckDBPyConnection) -> None:
    relation = con.sql(
        f"SELECT filename, content, sam_generate('nano', content, 8) AS masks FROM read_blob('{PHOTOS}/*.jpg')"
    )
    html = show(relation).html()
    assert sum(map(len, (row.chips for row in rows(show(relation))))) > 20
    assert len(html) < 500_000


def test_it_needs_duckdb_only() -> None:
    script = (
        "import sys\n"
        "for name in 'numpy pyarrow PIL pandas polars ibis rich click'.split(): sys.modules[name] = None\n"
        "import duckdb_sam\n"
        "con = duckdb_sam.connect()\n"
        f"photos = con.sql(\"SELECT content AS image, sam_segment('nano', content, [0.5, 0.6]) AS s, [1, 2] AS l, "
        f"now() AS t FROM read_blob('{PHOTOS}/coffee.jpg')\")\n"
        "assert duckdb_sam.show(photos)._repr_html_().count('<path') == 1\n"
        "assert len(duckdb_sam.show([{'a': 1}])) == 1\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_warnings_are_none(table: pa.Table) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        show(table)
        show(pandas.DataFrame({"a": [1.5, float("nan")]}))
