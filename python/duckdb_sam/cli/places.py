"""The places that one ``run`` reads and writes: no two may be the same, nor one in what belongs to another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from duckdb_sam.cli.exports import FOLDERS, KINDS
from duckdb_sam.formats.ledger import ENDING
from duckdb_sam.inputs import DATABASES
from duckdb_sam.jobs.sink_parquet import place_of_errors


class _Output(NamedTuple):
    option: str
    """Empty for errors of which no place was given."""
    path: str
    own: tuple[str, ...] = ()
    """What is written beside it or below it and nobody else may touch; with ``/`` in the end all below as well."""

    @property
    def said(self) -> str:
        return f"--{self.option}" if self.option else "the errors of --into"


def check(ctx: click.Context, options: Mapping[str, Any]) -> None:
    """Refuse outputs that would overwrite each other, or what is read. Nothing is opened or written for it.

    Links are followed, and letters' case counts only where the file system tells it apart.
    """
    outputs = list(_outputs(options))
    for number, output in enumerate(outputs):
        for name in ("boxes", "model"):
            path = options[name]
            if path and os.path.exists(path) and same(path, output.path):
                raise click.UsageError(
                    f"{output.said} and --{name} have the same place, {output.path}, which would be overwritten: give "
                    f"{output.said} its own",
                    ctx,
                )
        for other in outputs[:number]:
            if same(output.path, other.path):
                raise click.UsageError(
                    f"{output.said} and {other.said} have the same place, {output.path}: give each its own", ctx
                )
            for one, owner in ((output, other), (other, output)):
                if own := next((own for own in owner.own if _belongs(one.path, own)), None):
                    raise click.UsageError(
                        f"{one.said} {one.path} lies in what {owner.said} writes, {own}: give it a place beside it", ctx
                    )


def check_photos(ctx: click.Context, options: Mapping[str, Any], paths: list[str]) -> None:
    """Refuse an output that is one of the photos, and pictures where those of a folder of photos come."""
    outputs = list(_outputs(options))
    places = {_real(path) for path in paths}
    names = {part for folder in {os.path.dirname(path) for path in paths} for part in Path(folder).parts}
    for output in outputs:
        if output.option not in FOLDERS and _real(output.path) in places:
            raise click.UsageError(
                f"{output.said} {output.path} is one of the photos, which would be overwritten: give another place", ctx
            )
        for other in outputs if output.option in FOLDERS else ():
            if other.option in FOLDERS and other is not output and _belongs(output.path, f"{other.path}/"):
                inner = os.path.relpath(os.path.realpath(output.path), os.path.realpath(other.path))
                if Path(inner).parts[0] in names:
                    raise click.UsageError(
                        f"{output.said} {output.path} lies in {other.said} {other.path}, where photos have a folder "
                        "of that name: give it a place beside it",
                        ctx,
                    )


def _outputs(options: Mapping[str, Any]) -> Iterator[_Output]:
    into = Path(options["into"]).expanduser()
    suffix = into.suffix.lower()
    if suffix in DATABASES:
        yield _Output("into", str(into), (f"{into}.wal", f"{into}{ENDING}"))
    else:
        file = suffix == ".parquet"
        yield _Output("into", str(into), (f"{into}.lock", f"{into}{ENDING}", f"{into}.parts/" if file else f"{into}/"))
        given = options["errors"]
        errors = place_of_errors(into, given)
        yield _Output("errors" if given else "", str(errors), () if file else (f"{errors}/",))
    for kind in KINDS:
        if path := options[kind]:
            place = str(Path(path).expanduser())
            own = ("data.yaml", "train.txt", "val.txt", "test.txt", "labels/", "images/") if kind == "yolo" else ()
            yield _Output(kind, place, tuple(os.path.join(place, name) for name in own))


def same(one: str, other: str) -> bool:
    """Whether two paths are one place, or will be when they are there."""
    return _real(one) == _real(other)


def _belongs(path: str, own: str) -> bool:
    whole, owned = _real(path), _real(own)
    return whole == owned or (own.endswith("/") and whole.startswith(os.path.join(owned, "")))


def _real(path: str) -> str:
    """Return the path without links, and in small letters where these are the same files as capitals."""
    whole = os.path.realpath(os.path.expanduser(path))
    return whole.casefold() if _ignores_case(whole) else whole


def _ignores_case(path: str) -> bool:
    there = path
    while not os.path.exists(there) and os.path.dirname(there) != there:
        there = os.path.dirname(there)
    folder, name = os.path.split(there)
    try:
        return name != name.swapcase() and os.path.samefile(there, os.path.join(folder, name.swapcase()))
    except OSError:
        return False
