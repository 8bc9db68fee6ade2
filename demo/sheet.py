"""The picture of the README: photographs with their masks and prompts, in rows of equal heights."""

from __future__ import annotations

import io
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from PIL import Image, ImageChops, ImageDraw, ImageFilter

TINTS = ["#2f7bf5", "#0ca678", "#ae3ec9", "#1c7ed6", "#e8590c", "#0ca678"]
LONGEST_SIDE = 900  # drawn larger than the photographs are, so that contours are smooth


@dataclass
class Picture:
    """A photograph with its mask; coordinates of the prompt are fractions of width and height."""

    photo: bytes
    mask: Sequence[float]
    points: Sequence[Sequence[float]] = ()
    labels: Sequence[int] = ()
    box: Sequence[float] | None = None


def write(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Write the results of the demo's first two queries."""
    rows = [
        [
            Picture(*row)
            for row in con.execute(
                f"SELECT image, mask, {prompts} FROM {table} JOIN photos USING (id) ORDER BY id"
            ).fetchall()
        ]
        for table, prompts in (("by_point", "[point], NULL, NULL"), ("by_prompt", "coalesce(points, []), labels, box"))
    ]
    sheet(path, rows)


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


def sheet(path: Path, rows: Sequence[Sequence[Picture]]) -> None:
    """Write the pictures as one."""
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
