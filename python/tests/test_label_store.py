"""Pictures and prompts in tables: keys, and what is written."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest

import duckdb_sam
from duckdb_sam.labelling.desk import Desk
from duckdb_sam.labelling.errors import LabelError, Refused
from duckdb_sam.labelling.pictures import Unreadable
from duckdb_sam.labelling.rows import open_rows
from labels import NAMES, fill, photo, pictures, put, rows
from labels import con as con  # fixtures
from labels import desk as desk


def test_a_click_is_in_the_table_with_its_mask(con: duckdb.DuckDBPyConnection, desk: Desk) -> None:
    reply = put(desk, "coffee.jpg", points=[[0.5, 0.4], [0.9, 0.9]], labels=[1, 0], box=[0.1, 0.1, 0.9, 0.9])
    [(name, number, same, score, model, changed)] = con.execute("""
        SELECT name, object, sam_annotate('nano', image, points, labels, box) = mask, iou_score = mask.predicted_iou,
            model, changed IS NOT NULL
        FROM images JOIN prompts USING (name)
    """).fetchall()
    assert (name, number, same, score, model, changed) == ("coffee.jpg", 1, True, True, "nano", True)
    assert reply["object"]["mask"]["segmentation"]["size"] == [200, 300]
    types = dict(con.execute("SELECT column_name, column_type FROM (DESCRIBE prompts)").fetchall())
    assert types.pop("mask").startswith("STRUCT(segmentation STRUCT(size INTEGER[], counts VARCHAR)")
    assert types == {
        "name": "VARCHAR", "object": "INTEGER", "class": "VARCHAR", "points": "DOUBLE[][]", "labels": "BIGINT[]",
        "box": "DOUBLE[]", "iou_score": "FLOAT", "model": "VARCHAR", "changed": "TIMESTAMP",
    }  # fmt: skip


def test_an_object_is_replaced_and_removed(con: duckdb.DuckDBPyConnection, desk: Desk) -> None:
    first = put(desk, "coffee.jpg")["object"]
    second = put(desk, "coffee.jpg", points=[[0.2, 0.2]], changed=first["changed"])
    assert (second["object"]["object"], second["other"]) == (1, False)
    assert second["object"]["changed"] != first["changed"]
    assert rows(con, "points") == [([[0.2, 0.2]],)]
    desk.ask("drop", {"key": ["coffee.jpg"], "object": 1})
    desk.ask("drop", {"key": ["coffee.jpg"], "object": 1})
    assert rows(con) == []


def test_last_write_wins_and_the_other_is_told(desk: Desk) -> None:
    first = put(desk, "coffee.jpg")["object"]["changed"]
    put(desk, "coffee.jpg", points=[[0.3, 0.3]], changed=first)
    late = put(desk, "coffee.jpg", points=[[0.4, 0.4]], changed=first)
    assert late["other"]
    assert desk.ask("objects", {"place": 1}).values["objects"][0]["points"] == [[0.4, 0.4]]


@pytest.mark.parametrize(
    "change", ["class = 'by hand'", "points = [[0.1, 0.1]]", "box = [0.1, 0.1, 0.6, 0.6]", "mask = NULL"]
)
def test_what_is_changed_by_hand_is_not_written_over(con: duckdb.DuckDBPyConnection, desk: Desk, change: str) -> None:
    first = put(desk, "coffee.jpg")["object"]["changed"]
    con.execute(f"UPDATE prompts SET {change}")  # and `changed` is as it was
    there = rows(con, "*")
    for request in ("put", "drop"):
        given = {"key": ["coffee.jpg"], "object": 1, "points": [[0.4, 0.4]], "labels": [1], "changed": first}
        with pytest.raises(Refused, match="object 1 was changed elsewhere"):
            desk.ask(request, given)
    assert rows(con, "*") == there
    [now] = desk.ask("objects", {"place": 1}).values["objects"]
    assert now["changed"] != first
    again = put(desk, "coffee.jpg", points=[[0.4, 0.4]], changed=now["changed"])
    assert not again["other"]


def test_two_new_objects_with_one_number_are_two(desk: Desk) -> None:
    put(desk, "coffee.jpg", points=[[0.3, 0.3]])
    assert put(desk, "coffee.jpg", points=[[0.7, 0.7]])["object"]["object"] == 2


def test_a_request_that_is_repeated_is_one_object(con: duckdb.DuckDBPyConnection, desk: Desk) -> None:
    """The answer to the first was lost; meanwhile there is another point."""
    put(desk, "coffee.jpg", points=[[0.3, 0.3]])
    again = put(desk, "coffee.jpg", points=[[0.3, 0.3], [0.5, 0.5]], labels=[1, 1])
    assert again["object"]["object"] == 1
    assert rows(con) == [("coffee.jpg", 1)]


def test_state_changes_with_every_change(con: duckdb.DuckDBPyConnection, desk: Desk) -> None:
    states = [desk.store.state()]
    put(desk, "coffee.jpg")
    states.append(desk.store.state())
    con.execute("UPDATE prompts SET class = 'cup'")
    states.append(desk.store.state())
    con.execute("DELETE FROM prompts")
    states.append(desk.store.state())
    assert len(set(states)) == 3
    assert states[0] == states[3]


def test_threads_write_at_once(con: duckdb.DuckDBPyConnection, desk: Desk) -> None:
    def work(number: int) -> None:
        for step in range(3):
            put(desk, NAMES[number % 3], number + 1, points=[[0.1 + step / 5, 0.5]], changed="x")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rows(con)) == 6


def test_prompts_that_are_wrong_are_refused(con: duckdb.DuckDBPyConnection, desk: Desk) -> None:
    wrong: list[dict[str, Any]] = [
        {"points": [[0.5, 1.5]]}, {"points": [[0.5]]}, {"labels": [2]}, {"labels": [1, 1]}, {"points": "all"},
        {"points": [[float("nan"), 0.5]]}, {"box": [0.5, 0.5, 0.1, 0.1]}, {"class": 3}, {"changed": 7},
    ]  # fmt: skip
    for given in wrong:
        with pytest.raises(Refused):
            put(desk, "coffee.jpg", **given)
    for request in ({"key": ["nobody"]}, {"key": "coffee.jpg"}, {"key": ["coffee.jpg"], "object": 0.5}):
        with pytest.raises(Refused):
            desk.ask("put", {"object": 1, "points": [[0.5, 0.5]], "labels": [1], "box": None, **request})
    with pytest.raises(Refused, match="no request"):
        desk.ask("close", {})
    assert rows(con) == []


# Keys and pictures


def test_the_key_is_found(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE TABLE keyed (a INTEGER, b DATE, image BLOB, id INTEGER, PRIMARY KEY (a, b))")
    con.execute("INSERT INTO keyed SELECT 1, DATE '2020-01-01', image, 7 FROM images LIMIT 1")
    found = pictures(con, "keyed")
    assert [column.name for column in found.columns] == ["a", "b"]
    assert found.keys == [("1", "2020-01-01")]
    assert found.data(0) == photo("chelsea.jpg")
    assert pictures(con, "keyed", "id").keys == [("7",)]


@pytest.mark.parametrize(
    "key", ["42::UTINYINT", "'a''b; -- ü'", "DATE '2020-02-29'", "1.50::DECIMAL(9,2)", "'\\xAA\\x00b'::BLOB", "uuid()",
            "TIMESTAMP '2020-01-01 01:02:03.456'", "'x'::ENUM('x', 'y')", "true"],
)  # fmt: skip
def test_keys_of_many_types(con: duckdb.DuckDBPyConnection, key: str) -> None:
    con.execute(f"CREATE TABLE typed AS SELECT {key} AS id, image FROM images WHERE name = 'coffee.jpg'")
    desk = Desk("typed", "prompts", con=con)
    try:
        shown = desk.ask("objects", {"place": 0}).values
        desk.ask("put", {"key": shown["key"], "object": 1, "points": [[0.5, 0.5]], "labels": [1], "box": None})
        assert desk.store.counts() == {tuple(shown["key"]): 1}
        query = "SELECT count(*) FROM typed JOIN prompts USING (id) WHERE mask IS NOT NULL"
        assert con.execute(query).fetchall() == [(1,)]
    finally:
        desk.close()


@pytest.mark.parametrize(
    ("table", "key", "text"),
    [
        ("SELECT image FROM images", None, "key= is missing.*row_number"),
        ("SELECT 1 AS id, image FROM images", None, "id is not unique: 3 rows have 1"),
        ("SELECT nullif(name, 'coffee.jpg') AS name, image FROM images", None, "name is NULL in 1 of 3 rows"),
        ("SELECT 1 AS id, image FROM images", "id", "key: id is not unique"),
        ("SELECT 0.5::DOUBLE AS f, image FROM images LIMIT 1", "f", "holds DOUBLE"),
        ("SELECT name AS box, image FROM images", "box", "called as one of the prompts' own"),
    ],
)
def test_tables_without_a_key_are_refused(con: duckdb.DuckDBPyConnection, table: str, key: Any, text: str) -> None:
    con.execute(f"CREATE TABLE given AS {table}")
    with pytest.raises(LabelError, match=text):
        Desk("given", "prompts", con=con, key=key)


def test_sources_of_all_kinds(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).write_bytes(photo(name))
    parquet = str(tmp_path / "images.parquet")
    con.execute(f"COPY images TO '{parquet}'")
    con.execute("CREATE VIEW viewed AS FROM images")
    con.execute("CREATE TABLE stored AS SELECT name AS id, {'bytes': image, 'path': 'x'} AS picture FROM images")
    paths = [str(tmp_path / name) for name in NAMES]
    sources: list[Any] = [
        "images", "viewed", "stored", "FROM images;", con.sql("FROM images"), parquet, str(tmp_path), tmp_path, paths,
        str(tmp_path / "*.jpg"), con.sql("FROM images").to_arrow_table(), con.sql("FROM images").df(),
        con.sql("FROM images").pl(), f"SELECT filename, content FROM read_blob('{tmp_path}/*.jpg')",
    ]  # fmt: skip
    for source in sources:
        found = pictures(con, source)
        assert [Path(key[0]).name for key in found.keys] == list(NAMES), source
        assert found.data(2) == photo("coins.jpg"), source
        found.close()


def test_sources_that_are_none(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    con.execute("CREATE TEMP TABLE passing AS FROM images")
    for source, text in [
        ("nowhere", "no table, file or folder 'nowhere'; the tables are: images"),
        ("FROM passing", "make a table or a view"),
        (str(tmp_path), "holds no photos"),
        (str(tmp_path / "*.png"), "no file matches"),
    ]:
        with pytest.raises(LabelError, match=text):
            pictures(con, source)
    with pytest.raises(ValueError, match="one SELECT"):
        pictures(con, "FROM images; DROP TABLE images")
    with pytest.raises(TypeError):
        pictures(con, 7)
    with pytest.raises(TypeError, match="con="):
        open_rows("images", None)


def test_pictures_that_cannot_be_read(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    con.execute("CREATE TABLE paths (path VARCHAR)")
    given = [None, str(tmp_path / "none.jpg"), str(tmp_path), "/dev/zero", "https://example.com/a.jpg"]
    con.executemany("INSERT INTO paths VALUES (?)", [(each,) for each in given])
    con.execute("CREATE TABLE numbered AS SELECT row_number() OVER () AS id, path FROM paths")
    found = pictures(con, "numbered", image="path")
    for place in range(len(given)):
        with pytest.raises(Unreadable):
            found.data(place)
    desk = Desk([str(tmp_path / "text.jpg")], "prompts", con=con)
    try:
        shown = desk.ask("objects", {"place": 0}).values
        assert "not a picture that can be decoded" in shown["error"]
        with pytest.raises(Refused):
            desk.ask("thumbnail", {"place": 0})
        with pytest.raises(Refused):
            desk.ask("put", {"key": shown["key"], "object": 1, "points": [[0.5, 0.5]], "labels": [1], "box": None})
    finally:
        desk.close()


def test_points_are_of_the_upright_picture(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE TABLE turned (id INTEGER, image BLOB)")
    con.executemany("INSERT INTO turned VALUES (?, ?)", [(1, photo("coffee.jpg", orientation=6))])
    desk = Desk("turned", "prompts", con=con)
    try:
        shown = desk.ask("objects", {"place": 0}).values
        assert (shown["width"], shown["height"]) == (200, 300)
        given = {"key": ["1"], "object": 1, "points": [[0.6, 0.5]], "labels": [1], "box": None}
        mask = desk.ask("put", given).values["object"]["mask"]
        assert mask["segmentation"]["size"] == [300, 200]
        query = "SELECT sam_annotate('nano', image, points, labels, box) FROM turned JOIN prompts USING (id)"
        assert con.execute(query).fetchone() == (mask,)
    finally:
        desk.close()


def test_the_next_pictures_are_encoded_before_they_are_asked_for(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("UPDATE images SET image = image || 'new'::BLOB")  # others to the cache
    desk = Desk("images", "prompts", con=con)
    encodes = "SELECT value FROM sam_stats() WHERE counter = 'encodes'"
    try:
        desk.ask("objects", {"place": 0})
        waited = threading.Event()
        for _ in range(200):
            if not desk.answers._wanted:
                break
            waited.wait(0.05)
        waited.wait(0.5)
        [before] = con.execute(encodes).fetchone()
        for name in NAMES:
            put(desk, name)
        assert con.execute(encodes).fetchone() == (before,)
    finally:
        desk.close()


def test_a_database_that_is_read_only_is_told(tmp_path: Path) -> None:
    with duckdb_sam.connect(tmp_path / "a.db") as con:
        fill(con)
    with (
        duckdb_sam.connect(tmp_path / "a.db", read_only=True) as con,
        pytest.raises(LabelError, match="table prompts cannot be written: the database is open read-only"),
    ):
        Desk("images", "prompts", con=con)


def test_a_model_that_is_not_there(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(ValueError, match="nobody"):
        Desk("images", "prompts", con=con, model="nobody")
