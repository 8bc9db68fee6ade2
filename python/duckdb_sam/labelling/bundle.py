"""The front end as one module, as a notebook takes it: its files one after the other, without imports and exports.

No build is needed: names at the top of the files are different, and imports are lines of one form, which a test checks.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_STATIC = Path(__file__).with_name("static")
STYLES = ("desk.css", "controls.css", "lists.css", "narrow.css")
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(async )?(function|class|const|let)\b)", re.MULTILINE)


@cache
def module(name: str = "comm.js") -> str:
    """Return ``name`` with all that it needs; its default export is that of the result."""
    done: list[str] = []
    parts: list[str] = []

    def add(file: str) -> None:
        if file in done:
            return
        done.append(file)
        text = (_STATIC / file).read_text(encoding="utf-8")
        for needed in _IMPORT.findall(text):
            add(needed)
        parts.append(f"// {file}\n" + _EXPORT.sub("", _IMPORT.sub("", text)))

    add(name)
    return "\n".join(parts)


@cache
def style() -> str:
    """Return the style sheets, in the order in which the page has them."""
    return "\n".join((_STATIC / name).read_text(encoding="utf-8") for name in STYLES)
