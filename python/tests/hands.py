"""A person at the page of ``duckdb-sam label``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from labels import served

COFFEE = 1
SESSION = "document.querySelector('.desk').session"
STAGE = "document.querySelector('.desk').stage"


class Hand:
    """A person at the page."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address = page, address

    def open(self, place: int = COFFEE, address: str = "") -> None:
        self.page.goto("about:blank")
        self.page.goto(f"{address or self.address}#{place + 1}")
        self.shown(place)

    def shown(self, place: int) -> None:
        self.page.wait_for_selector(f'.stage[data-shown="{place}"]')

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a place in the picture is on the screen."""
        left, top = self.page.evaluate(
            f"([x, y]) => {{ const box = {STAGE}.element.getBoundingClientRect();"
            f" const [a, b] = {STAGE}.view.toStage(x, y); return [box.left + a, box.top + b]; }}",
            [x, y],
        )
        return left, top

    def click(self, x: float, y: float, **given: Any) -> None:
        shift = given.pop("shift", False)
        if shift:
            self.page.keyboard.down("Shift")
        self.page.mouse.click(*self.at(x, y), **given)
        if shift:
            self.page.keyboard.up("Shift")
        self.saved()

    def drag(self, begin: tuple[float, float], end: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(*begin))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(*end), steps=4)
        self.page.mouse.up()
        self.saved()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
        self.saved()

    def saved(self) -> None:
        self.wait(f"{SESSION}.saving.waiting === 0")

    def wait(self, condition: str) -> None:
        """Wait for a condition; the page's policy forbids what Playwright has for it."""
        end = time.monotonic() + 10
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, condition
            self.page.wait_for_timeout(10)

    def objects(self) -> list[Any]:
        return self.page.evaluate(
            f"{SESSION}.items.map(({{number, points, labels, box, mask}}) => ({{number, points, labels, box, mask}}))"
        )

    def times(self) -> list[float]:
        return self.page.evaluate(f"{SESSION}.times")


def stored(con: duckdb.DuckDBPyConnection, name: str = "coffee.jpg") -> list[dict[str, Any]]:
    result = con.execute("FROM prompts WHERE name = ? ORDER BY object", [name])
    columns = [column[0] for column in result.description]
    return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]


@pytest.fixture
def hand(page: Any, con: duckdb.DuckDBPyConnection) -> Iterator[Hand]:
    """Somebody who looks at the second photograph."""
    with served(con, classes=["cup", "saucer"]) as address:
        hand = Hand(page, address)
        hand.open()
        yield hand
        page.goto("about:blank")
