"""A row as a card: pictures with what is drawn on them, and the other columns."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from duckdb_sam.engine import Engine
from duckdb_sam.gallery import prompts
from duckdb_sam.gallery.cells import (
    NULL,
    Cell,
    Drawn,
    Fault,
    Geometry,
    Labels,
    Masks,
    Names,
    Path,
    Prompt,
    Several,
    Text,
    cell,
    tells_faults,
    written,
)
from duckdb_sam.gallery.outlines import Shape, Wrong, shapes
from duckdb_sam.gallery.pictures import Broken, Picture, bytes_in_words, thumbnail

MOST = 300
"""Masks that are drawn in one row, the first ones."""

_NAMES = ("name", "path", "filename", "file_name", "file", "id", "key")
_LONGEST_NAME = 120


@dataclass
class Drawing:
    """A mask on a picture."""

    shape: Shape
    colour: int
    """A number for its colour, different in all masks of the row."""
    name: str


@dataclass
class Frame:
    """A picture, or the place of one, and what lies on it."""

    column: str
    picture: Picture | Broken | None
    size: tuple[int, int] | None
    drawings: list[Drawing] = field(default_factory=list[Drawing])
    points: list[prompts.Point] = field(default_factory=list[prompts.Point])
    boxes: list[prompts.Box] = field(default_factory=list[prompts.Box])
    note: str = ""
    """What there is to say about masks of another size than the picture."""


@dataclass
class Card:
    """A row."""

    number: int
    name: str
    frames: list[Frame] = field(default_factory=list[Frame])
    more: list[Frame] = field(default_factory=list[Frame])
    """Pictures of lists. No masks are drawn on them: which one of several they are of is not known."""
    maps: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])
    values: list[tuple[str, Text]] = field(default_factory=list[tuple[str, Text]])
    faults: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


Named = tuple[str, Cell]


def read(engine: Engine, columns: Sequence[str], row: Sequence[Any], side: int) -> list[Named]:
    """Find out what the cells of a row are, and draw its images; those of paths only where it has no other."""
    found = [(name, cell(engine, name, value, side)) for name, value in zip(columns, row, strict=True)]
    if any(isinstance(each, Several) or (isinstance(each, Drawn) and not is_alien(each)) for _, each in found):
        return found
    seen: set[str] = set()
    pictures: list[Named] = []
    for name, each in found:
        if isinstance(each, Path):
            there = os.path.realpath(os.path.expanduser(each.text))
            if there not in seen and (each.certain or os.path.isfile(there)):
                pictures.append((name, Drawn(thumbnail(engine, each.text, side))))
            seen.add(there)
    return [*found, *pictures]


def is_alien(given: Cell) -> bool:
    """Tell whether it is bytes that are none of an image."""
    return isinstance(given, Drawn) and isinstance(given.picture, Broken) and given.picture.alien


def card(engine: Engine, number: int, cells: Sequence[Named], binary: Collection[str]) -> Card:
    """Put a row together. ``binary`` are the columns of bytes that hold no image in any row."""
    named, name = _name(cells)
    made = Card(number, name or f"row {number}")
    masks: list[tuple[str, Masks]] = []
    asked: list[tuple[str, Prompt]] = []
    labels: Labels | None = None
    names: list[Any] = []
    for place, (column, each) in enumerate(cells):
        if isinstance(each, Drawn):
            if column in binary and is_alien(each):
                made.values.append((column, Text(f"{bytes_in_words(each.length or 0)}, no image", "binary")))
            else:
                size = each.picture.size if isinstance(each.picture, Picture) else None
                made.frames.append(Frame(column, each.picture, size))
        elif isinstance(each, Several):
            _add(made, column, each)
        elif isinstance(each, Masks):
            masks.append((column, each))
        elif isinstance(each, Prompt):
            asked.append((column, each))
        elif isinstance(each, Labels):
            labels = each
        elif isinstance(each, Names):
            names = each.value
            made.values.append((column, written(", ".join(map(str, names)))))
        elif isinstance(each, Geometry):
            made.maps.append((column, each.wkb))
        elif isinstance(each, Fault):
            made.faults.append((column, each.text))
        elif not (each == NULL and (tells_faults(column) or column.lower() in prompts.ALL)):
            text = Text(each.text, "text") if isinstance(each, Path) else each
            if place != named or text.text != made.name:
                made.values.append((column, text))
    for column, each in masks:
        _draw(engine, made, column, each, names, len(masks) > 1)
    _place_prompts(made, asked, labels)
    return made


def _add(made: Card, column: str, given: Several) -> None:
    """Add the pictures of a list, or the one of a struct."""
    sizes = [each.size if isinstance(each, Picture) else None for each in given.pictures]
    if given.length == 1:
        made.frames.append(Frame(column, given.pictures[0], sizes[0]))
    else:
        made.more += [
            Frame(f"{column} {place}", each, size)
            for place, (each, size) in enumerate(zip(given.pictures, sizes, strict=True), 1)
        ]
    if given.length > len(given.pictures):
        said = (
            f"{given.length:,} images, of which {len(given.pictures)} are drawn; unnest({column}) makes a row of each"
        )
        made.values.append((column, Text(said, "text")))
    if given.about is not None:
        made.values.append((column, given.about))


def _name(cells: Sequence[Named]) -> tuple[int, str | None]:
    """Return the cell that names the row, and the name."""
    known = {
        name.lower(): (place, each.text)
        for place, (name, each) in reversed(list(enumerate(cells)))
        if isinstance(each, (Text, Path)) and each != NULL
    }
    place, text = next((known[name] for name in _NAMES if name in known), (-1, None))
    return place, None if text is None else text[:_LONGEST_NAME]


def _draw(engine: Engine, made: Card, column: str, given: Masks, names: Sequence[Any], several: bool) -> None:
    """Draw a column of masks on the picture that they are of."""
    some = [(place, mask) for place, mask in enumerate(given.masks) if mask is not None]
    if not some:
        made.values.append((column, Text("no masks" if given.several else "NULL", "null")))
        return
    if len(some) > MOST:
        made.values.append((column, Text(f"{len(some):,} masks, of which the first {MOST} are drawn", "text")))
    sizes = [frame.size for frame in made.frames if frame.size is not None]
    found = shapes(engine, [mask for _, mask in some[:MOST]], sizes[0] if sizes else None)
    begun = sum(len(frame.drawings) for frame in made.frames)
    for (place, _), shape in zip(some, found, strict=False):
        name = str(place + 1)
        if len(names) == len(given.masks) and names[place] is not None:
            name = f"{name} {names[place]}"
        elif not given.several:
            name = column
        elif several:
            name = f"{column} {name}"
        if isinstance(shape, Wrong):
            made.faults.append((f"{column} {place + 1}" if given.several else column, shape.reason))
        else:
            _frame(made, column, shape.size).drawings.append(Drawing(shape, begun + place, name))


def _frame(made: Card, column: str, size: tuple[int, int]) -> Frame:
    """Return the picture that a mask of this size is of; an empty one if there is none."""
    for frame in made.frames:
        if frame.size == size:
            return frame
    said = f"of {size[1]} × {size[0]} pixels"
    for frame in made.frames:
        if frame.size is not None and _is_thumbnail(frame.size, size):
            frame.note = f"{said}, drawn smaller"
            return frame
    for frame in made.frames:
        if frame.size is None:
            frame.size = size
            return frame
    other = f"{said}, which no image of this row has" if any(frame.picture for frame in made.frames) else ""
    made.frames.append(Frame(column, None, size, note=other))
    return made.frames[-1]


def _is_thumbnail(small: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether an image is smaller than that of a mask and has its form, as ``image_thumbnail`` makes it.

    A larger one may be the whole image of which the mask covers a tile: that is not known, and not drawn.
    """
    if max(small) >= max(size):
        return False
    scale = max(small) / max(size)
    return all(abs(side - whole * scale) <= 1 for side, whole in zip(small, size, strict=True))


def _place_prompts(made: Card, asked: Sequence[tuple[str, Prompt]], labels: Labels | None) -> None:
    """Draw points and boxes on the picture with the masks, or else on the first."""
    drawn = [frame for frame in made.frames if frame.drawings] or [frame for frame in made.frames if frame.size]
    marks = labels.value if labels is not None else None
    for column, each in asked:
        if not drawn or drawn[0].size is None:
            made.values.append((column, written(each.value)))
            continue
        points, boxes = prompts.drawn(column, each.value, marks, drawn[0].size)
        drawn[0].points += points
        drawn[0].boxes += boxes
    if marks is not None and not any(frame.points for frame in made.frames):
        made.values.append(("labels", written(marks)))
