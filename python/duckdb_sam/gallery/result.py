"""What ``show`` returns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from duckdb_sam.formats.files import replaced
from duckdb_sam.gallery.page import MARK, fragment, page, section


class Gallery:
    """Rows with their pictures: a notebook shows them, ``save`` writes them as a page.

    It holds thumbnails and outlines, and none of the images and rows that they were made of.
    """

    def __init__(self, columns: Sequence[str], cards: Sequence[str], said: str, title: str | None) -> None:
        """Take cards as HTML."""
        self.columns = list(columns)
        self.title = title
        self._cards, self._said = list(cards), said

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._cards)

    def __repr__(self) -> str:
        return f"Gallery({self._said}: {', '.join(self.columns)})"

    def _repr_html_(self) -> str:
        return fragment(self.title, self._said, self._inner())

    def html(self) -> str:
        """Return the page that ``save`` writes."""
        return page(self.title, self._said, self._inner())

    def section(self) -> str:
        """Return the gallery for a page that has several: HTML without style and script, see ``gallery.page.whole``."""
        return section(self.title, self._said, self._inner())

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the gallery as one page that needs nothing else and asks for nothing, and return its path.

            duckdb_sam.show("demo/photos").save("gallery.html")

        A gallery that is there is replaced. Any other file is a FileExistsError: ``path`` may have been meant to be
        something else.
        """
        target = check_target(path)
        with replaced(target) as partial:
            partial.write_text(self.html(), encoding="utf-8", newline="\n")
        return target

    def _inner(self) -> str:
        return "\n".join(self._cards) or '<p class="none">No rows</p>'


def check_target(path: str | os.PathLike[str]) -> Path:
    """Return the path for a gallery; refuse one that is not meant for it."""
    target = Path(path).expanduser()
    if target.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"a gallery is a page: give it a name that ends in .html, not {os.fspath(path)!r}")
    if target.is_file() and not _is_gallery(target):
        raise FileExistsError(f"{target} is there already and is no gallery: give another path, or remove it")
    return target


def _is_gallery(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(len(MARK))
    return not start or start == MARK.encode()
