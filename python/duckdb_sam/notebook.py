"""HTML for notebooks."""

from __future__ import annotations

import base64
from html import escape


def figure(png: bytes | None, caption: str) -> str:
    """Return a picture that carries its own data, with a line below it; the line alone without a picture."""
    text = f"<figcaption><code>{escape(caption)}</code></figcaption>"
    source = f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}">' if png else ""
    return f'<figure style="margin:0">{source}{text}</figure>'
