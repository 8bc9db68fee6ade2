"""The site as `make site` builds it, for its tests."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from conftest import ROOT

SITE = ROOT / "build" / "site"


def built() -> Path:
    """Return the folder of the site; skip the test that asks for it where there is none."""
    if sys.version_info < (3, 11):
        pytest.skip("the site is built by Python 3.11 or newer: it reads TOML")
    if not (SITE / "index.html").exists():
        pytest.skip("there is no site in build/site: make site")
    return SITE


@dataclass
class Link:
    """What a page leads to or asks for."""

    tag: str
    address: str


@dataclass
class Page(HTMLParser):
    """The links, the anchors and the pictures of a page."""

    path: Path
    links: list[Link] = field(default_factory=list[Link])
    anchors: set[str] = field(default_factory=set[str])
    pictures: list[dict[str, str | None]] = field(default_factory=list[dict[str, "str | None"]])

    def __post_init__(self) -> None:
        """Read the page."""
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag has."""
        given = dict(attrs)
        self.anchors |= {value for key in ("id", "name") if (value := given.get(key))}
        self.links += [Link(tag, value) for key in ("href", "src") if (value := given.get(key))]
        if tag == "img":
            self.pictures.append(given)

    def target(self, link: Link) -> tuple[Path, str] | None:
        """Return the file and the anchor that a link leads to; None if that is not on this site."""
        parts = urlsplit(link.address)
        if parts.scheme or parts.netloc:
            return None
        file = (self.path.parent / unquote(parts.path)).resolve() if parts.path else self.path
        return file / "index.html" if file.is_dir() else file, unquote(parts.fragment)
