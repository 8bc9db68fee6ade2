"""``duckdb-sam run``."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from os.path import expanduser, splitext
from pathlib import Path
from typing import Any, cast

import click

from duckdb_sam.cli.errors import SOME_FAILED, Mistake, reason, spoken
from duckdb_sam.cli.options import Command, as_json, model_names, option
from duckdb_sam.cli.output import count, document
from duckdb_sam.cli.photos import HELP
from duckdb_sam.cli.prompts import Asked, asked
from duckdb_sam.cli.streams import note
from duckdb_sam.cli.summary import MOST_FAILURES, SOME, tell, tell_failures

_PROMPT, _OUT, _JOB = "What to segment (one of them)", "What comes out", "The job"

_EXAMPLES = """\
\b
Examples:
  duckdb-sam run photos --generate --overlay out
      all objects in the photos of a folder, and overlays to look at
  duckdb-sam run coffee.jpg --point 0.5 0.6 --cutout out
      the object in the middle, a little below the centre, cut out
  duckdb-sam run 'photos/*.jpg' --box 40 60 300 280 --unit pixel --into boxes.parquet
      what is in a box of pixels
  duckdb-sam run photos --boxes instances.json --coco masks.json --model mobile_sam
      masks for the boxes of a COCO file
  find . -name '*.jpg' | duckdb-sam run - --generate --into photos.db
      a list of paths, into a table of a database

\b
Exit status: 0 if all is well, 1 for a mistake, 2 for wrong arguments, 3 if some images failed (the errors say why),
130 after Ctrl-C.
"""


@click.command(cls=Command, epilog=_EXAMPLES)
@click.argument("given", metavar="PHOTOS...", nargs=-1)
@option("--generate", is_flag=True, section=_PROMPT, help="All objects in the image.")
@option("--option", "settings", multiple=True, metavar="NAME=VALUE", section=_PROMPT,
        help="An option of --generate, such as points_per_side=16; may be repeated.")  # fmt: skip
@option("--point", "point", nargs=2, type=float, multiple=True, metavar="X Y", section=_PROMPT,
        help="The object at a point. Repeated, they are several points on one object.")  # fmt: skip
@option("--points", metavar="'X,Y X,Y'", section=_PROMPT, help="The same as several --point.")
@option("--background", nargs=2, type=float, multiple=True, metavar="X Y", section=_PROMPT,
        help="A point that is not on the object, beside --point or --box.")  # fmt: skip
@option("--box", "box", nargs=4, type=float, multiple=True, metavar="X0 Y0 X1 Y1", section=_PROMPT,
        help="The object in a box. Repeated, each box gives a mask.")  # fmt: skip
@option("--boxes", metavar="FILE", section=_PROMPT,
        help="Boxes for each photo: COCO's JSON, the folder of a YOLO data set, or CSV or Parquet with a name and a "
        "box (or x0, y0, x1, y1) in each row. Without PHOTOS, those that it names.")  # fmt: skip
@option("--unit", type=click.Choice(["fraction", "pixel"]), section=_PROMPT,
        help="Of coordinates: fractions of width and height (the default), or pixels. x comes first, from the upper "
        "left.")  # fmt: skip
@option("--box-format", type=click.Choice(["xyxy", "xywh"]), section=_PROMPT,
        help="Of boxes: two corners (the default), or a corner, width and height.")  # fmt: skip
@option("--model", default="nano", show_default=True, section=_PROMPT, shell_complete=model_names,
        help="A name (duckdb-sam models) or the path of a checkpoint. nano is built in, fast and rough.")  # fmt: skip
@option("--into", default="masks.parquet", show_default=True, metavar="PLACE", section=_OUT,
        help="The masks: a Parquet file, a folder of them (masks/), or a DuckDB database (photos.db).")  # fmt: skip
@option("--table", metavar="NAME", section=_OUT, help="The table in the database.  [default: masks]")
@option("--errors", metavar="PLACE", section=_OUT,
        help="Where images that fail are listed.  [default: as --into, with _errors]")  # fmt: skip
@option("--overlay", metavar="DIR", section=_OUT, help="Each photo with its masks drawn on it.")
@option("--cutout", metavar="DIR", section=_OUT, help="What each mask covers, as a PNG.")
@option("--coco", metavar="FILE", section=_OUT, help="COCO's JSON.")
@option("--yolo", metavar="DIR", section=_OUT, help="A YOLO data set for segmentation, with links to the photos.")
@option("--labelme", metavar="DIR", section=_OUT, help="A labelme file for each photo; best in the photos' folder.")
@option("--geoparquet", metavar="FILE", section=_OUT, help="Outlines in pixels, as GeoParquet.")
@option("--overwrite", is_flag=True, section=_OUT,
        help="Replace exports that are there, labelme's that were edited by hand among them.")  # fmt: skip
@option("--restart", is_flag=True, section=_JOB, help="Remove the masks of an earlier job, and begin anew.")
@option("--retry-errors", is_flag=True, section=_JOB, help="Try images again that failed in earlier runs.")
@option("--stop-on-error", is_flag=True, section=_JOB, help="Stop at the first image that fails.")
@option("--batch", type=click.IntRange(1), default=256, show_default=True, metavar="N", section=_JOB,
        help="Most images in a batch, after which the masks are written.")  # fmt: skip
@option("--threads", type=click.IntRange(1), metavar="N", section=_JOB, help="[default: all cores]")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but warnings and errors.")
@as_json
@click.pass_context
def command(ctx: click.Context, given: tuple[str, ...], json: bool, quiet: bool, **options: Any) -> int:
    """Segment images, and write masks, overlays and files for other tools.

    {photos}

    Coordinates are fractions of the image, which is turned upright by its EXIF data: 0.5 0.5 is its centre.

    A run that was stopped, by Ctrl-C, kill or a power failure, goes on when the same command is given again; what is
    done is not done twice. So overlays and exports may be added later: the same command with --overlay writes them of
    the masks that are there. They cover all that is in the output.
    """
    from duckdb_sam.cli import places

    _check_into(options["into"], options["table"])
    places.check(ctx, options)
    found = asked(ctx, given, options)
    places.check_photos(ctx, options, found.found.paths)
    return _run(found, options, json=json, quiet=quiet)


assert command.help
command.help = command.help.replace("{photos}", HELP)


def _run(asked: Asked, options: Mapping[str, Any], *, json: bool, quiet: bool) -> int:
    from duckdb_sam.cli import exports
    from duckdb_sam.cli.results import begun, ledger, opened, where
    from duckdb_sam.jobs import run

    into, table, errors, threads = (options[name] for name in ("into", "table", "errors", "threads"))
    wanted = {kind: expanduser(options[kind]) for kind in exports.KINDS if options[kind]}
    exports.writable("into", into)
    for name in ("into", "errors"):
        if options[name]:
            exports.check_folder(name, options[name], asked.found)
    place, old = where(into, table, errors), begun(into, table)
    account = ledger(into, table, overwrite=options["overwrite"])
    if not old:
        account.forget()
    exports.check(wanted, asked.found, account, begun=old)
    if old and not options["restart"] and isinstance(asked.prompts.get("boxes"), str):
        _check_boxes(place, asked.source, into, options["boxes"])
    empty = _without_boxes(place, asked.source) if old and not options["restart"] else 0
    summary = run(
        asked.source,
        into,
        model=options["model"],
        **asked.prompts,
        table=table,
        errors=errors,
        on_error="raise" if options["stop_on_error"] else "record",
        retry_errors=options["retry_errors"],
        restart=options["restart"],
        batch=options["batch"],
        threads=threads,
        progress=not quiet,
    )
    without = _without_boxes(place, asked.source) - empty
    written: dict[str, exports.Written] = {}
    with opened(place) as results:
        rows, masks, failed = results.count()
        before = max(results.failed_of(_paths(asked.source)) - summary.failed, 0) if summary.skipped else 0
        failures = results.failures(MOST_FAILURES if json else SOME)
        root = results.root(asked.found.root) if wanted else ""
        for kind, path in wanted.items() if rows else ():
            try:
                written[kind] = exports.write(
                    kind, path, results, root, account, threads=threads, progress=not quiet,
                    categories=asked.numbers,
                )  # fmt: skip
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    f"interrupted while --{kind} was written; the masks are complete in {summary.into}, and the same "
                    "command goes on"
                ) from None
            except (OSError, ValueError, ImportError, Mistake) as error:
                raise Mistake(f"--{kind} {path}: {reason(error)}. The masks are complete in {summary.into}") from error
    unwritten = sum(len(each.failed) for each in written.values())
    missing = any(each.missing for each in written.values())
    status = 1 if not rows else SOME_FAILED if failed or unwritten or missing else 0
    if json:
        document(
            {
                "status": status, "rows": rows, "masks": masks, "failed": failed, "into": into,
                "table": place.name, "errors": summary.errors if failed else None, "failures": dict(failures),
                "failures_left_out": failed - len(failures),
                "run": {**summary._asdict(), "images_per_second": summary.images_per_second, "without_boxes": without},
                "other_files": asked.found.others,
                "written": exports.as_json(written),
            }
        )  # fmt: skip
    elif not quiet:
        tell(summary, rows, masks, written, options, before=before, without=without, others=asked.found.others)
    if failed and not json:
        tell_failures(failed, failures, summary.errors)
    if not json:
        for kind, each in written.items():
            for path, why in each.failed[:SOME]:
                note(f"--{kind}: {path}: {spoken(why)}")
            if len(each.failed) > SOME:
                note(f"--{kind}: {len(each.failed) - SOME:,} more could not be written; --json lists all")
    return status


def _check_into(into: str, table: str | None) -> None:
    from duckdb_sam.jobs.sinks import Place

    named = Path(into).expanduser().name not in ("", "..")  # so that there can be something beside it
    try:
        kind = Place(into, None, None, None, None).kind if named else None
    except (ValueError, TypeError):
        kind = None
    if kind is None:
        stem = splitext(into)[0] if named else "masks"
        raise Mistake(
            f"--into {into}: give a Parquet file ({stem}.parquet), a folder of them ({stem}/), or a database "
            f"({stem}.db)"
        )
    if table is not None and kind != "database":
        raise Mistake(f"--table {table} belongs to a database, such as --into photos.db, not to --into {into}")


def _paths(source: Any) -> list[str]:
    """Return the paths of a list, or of a table of boxes, as results and errors have them."""
    from duckdb_sam.jobs.source_paths import as_text

    return (
        [as_text(path) for path in cast("list[Any]", source)]
        if isinstance(source, list)
        else source["path"].to_pylist()
    )


def _without_boxes(place: Any, source: Any) -> int:
    """Count the photos that are among the results and have no boxes, where boxes come from a file."""
    import duckdb

    from duckdb_sam.cli.results import opened

    with contextlib.suppress(duckdb.Error), opened(place) as results:
        if not isinstance(source, list):
            results.con.register("asked_boxes", source)
            query = f"SELECT count(*) FROM asked_boxes JOIN {place.rows} USING (path) WHERE len(asked_boxes.boxes) = 0"
            [(count,)] = results.con.sql(query).fetchall()
            return count
    return 0


def _check_boxes(place: Any, table: Any, into: str, file: str) -> None:
    """Refuse to go on if the boxes of photos that are done have changed since."""
    import duckdb

    from duckdb_sam.cli.results import opened

    with contextlib.suppress(duckdb.Error), opened(place) as results:  # what is wrong with the output, the job says
        results.con.register("asked_boxes", table)
        query = f"SELECT count(*), min(path) FROM asked_boxes JOIN {place.rows} AS old USING (path) WHERE " + (
            " OR ".join(f"old.{name} IS DISTINCT FROM asked_boxes.{name}" for name in table.column_names[1:])
        )
        [(changed, first)] = results.con.sql(query).fetchall()
        if changed:
            raise Mistake(
                f"the boxes of {count(changed, 'photo')} in {file}, such as {first}, are not those with which {into} "
                "was made: give another --into to keep both, or --restart to begin anew"
            )
