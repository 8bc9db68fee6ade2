"""How far a job is, as it goes: in the cell of a notebook, with Rich if it is installed, as lines, or to a function.

DuckDB does not know how far a query is that calls the extension; the extension's counters do, image by image.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

from duckdb_sam.engine import Engine
from duckdb_sam.jobs.status import Status
from duckdb_sam.notebook import Bar, is_notebook

Report = Callable[[Status], object]

_EVERY = 0.25
"""Seconds between two looks at the counters."""
_LINES = 10.0
"""Seconds between two lines where there is no terminal."""
_WINDOW = 30.0
"""Seconds over which the rate is taken."""

_PROMPTED = ("decodes", "cache_hits")
_WHOLE = ("encodes", "embedding_hits")
"""The counters that move with each row: of one prompt each, and of many or of ``generate``."""


class Meter:
    """Counts the rows of a job, and tells how far it is from a thread of its own."""

    def __init__(self, done: int, total: int | None, prompted: bool, report: Report, told: bool = True) -> None:
        """Take the rows that are done and all there are; ``told`` is False if nobody listens."""
        self._done, self._total, self._report = done, total, report
        self._names = _PROMPTED if prompted else _WHOLE
        self._batch = 0
        self._inside = 0
        self._before = 0.0
        self._failed = 0
        self._past: deque[tuple[float, int]] = deque()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._engine = Engine(stoppable=False)
        self._thread = threading.Thread(target=self._watch, name="duckdb-sam-progress", daemon=True) if told else None
        self._failure: BaseException | None = None

    def begin(self, rows: int, skipped: int = 0) -> None:
        """Note that a batch begins, and that so many rows before it were done already.

        What the function that is told has raised since, is raised here.
        """
        if self._failure is not None:
            raise self._failure
        with self._lock:
            self._done += skipped
            self._batch, self._inside, self._before = rows, 0, self._count() if self._thread else 0.0

    def end(self, failed: int) -> None:
        """Note that the batch is written."""
        with self._lock:
            self._done += self._batch
            self._failed += failed
            self._batch = self._inside = 0

    @contextlib.contextmanager
    def running(self) -> Generator[Meter]:
        """Tell how far the job is until the end."""
        self._past.append((time.monotonic(), self._done))
        if self._thread:
            self._thread.start()
        try:
            yield self
        finally:
            self._over.set()
            if self._thread:
                self._thread.join()
                self._engine.close()
                if self._failure is None:
                    self._tell()
        if self._failure is not None:
            raise self._failure

    def _watch(self) -> None:
        try:
            while not self._over.wait(_EVERY):
                self._tell()
        except BaseException as error:
            self._failure = error

    def _tell(self) -> None:
        with self._lock:
            if self._batch:
                self._inside = max(self._inside, min(int(self._count() - self._before), self._batch))
            done = self._done + self._inside
        now = time.monotonic()
        self._past.append((now, done))
        while len(self._past) > 2 and now - self._past[1][0] > _WINDOW:
            self._past.popleft()
        (begin, first), rate = self._past[0], 0.0
        if now > begin:
            rate = (done - first) / (now - begin)
        left = (self._total - done) / rate if self._total is not None and rate > 0 else None
        self._report(Status(done, self._total, self._failed, rate, left))

    def _count(self) -> float:
        with self._engine.query("SELECT counter, value FROM sam_stats()") as result:
            counters = dict(result.fetchall())
        return sum(counters[name] for name in self._names)


@contextlib.contextmanager
def shown(progress: bool | Report, label: str) -> Generator[tuple[Report, bool]]:
    """Give what is to be told, and whether anybody listens."""
    if callable(progress):
        yield progress, True
    elif not progress:
        yield lambda _status: None, False
    elif is_notebook():
        cell = Bar(label)
        yield lambda status: cell.move(status.done, status.total, _words(status)), True
    elif columns := _rich():
        with columns[0] as bar:
            task = bar.add_task(label, total=None, speed="", failed="")
            yield lambda status: _update(bar, task, status), True
    else:
        with _lines(label) as report:
            yield report, True


def _rich() -> tuple[Any] | None:
    """Return Rich's progress bar where it can be shown."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        return None
    console = Console(stderr=True)
    if not console.is_terminal:
        return None
    texts = [TextColumn("{task.fields[" + name + "]}") for name in ("speed", "failed")]
    return (
        Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            *texts,
            console=console,
            refresh_per_second=4,
        ),
    )


def _update(bar: Any, task: Any, status: Status) -> None:
    failed = f"[red]{status.failed:,} failed[/red]" if status.failed else ""
    bar.update(task, completed=status.done, total=status.total, speed=_speed(status), failed=failed)


@contextlib.contextmanager
def _lines(label: str) -> Generator[Report]:
    """Write one line again and again on a terminal, elsewhere a new one now and then."""
    terminal = sys.stderr.isatty()
    last = [time.monotonic(), -1.0]

    def report(status: Status) -> None:
        if not terminal:
            finished = status.done == status.total
            if status.done == last[1] or not (finished or time.monotonic() - last[0] >= _LINES):
                return
        last[:] = time.monotonic(), status.done
        text = f"{label}: {_words(status)}"
        if terminal:
            print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    try:
        yield report
    finally:
        if terminal:
            print(file=sys.stderr)


def _words(status: Status) -> str:
    of = f" of {status.total:,}" if status.total is not None else ""
    failed = f"{status.failed:,} failed" if status.failed else ""
    return ", ".join(filter(None, (f"{status.done:,}{of}", _speed(status), failed)))


def _speed(status: Status) -> str:
    left = ""
    if not status.rate:
        return ""
    if status.left:
        minutes, seconds = divmod(round(status.left), 60)
        hours, minutes = divmod(minutes, 60)
        left = f", {hours}:{minutes:02}:{seconds:02} left" if hours else f", {minutes}:{seconds:02} left"
    return f"{status.rate:.1f} images/s{left}"
