"""The page in a browser while tables change, and on tables of others."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from browser import Seen
from hands import COFFEE, SESSION, Hand, stored
from hands import hand as hand  # fixture
from labels import con as con  # fixture
from labels import served


def exchange(con: duckdb.DuckDBPyConnection, other: str = "coins.jpg") -> None:
    con.execute(
        "UPDATE images SET image = (SELECT image FROM images WHERE name = ?) WHERE name = 'coffee.jpg'", [other]
    )


def colour(hand: Hand) -> list[int]:
    shot = "([x, y]) => [...document.querySelector('canvas').getContext('2d').getImageData(x, y, 1, 1).data]"
    box = hand.page.locator(".stage").bounding_box()
    left, top = hand.at(0.9, 0.05)
    return hand.page.evaluate(shot, [int(left - box["x"]), int(top - box["y"])])


def test_a_picture_that_changes_is_shown_anew_without_the_masks_of_before(
    hand: Hand, con: duckdb.DuckDBPyConnection
) -> None:
    hand.click(0.5, 0.3)
    before = colour(hand)
    exchange(con)
    hand.page.get_by_text("The picture has changed in the table").wait_for()
    hand.shown(COFFEE)
    hand.wait(f"{SESSION}.items.length === 1 && {SESSION}.items[0].mask === null")
    hand.wait("document.querySelector('.stage').getAttribute('aria-busy') === 'false'")
    hand.page.wait_for_timeout(100)
    assert colour(hand) != before
    old = stored(con)[0]["mask"]
    hand.page.locator(".pick").first.click()
    hand.click(0.9, 0.9, shift=True)
    assert stored(con)[0]["mask"] != old
    hand.wait(f"{SESSION}.items[0].mask !== null")


def test_a_click_on_a_picture_that_is_another_one_is_not_done(hand: Hand, con: duckdb.DuckDBPyConnection) -> None:
    hand.page.evaluate(f"{SESSION}.look = async () => {{}}")  # it has not looked yet
    exchange(con)
    hand.click(0.5, 0.3)
    assert stored(con) == []
    hand.page.get_by_text("the picture has changed in the table").first.wait_for()
    hand.wait(f"{SESSION}.items.length === 0")
    hand.shown(COFFEE)
    hand.click(0.5, 0.3)
    assert len(stored(con)) == 1


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("DELETE FROM images WHERE name = 'coffee.jpg'", "its row is no longer in the table."),
        (
            "ALTER TABLE images DROP image",
            'images cannot be read: it is no longer as it was (Referenced column "image"',
        ),
    ],
)
def test_a_picture_that_is_gone_is_not_called_another_one(
    hand: Hand, con: duckdb.DuckDBPyConnection, sql: str, told: str
) -> None:
    con.execute(sql)
    hand.page.get_by_text(f"The picture can no longer be shown: {told}").wait_for()
    text = hand.page.inner_text("body")
    assert "has changed in the table" not in text
    assert "SELECT" not in text
    assert "LINE 1" not in text


def test_a_class_stays_where_the_person_has_chosen_it(hand: Hand, con: duckdb.DuckDBPyConnection) -> None:
    con.execute("""
        INSERT INTO prompts (name, object, class, points, labels)
        VALUES ('coffee.jpg', 1, 'of others', [[0.5, 0.5]], [1])
    """)
    hand.page.get_by_text("of others").first.wait_for()
    hand.page.locator(".pick").first.click()
    hand.press("n")
    hand.click(0.2, 0.7)  # it is not of the class of the one that was looked at
    hand.press("n", "1")
    hand.click(0.8, 0.2)
    hand.press("n")
    hand.click(0.9, 0.5)  # as the person has chosen for the one before
    hand.press("PageDown")
    hand.shown(COFFEE + 1)
    hand.click(0.5, 0.5)
    assert [row["class"] for row in stored(con)] == ["of others", None, "cup", "cup"]
    assert [row["class"] for row in stored(con, "coins.jpg")] == ["cup"]


def test_numbers_of_others_have_colours(page: Any, con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE TABLE prompts (name VARCHAR, object INTEGER, points DOUBLE[][])")
    numbers = [-12, 0, 2_000_000]
    con.executemany("INSERT INTO prompts VALUES ('coffee.jpg', ?, [[0.5, 0.5]])", [(number,) for number in numbers])
    with served(con) as address:
        hand = Hand(page, address)
        hand.open()
        for place in range(3):
            page.locator(".pick").nth(place).click()
            hand.click(0.4, 0.3)
        assert [(row["object"], len(row["points"]), row["mask"] is None) for row in stored(con)] == [
            (number, 2, False) for number in numbers
        ]
        hand.press("n")
        hand.click(0.9, 0.9)
        assert [row["object"] for row in stored(con)] == [-12, 0, 1, 2_000_000]
        page.goto("about:blank")


def test_what_is_odd_about_the_table_is_told(page: Any, con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE TABLE prompts AS SELECT 'elsewhere' AS name, 7 AS object, [0.1, 0.1, 0.9, 0.9] AS box")
    with served(con) as address:
        hand = Hand(page, address)
        hand.open()
        page.get_by_text("0 of 1 objects in prompts are of these pictures").wait_for()
        page.goto("about:blank")


def test_a_click_waits_for_a_table_that_is_gone(hand: Hand, con: duckdb.DuckDBPyConnection, seen: Seen) -> None:
    con.execute("ALTER TABLE prompts RENAME TO others")
    hand.page.mouse.click(*hand.at(0.5, 0.3))
    hand.page.get_by_role("alert").get_by_text("The table prompts is no longer as it was").wait_for()
    con.execute("ALTER TABLE others RENAME TO prompts")
    hand.page.get_by_role("button", name="Try now").click()
    hand.saved()
    assert len(stored(con)) == 1
    seen.errors.clear()  # the browser lists the answers
