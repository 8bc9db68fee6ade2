"""``duckdb-sam demo``."""

from __future__ import annotations

import os
import struct
import time
import zlib
from itertools import count as count_from
from pathlib import Path

import click

from duckdb_sam.cli.errors import Mistake
from duckdb_sam.cli.options import Command, as_json, model_names
from duckdb_sam.cli.output import count, document
from duckdb_sam.cli.photos import photos
from duckdb_sam.cli.streams import say

_WIDTH, _HEIGHT = 480, 320


@click.command(cls=Command)
@click.argument("given", metavar="[PHOTOS]...", nargs=-1)
@click.option("--folder", type=click.Path(path_type=Path), default="duckdb-sam-demo", show_default=True,
              help="Where the pictures are written.")  # fmt: skip
@click.option("--model", default="nano", show_default=True, shell_complete=model_names, help="The model.")
@as_json
def command(given: tuple[str, ...], folder: Path, model: str, json: bool) -> None:
    """Segment a few photos of yours, or else a picture that is drawn for it, and write overlays to look at.

    At most three photos are taken. Of each, one overlay shows the object at the centre, another all objects.
    """
    from duckdb_sam.images import picture
    from duckdb_sam.segmenter import Segmenter

    folder.mkdir(parents=True, exist_ok=True)
    if given:
        paths = photos(given).paths[:3]
    else:
        own = folder / "picture.png"
        paths = [str(_put(own, drawn()))]
    done: list[dict[str, object]] = []
    with Segmenter(model) as segmenter:
        for path in paths:
            data = picture(path).data
            begin = time.monotonic()
            try:
                one = segmenter.predict(data, [0.5, 0.5])
            except ValueError as error:
                raise Mistake(f"{path}: {error}") from error
            first = time.monotonic() - begin
            all_ = segmenter.generate(data, points_per_side=16)
            seconds = time.monotonic() - begin - first
            name = Path(path)
            files: list[str] = []
            for what, content in (("point", one.overlay(data)), ("objects", all_.overlay(data))):
                files.append(str(_put(folder / f"{name.stem}_{what}{name.suffix}", content)))
            done.append({"path": path, "area": one.area, "objects": len(all_), "files": files})
            if not json:
                say(
                    f"{path}: the object at the centre in {first:.2f} s, "
                    f"{count(len(all_), 'object')} in {seconds:.2f} s"
                )
                for file in files:
                    say(f"  {file}")
    if json:
        document(done)
        return
    say()
    say("Now your own photos:")
    say("  duckdb-sam run PHOTOS --generate --overlay out     all objects; see duckdb-sam run --help")
    say("  duckdb-sam pull mobile_sam                         a better model than nano: --model mobile_sam")
    say("  duckdb-sam shell                                   the same in SQL: sam_annotate, sam_generate, ...")


def _put(path: Path, content: bytes) -> Path:
    """Write a picture, beside another of that name that is there, and return where it is."""
    from duckdb_sam.formats.files import replaced

    names = (path.with_stem(f"{path.stem}-{number}") if number > 1 else path for number in count_from(1))
    target = next(name for name in names if not os.path.lexists(name) or _holds(name, content))
    with replaced(target) as partial:
        partial.write_bytes(content)
    return target


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def drawn() -> bytes:
    """Return a PNG of a few things on a table, 480 x 320."""
    rows: list[bytes] = []
    for y in range(_HEIGHT):
        row = bytearray(1)  # the filter of the row: none
        for x in range(_WIDTH):
            row += bytes(_colour(x, y))
        rows.append(bytes(row))
    header = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _colour(x: int, y: int) -> tuple[int, int, int]:
    """Return red, green and blue of a pixel: a ball, a box, a plate, on wood before a wall."""
    for centre, down, radius, colour in ((240, 165, 62, (205, 60, 48)), (390, 225, 48, (240, 238, 230))):
        right, below = x - centre, y - down
        if right * right + below * below < radius * radius:
            light = 1.0 - 0.45 * ((right + 20) ** 2 + (below + 24) ** 2) ** 0.5 / radius
            return tuple(max(0, min(255, round(part * light + 40 * (light > 0.9)))) for part in colour)  # pyright: ignore[reportReturnType]
    if 50 <= x < 150 and 120 <= y < 250:
        shade = 0.75 if x >= 125 else 1.0
        return round(52 * shade), round(98 * shade), round(168 * shade)
    if y < 130:
        return 208 - y // 8, 212 - y // 8, 204 - y // 8
    grain = (x * 7 + (y * y) // 9) % 23 // 3
    return 150 + grain - (y - 130) // 8, 112 + grain - (y - 130) // 8, 74 + grain
