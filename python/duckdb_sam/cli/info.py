"""``duckdb-sam info``."""

from __future__ import annotations

from typing import Any

import click

from duckdb_sam.cli.errors import SOME_FAILED
from duckdb_sam.cli.options import Command, as_json
from duckdb_sam.cli.output import document, printable, table
from duckdb_sam.cli.photos import HELP, photos
from duckdb_sam.cli.streams import note

_FIELDS = ("width", "height", "format", "channels", "sample", "orientation", "pages")
_NOTHING = dict.fromkeys(("path", "bytes", *_FIELDS))


@click.command(
    cls=Command,
    help=f"""Tell size and format of images, and why they cannot be read. The whole image is looked at.

{HELP}

Exit status 3 if some cannot be read, 1 if none can, or if something that is named is not there.
""",
)
@click.argument("given", metavar="PHOTOS...", nargs=-1, required=True)
@as_json
def command(given: tuple[str, ...], json: bool) -> int:
    """Tell size, format and faults of images."""
    missing: dict[str, str] = {}
    found = [_info(path) for path in photos(given, missing).paths]
    failed = [each for each in found if each["error"]]
    if json:
        document([*found, *({**_NOTHING, "path": path, "error": why} for path, why in missing.items())])
    else:
        rows = [
            [each["path"], _size(each), each["format"], each["channels"], each["sample"], each["orientation"],
             each["pages"]]
            for each in found if not each["error"]
        ]  # fmt: skip
        if rows:
            table(["FILE", "SIZE", "FORMAT", "CHANNELS", "SAMPLE", "ORIENTATION", "PAGES"], rows)
        for each in failed:
            note(f"{printable(each['path'])}: {each['error']}")
        for why in missing.values():
            note(why)
    return 1 if missing or len(failed) == len(found) else SOME_FAILED if failed else 0


def _size(each: dict[str, Any]) -> str:
    return f"{each['width']} x {each['height']}"


def _info(path: str) -> dict[str, Any]:
    from duckdb_sam.engine import shared
    from duckdb_sam.images import picture

    info: dict[str, Any] | None = None
    size: int | None = None
    try:
        data = picture(path).data
        size = len(data)
        error = shared.value("image_error(?::BLOB)", data)
        info = shared.value("image_info(?::BLOB)", data)
    except OSError as given:
        error = given.strerror or str(given)
    except ValueError as given:  # a format that is not decoded; image_error has said so, or this does
        error = str(given)
    return {"path": path, "bytes": size, **{name: info[name] if info else None for name in _FIELDS}, "error": error}
