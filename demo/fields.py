"""A picture as from a plane, drawn for the demo: six fields, whose places on the earth are known."""

from __future__ import annotations

import io
import random

from PIL import Image, ImageDraw, ImageFilter

SIZE = (640, 420)
TRANSFORM = (2.0, 0.0, 399_000.0, 0.0, -2.0, 5_820_840.0)
"""Pixels of two metres; the upper left corner in UTM zone 33N."""
CRS = "EPSG:32633"

FIELDS = [
    ("wheat", [(40, 34), (238, 50), (226, 190), (48, 182)], (214, 190, 92)),
    ("meadow", [(282, 44), (424, 34), (432, 160), (298, 184)], (104, 168, 66)),
    ("oats", [(474, 44), (600, 62), (590, 178), (480, 168)], (226, 214, 140)),
    ("rape", [(52, 232), (196, 242), (178, 384), (40, 372)], (236, 218, 40)),
    ("clover", [(240, 248), (396, 236), (412, 388), (230, 378)], (132, 190, 96)),
    ("barley", [(456, 222), (606, 226), (592, 380), (468, 384)], (198, 172, 110)),
]


def picture() -> bytes:
    """Return the JPEG."""
    chance = random.Random(5)
    image = Image.new("RGB", SIZE, (58, 64, 40))
    pen = ImageDraw.Draw(image)
    for _, corners, colour in FIELDS:
        pen.polygon(corners, fill=colour)
    noise = Image.frombytes("L", SIZE, bytes(chance.randrange(100, 156) for _ in range(SIZE[0] * SIZE[1])))
    grain = Image.merge("RGB", [noise.filter(ImageFilter.GaussianBlur(0.8))] * 3)
    out = io.BytesIO()
    Image.blend(image.filter(ImageFilter.GaussianBlur(0.6)), grain, 0.12).save(out, "JPEG", quality=88)
    return out.getvalue()


def boxes() -> list[list[float]]:
    """Return what a detector might have found: a box around each field, in fractions."""
    found = []
    for _, corners, _ in FIELDS:
        xs, ys = zip(*corners, strict=True)
        found.append(
            [(min(xs) - 6) / SIZE[0], (min(ys) - 6) / SIZE[1], (max(xs) + 6) / SIZE[0], (max(ys) + 6) / SIZE[1]]
        )
    return found
