"""Galleries in a real browser: keyboard, hover, switches, light and dark, narrow and wide, and nothing asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import duckdb_sam
from browser import Seen, violations
from conftest import PHOTOS
from duckdb_sam import Gallery, show


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    """Two photographs with all objects, one with a prompt, one that is broken, one without its image."""
    with duckdb_sam.connect() as con:
        con.execute(
            "CREATE TABLE photos AS SELECT parse_filename(filename) AS name, content AS image FROM read_blob(?)",
            [str(PHOTOS / "c*.jpg")],
        )
        query = """
            SELECT name, image, sam_generate('nano', image, 5) AS masks, NULL AS point, NULL AS box, 'a text' AS note
            FROM photos WHERE name IN ('coins.jpg', 'coffee.jpg')
            UNION ALL BY NAME
            SELECT name, image, [sam_annotate('nano', image, [0.5, 0.6])] AS masks, [[0.5, 0.6], [0.1, 0.1]] AS point,
                [1, 0] AS labels, [0.2, 0.2, 0.8, 0.9] AS box, repeat('long ', 200) AS note
            FROM photos WHERE name = 'chelsea.jpg'
            UNION ALL BY NAME SELECT 'broken.jpg' AS name, 'no image'::BLOB AS image, 'cannot be decoded' AS error
            ORDER BY name DESC"""
        return show(query, con=con, title="Things on tables")


@pytest.fixture
def opened(gallery: Gallery, page: Any, tmp_path: Path) -> Any:
    page.goto(gallery.save(tmp_path / "gallery.html").as_uri())
    return page


def chosen(figure: Any) -> list[str]:
    """The masks that are singled out."""
    return figure.evaluate(
        "figure => figure.querySelector('.singled')"
        " ? [...figure.querySelectorAll('path.chosen')].map(path => path.dataset.mask) : []"
    )


@pytest.mark.parametrize(("colours", "width"), [("light", 1280), ("dark", 390)])
def test_it_is_accessible_and_fits(opened: Any, colours: str, width: int) -> None:
    opened.emulate_media(color_scheme=colours)
    opened.set_viewport_size({"width": width, "height": 800})
    assert violations(opened) == []
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    shapes = opened.evaluate(
        "[...document.querySelectorAll('.picture img')].map(img => [img.naturalWidth / img.naturalHeight,"
        " img.clientWidth / img.clientHeight])"
    )
    assert len(shapes) == 3
    for natural, seen in shapes:
        assert seen == pytest.approx(natural, rel=0.01)


def test_nothing_is_asked_for(opened: Any, seen: Seen) -> None:
    opened.mouse.wheel(0, 3000)
    opened.wait_for_load_state("networkidle")
    assert [each.partition(":")[0] for each in seen.requests] == ["file"]


def test_pointing_at_a_mask_singles_it_out(opened: Any) -> None:
    figure = opened.locator("article[aria-label='coins.jpg'] figure")
    path = figure.locator("path[data-mask]").last
    box = path.bounding_box()
    opened.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    number = path.get_attribute("data-mask")
    assert chosen(figure) == [number]
    said = figure.locator(".said")
    assert said.inner_text().startswith(f"{int(number) + 1}: ")
    assert " pixels (" in said.inner_text()
    opened.wait_for_function("getComputedStyle(document.querySelector('.singled path:not(.chosen)')).opacity < 0.2")
    opened.mouse.move(2, 2)
    assert chosen(figure) == []
    assert said.inner_text().endswith(" masks")


def test_a_button_keeps_it(opened: Any) -> None:
    figure = opened.locator("article[aria-label='coins.jpg'] figure")
    chips = figure.locator(".chip")
    chips.nth(1).click()
    opened.mouse.move(2, 2)
    opened.evaluate("document.activeElement.blur()")
    assert chosen(figure) == ["1"]
    assert chips.nth(1).get_attribute("aria-pressed") == "true"
    chips.nth(2).hover()
    assert chosen(figure) == ["2"]
    opened.mouse.move(2, 2)
    assert chosen(figure) == ["1"]
    chips.nth(1).click()
    opened.evaluate("document.activeElement.blur()")
    opened.mouse.move(2, 2)
    assert chosen(figure) == []


def test_the_keyboard_does_it_all(opened: Any) -> None:
    def focused() -> str:
        return opened.evaluate("document.activeElement.textContent")

    press = opened.keyboard.press
    figure = opened.locator("article[aria-label='coins.jpg'] figure")
    for expected in ("Masks", "in the object not in it", "Boxes", "1"):
        press("Tab")
        assert focused() == expected
    assert opened.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert chosen(figure) == ["0"]
    press("ArrowRight")
    assert (focused(), chosen(figure)) == ("2", ["1"])
    press("End")
    last = figure.locator(".chip").count()
    assert focused() == str(last)
    press("ArrowRight")
    assert focused() == "1"
    press("ArrowLeft")
    assert focused() == str(last)
    press("Home")
    press("Enter")
    press("Tab")  # to the next row: one button of each is on the way
    assert chosen(figure) == ["0"]
    assert opened.evaluate("document.activeElement.closest('article').getAttribute('aria-label')") == "coffee.jpg"
    press("Shift+Tab")
    press("Escape")
    assert figure.locator(".chip[aria-pressed='true']").count() == 0
    press("Shift+Tab")
    press("Shift+Tab")
    press("Shift+Tab")
    press("Space")
    assert focused() == "Masks"
    assert opened.locator("path[data-mask]").first.is_hidden()


def test_switches_hide_what_is_drawn(opened: Any) -> None:
    row = opened.locator("article[aria-label='chelsea.jpg']")
    for name, what in (("Masks", "path[data-mask]"), ("in the object", ".dot"), ("Boxes", "rect.box")):
        assert row.locator(what).first.is_visible()
        button = opened.get_by_role("button", name=name)
        button.click()
        assert not row.locator(what).first.is_visible()
        assert button.get_attribute("aria-pressed") == "false"
        button.click()
        assert row.locator(what).first.is_visible()
    assert row.locator(".dot.in").bounding_box()["width"] == 15


def test_dots_and_outlines_lie_where_they_should(opened: Any) -> None:
    row = opened.locator("article[aria-label='chelsea.jpg']")
    image, dot, box = (row.locator(each).first.bounding_box() for each in ("img", ".dot.in", "rect.box.under"))
    assert dot["x"] + 7.5 == pytest.approx(image["x"] + 0.5 * image["width"], abs=1)
    assert dot["y"] + 7.5 == pytest.approx(image["y"] + 0.6 * image["height"], abs=1)
    assert box["x"] == pytest.approx(image["x"] + 0.2 * image["width"], abs=3)
    assert box["y"] + box["height"] == pytest.approx(image["y"] + 0.9 * image["height"], abs=3)


def test_long_texts_unfold(opened: Any) -> None:
    row = opened.locator("article[aria-label='chelsea.jpg']")
    whole = row.locator("details > bdi")
    assert not whole.is_visible()
    row.locator("summary").press("Enter")
    assert whole.is_visible()


def test_notebooks_may_have_several(gallery: Gallery, page: Any) -> None:
    """As Jupyter does: the HTML is put into the page, and its scripts are run again for each."""
    dark = "background: #111; color: #eee"
    page.set_content(
        f"<!doctype html><html lang='en'><title>n</title><body style='{dark}'><main><h1>n</h1></main></body></html>"
    )
    for _ in range(2):
        page.evaluate(
            """html => {
                const cell = document.createElement('div');
                cell.innerHTML = html;
                document.querySelector('main').append(cell);
                for (const script of cell.querySelectorAll('script')) { (0, eval)(script.textContent); }
            }""",
            gallery._repr_html_(),
        )
    figure = page.locator("article[aria-label='coins.jpg'] figure").nth(1)
    figure.locator(".chip").nth(1).click()
    assert figure.locator(".chip[aria-pressed='true']").count() == 1
    assert chosen(page.locator("article[aria-label='coins.jpg'] figure").first) == []
    assert page.evaluate("getComputedStyle(document.querySelector('.duckdb-sam .name')).color") == "rgb(238, 238, 238)"
    assert violations(page) == []


def test_without_script_all_is_there(gallery: Gallery, browser: Any, tmp_path: Path) -> None:
    """As on GitHub, or in a notebook that is not trusted."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(gallery.save(tmp_path / "gallery.html").as_uri())
    assert page.locator("article").count() == 4
    path = page.locator("path[data-mask]").first
    assert path.is_visible()
    assert path.locator("title").text_content()
    context.close()


def test_scripts_of_the_data_do_not_run(page: Any, tmp_path: Path) -> None:
    evil = "</script><script>window.bad = 1</script><img src=x onerror='window.bad = 2'><svg onload='window.bad = 3'>"
    rows = [{"name": evil, "text": evil, evil: evil, "image": evil.encode(), "error": evil}]
    page.goto(show(rows, title=evil).save(tmp_path / "gallery.html").as_uri())
    assert page.evaluate("window.bad") is None
    assert page.locator("img").count() == 0
    assert page.locator("dd").first.inner_text() == evil


def test_an_empty_gallery(page: Any, tmp_path: Path) -> None:
    page.goto(show([]).save(tmp_path / "gallery.html").as_uri())
    assert page.get_by_text("No rows").is_visible()
    assert violations(page) == []
