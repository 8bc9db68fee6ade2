"""``run``: segment the images of a source into a table or Parquet files, batch by batch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Literal

from duckdb_sam.interrupt import as_interrupts, is_interrupt
from duckdb_sam.jobs.errors import JobError, writing
from duckdb_sam.jobs.keys import Key, Unique, check_types, key_names, kind_of
from duckdb_sam.jobs.pace import Pace
from duckdb_sam.jobs.progress import Meter, shown
from duckdb_sam.jobs.record import RELATIVE, TYPES, record
from duckdb_sam.jobs.sinks import Place, Sink
from duckdb_sam.jobs.source_paths import COLUMN, Paths
from duckdb_sam.jobs.sources import Source, image_column, open_source
from duckdb_sam.jobs.status import Status, Summary
from duckdb_sam.jobs.work import Columns, Work
from duckdb_sam.options import batch_options, short
from duckdb_sam.prompts import BoxFormat, Unit, check_form


def run(
    source: Any,
    into: str | os.PathLike[str],
    key: str | Sequence[str] | None = None,
    model: str | os.PathLike[str] = "nano",
    *,
    image: str | None = None,
    point: Any = None,
    points: Any = None,
    labels: Any = None,
    box: Any = None,
    boxes: Any = None,
    generate: bool | Mapping[str, float] = False,
    unit: Unit = "fraction",
    box_format: BoxFormat = "xyxy",
    keep: Sequence[str] | bool = (),
    mask: str = "mask",
    con: Any = None,
    table: str | None = None,
    errors: str | os.PathLike[str] | None = None,
    on_error: Literal["record", "raise"] = "record",
    retry_errors: bool = False,
    restart: bool = False,
    batch: int = 256,
    batch_mb: float = 64,
    threads: int | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool | Callable[[Status], object] = True,
) -> Summary:
    """Segment all images of ``source``, write the masks ``into`` a table or Parquet files, and return a summary.

        duckdb_sam.run("photos/", into="masks.parquet", point=[0.5, 0.6])
        duckdb_sam.run("FROM photos", into="masks", con=con, key="id", box="box", unit="pixel")

    A job that ends before it is finished, by Ctrl-C, ``kill -9`` or a power failure, goes on where it was when the same
    call is made again, and in the end has the rows of one that ran through: each once. What is done is found in the
    output itself, errors included. Ctrl-C takes effect within the time of one image; it costs the batch that is being
    worked on, as any other end does, which is about ten seconds of work.

    ``source``: a folder of images, a list of paths, or a generator or pattern (``"photos/*.jpg"``) of them; Parquet
    files (``"photos/*.parquet"``); a query or the name of a table (on ``con``, on the database that is written to, or
    in memory); a DuckDB relation; an Ibis expression; an Arrow table, dataset or reader; a data frame of Polars or
    pandas. A query must give the same rows each time: it is run for the keys first, and then for each batch.
    ``into``: a Parquet file (``"masks.parquet"``), a folder of them (``"masks/"``), a database file (``"photos.db"``,
    with ``table``, which is ``"masks"`` if not given), or with ``con`` a table in its database (``"masks"``).
    ``key``: the column that tells rows apart, or a list of columns; of paths it is ``"path"``. Keys are unique and not
    NULL: text, bytes, whole numbers, decimals, dates or timestamps. A file whose name is not UTF-8 has its URI as path.
    ``model``: as for ``Segmenter``.
    ``image``: the column of images: bytes in any form, paths, or whatever ``Segmenter.batch`` takes; ``"image"``,
    ``"content"`` or the only column of bytes if not given.
    ``point``, ``points``, ``labels``, ``box``, ``boxes``, ``generate``, ``unit``, ``box_format``: as for
    ``Segmenter.batch``: a value for all rows, or the name of a column. ``generate`` may be a dict of its options.
    ``keep``: columns to copy into the results beside the key and the mask; True is all but the image.
    ``mask``: the column of masks: the record of ``sam_annotate``, or a list of them with ``boxes`` or ``generate``.
    It is NULL where the image or the prompt is.
    ``errors``: where images and prompts that fail go, with key, path and reason; if not given, ``into`` with
    ``_errors``.
    ``on_error``: ``"raise"`` stops the job at the first of them instead, with a JobError.
    ``retry_errors``: try those again that failed in earlier runs.
    ``restart``: remove what an earlier job with other options has written there, and begin anew. A job that has only
    failures yet is begun anew without it.
    ``batch``, ``batch_mb``: most rows and megabytes of images in a batch; memory is bounded by them. A batch is also
    made so small that it takes about ten seconds.
    ``threads``: of the extension, for the whole process, and of the database if ``run`` opens it; None: as they are.
    ``settings``: others of ``sam_configure``, such as ``{"image_megapixels": 400}``.
    ``progress``: True shows it on stderr or in a notebook; a function is called with a ``Status`` four times a second,
    from a thread of its own.

    Raises JobError if the output belongs to another job, is being written to, or cannot be written (no space left, a
    read-only place), with what to do; ValueError and TypeError for wrong arguments, before anything is written;
    KeyboardInterrupt with the way to go on.
    """
    _check(on_error, batch, batch_mb, mask)
    check_form(unit, box_format)
    options = batch_options(generate)
    prompts = {"point": point, "points": points, "labels": labels, "box": box, "boxes": boxes}
    with as_interrupts(), ExitStack() as held:
        place = Place(into, table, errors, con, threads)
        held.callback(place.close)
        rows = open_source(source, place.connection, place.is_own)
        column = image_column(image, rows.schema)
        names = key_names(COLUMN if key is None and isinstance(rows, Paths) else key, rows.schema.names)
        columns = Columns(rows.schema, names, column, _columns(prompts), keep, mask)
        work = held.enter_context(Work(model, columns, prompts, options, unit, box_format, threads, settings))
        for name in [*names, *columns.kept]:
            if name in rows.refused:
                raise TypeError(f"the column {name!r} {rows.refused[name]}")
        check_types(rows.schema, names)
        kinds = work.schemas()
        asked = {**prompts, "generate": options, "unit": unit, "box_format": box_format}
        if isinstance(rows, Paths):
            asked[RELATIVE] = rows.relative_to(place.folder())
        asked[TYPES] = {name: kind_of(rows.schema.field(name).type) for name in [*names, *columns.kept]}
        asked |= {"image": column, "key": names, "keep": columns.kept, "mask": mask}
        known = rows.keys(names)
        if known is not None:
            Unique(names).check(known)
        sink = place.sink()
        held.callback(sink.close)
        with writing(sink.into):
            sink.open(*kinds, record(work.model(), {**asked, "precision": work.precision()}), restart)
            if retry_errors:
                sink.forget_errors()
        prompted = options is None and boxes is None
        pace = Pace(batch, batch_mb * 1e6)
        return _Run(rows, sink, work, columns, pace, on_error).all(known, progress, prompted)


class _Run:
    """One run over a source that is open, into a place that is."""

    def __init__(
        self, source: Source, sink: Sink, work: Work, columns: Columns, pace: Pace, on_error: Literal["record", "raise"]
    ) -> None:
        self._source, self._sink, self._work, self._columns, self._pace = source, sink, work, columns, pace
        self._on_error = on_error
        self._written = self._failed = self._skipped = 0

    def all(self, known: list[Key] | None, progress: bool | Callable[[Status], object], prompted: bool) -> Summary:
        """Do what is not done, of the keys that are ``known``."""
        total, begin = None, time.monotonic()
        try:
            with writing(self._sink.into):
                done = self._sink.done(self._columns.keys)
            if known is not None:
                self._skipped, total = sum(key in done for key in known), len(known)
            del known
            with shown(progress, self._sink.into) as (report, told):
                begin = time.monotonic()
                with Meter(self._skipped, total, prompted, report, told).running() as meter:
                    for chunk in self._source.chunks(self._columns.read, self._columns.keys, done, self._pace.rows):
                        for piece, length in self._pace.cut(chunk, self._columns.image):
                            self._batch(piece, length, meter, 0 if total is not None else self._source.passed)
            if total is None:
                self._skipped = self._source.passed
            with writing(self._sink.into):
                self._sink.finish()
        except KeyboardInterrupt:
            raise self._interrupted(total) from None
        except RuntimeError as error:
            if is_interrupt(error):
                raise self._interrupted(total) from None
            raise
        seconds = time.monotonic() - begin
        return Summary(self._written, self._failed, self._skipped, seconds, self._sink.into, self._sink.errors)

    def _batch(self, piece: Any, length: float, meter: Meter, passed: int) -> None:
        begin = time.monotonic()
        meter.begin(len(piece), max(passed - self._skipped, 0))
        self._skipped = max(self._skipped, passed)
        rows, failures = self._work.run(piece)
        stop = self._on_error == "raise" and len(failures) > 0
        with writing(self._sink.into):
            self._sink.write(rows, failures.slice(0, 0) if stop else failures)
        self._written += len(rows)
        if stop:
            first = failures.slice(0, 1).to_pylist()[0]
            key = ", ".join(f"{name}={first[name]!r}" for name in self._columns.keys)
            raise JobError(f"{key}: {first['reason']}")
        self._failed += len(failures)
        meter.end(len(failures))
        self._pace.note(len(piece), length, time.monotonic() - begin)

    def _interrupted(self, total: int | None) -> KeyboardInterrupt:
        done = self._skipped + self._written + self._failed
        of = f" of {total:,}" if total is not None else ""
        return KeyboardInterrupt(
            f"interrupted: {done:,}{of} rows are in {self._sink.into}; the same call goes on from there"
        )


_MOST_MB = 1_000_000


def _columns(prompts: Mapping[str, Any]) -> list[str]:
    return [value for value in prompts.values() if isinstance(value, str)]


def _check(on_error: str, batch: Any, batch_mb: Any, mask: Any) -> None:
    if on_error not in ("record", "raise"):
        raise ValueError(f"on_error must be 'record' or 'raise', not {on_error!r}")
    if not isinstance(batch, int) or isinstance(batch, bool) or batch < 1:
        raise ValueError(f"batch must be a whole number of rows, at least 1, not {short(batch)}")
    if isinstance(batch_mb, bool) or not isinstance(batch_mb, (int, float)) or not 0 < batch_mb <= _MOST_MB:
        raise ValueError(f"batch_mb must be a number of megabytes above 0, at most {_MOST_MB:,}, not {short(batch_mb)}")
    if not isinstance(mask, str) or not mask:
        raise TypeError(f"mask must be the name of the column of masks, not {mask!r}")
