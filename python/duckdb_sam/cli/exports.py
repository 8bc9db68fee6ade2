"""What ``run`` writes beside its results, made of them when they are finished."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from duckdb_sam.cli.drawing import Drawn, cutouts, overlays
from duckdb_sam.cli.errors import Mistake
from duckdb_sam.cli.photos import Photos, inside
from duckdb_sam.cli.results import Results
from duckdb_sam.formats.files import any_in

FOLDERS = ("overlay", "cutout", "yolo", "labelme")
KINDS = ("overlay", "cutout", "coco", "geoparquet", "yolo", "labelme")
"""In the order in which they are written."""


class Written(NamedTuple):
    """An export."""

    path: str
    files: int | None
    """Pictures that were written, of overlays and cutouts."""
    failed: list[tuple[str, str]]
    """Images that could not be drawn on, with the reason."""
    notes: list[str]
    left: bool = False
    """Whether nothing was written, because files are there that may be somebody's work."""


def check(wanted: Mapping[str, str], found: Photos, old: float | None, overwrite: bool) -> None:
    """Refuse places where photos would be overwritten, or what is not made of the results of this job.

    ``old`` is when these were written. What is older than they are is somebody else's.
    """
    for kind in ("overlay", "cutout", "yolo"):
        if kind not in wanted:
            continue
        folder = wanted[kind]
        for photos in found.folders:
            if inside(folder, photos):
                raise Mistake(
                    f"--{kind} {folder} lies in {photos}: its pictures would be taken for photos by the next run; "
                    "give a folder beside it"
                )
        if path := next((path for path in found.paths if inside(path, folder)), None):
            raise Mistake(
                f"--{kind} {folder} is the folder of the photo {path}, which might be overwritten: give another"
            )
    for kind, path in wanted.items():
        writable(kind, path)
        if kind in FOLDERS and os.path.exists(path) and not os.path.isdir(path):
            raise Mistake(f"--{kind} {path} is a file: give a folder")
        if kind not in FOLDERS and os.path.isdir(path):
            raise Mistake(f"--{kind} {path} is a folder: give the path of a file")
        if kind == "labelme":
            there = old is None and any(map(os.path.exists, _labelled(path, found)))
        else:
            there = os.path.isfile(path) or any_in(Path(path))
            there = there and (old is None or os.stat(path).st_mtime < old)
        if there and not overwrite:
            raise Mistake(f"--{kind} {path} is there already: give another place, or --overwrite")


def check_folder(option: str, path: str, found: Photos) -> None:
    """Refuse a folder for parts of the results in which there are photos."""
    if os.path.isdir(path) and (photo := next((each for each in found.paths if inside(each, path)), None)):
        raise Mistake(f"--{option} {path} is the folder of the photo {photo}: give another for the masks")


def keep(wanted: Mapping[str, str]) -> None:
    """Make what an earlier run has written newer than the results, so that ``check`` knows it after a kill as well."""
    for path in wanted.values():
        with contextlib.suppress(OSError):
            os.utime(path)


def _labelled(folder: str, found: Photos) -> Iterator[str]:
    """Give the files that labelme has for the photos."""
    for path in found.paths:
        name = os.path.relpath(path, found.root) if found.root else os.path.basename(path)
        yield os.path.join(folder, f"{os.path.splitext(name)[0]}.json")


def writable(option: str, path: str) -> None:
    """Refuse a place that cannot be written to, before anything is segmented."""
    folder = Path(path).expanduser().absolute().parent
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise Mistake(f"--{option} {path}: {folder} is not a folder")
    if not os.access(folder, os.W_OK):
        raise Mistake(f"--{option} {path}: the folder {folder} may not be written to")


def write(
    kind: str,
    path: str,
    results: Results,
    root: str,
    *,
    threads: int | None,
    progress: bool,
    overwrite: bool,
    categories: dict[int, str] | None,
) -> Written:
    """Write one export."""
    if kind in ("overlay", "cutout"):
        os.makedirs(path, exist_ok=True)
        draw: Callable[..., Drawn] = overlays if kind == "overlay" else cutouts
        drawn = draw(results, path, root, threads, progress)
        return Written(path, drawn.files, drawn.failed, [])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        _export(kind, path, results, root, overwrite, categories)
    return Written(path, None, [], [str(each.message) for each in told])


def _export(
    kind: str, path: str, results: Results, root: str, overwrite: bool, categories: dict[int, str] | None
) -> None:
    columns = "path, mask" + (", categories" if "categories" in results.columns else "")
    rows = results.select(columns)
    if kind == "geoparquet":
        from duckdb_sam.formats.geoparquet import to_geoparquet

        to_geoparquet(rows, path)
    elif kind == "coco":
        from duckdb_sam.formats.coco import to_coco

        to_coco(rows, path, root=root, categories=categories)
    elif kind == "yolo":
        from duckdb_sam.formats.yolo import to_yolo

        to_yolo(rows, path, root=root, categories=categories, images="link", overwrite=True)
    else:
        from duckdb_sam.formats.labelme import to_labelme

        to_labelme(rows, path, root=root, overwrite=overwrite)


def as_json(written: Mapping[str, Written]) -> dict[str, Any]:
    """Return what was written for a JSON document."""
    return {
        kind: {
            "path": str(Path(each.path)),
            **({"files": each.files, "failed": dict(each.failed)} if each.files is not None else {}),
            **({"notes": each.notes} if each.notes else {}),
        }
        for kind, each in written.items()
    }
