"""The built site in a browser: from the disk and from a server, in the light and in the dark, on a desk and a phone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from browser import violations
from sites import built

# A page of each kind: test_site.py reads the others.
PAGES = ["index.html", "docs/why.html", "docs/notebooks/first-steps.html", "docs/functions.html", "bench/RESULTS.html"]

# What is the theme's: the buttons of code blocks stand in regions without names, and wide tables are scrolled by a box
# that keys do not reach. An empty corner of a table is meant.
THEME = ("landmark-unique", "scrollable-region-focusable", "empty-table-header")


class Quiet(SimpleHTTPRequestHandler):
    """A server that says nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site() -> Path:
    return built()


@pytest.fixture(scope="module")
def server(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(page: Any) -> Any:
    """A page with time for machines that do other things beside."""
    page.context.set_default_timeout(60_000)
    return page


@pytest.mark.parametrize("name", PAGES)
def test_pages_open_from_the_disk(page: Any, site: Path, name: str) -> None:
    page.goto((site / name).as_uri())
    assert page.locator("h1").count() == 1
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_front_shows_the_gallery_and_leads_to_the_functions(page: Any, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    assert (
        page.locator("img[src$='gallery.jpg']").evaluate("image => image.decode().then(() => image.naturalWidth)") > 600
    )
    page.locator(".md-tabs").get_by_text("Functions", exact=True).click()
    page.wait_for_url("**/docs/functions.html")
    page.locator(".md-content a[href='#mask_union']").first.click()
    assert page.locator("#mask_union").evaluate("heading => heading.getBoundingClientRect().top") < 200
    picture = page.locator("img[src$='pictures/mask_union.webp']")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 240


@pytest.mark.parametrize("place", ["disk", "server"])
def test_search_finds_a_function(page: Any, site: Path, server: str, place: str) -> None:
    page.goto((site / "index.html").as_uri() if place == "disk" else server)
    page.locator(".md-search__button").click()
    page.get_by_role("combobox").fill("mask_union")
    first = page.locator("a[href*='functions.html'][href*='mask_union']").first
    first.wait_for()
    first.click()
    page.wait_for_url("**/docs/functions.html*#mask_union")


def test_columns_stand_side_by_side_where_there_is_room(page: Any, site: Path) -> None:
    page.goto((site / "docs" / "why.html").as_uri())
    boxes = "[...document.querySelectorAll('.grid > div')].map(each => each.getBoundingClientRect().toJSON())"
    left, right = page.evaluate(boxes)
    assert left["top"] == right["top"]
    assert left["right"] < right["left"]
    assert min(left["width"], right["width"]) > 500
    page.set_viewport_size({"width": 390, "height": 844})
    above, below = page.evaluate(boxes)
    assert above["bottom"] < below["top"]


def test_a_phone_has_the_navigation_in_a_drawer(page: Any, site: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto((site / "index.html").as_uri())
    link = page.locator(".md-nav--primary a[href$='docs/start.html']")
    assert not link.is_visible() or link.bounding_box()["x"] < 0
    page.locator("label.md-header__button[for='__drawer']").click()
    page.wait_for_function("link => link.getBoundingClientRect().x >= 0", arg=link.element_handle())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_can_be_read(page: Any, site: Path, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    for name in PAGES[:3]:
        page.goto((site / name).as_uri())
        shade = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
        assert (shade > 200) == (scheme == "light"), name
        rules = {rule: {"enabled": False} for rule in THEME}
        # preload would ask for the style sheets again, which a page from the disk may not.
        assert violations(page, rules=rules, preload=False) == [], name


def test_dark_can_be_chosen(page: Any, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    scheme = "document.body.dataset.mdColorScheme"
    chosen = {page.evaluate(scheme)}
    for _ in range(2):
        page.locator("form[data-md-component='palette'] label:visible").first.click()
        page.wait_for_timeout(50)
        chosen.add(page.evaluate(scheme))
    assert chosen == {"default", "slate"}
