"""What ``run`` is asked to segment: the photos and the prompts, checked before anything that is slow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import click

from duckdb_sam.cli.errors import spoken
from duckdb_sam.cli.output import count
from duckdb_sam.cli.streams import note


class Asked(NamedTuple):
    """Prompts and photos, understood."""

    found: Any
    source: Any
    prompts: dict[str, Any]
    numbers: dict[int, str] | None


def asked(ctx: click.Context, given: tuple[str, ...], options: Mapping[str, Any]) -> Asked:
    """Check what is to be segmented, before anything that is slow."""
    points: list[list[float]] = [*map(list, options["point"]), *_points(ctx, options["points"])]
    background: list[list[float]] = list(map(list, options["background"]))
    boxes: list[list[float]] = list(map(list, options["box"]))
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
    return Asked(found, found.paths, prompts, None)


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
    except (TypeError, ValueError) as error:
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


def _boxes(ctx: click.Context, given: tuple[str, ...], options: Mapping[str, Any], prompts: dict[str, Any]) -> Asked:
    from duckdb_sam.cli.boxes import boxes

    read = boxes(options["boxes"], given, prompts["unit"], prompts["box_format"])
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
    return Asked(read.photos, table, prompts, read.numbers)


def _points(ctx: click.Context, given: str | None) -> list[list[float]]:
    """Read points as a text: ``0.5,0.6 0.1,0.2``, or as JSON."""
    if given is None:
        return []
    text = re.sub(r"\s*,\s*", ",", given).replace("],[", " ")
    try:
        return [
            [float(x), float(y)] for x, y in (each.split(",") for each in text.strip("[]; ").replace(";", " ").split())
        ]
    except ValueError:
        raise click.UsageError(f"--points {given!r} is not a list of points such as '0.5,0.6 0.1,0.2'", ctx) from None
