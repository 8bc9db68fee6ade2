"""Cards as HTML. Whatever comes from the data is escaped here, and nowhere else becomes HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from duckdb_sam.gallery.cards import Card, Drawing, Frame
from duckdb_sam.gallery.cells import SHORT, Text
from duckdb_sam.gallery.maps import drawn_map
from duckdb_sam.gallery.outlines import scale_of
from duckdb_sam.gallery.pictures import Broken, Picture

COLOURS = (
    *("#3b82f6", "#f97316", "#10b981", "#ec4899", "#eab308", "#8b5cf6"),
    *("#22c55e", "#06b6d4", "#ef4444", "#d946ef", "#84cc16", "#b45309"),
)
"""Of the first masks; those of others are spread over the circle of hues."""

_REASON = 300
"""Letters of the reason why there is no picture."""

_VALUES = 8
"""Columns that are seen at once."""


def safe(text: str) -> str:
    """Escape a text for HTML, within quotes too; what no page can hold is replaced."""
    text = text.encode("utf-8", "replace").decode()
    return escape("".join(sign if sign >= " " or sign in "\n\t" else "\ufffd" for sign in text))


def colour(number: int) -> str:
    """Return the colour of a mask."""
    if number < len(COLOURS):
        return COLOURS[number]
    return f"hsl({number * 137.508 % 360:.0f} {65 + number % 3 * 12}% {48 + number % 4 * 6}%)"


def article(card: Card) -> str:
    """Return a card."""
    faults = "".join(
        f'<p class="fault"><b>{safe(column)}</b> {_long(Text(text, "text"))}</p>' for column, text in card.faults
    )
    pictures = "".join(_figure(frame, card) for frame in [*card.frames, *card.more])
    maps = "".join(drawn_map(safe(f"{card.name}, {column}"), safe(column), wkb) for column, wkb in card.maps)
    body = f'<div class="pictures">{pictures}{maps}</div>' if pictures or maps else ""
    name = safe(card.name)
    return (
        f'<article aria-label="{name}"><p class="name"><bdi>{name}</bdi></p><div class="row">{body}'
        f'<div class="beside">{faults}{_values(card.values)}</div></div></article>'
    )


def _values(values: Sequence[tuple[str, Text]]) -> str:
    def listed(some: Sequence[tuple[str, Text]]) -> str:
        rows = "".join(
            f'<div><dt>{safe(name)}</dt><dd class="{each.kind}">{_long(each)}</dd></div>' for name, each in some
        )
        return f"<dl>{rows}</dl>" if rows else ""

    # One more is not worth a click.
    few = _VALUES if len(values) > _VALUES + 1 else len(values)
    rest = values[few:]
    more = f"<details><summary>{len(rest)} more columns</summary>{listed(rest)}</details>" if rest else ""
    return listed(values[:few]) + more


def _long(given: Text) -> str:
    """Return a text, of which more than the beginning is seen on demand."""
    if len(given.text) <= SHORT and not given.left_out:
        return f"<bdi>{safe(given.text)}</bdi>"
    left = f'<i class="left">{given.left_out:,} more letters are not here</i>' if given.left_out else ""
    total = len(given.text) + given.left_out
    return (
        f"<details><summary><bdi>{safe(given.text[:SHORT])}</bdi>… <i>{total:,} letters</i></summary>"
        f"<bdi>{safe(given.text)}</bdi>{left}</details>"
    )


def _figure(frame: Frame, card: Card) -> str:
    height, width = frame.size or (3, 4)
    picture = frame.picture
    count = len(frame.drawings)
    what = f"{card.name}, {frame.column}"
    with_masks = f" with {count} mask{'' if count == 1 else 's'}" if count else ""
    shape = f"--w:{width};--h:{height}"
    if isinstance(picture, Picture):
        base = f'<img src="{picture.data}" alt="{safe(what + with_masks)}" title="{safe(picture.about)}">'
        caption = f"{safe(picture.about)}"
    elif isinstance(picture, Broken) and not count:
        base = f'<div class="broken"><b>{safe(picture.what)}</b><span>{safe(picture.reason[:_REASON])}</span></div>'
        caption = ""
    else:
        base = f'<div class="blank" role="img" aria-label="{safe(what + with_masks)}"></div>'
        caption = f"{width} × {height} pixels"
    kind = "picture" if isinstance(picture, Picture) or count else "picture gone"
    about = _about(frame) or caption
    if frame.note:
        about = f"{about}; {safe(frame.note)}"
    if count and not isinstance(picture, Picture) and not frame.note:
        lost = f"{picture.what}: {picture.reason[:_REASON]}" if picture is not None else "without its image"
        about = f"{about}; {safe(lost)}"
    return (
        f'<figure><div class="{kind}" style="{shape}">{base}{_svg(frame)}{_dots(frame)}</div>'
        f'<figcaption><span class="column">{safe(frame.column)}</span> <span class="said" data-said="{about}">{about}'
        f"</span>{_chips(frame, card)}</figcaption></figure>"
    )


def _about(frame: Frame) -> str:
    """Return what is said of the masks as long as none of them is looked at."""
    if not frame.drawings:
        return ""
    if len(frame.drawings) == 1:
        return safe(frame.drawings[0].shape.about)
    return f"{len(frame.drawings)} masks"


def _svg(frame: Frame) -> str:
    if not frame.drawings and not frame.boxes:
        return ""
    height, width = frame.drawings[0].shape.size if frame.drawings else frame.size or (1, 1)
    scale = scale_of((height, width))
    wide, high = width * scale, height * scale
    # The smaller lie above the larger, so that all can be pointed at.
    order = sorted(enumerate(frame.drawings), key=lambda each: -each[1].shape.area)
    paths = "".join(_path(place, each) for place, each in order)
    boxes = "".join(
        f'<rect class="{kind}" x="{box.x0 * wide:.0f}" y="{box.y0 * high:.0f}" '
        f'width="{max(box.x1 - box.x0, 0) * wide:.0f}" height="{max(box.y1 - box.y0, 0) * high:.0f}"/>'
        for box in frame.boxes
        for kind in ("box under", "box")
    )
    return (
        f'<svg viewBox="0 0 {wide:.0f} {high:.0f}" preserveAspectRatio="none" aria-hidden="true">{paths}{boxes}</svg>'
    )


def _path(place: int, each: Drawing) -> str:
    if not each.shape.path:
        return ""
    title = f"{each.name}: {each.shape.about}"
    return (
        f'<path data-mask="{place}" style="--c:{colour(each.colour)}" d="{each.shape.path}">'
        f"<title>{safe(title)}</title></path>"
    )


def _dots(frame: Frame) -> str:
    return "".join(
        f'<span class="dot {"in" if point.inside else "out"}" '
        f'style="left:{100 * point.x:.2f}%;top:{100 * point.y:.2f}%" '
        f'title="{"a point in the object" if point.inside else "a point that is not in the object"}"></span>'
        for point in frame.points
    )


def _chips(frame: Frame, card: Card) -> str:
    """Return a button for each mask, where there are several."""
    if len(frame.drawings) < 2:
        return ""
    chips = "".join(
        f'<button type="button" class="chip" data-mask="{place}" style="--c:{colour(each.colour)}" '
        f'aria-pressed="false" tabindex="{-1 if place else 0}" data-said="{safe(each.shape.about)}" '
        f'aria-label="{safe(f"{each.name}: {each.shape.about}")}">{safe(each.name[:40])}</button>'
        for place, each in enumerate(frame.drawings)
    )
    return f'<div class="chips" role="toolbar" aria-label="masks of {safe(card.name)}">{chips}</div>'
