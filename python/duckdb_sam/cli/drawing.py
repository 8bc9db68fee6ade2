"""Overlays and cutouts: a picture for each image, or for each mask."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from duckdb_sam.cli.results import Results
from duckdb_sam.engine import shared
from duckdb_sam.formats.files import replaced
from duckdb_sam.formats.names import below
from duckdb_sam.images import picture
from duckdb_sam.jobs.progress import shown
from duckdb_sam.jobs.status import Status
from duckdb_sam.masks import Masks, masks

_ENDINGS = {
    b"\xff\xd8": (".jpg", ".jpeg", ".jpe", ".jfif"),
    b"\x89P": (".png",),
    b"RI": (".webp",),
    b"BM": (".bmp",),
    b"II": (".tif", ".tiff"),
    b"MM": (".tif", ".tiff"),
}
"""By the first bytes of a file."""


class Drawn(NamedTuple):
    """What has been written."""

    files: int
    failed: list[tuple[str, str]]
    """Path and reason where an image could not be drawn on."""


class _Names:
    """Names of files, each given once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, *wanted: str) -> str:
        """Return the first that is not taken, and a number is added to the last if all are."""
        names = [*wanted, *(f"{number}-{wanted[-1]}" for number in range(2, len(self._taken) + 3))]
        name = next(name for name in names if name.lower() not in self._taken)
        self._taken.add(name.lower())
        return name


def overlays(results: Results, folder: str, root: str, threads: int | None, progress: bool) -> Drawn:
    """Write each image with its masks drawn on it, under its name."""
    names = _Names()

    def draw(path: str, found: Masks) -> list[bytes]:
        return [found.overlay(path)]

    def save(path: str, pictures: list[bytes]) -> None:
        name = below(path, root)
        data = pictures[0]
        endings = _ENDINGS.get(data[:2], (".png",))
        fits = PurePosixPath(name).suffix.lower() in endings
        _write(Path(folder) / names.take(*([name] if fits else [f"{name}{endings[0]}"])), data)

    return _all(results, draw, save, threads, "overlays" if progress else None)


def cutouts(results: Results, folder: str, root: str, threads: int | None, progress: bool) -> Drawn:
    """Write what each mask covers, as a PNG: NAME.png, and NAME-1.png and so on where images have lists of masks."""
    names = _Names()
    mask = "{'size': ?::INTEGER[], 'counts': ?::VARCHAR}"

    def draw(path: str, found: Masks) -> list[bytes]:
        data = picture(path).data
        cut = [shared.value(f"image_cutout(?::BLOB, {mask})", data, list(each.size), each.counts) for each in found]
        if found and all(each is None and mask.area for each, mask in zip(cut, found, strict=True)):
            raise ValueError(shared.value("image_error(?::BLOB)", data) or "nothing could be cut out")
        return [each for each in cut if each is not None]

    def save(path: str, pictures: list[bytes]) -> None:
        name = PurePosixPath(below(path, root))
        for number, data in enumerate(pictures, 1):
            ending = f"-{number}.png" if results.many else ".png"
            short, whole = (str(name.with_name(stem + ending)) for stem in (name.stem, name.name))
            _write(Path(folder) / names.take(short, whole), data)

    return _all(results, draw, save, threads, "cutouts" if progress else None)


def _write(path: Path, data: bytes) -> None:
    with replaced(path) as partial:
        partial.write_bytes(data)


def _all(
    results: Results,
    draw: Callable[[str, Masks], list[bytes]],
    save: Callable[[str, list[bytes]], None],
    threads: int | None,
    label: str | None,
) -> Drawn:
    """Draw on several threads, a few images at a time, and save in the order of the results."""
    workers = threads or os.cpu_count() or 1
    total, done, files, begin = results.count()[0], 0, 0, time.monotonic()
    failed: list[tuple[str, str]] = []
    with shown(label is not None, label or "") as (report, _), ThreadPoolExecutor(workers) as pool:

        def work(path: str, records: list[Any]) -> list[bytes]:
            return draw(path, masks(records, path))

        try:
            for path, future in _ahead(pool, work, results.masks(), 2 * workers):
                done += 1
                try:
                    pictures = future.result()
                except (OSError, ValueError) as error:
                    failed.append((path, str(error)))
                else:
                    save(path, pictures)
                    files += len(pictures)
                rate = done / max(time.monotonic() - begin, 1e-6)
                report(Status(done, total, len(failed), rate, (total - done) / rate))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return Drawn(files, failed)


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[str, list[Any]], Any], given: Iterator[tuple[str, list[Any]]], most: int
) -> Iterator[tuple[str, Future[Any]]]:
    waiting: deque[tuple[str, Future[Any]]] = deque()
    for path, records in given:
        waiting.append((path, pool.submit(work, path, records)))
        if len(waiting) >= most:
            yield waiting.popleft()
    yield from waiting
