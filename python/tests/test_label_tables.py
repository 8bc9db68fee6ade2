"""What others do to the tables: prompts that were there before, and changes while a page is open."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest

from duckdb_sam.labelling.desk import Desk
from duckdb_sam.labelling.errors import Gone, LabelError, Refused
from labels import con as con  # fixtures
from labels import desk as desk
from labels import photo, pictures, put, rows


def test_a_detectors_boxes_are_taken_over(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("""
        CREATE TABLE prompts AS FROM (VALUES
            ('coffee.jpg', [0.1, 0.1, 0.9, 0.9]::FLOAT[], 'first'), ('coffee.jpg', [0.3, 0.3, 0.6, 0.6], 'second'),
            ('coins.jpg', [0.1, 0.1, 0.5, 0.5], 'third')
        ) AS boxes(name, box, note)
    """)
    desk = Desk("images", "prompts", con=con)
    try:
        found = desk.ask("objects", {"place": 1}).values["objects"]
        assert [(each["object"], each["mask"]) for each in found] == [(1, None), (2, None)]
        assert found[0]["box"] == pytest.approx([0.1, 0.1, 0.9, 0.9])
        put(desk, "coffee.jpg", 2, points=None, labels=None, box=[0.2, 0.2, 0.6, 0.6], changed=found[1]["changed"])
        assert rows(con, "object, note, mask IS NOT NULL") == [
            (1, "first", False), (2, "second", True), (1, "third", False),
        ]  # fmt: skip
    finally:
        desk.close()


def test_points_are_not_rounded_to_the_types_of_others(con: duckdb.DuckDBPyConnection) -> None:
    """A list in SQL is one of decimals with as many digits as were written; classes may be numbers."""
    con.execute("""
        CREATE TABLE prompts AS
        SELECT 'coffee.jpg' AS name, 7 AS class, [[0.5, 0.2]] AS points, [1] AS labels, [0.1, 0.1, 0.9, 0.9] AS box
    """)
    desk = Desk("images", "prompts", con=con)
    try:
        [found] = desk.ask("objects", {"place": 1}).values["objects"]
        given = {"box": [0.123456, 0.1, 0.9, 0.9], "changed": found["changed"]}
        put(desk, "coffee.jpg", points=[[0.123456, 0.2]], **given, **{"class": "8"})
        assert rows(con, "class, points, box") == [(8, [[0.123456, 0.2]], [0.123456, 0.1, 0.9, 0.9])]
        with pytest.raises(Refused, match=r"does not take it.*'cup'"):
            put(desk, "coffee.jpg", **given, **{"class": "cup"})
    finally:
        desk.close()


def test_a_mask_without_a_prompt_is_kept(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("""
        CREATE TABLE prompts AS
        SELECT name, NULL::DOUBLE[][] AS points, sam_annotate('nano', image, [0.5, 0.5]) AS mask FROM images
    """)
    desk = Desk("images", "prompts", con=con)
    try:
        [found] = desk.ask("objects", {"place": 0}).values["objects"]
        mask = found["mask"]
        put(desk, "chelsea.jpg", points=[], labels=[], mask=mask, changed="", **{"class": "cat"})
        assert rows(con, "class, mask")[0] == ("cat", mask)
        with pytest.raises(Refused, match="record"):
            put(desk, "chelsea.jpg", points=[], labels=[], mask={"size": 3}, changed="")
    finally:
        desk.close()


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("name VARCHAR, text VARCHAR", "lacks points or box"),
        ("id INTEGER, points DOUBLE[][]", "lacks the key name"),
        ("name VARCHAR, points VARCHAR", r"column points .* is VARCHAR, not DOUBLE\[\]\[\]"),
        ("name VARCHAR, box DOUBLE[], mask VARCHAR", "column mask .* is VARCHAR"),
        ("name VARCHAR, box DOUBLE[], object VARCHAR", "column object .* is VARCHAR, not a whole number"),
    ],
)
def test_other_tables_are_refused(con: duckdb.DuckDBPyConnection, table: str, text: str) -> None:
    con.execute(f"CREATE TABLE prompts ({table})")
    with pytest.raises(LabelError, match=text):
        Desk("images", "prompts", con=con)
    assert len(con.execute("DESCRIBE prompts").fetchall()) == table.count(",") + 1


def test_numbers_that_are_twice_are_made_different_and_told(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("""
        CREATE TABLE prompts AS FROM (VALUES
            ('coffee.jpg', 7, 'a'), ('coffee.jpg', 7, 'b'), ('coins.jpg', 7, 'c'), ('coffee.jpg', NULL, 'd'),
            ('coffee.jpg', 3, 'e')
        ) AS given(name, object, class), (SELECT [0.1, 0.1, 0.9, 0.9] AS box)
    """)
    desk = Desk("images", "prompts", con=con)
    try:
        assert rows(con, "object, class") == [(3, "e"), (7, "a"), (8, "b"), (9, "d"), (7, "c")]
        [note] = desk.ask("open", {}).values["notes"]
        assert note == (
            "the table prompts had the number of another object of the same picture in 1 row: it has new numbers now"
        )
    finally:
        desk.close()


def test_numbers_of_others_may_be_anything(con: duckdb.DuckDBPyConnection) -> None:
    numbers = [-3, 0, 2_000_000, 2**31 - 1]
    con.execute("CREATE TABLE prompts (name VARCHAR, object INTEGER, points DOUBLE[][])")
    con.executemany("INSERT INTO prompts VALUES ('coffee.jpg', ?, [[0.5, 0.5]])", [(number,) for number in numbers])
    desk = Desk("images", "prompts", con=con)
    try:
        assert [each["object"] for each in desk.ask("objects", {"place": 1}).values["objects"]] == numbers
        for number in numbers:
            put(desk, "coffee.jpg", number, points=[[0.5, 0.4]], changed="")
        assert put(desk, "coffee.jpg", 0, points=[[0.1, 0.1]])["object"]["object"] == 1  # the first that is free
        desk.ask("drop", {"key": ["coffee.jpg"], "object": -3})
        assert rows(con, "object, mask IS NOT NULL") == [(number, True) for number in [0, 1, *numbers[2:]]]
        with pytest.raises(Refused, match="numbered up to"):
            put(desk, "coffee.jpg", 2**60)
    finally:
        desk.close()
    con.execute("CREATE TABLE large AS SELECT 'a' AS name, 2::HUGEINT ** 60 AS number, NULL::DOUBLE[] AS box")
    con.execute("ALTER TABLE large RENAME number TO object; ALTER TABLE large ALTER object TYPE BIGINT")
    with pytest.raises(LabelError, match="must number the objects of each picture, up to"):
        Desk("images", "large", con=con)


def test_two_desks_on_one_table_give_different_numbers(con: duckdb.DuckDBPyConnection, desk: Desk) -> None:
    other = Desk("images", "prompts", con=con)
    try:

        def work(given: Desk, column: float) -> None:
            for step in range(8):
                put(given, "coffee.jpg", points=[[column, 0.1 + step / 10]])

        threads = [threading.Thread(target=work, args=each) for each in ((desk, 0.3), (other, 0.7))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [number for _, number in rows(con)] == list(range(1, 17))
    finally:
        other.close()


def test_keys_of_another_type_are_counted(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE TABLE numbered AS SELECT row_number() OVER ()::INTEGER AS id, image FROM images")
    con.execute("""
        CREATE TABLE prompts AS FROM (VALUES ('1', 1), ('02', 1), ('coffee.jpg', 1), ('1', 2)) AS given(id, object),
            (SELECT [0.1, 0.1, 0.9, 0.9] AS box)
    """)
    desk = Desk("numbered", "prompts", con=con)
    try:
        assert desk.notes() == [
            "2 of 4 objects in prompts are of these pictures, 2 are of none of them, whose key has another type: id is "
            "VARCHAR in prompts and INTEGER in the pictures"
        ]
        assert len(desk.ask("objects", {"place": 0}).values["objects"]) == 2
        assert desk.ask("objects", {"place": 1}).values["objects"] == []
        put(desk, "2")
        assert con.execute("SELECT count(*) FROM prompts WHERE id = '2'").fetchall() == [(1,)]
    finally:
        desk.close()


def test_keys_that_the_other_type_cannot_hold_are_told(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE TABLE texts AS SELECT '0' || row_number() OVER () AS id, image FROM images")
    con.execute("CREATE TABLE prompts (id INTEGER, box DOUBLE[])")
    desk = Desk("texts", "prompts", con=con)
    try:
        with pytest.raises(
            Refused, match="cannot hold the key 01: id is INTEGER in prompts and VARCHAR in the pictures"
        ):
            put(desk, "01")
        assert con.execute("FROM prompts").fetchall() == []
    finally:
        desk.close()


def test_a_table_that_is_removed_is_told(con: duckdb.DuckDBPyConnection, desk: Desk) -> None:
    put(desk, "coffee.jpg")
    con.execute("ALTER TABLE prompts RENAME TO others")
    for request, given in (("state", {}), ("open", {}), ("objects", {"place": 1}), ("list", {"from": 0, "count": 3})):
        with pytest.raises(Gone, match="The table prompts is no longer as it was"):
            desk.ask(request, given)
    with pytest.raises(Gone, match="The table prompts is no longer as it was"):
        put(desk, "coffee.jpg")
    con.execute("ALTER TABLE others RENAME TO prompts")
    put(desk, "coffee.jpg", changed="")
    con.execute("DROP TABLE images")
    time.sleep(0.2)
    assert "images cannot be read" in desk.ask("objects", {"place": 1}).values["error"]


@pytest.mark.parametrize("use", ["s", "other", 'other."q.,""z"', "memory.s"])
def test_names_mean_what_they_mean_on_the_connection(con: duckdb.DuckDBPyConnection, use: str) -> None:
    """``USE`` of another schema or database holds for the pictures, a query of them, and the prompts."""
    con.execute("""ATTACH ':memory:' AS other; CREATE SCHEMA s; CREATE SCHEMA other."q.,""z" """)
    con.execute(f"USE {use}")
    con.execute("CREATE TABLE here AS SELECT 'x' || name AS name, image FROM memory.main.images")
    for number, source in enumerate(("here", "SELECT * FROM here", con.sql("FROM here"))):
        desk = Desk(source, f"prompts{number}", con=con)
        try:
            put(desk, "xcoffee.jpg")
            assert con.execute(f"SELECT count(*) FROM prompts{number} JOIN here USING (name)").fetchall() == [(1,)]
        finally:
            desk.close()
    assert len(pictures(con, "memory.main.images")) == 3


def test_names_are_looked_up_along_the_path(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE SCHEMA s; CREATE SCHEMA t; CREATE TABLE t.far AS FROM images LIMIT 1; USE s")
    assert len(pictures(con, "images")) == 3  # main comes last
    con.execute("SET search_path = 's,t'")
    assert len(pictures(con, "far")) == 1
    con.execute("CREATE TEMP TABLE images AS FROM memory.main.images LIMIT 1")
    with pytest.raises(LabelError, match="images is a temporary table"):
        pictures(con, "images")


def test_a_picture_that_changes_is_told(con: duckdb.DuckDBPyConnection, desk: Desk) -> None:
    """Its key is the same: masks of the one before are neither made nor shown on the new one."""
    given = desk.ask("objects", {"place": 1}).values
    put(desk, "coffee.jpg", version=given["version"])
    put(desk, "coffee.jpg", 2, points=[[0.2, 0.2]], version=given["version"])
    [(mask,), _] = rows(con, "mask")
    con.execute(
        "UPDATE images SET image = (SELECT image FROM images WHERE name = 'coins.jpg') WHERE name = 'coffee.jpg'"
    )
    time.sleep(0.2)  # nobody looks all the time
    assert desk.ask("state", {"place": 1}).values["version"] != given["version"]
    with pytest.raises(Refused, match="the picture has changed"):
        put(desk, "coffee.jpg", version=given["version"], changed="")
    now = desk.ask("objects", {"place": 1}).values
    assert [each["mask"] for each in now["objects"]] == [None, None]
    assert "mask of object 1 is not shown, as its mask is of the picture as it was before" in now["notice"]
    assert rows(con, "mask")[0] == (mask,)  # the table keeps it
    assert desk.ask("picture", {"place": 1, "side": 100}).values["version"] == now["version"]
    again = put(desk, "coffee.jpg", version=now["version"], changed=now["objects"][0]["changed"])
    assert again["object"]["mask"] != mask
    shown = [each["mask"] for each in desk.ask("objects", {"place": 1}).values["objects"]]
    assert shown == [again["object"]["mask"], None]
    con.execute("DELETE FROM images WHERE name = 'coffee.jpg'")
    time.sleep(0.2)
    assert "no longer in the table" in desk.ask("objects", {"place": 1}).values["error"]


def test_a_file_that_changes_is_told(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(photo("coffee.jpg"))
    desk = Desk([str(file)], "prompts", con=con)
    try:
        before = desk.ask("objects", {"place": 0}).values["version"]
        file.write_bytes(photo("coins.jpg"))
        time.sleep(0.2)
        assert desk.ask("state", {"place": 0}).values["version"] != before
        assert desk.pictures.data(0) == photo("coins.jpg")
    finally:
        desk.close()


def test_masks_of_other_pictures_are_not_shown(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("""
        CREATE TABLE prompts AS
        SELECT 'coffee.jpg' AS name, NULL::DOUBLE[][] AS points,
            sam_annotate('nano', image_resize(image, 100, 100), [0.5, 0.5]) AS mask
        FROM images WHERE name = 'coffee.jpg'
    """)
    [(mask,)] = rows_of_masks = con.execute("SELECT mask FROM prompts").fetchall()
    desk = Desk("images", "prompts", con=con)
    try:
        shown = desk.ask("objects", {"place": 1}).values
        [found] = shown["objects"]
        assert (found["mask"], found["wrong"]) == (
            None,
            "its mask is of a picture of 100 x 100, not of 300 x 200 pixels",
        )
        assert shown["notice"].startswith("The mask of object 1 is not shown")
        with pytest.raises(Refused, match="of a picture of 100 x 100"):
            put(desk, "coffee.jpg", points=[], labels=[], mask=mask, changed=found["changed"])
        for size in ([10**30, 3], [-1, 2], [2**31, 2**31], [0.5, 1], "x", [1], [200, 300]):
            record = {**mask, "segmentation": {"size": size, "counts": "1"}}
            with pytest.raises(Refused):
                put(desk, "coffee.jpg", points=[], labels=[], mask=record, changed=found["changed"])
        put(desk, "coffee.jpg", points=[], labels=[], keep=True, changed=found["changed"], **{"class": "cup"})
        assert con.execute("SELECT mask FROM prompts").fetchall() == rows_of_masks
    finally:
        desk.close()


def test_prompts_of_others_that_are_wrong_are_told_and_kept(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("""
        CREATE TABLE prompts AS FROM (VALUES
            ('coffee.jpg', [[250.0, 200.0]], [1]), ('coffee.jpg', [[0.5, 'nan'::DOUBLE]], NULL),
            ('coffee.jpg', [NULL], NULL), ('coffee.jpg', [[0.5, 0.5]], [1])
        ) AS given(name, points, labels)
    """)
    desk = Desk("images", "prompts", con=con)
    try:
        found = desk.ask("objects", {"place": 1}).values["objects"]
        assert [(each["points"] is None, each["wrong"] is None) for each in found] == [(True, False)] * 3 + [
            (False, True)
        ]
        assert found[0]["wrong"] == (
            "point 1 [250.0, 200.0] lies outside the image: coordinates are fractions of its width and height, 0 to 1, "
            "and these look like pixels"
        )
        con.execute("UPDATE prompts SET points = NULL, box = [3, 3, 1, 1] WHERE object = 4")
        wrong = desk.ask("objects", {"place": 1}).values["objects"][3]["wrong"]
        assert wrong == "box [3.0, 3.0, 1.0, 1.0] has no area: it is read as [x0, y0, x1, y1]"
        con.execute("UPDATE prompts SET points = [[0.5, 0.5]], box = NULL WHERE object = 4")
        put(desk, "coffee.jpg", 1, points=[], labels=[], keep=True, changed=found[0]["changed"], **{"class": "cup"})
        assert rows(con, "class, points")[0] == ("cup", [[250.0, 200.0]])
        put(desk, "coffee.jpg", 1, points=[[0.5, 0.4]], changed="")
        assert rows(con, "points, mask IS NOT NULL")[0] == ([[0.5, 0.4]], True)
    finally:
        desk.close()


def test_a_folder_is_the_same_however_it_is_written(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "coffee.jpg").write_bytes(photo("coffee.jpg"))
    own = os.path.join("photos", "coffee.jpg")
    for number, source in enumerate(
        ["./photos", "photos/", "photos", str(tmp_path / "photos"), "photos/../photos", "./photos/*.jpg", [f"./{own}"]],
        1,
    ):
        desk = Desk(source, "prompts", con=con)
        try:
            assert desk.pictures.keys == [(own,)]
            assert desk.notes() == []
            assert len(desk.ask("objects", {"place": 0}).values["objects"]) == number - 1
            put(desk, own, points=[[number / 10, 0.5]])
        finally:
            desk.close()


def test_prompts_under_the_old_spelling_of_a_path_are_found(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("coffee.jpg", "coins.jpg"):
        (tmp_path / name).write_bytes(photo(name))
    con.execute("CREATE TABLE prompts (path VARCHAR, points DOUBLE[][])")
    con.executemany(
        "INSERT INTO prompts VALUES (?, [[0.5, 0.5]])",
        [("./coffee.jpg",), (str(tmp_path / "coffee.jpg"),), (str(tmp_path / "coffee.jpg"),), ("elsewhere.jpg",)],
    )
    desk = Desk(".", "prompts", con=con)
    try:
        assert desk.pictures.keys == [(str(tmp_path / "coffee.jpg"),), ("coins.jpg",)]
        assert len(desk.ask("objects", {"place": 0}).values["objects"]) == 2
        assert desk.notes() == [
            "1 photo of prompts has objects under several spellings of the path: those of one are shown"
        ]
    finally:
        desk.close()


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode")
def test_a_name_that_is_not_unicode_is_there_as_its_uri(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for name in (b"a.jpg", b"b\xff.jpg"):
        (tmp_path / os.fsdecode(name)).write_bytes(photo("coffee.jpg"))
    desk = Desk(str(tmp_path), "prompts", con=con)
    try:
        uri = f"{tmp_path.as_uri()}/b%FF.jpg"
        assert desk.pictures.keys == [(str(tmp_path / "a.jpg"),), (uri,)]
        put(desk, uri)
    finally:
        desk.close()
    assert con.execute("SELECT path, mask IS NOT NULL FROM prompts").fetchall() == [(uri, True)]
