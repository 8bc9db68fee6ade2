"""What ``run`` writes beside its results, made of them when they are finished."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from duckdb_sam.cli.drawing import Drawn, cutouts, overlays
from duckdb_sam.cli.errors import Mistake
from duckdb_sam.cli.output import count
from duckdb_sam.cli.photos import Photos, inside
from duckdb_sam.cli.results import Results
from duckdb_sam.formats.files import any_in
from duckdb_sam.formats.ledger import Ledger, kept
from duckdb_sam.formats.names import beside

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
    kept: Sequence[Path] = ()
    """Files that were left as they are, because they may be somebody's work."""
    missing: bool = False
    """Whether one of them was never of this job, so that what belongs there is nowhere."""


def check(wanted: Mapping[str, str], found: Photos, ledger: Ledger, *, begun: bool) -> None:
    """Refuse places where photos would be overwritten, or what this job has not written as it is.

    ``begun``: whether there are results of it already.
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
        if path == "-" or _is_special(path):
            raise Mistake(f"--{kind} {path} is no place for a {'folder' if kind in FOLDERS else 'file'}: give a path")
        if not Path(path).absolute().name:
            raise Mistake(f"--{kind} {path} is the root of the file system: give a folder in it")
        if kind in FOLDERS and os.path.exists(path) and not os.path.isdir(path):
            raise Mistake(f"--{kind} {path} is a file: give a folder")
        if kind not in FOLDERS and os.path.isdir(path):
            raise Mistake(f"--{kind} {path} is a folder: give the path of a file")
        if kind in ("yolo", "labelme") and (twins := _twins(found)):
            raise Mistake(f"--{kind} {path}: {twins[0]} and {twins[1]} would have the same file in it: rename one")
        if foreign := _foreign(kind, Path(path).expanduser(), found, ledger, begun):
            raise Mistake(_is_there(kind, path, foreign, ledger))


def _is_special(path: str) -> bool:
    """Whether it is a device, a pipe or a socket, which would be replaced by a file."""
    there = os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)
    folder = os.path.realpath(os.path.dirname(os.path.abspath(path)))
    return there or folder == "/dev" or folder.startswith("/proc/")


def _twins(found: Photos) -> tuple[str, str] | None:
    """Return two photos in one folder whose names differ only in what they end with."""
    names: dict[str, str] = {}
    for path in found.paths:
        folder, name = os.path.split(path)
        other = names.setdefault(os.path.join(folder, beside(PurePosixPath(name), "").name), path)
        if other != path:
            return other, path
    return None


def _foreign(kind: str, path: Path, found: Photos, ledger: Ledger, begun: bool) -> Path | None:
    """Return something that is there and not to be replaced, so that the export is to go elsewhere.

    Single pictures and labelme's files that were changed are left as they are while the others are written.
    """
    if kind not in FOLDERS:
        return None if ledger.may_replace(path) else path
    if kind == "labelme":
        there = () if begun else map(Path, _labelled(str(path), found))
    elif any_in(path) and not ledger.knows_in(path):
        there = [path]
    else:  # the numbers of YOLO's classes belong to all its files
        there = _of_yolo(path) if kind == "yolo" else ()
    return next((each for each in there if not ledger.may_replace(each)), None)


def _of_yolo(folder: Path) -> Iterator[Path]:
    """Give the files of a data set that are replaced together; caches are made anew by whoever makes them."""
    yield from (folder / name for name in ("data.yaml", "train.txt", "val.txt", "test.txt"))
    yield from (path for path in sorted((folder / "labels").rglob("*")) if path.is_file() and path.suffix != ".cache")


def _is_there(kind: str, path: str, foreign: Path, ledger: Ledger) -> str:
    where = "" if foreign == Path(path).expanduser() else f"{foreign} "
    state = "was changed since it was written" if ledger.knows(foreign) else "is there already"
    return f"--{kind} {path}{': ' * bool(where) or ' '}{where}{state}: give another place, or --overwrite"


def check_folder(option: str, path: str, found: Photos) -> None:
    """Refuse a folder for parts of the results in which there are photos."""
    if os.path.isdir(path) and (photo := next((each for each in found.paths if inside(each, path)), None)):
        raise Mistake(f"--{option} {path} is the folder of the photo {photo}: give another for the masks")


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
    ledger: Ledger,
    *,
    threads: int | None,
    progress: bool,
    categories: dict[int, str] | None,
) -> Written:
    """Write one export, and note in the ledger what belongs to it."""
    before = len(ledger.kept)
    files, failed, notes = None, list[tuple[str, str]](), list[str]()
    with kept(ledger):
        if kind in ("overlay", "cutout"):
            os.makedirs(path, exist_ok=True)
            draw: Callable[..., Drawn] = overlays if kind == "overlay" else cutouts
            files, failed = draw(results, path, root, threads, progress)
        else:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                _export(kind, path, results, root, categories, ledger)
            notes = [str(each.message) for each in told]
    left = ledger.kept[before:]
    changed = [each for each in left if ledger.knows(each)]
    others = [each for each in left if not ledger.knows(each)]
    for paths, why in (
        (changed, "changed since {} written"),
        (others, "there before, and {} not of this job"),
    ):
        if paths:
            were = why.format("it was" if len(paths) == 1 else "they were")
            notes.append(
                f"{count(len(paths), 'file')} left, such as {paths[0]}: {were}; --overwrite replaces what is there"
            )
    return Written(path, None if files is None else files - len(left), failed, notes, left, bool(others))


def _export(
    kind: str, path: str, results: Results, root: str, categories: dict[int, str] | None, ledger: Ledger
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

        # Again, because labels may have been corrected while the images were segmented.
        if changed := next((each for each in _of_yolo(Path(path)) if not ledger.may_replace(each)), None):
            raise Mistake(f"{changed} was changed meanwhile: give another place, or --overwrite")
        to_yolo(rows, path, root=root, categories=categories, images="link", overwrite=True)
    else:
        from duckdb_sam.formats.labelme import to_labelme

        to_labelme(rows, path, root=root, overwrite=True)


def as_json(written: Mapping[str, Written]) -> dict[str, Any]:
    """Return what was written for a JSON document."""
    return {
        kind: {
            "path": str(Path(each.path)),
            **({"files": each.files, "failed": dict(each.failed)} if each.files is not None else {}),
            **({"notes": each.notes} if each.notes else {}),
            **({"left": [str(path) for path in each.kept]} if each.kept else {}),
        }
        for kind, each in written.items()
    }
