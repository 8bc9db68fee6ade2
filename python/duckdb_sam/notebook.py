"""HTML for notebooks, and output of cells that changes. Widgets are not needed: few notebooks have them installed."""

from __future__ import annotations

import base64
import importlib
import sys
from html import escape
from typing import Any


def figure(png: bytes | None, caption: str) -> str:
    """Return a picture that carries its own data, with a line below it; the line alone without a picture."""
    text = f"<figcaption><code>{escape(caption)}</code></figcaption>"
    source = f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}">' if png else ""
    return f'<figure style="margin:0">{source}{text}</figure>'


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook, so that what is displayed gets into a cell."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None) is not None


class Bar:
    """A bar with a line of text in the output of the cell that runs; any thread may move it."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._shown = _bundle(label, 0, None, "")
        show: Any = importlib.import_module("IPython.display").display
        self._handle: Any = show(self._shown, raw=True, display_id=True)

    def move(self, done: int, total: int | None, text: str) -> None:
        """Show how many are ``done`` of a ``total`` that may be unknown, and what is said about it."""
        bundle = _bundle(self._label, done, total, text)
        if bundle != self._shown:
            self._shown = bundle
            self._handle.update(bundle, raw=True)


def _bundle(label: str, done: int, total: int | None, text: str) -> dict[str, str]:
    known = "" if total is None else f' value="{done}" max="{max(total, 1)}"'
    bar = f'<progress style="width:20em;vertical-align:middle"{known}></progress>'
    html = f"<div><code>{escape(label)}</code> {bar} <code>{escape(text)}</code></div>"
    return {"text/plain": f"{label}: {text}", "text/html": html}
