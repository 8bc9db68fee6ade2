"""A real browser for tests: Chromium without a window, asked by Playwright.

``python python/tests/browser.py`` (``make browser``) finds one, or installs it. The fixtures ``page`` and ``seen`` are
for tests of pages. The browser reaches nothing but this machine; a test fails if its page asks for anything else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SWITCHES = (
    "--no-sandbox",  # of its own processes: as root, and in containers, there can be none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
HERE = ("127.0.0.1", "localhost")
REMEDY = (
    "no browser for the tests of pages was found: install Chromium or Chrome (Debian and Ubuntu: apt install chromium; "
    "elsewhere: python -m playwright install chromium), or name one by the environment variable CHROMIUM"
)


def found() -> str | None:
    """Return the path of a browser: CHROMIUM, else one in PATH, else the one that Playwright has downloaded."""
    named = os.environ.get("CHROMIUM")
    if named:
        path = shutil.which(named)
        if path is None:
            raise FileNotFoundError(f"CHROMIUM={named} is no program")
        return path
    in_path = next(filter(None, map(shutil.which, NAMES)), None)
    return in_path or next(map(str, _downloaded()), None)


def _downloaded() -> list[Path]:
    """Return what ``playwright install chromium`` has left in its folder, the newest first."""
    places = {"darwin": "~/Library/Caches", "win32": "~/AppData/Local"}
    given = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    folder = Path(given or f"{places.get(sys.platform, '~/.cache')}/ms-playwright").expanduser()
    programs = ("chrome", "chrome.exe", "Chromium", "Google Chrome for Testing")
    files = [file for name in programs for file in folder.glob(f"chromium-*/chrome-*/**/{name}") if file.is_file()]
    return sorted((file for file in files if os.access(file, os.X_OK)), reverse=True)


def provide() -> str:
    """Return the path of a browser; if there is none, install one, with apt as root, else by Playwright's download."""
    path = found()
    ways = [["apt-get", "install", "-y", "--no-install-recommends", "chromium"]] if _root_with_apt() else []
    for way in [*ways, [sys.executable, "-m", "playwright", "install", "chromium"]]:
        if path is not None:
            break
        print(f"no browser yet: {' '.join(way)}", file=sys.stderr, flush=True)
        if way[0] == "apt-get":
            subprocess.run(["apt-get", "update"], stdout=sys.stderr, check=False)
        subprocess.run(way, stdout=sys.stderr, check=False, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        path = found()
    if path is None:
        raise FileNotFoundError(REMEDY)
    return path


def _root_with_apt() -> bool:
    return shutil.which("apt-get") is not None and hasattr(os, "geteuid") and os.geteuid() == 0


@dataclass
class Seen:
    """What pages have asked for and complained about."""

    requests: list[str] = field(default_factory=list[str])
    """Addresses, without those of data and blobs."""
    errors: list[str] = field(default_factory=list[str])
    """Of scripts, and what is an error in the console. A test that means them clears the list."""

    def outside(self) -> list[str]:
        """Return the addresses that are not of this machine."""
        return [each for each in self.requests if _is_outside(each)]


def _is_outside(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme not in ("file", "about") and parts.hostname not in HERE


# Of a module and not of the session: while Playwright runs, its loop is the running one of this thread, and
# asyncio.run() in other tests would be refused. It costs half a second for each module.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The browser of a module of tests."""
    path = found()
    if path is None:
        pytest.fail(REMEDY)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(SWITCHES))
        yield chromium
        chromium.close()


@pytest.fixture
def seen() -> Seen:
    """What the page of this test has asked for and complained about."""
    return Seen()


@pytest.fixture
def page(browser: Any, seen: Seen) -> Iterator[Any]:
    """An empty page, 1280 x 900, light, with a profile of its own; other pages come from ``page.context.new_page()``.

    At the end of the test nothing must have been asked for outside of this machine, and no script have failed.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light", locale="en-GB")
    context.set_default_timeout(10_000)
    context.on("request", lambda request: _note(seen, request.url))
    context.on("weberror", lambda error: seen.errors.append(str(error.error)))
    context.on("console", lambda said: seen.errors.append(said.text) if said.type == "error" else None)
    yield context.new_page()
    context.close()
    assert seen.outside() == []
    assert seen.errors == []


def _note(seen: Seen, address: str) -> None:
    if not address.startswith(("data:", "blob:")):
        seen.requests.append(address)


def violations(page: Any, **options: Any) -> list[str]:
    """Return what axe finds wrong with the accessibility of a page, a line for each: rule, help, where."""
    spec = find_spec("axe_playwright_python")  # for the script that it carries
    assert spec is not None and spec.origin is not None
    script = Path(spec.origin).with_name("axe.min.js").read_text(encoding="utf-8")
    page.evaluate(script)
    result = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{each['id']}: {each['help']}: {', '.join(str(node['target']) for node in each['nodes'])}"
        for each in result["violations"]
    ]


if __name__ == "__main__":
    try:
        print(provide())
    except FileNotFoundError as error:
        sys.exit(str(error))
