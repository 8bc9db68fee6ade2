"""Draws masks over photographs and writes them as one self-contained page."""

from __future__ import annotations

import base64
import html
import io
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

TINTS = ["#2f7bf5", "#0ca678", "#ae3ec9", "#1c7ed6", "#e8590c", "#0ca678"]
LONGEST_SIDE = 900  # drawn larger than the photographs are, so that contours are smooth

STYLE = """
:root { color-scheme: light dark; --paper: #fafaf7; --ink: #1d1d1f; --faint: #6b6b70; --card: #fff; --line: #e4e3dd }
@media (prefers-color-scheme: dark) {
  :root { --paper: #131416; --ink: #ececee; --faint: #9a9aa2; --card: #1d1f22; --line: #303338 }
}
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 1180px; padding: 3rem 1.5rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.7rem; margin: 0 }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .25rem }
p { margin: .25rem 0 1rem; color: var(--faint) }
pre { margin: 0 0 1.25rem; padding: 1rem; overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; font: 13px/1.5 ui-monospace, monospace }
.row { display: flex; flex-wrap: wrap; gap: 1rem }
figure { margin: 0; min-width: 0; background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  overflow: hidden }
.frame { position: relative }
.frame img, .frame svg { display: block; width: 100%; height: auto }
.frame svg { position: absolute; inset: 0; height: 100% }
figcaption { display: flex; justify-content: space-between; gap: .75rem; padding: .6rem .9rem; font-size: .85rem }
figcaption span { color: var(--faint); font-variant-numeric: tabular-nums }
"""


@dataclass
class Picture:
    """A photograph with its mask; coordinates of the prompt are fractions of width and height."""

    name: str
    photo: bytes
    mask: Sequence[float]
    iou_score: float
    points: Sequence[Sequence[float]] = ()
    labels: Sequence[int] = ()
    box: Sequence[float] | None = None


@dataclass
class Section:
    """A query, what to say about it, and the pictures that it returned."""

    title: str
    text: str
    query: str
    pictures: list[Picture] = field(default_factory=list)


def overlay(picture: Picture, tint: str) -> Image.Image:
    """Return the photograph with the mask tinted and outlined."""
    photo = Image.open(io.BytesIO(picture.photo)).convert("RGB")
    mask = Image.frombytes("F", photo.size, array("f", picture.mask).tobytes())
    scale = LONGEST_SIDE / max(photo.size)
    size = (round(photo.width * scale), round(photo.height * scale))
    photo = photo.resize(size, Image.Resampling.LANCZOS)
    inside = mask.resize(size, Image.Resampling.BICUBIC).point(lambda p: p * 255).convert("L")
    inside = inside.point(lambda p: 255 if p > 127 else 0)
    # Half the colour inside, a little less light outside, a white line between them.
    photo = Image.composite(
        Image.blend(photo, Image.new("RGB", size, tint), 0.45), photo.point(lambda p: p * 0.8), inside
    )
    line = ImageChops.subtract(inside.filter(ImageFilter.MaxFilter(5)), inside)
    photo.paste("white", mask=line.filter(ImageFilter.GaussianBlur(0.7)))
    return photo


def prompt(picture: Picture) -> str:
    """Return the prompt as SVG: green points are in the object, red ones are not."""
    shapes = []
    if picture.box:
        x0, y0, x1, y1 = (100 * value for value in picture.box)
        shapes.append(
            f'<rect x="{x0}%" y="{y0}%" width="{x1 - x0}%" height="{y1 - y0}%" fill="none" stroke="#ffd43b" '
            'stroke-width="2.5" stroke-dasharray="7 4"/>'
        )
    for (x, y), label in zip(picture.points, picture.labels or [1] * len(picture.points), strict=True):
        colour = "#2b8a3e" if label else "#c92a2a"
        shapes.append(
            f'<circle cx="{100 * x}%" cy="{100 * y}%" r="7" fill="{colour}" stroke="white" stroke-width="2.5"/>'
        )
    return f'<svg aria-hidden="true">{"".join(shapes)}</svg>'


def figure(picture: Picture, tint: str) -> str:
    """Return one photograph with its caption."""
    out = io.BytesIO()
    overlay(picture, tint).save(out, "JPEG", quality=88, optimize=True)
    data = base64.b64encode(out.getvalue()).decode()
    area = sum(value > 0.5 for value in picture.mask) / len(picture.mask)
    width, height = Image.open(io.BytesIO(picture.photo)).size
    # Widths in proportion to the pictures' own make a row of equal heights.
    shape = f"flex: {width / height:.3f} 1 {200 * width / height:.0f}px"
    name = html.escape(picture.name)
    return (
        f'<figure style="{shape}"><div class="frame">'
        f'<img alt="{name}, the mask tinted" src="data:image/jpeg;base64,{data}">'
        f"{prompt(picture)}</div><figcaption><b>{name}</b>"
        f"<span>IoU {picture.iou_score:.2f} · area {area:.1%}</span></figcaption></figure>"
    )


def sheet(path: Path, rows: Sequence[Sequence[Picture]]) -> None:
    """Write the pictures as one: rows of equal heights, prompts drawn in. It is the picture of the README."""
    width, gap, tints = 1400, 12, iter(TINTS * 9)
    drawn = [[drawing(picture, next(tints)) for picture in row] for row in rows]
    scaled = []
    for row in drawn:
        height = round((width - gap * (len(row) + 1)) / sum(one.width / one.height for one in row))
        sizes = [(round(height * one.width / one.height), height) for one in row]
        scaled.append([one.resize(size, Image.Resampling.LANCZOS) for one, size in zip(row, sizes, strict=True)])
    page = Image.new("RGB", (width, gap + sum(row[0].height + gap for row in scaled)), "white")
    y = gap
    for row in scaled:
        x = gap
        for one in row:
            page.paste(one, (x, y))
            x += one.width + gap
        y += row[0].height + gap
    page.save(path, "JPEG", quality=88, optimize=True)


def drawing(picture: Picture, tint: str) -> Image.Image:
    """Return the photograph with its mask and its prompt."""
    drawn = overlay(picture, tint)
    pen, (width, height) = ImageDraw.Draw(drawn), drawn.size
    if picture.box:
        x0, y0, x1, y1 = (side * value for side, value in zip((width, height) * 2, picture.box, strict=True))
        pen.rectangle((x0, y0, x1, y1), outline="#ffd43b", width=5)
    for (x, y), label in zip(picture.points, picture.labels or [1] * len(picture.points), strict=True):
        pen.circle((x * width, y * height), 14, "#2b8a3e" if label else "#c92a2a", "white", 5)
    return drawn


def write(path: Path, title: str, text: str, sections: list[Section]) -> None:
    """Write the page; it needs no other file and no network."""
    parts = [f"<h1>{html.escape(title)}</h1><p>{html.escape(text)}</p>"]
    tints = iter(TINTS * 9)
    for section in sections:
        figures = "".join(figure(picture, next(tints)) for picture in section.pictures)
        parts.append(
            f"<h2>{html.escape(section.title)}</h2><p>{html.escape(section.text)}</p>"
            f'<pre>{html.escape(section.query)}</pre><div class="row">{figures}</div>'
        )
    path.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style><body>{''.join(parts)}</body></html>\n",
        encoding="utf-8",
    )
