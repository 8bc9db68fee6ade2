"""What tests look at in a gallery: its HTML, taken apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from duckdb_sam.gallery import Gallery


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Row:
    """A card."""

    name: str
    images: list[Element] = field(default_factory=list)
    paths: list[Element] = field(default_factory=list)
    dots: list[Element] = field(default_factory=list)
    boxes: list[Element] = field(default_factory=list)
    chips: list[Element] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    maps: int = 0


class _Cards(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self.tags: list[str] = []
        self._open: list[tuple[str, str, Element]] = []
        self._term = ""
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        element = Element(tag, given)
        self.tags.append(tag)
        if tag == "article":
            self.rows.append(Row(given["aria-label"]))
            self._inside = True
        if self._inside:
            row, kind = self.rows[-1], given.get("class", "")
            if tag == "img":
                row.images.append(element)
            elif tag == "path" and "data-mask" in given:
                row.paths.append(element)
            elif tag == "span" and kind.startswith("dot"):
                row.dots.append(element)
            elif tag == "rect" and kind == "box":
                row.boxes.append(element)
            elif tag == "button" and kind == "chip":
                row.chips.append(element)
            elif kind == "map":
                row.maps += 1
        if tag not in ("img", "meta", "link"):
            self._open.append((tag, given.get("class", ""), element))

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            name, kind, element = self._open.pop()
            if self._open:
                self._open[-1][2].text += element.text
            if self._inside:
                row = self.rows[-1]
                if name == "article":
                    self._inside = False
                elif name == "dt":
                    self._term = element.text
                elif name == "dd":
                    row.values[self._term] = element.text
                    row.classes[self._term] = kind
                elif kind == "fault":
                    row.faults.append(element.text)
                elif kind == "broken":
                    row.broken.append(element.text)
                elif kind == "said":
                    row.captions.append(element.text)
            if name == tag:
                break

    def handle_data(self, data: str) -> None:
        if self._open:
            self._open[-1][2].text += data


def rows(gallery: Gallery) -> list[Row]:
    """Return the cards of a gallery."""
    return parsed(gallery._repr_html_()).rows


def parsed(html: str) -> Any:
    """Return HTML taken apart."""
    found = _Cards()
    found.feed(html)
    found.close()
    return found
