"""A gallery as HTML: a part of a notebook, or a page of its own that asks for nothing."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from duckdb_sam.gallery.draw import safe

MARK = "<!doctype html><!-- duckdb-sam gallery -->"
"""How pages begin, so that nothing else is overwritten by one."""

_LEGEND = (
    ("masks", "mask", '<span class="key mask"></span>Masks'),
    ("points", "point", '<span class="dot in"></span>in the object <span class="dot out"></span>not in it'),
    ("boxes", "box", '<span class="key box"></span>Boxes'),
)
"""What can be switched off, what tells in the cards that it is there, and how it is shown."""


@cache
def _file(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def fragment(title: str | None, said: str, cards: str, *, heading: bool = False) -> str:
    """Return the gallery for a notebook: its style and script are its own, and it takes the notebook's colours."""
    style = f"<style>{_file('style.css')}</style>"
    return f"{style}{section(title, said, cards, heading)}<script>{_file('script.js')}</script>"


def page(title: str | None, said: str, cards: str) -> str:
    """Return the gallery as a page of its own."""
    return whole(title or "Gallery", section(title or "Gallery", said, cards, heading=True))


def whole(title: str, inner: str) -> str:
    """Return a page around HTML that has galleries. Its policy forbids all addresses and any script but its own."""
    script = _file("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return (
        f'{MARK}\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{safe(title)}</title>'
        f'<link rel="icon" href="data:,"><style>{_file("page.css")}{_file("style.css")}</style></head>\n'
        f"<body><main>{inner}</main>\n"
        f"<script>{script}</script></body></html>\n"
    )


def section(title: str | None, said: str, cards: str, heading: bool = False) -> str:
    """Return the gallery without style and script."""
    head = f"<h1>{safe(title)}</h1>" if title and heading else f"<p class='title'>{safe(title)}</p>" if title else ""
    there = {
        "mask": "data-mask=" in cards,
        "point": '<span class="dot' in cards,
        "box": '<rect class="box' in cards,
    }
    legend = "".join(
        f'<button type="button" data-hides="{what}" aria-pressed="true">{shown}</button>'
        for what, kind, shown in _LEGEND
        if there[kind]
    )
    legend = f'<div class="legend" role="group" aria-label="what is drawn">{legend}</div>' if legend else ""
    return (
        f'<div class="duckdb-sam" role="group" aria-label="{safe(title or "gallery")}"><div class="head">{head}'
        f'<p class="count">{safe(said)}</p>{legend}</div><div class="cards">{cards}</div></div>'
    )
