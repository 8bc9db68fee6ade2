"""``duckdb-sam run``."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import click

from duckdb_sam.cli.errors import SOME_FAILED, Mistake, spoken
from duckdb_sam.cli.options import Command, as_json, model_names, option
from duckdb_sam.cli.output import count, document, note, say
from duckdb_sam.cli.photos import HELP

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


class _Numbers(click.ParamType):
    """Points as a text: ``0.5,0.6 0.1,0.2``."""

    name = "points"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        parts = [part.split(",") for part in re.split(r"[;\s]+", value.strip(" ;[]").replace("],", " ").replace("[", ""))]
        try:
            return [[float(x), float(y)] for x, y in parts]
        except ValueError:
            self.fail(f"{value!r} is not a list of points such as '0.5,0.6 0.1,0.2'", param, ctx)


@click.command(cls=Command, epilog=_EXAMPLES)
@click.argument("given", metavar="PHOTOS...", nargs=-1)
@option("--generate", is_flag=True, section=_PROMPT, help="All objects in the image.")
@option("--option", "settings", multiple=True, metavar="NAME=VALUE", section=_PROMPT,
        help="An option of --generate, such as points_per_side=16; may be repeated.")  # fmt: skip
@option("--point", "point", nargs=2, type=float, multiple=True, metavar="X Y", section=_PROMPT,
        help="The object at a point. Repeated, they are several points on one object.")  # fmt: skip
@option("--points", type=_Numbers(), metavar="'X,Y X,Y'", section=_PROMPT, help="The same as several --point.")
@option("--background", nargs=2, type=float, multiple=True, metavar="X Y", section=_PROMPT,
        help="A point that is not on the object, beside --point or --box.")  # fmt: skip
@option("--box", "box", nargs=4, type=float, multiple=True, metavar="X0 Y0 X1 Y1", section=_PROMPT,
        help="The object in a box. Repeated, each box gives a mask.")  # fmt: skip
@option("--boxes", metavar="FILE", section=_PROMPT,
        help="Boxes for each photo: COCO's JSON, the folder of a YOLO data set, or CSV or Parquet with a name and a "
        "box (or x0, y0, x1, y1) in each row. Without PHOTOS, those that it names.")  # fmt: skip
@option("--unit", type=click.Choice(["fraction", "pixel"]), section=_PROMPT,
        help="Of coordinates: fractions of width and height (the default), or pixels. x first, from the upper left.")  # fmt: skip
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
@option("--overwrite", is_flag=True, section=_OUT, help="Replace exports that are there.")
@option("--restart", is_flag=True, section=_JOB, help="Remove the masks of an earlier job, and begin anew.")
@option("--retry-errors", is_flag=True, section=_JOB, help="Try images again that failed in earlier runs.")
@option("--stop-on-error", is_flag=True, section=_JOB, help="Stop at the first image that fails.")
@option("--batch", type=click.IntRange(1), default=256, show_default=True, metavar="N", section=_JOB,
        help="Most images in a batch, after which the masks are written.")  # fmt: skip
@option("--threads", type=click.IntRange(1), metavar="N", section=_JOB, help="[default: all cores]")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
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
    asked = _asked(ctx, given, options)
    return _run(asked, options, json=json, quiet=quiet)


assert command.help
command.help = command.help.replace("{photos}", HELP)


class _Asked(NamedTuple):
    """Prompts and photos, understood."""

    found: Any
    source: Any
    prompts: dict[str, Any]
    numbers: dict[int, str] | None


def _asked(ctx: click.Context, given: tuple[str, ...], options: Mapping[str, Any]) -> _Asked:
    """Check what is to be segmented, before anything that is slow."""
    points = [*map(list, options["point"]), *(options["points"] or [])]
    background = list(map(list, options["background"]))
    boxes = list(map(list, options["box"]))
    kinds = [name for name, value in (("--generate", options["generate"]), ("--boxes", options["boxes"]),
             ("--point", points), ("--box", boxes)) if value]  # fmt: skip
    if not kinds:
        raise click.UsageError(
            "say what to segment: --generate for all objects, --point X Y (0.5 0.5 is the centre), "
            "--box X0 Y0 X1 Y1, or --boxes FILE",
            ctx,
        )
    if len(kinds) > 1 and (kinds != ["--point", "--box"] or len(boxes) > 1):
        raise click.UsageError(f"{' and '.join(kinds)} exclude each other; only points and one box go together", ctx)
    if background and (options["generate"] or options["boxes"] or len(boxes) > 1):
        raise click.UsageError("--background belongs to --point, or to one --box", ctx)
    if options["settings"] and not options["generate"]:
        raise click.UsageError("--option belongs to --generate", ctx)
    if not given and not options["boxes"]:
        raise click.UsageError("say which PHOTOS: files, folders, patterns, @list.txt, or - for a list on stdin", ctx)
    unit, box_format = options["unit"] or "fraction", options["box_format"] or "xyxy"
    prompts: dict[str, Any] = {"unit": unit, "box_format": box_format}
    if options["boxes"]:
        return _boxes(ctx, given, options, prompts)
    if options["generate"]:
        prompts["generate"] = _settings(ctx, options["settings"]) or True
    elif len(boxes) > 1:
        prompts["boxes"] = boxes
    else:
        prompts["box"] = boxes[0] if boxes else None
        if len(points) == 1 and not background:
            prompts["point"] = points[0]
        elif points or background:
            prompts["points"] = [*points, *background]
            prompts["labels"] = [1] * len(points) + [0] * len(background)
    from duckdb_sam.cli.photos import photos

    _check_prompts(ctx, prompts)
    found = photos(given)
    return _Asked(found, found.paths, prompts, None)


def _settings(ctx: click.Context, given: tuple[str, ...]) -> dict[str, float]:
    from duckdb_sam.options import WHOLE, generate_options

    found: dict[str, Any] = {}
    for each in given:
        name, _, value = each.partition("=")
        name = name.strip().replace("-", "_")
        try:
            found[name] = int(value) if name in WHOLE else float(value)
        except ValueError:
            raise click.UsageError(f"--option {each}: give NAME=NUMBER, such as points_per_side=16", ctx) from None
    try:
        return generate_options(found)
    except TypeError as error:
        raise click.UsageError(f"--option: {error}", ctx) from error


def _check_prompts(ctx: click.Context, prompts: Mapping[str, Any]) -> None:
    """Refuse fractions that lie outside every image, which would be the failure of each of them."""
    from duckdb_sam.prompts import Form, prompt

    form = Form(prompts["unit"], prompts["box_format"], lambda: None)
    point, points, labels = (prompts.get(name) for name in ("point", "points", "labels"))
    try:
        for box in prompts.get("boxes") or [prompts.get("box")]:
            prompt(point, points, labels, box, form)
    except (ValueError, TypeError) as error:
        raise click.UsageError(spoken(str(error)), ctx) from error


def _boxes(ctx: click.Context, given: tuple[str, ...], options: Mapping[str, Any], prompts: dict[str, Any]) -> _Asked:
    from duckdb_sam.cli.boxes import boxes

    read = boxes(options["boxes"], given)
    if read.fractions:
        if options["unit"] or options["box_format"]:
            raise click.UsageError("COCO and YOLO files say themselves what their boxes mean: leave --unit and "
                                   "--box-format away", ctx)  # fmt: skip
        prompts.update(unit="fraction", box_format="xyxy")
    if read.without:
        note(f"{count(read.without, 'photo has', 'photos have')} no boxes in {options['boxes']}, and so no masks")
    if read.unused:
        are = count(len(read.unused), "image is", "images are")
        note(f"{are} in {options['boxes']} and not among the photos, such as {read.unused[0]!r}")
    table = read.table()
    prompts.update(boxes="boxes", image="path", key="path", keep=table.column_names[1:])
    return _Asked(read.photos, table, prompts, read.numbers)


def _run(asked: _Asked, options: Mapping[str, Any], *, json: bool, quiet: bool) -> int:
    from duckdb_sam.cli import exports
    from duckdb_sam.cli.results import begun, opened, where
    from duckdb_sam.jobs import run

    into, table, errors, threads = (options[name] for name in ("into", "table", "errors", "threads"))
    wanted = {kind: options[kind] for kind in exports.KINDS if options[kind]}
    _check_into(into, table)
    place, old = where(into, table, errors), begun(into, table)
    exports.check(wanted, asked.found, old, options["overwrite"] or options["restart"])
    if old and not options["restart"] and isinstance(asked.prompts.get("boxes"), str):
        _check_boxes(place, asked.source, into, options["boxes"])
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
    written: dict[str, exports.Written] = {}
    with opened(place) as results:
        rows, masks, failed = results.count()
        failures = results.failures(3)
        root = asked.found.root or results.root()
        for kind, path in wanted.items() if rows else ():
            try:
                written[kind] = exports.write(
                    kind, path, results, root, threads=threads, progress=not quiet,
                    overwrite=options["overwrite"], categories=asked.numbers,
                )  # fmt: skip
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    f"interrupted while --{kind} was written; the masks are complete in {summary.into}, and the same "
                    "command goes on"
                ) from None
            except FileExistsError as error:
                if kind != "labelme":
                    raise
                text = f"left as it is, as hand-made files may be: {error}"
                written[kind] = exports.Written(path, None, [], [spoken(text)])
    unwritten = sum(len(each.failed) for each in written.values())
    status = 1 if not rows else SOME_FAILED if failed or unwritten else 0
    if json:
        document(
            {
                "status": status, "rows": rows, "masks": masks, "failed": failed, "into": summary.into,
                "errors": summary.errors if failed else None, "failures": dict(failures),
                "run": {**summary._asdict(), "images_per_second": summary.images_per_second},
                "written": exports.as_json(written),
            }
        )  # fmt: skip
    elif not quiet:
        _tell(summary, rows, masks, written, options)
    if failed and not json:
        _tell_failures(failed, failures, summary.errors)
    if not json:
        for kind, each in written.items():
            for path, why in each.failed[:3]:
                note(f"--{kind}: {path}: {why}")
    return status


def _check_into(into: str, table: str | None) -> None:
    from duckdb_sam.jobs.sinks import Place

    try:
        kind = Place(into, None, None, None, None).kind
    except (ValueError, TypeError):
        raise Mistake(
            f"--into {into}: give a Parquet file ({into}.parquet), a folder of them ({into}/), or a database ({into}.db)"
        ) from None
    if table is not None and kind != "database":
        raise Mistake(f"--table {table} belongs to a database, such as --into photos.db, not to --into {into}")


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


def _tell(summary: Any, rows: int, masks: int, written: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Print what has been done, and what can be done next."""
    new = summary.rows + summary.failed
    pace = f" in {summary.seconds:.1f} s ({summary.images_per_second:.1f} images/s)" if new else ""
    earlier = f", {summary.skipped:,} done before" if summary.skipped else ""
    say(f"{count(new, 'image')} segmented{pace}{earlier}")
    lines = [("masks", f"{summary.into}: {count(masks, 'mask')} of {count(rows, 'image')}")]
    for kind, each in written.items():
        files = f" ({count(each.files, 'picture')})" if each.files is not None else ""
        lines.append((kind, each.path + files + "".join(f"; {text}" for text in each.notes)))
    width = max(len(kind) for kind, _ in lines)
    for kind, text in lines:
        say(f"{kind.ljust(width)}  {text}")
    if not masks and rows:
        say("Nothing was found. Try other options or another model: duckdb-sam models")
    elif rows and "overlay" not in written:
        say("Next: the same command with --overlay DIR draws the masks on the photos, without segmenting again.")
    elif rows:
        from duckdb_sam.cli.results import where

        place = where(options["into"], options["table"], options["errors"])
        database = "" if place.database == ":memory:" else f"{place.database} "
        source = place.rows if database else place.rows.removeprefix("read_parquet(").removesuffix(")")
        say(f'Next: duckdb-sam shell {database}-c "FROM {source}"'.replace('""', '"'))


def _tell_failures(failed: int, failures: list[tuple[str, str]], place: str) -> None:
    note(f"{count(failed, 'image')} failed; {place} has all with the reason:")
    for path, why in failures:
        note(f"  {path}: {why}")
