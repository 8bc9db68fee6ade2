"""What ``run`` prints when it is finished."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from duckdb_sam.cli.errors import spoken
from duckdb_sam.cli.output import count, printable
from duckdb_sam.cli.streams import note, say

MOST_FAILURES = 1000
"""How many failed images a JSON document lists at most."""

SOME = 3
"""How many of them are printed as text."""


def tell(
    summary: Any,
    rows: int,
    masks: int,
    written: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    before: int,
    without: int,
    others: int,
) -> None:
    """Print what has been done, and what can be done next.

    ``before`` is how many of the photos failed in earlier runs and were not tried again, ``without`` how many of the
    new results are photos without boxes, ``others`` how many files were no images.
    """
    new = summary.rows + summary.failed
    pace = f" in {summary.seconds:.1f} s ({summary.images_per_second:.1f} images/s)" if new else ""
    done = summary.skipped - before
    earlier = f", {done:,} done before" if done else ""
    if before:
        earlier += f", {before:,} failed before (--retry-errors tries {'it' if before == 1 else 'them'} again)"
    failed = f", {summary.failed:,} failed" if summary.failed else ""
    empty = f", {without:,} without boxes" if without else ""
    say(f"{count(summary.rows - without, 'image')} segmented{failed}{empty}{pace}{earlier}")
    lines = [("masks", f"{summary.into}: {count(masks, 'mask')} of {count(rows, 'image')}")]
    for kind, each in written.items():
        files = f" ({count(each.files, 'picture')})" if each.files is not None else ""
        lines.append((kind, each.path + files + "".join(f"; {text}" for text in each.notes)))
    width = max(len(kind) for kind, _ in lines)
    for kind, text in lines:
        say(f"{kind.ljust(width)}  {text}")
    if others:
        names = "its name does" if others == 1 else "their names do"
        say(f"{count(others, 'other file')} left out: {names} not end as those of images do")
    if not masks and rows:
        say("Nothing was found. Try other options or another model: duckdb-sam models")
    elif rows and "overlay" not in written:
        say("Next: the same command with --overlay DIR draws the masks on the photos, without segmenting again.")
    elif rows:
        from duckdb_sam.cli.results import where

        place = where(options["into"], options["table"], options["errors"])
        database = "" if place.database == ":memory:" else f"{_quoted(place.database)} "
        source = place.rows if database else place.rows.removeprefix("read_parquet(").removesuffix(")")
        say(f"Next: duckdb-sam shell {database}-c {_quoted(f'FROM {source}')}")


def _quoted(text: str) -> str:
    """Return an argument as it is typed into a shell."""
    quoted = shlex.quote(text)
    return quoted if quoted == text or any(sign in text for sign in '"$`\\!') else f'"{text}"'


def tell_failures(failed: int, failures: list[tuple[str, str]], place: str) -> None:
    """Say on stderr how many images failed, and why the first of them did."""
    shown = f", and the first {len(failures)} are" if len(failures) < failed else ""
    note(f"{count(failed, 'image')} failed; {place} has all with the reason{shown}:")
    for path, why in failures:
        note(f"  {printable(path)}: {spoken(why)}")
