"""Packs: pictures with the masks that people drew, in one file.

A pack is `NANOPACK`, the length of its head as a little-endian u64, the head (JSON, deflated), then the files one after
the other. The head holds `sources` and `classes` (lists of names) and `items`, each
[source, tier, offset, bytes of the JPEG, bytes of the PNG, [[plane, id, class], ...], name]; offsets count from the end
of the head. The longest side of a picture is at most 512 pixels. The PNG holds the label planes, one under the other,
each of the picture's size: a pixel's value is the id of its region, 0 is none. Plane 0 is for whole objects, plane 1
for what overlaps them or is a part of them.
"""

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

MAGIC = b"NANOPACK"
SIDE = 512  # longest side of a stored picture, in pixels
# What a tier says of the pictures' rights.
TIERS = {0: "permissive licence", 1: "annotations CC BY 4.0, photographs under the terms of their sites"}


@dataclass(frozen=True)
class Item:
    """One picture of a pack, still encoded."""

    name: str
    source: str
    tier: int
    jpeg: bytes | memoryview
    labels: bytes | memoryview  # PNG, grey
    objects: list[tuple[int, int, str]]  # plane, id, class

    def decode(self) -> tuple[np.ndarray, np.ndarray]:
        """RGB (H, W, 3) and label planes (P, H, W), uint8."""
        rgb = cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        labels = cv2.imdecode(np.frombuffer(self.labels, np.uint8), cv2.IMREAD_GRAYSCALE)
        return np.ascontiguousarray(rgb), labels.reshape(-1, *rgb.shape[:2])


def read_pack(path: Path | str) -> list[Item]:
    """The pictures of a pack. A file that is no pack is a ValueError."""
    data = Path(path).read_bytes()
    if data[:8] != MAGIC:
        raise ValueError(f"{path} is no pack: it does not begin with {MAGIC.decode()}")
    (length,) = struct.unpack("<Q", data[8:16])
    head = json.loads(zlib.decompress(data[16 : 16 + length]))
    blob = memoryview(data)[16 + length :]
    items = []
    for source, tier, at, n_jpeg, n_png, objects, name in head["items"]:
        named = [(plane, ident, head["classes"][kind]) for plane, ident, kind in objects]
        jpeg, png = blob[at : at + n_jpeg], blob[at + n_jpeg : at + n_jpeg + n_png]
        items.append(Item(name, head["sources"][source], tier, jpeg, png, named))
    return items


def write_pack(path: Path | str, items: Sequence[Item]) -> None:
    """Write a pack; class 0 is always `unknown`."""
    sources = sorted({item.source for item in items})
    classes = {"unknown": 0}
    rows, files, at = [], [], 0
    for item in items:
        objects = [(plane, ident, classes.setdefault(kind, len(classes))) for plane, ident, kind in item.objects]
        sizes = len(item.jpeg), len(item.labels)
        rows.append([sources.index(item.source), item.tier, at, *sizes, objects, item.name])
        files += [item.jpeg, item.labels]
        at += sum(sizes)
    head = zlib.compress(json.dumps({"sources": sources, "classes": list(classes), "items": rows}).encode(), 9)
    with open(path, "wb") as out:
        out.write(MAGIC + struct.pack("<Q", len(head)) + head)
        for file in files:
            out.write(file)
