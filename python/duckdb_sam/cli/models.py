"""``duckdb-sam models``."""

from __future__ import annotations

from pathlib import Path

import click

from duckdb_sam.cli.options import Command, as_json, other_models
from duckdb_sam.cli.output import document, megabytes, table
from duckdb_sam.cli.streams import say

_NANO, _LICENCE = "small and fast, rough masks", "Apache-2.0"


@click.command(cls=Command)
@click.option("--folder", type=click.Path(path_type=Path), help="Another model folder than $SAM_MODEL_DIR.")
@as_json
def command(folder: Path | None, json: bool) -> None:
    """List the models that can be pulled, and what is in the model folder.

    The model `nano` is built in. Any other checkpoint is named by its path, or by its name in the model folder.
    """
    import dataclasses

    from duckdb_sam.weights.registry import model_folder, models

    found = models(folder)
    own = other_models(folder)
    if json:
        nano = {"name": "nano", "description": _NANO, "license": _LICENCE, "path": None, "built_in": True}
        fields = [{**dataclasses.asdict(model), "check": model.check, "built_in": False} for model in found]
        document([nano, *fields, *({"name": path.stem, "path": path, "built_in": False} for path in own)])
        return
    rows = [["nano", "built in", None, _LICENCE, _NANO]]
    for model in found:
        here = "here" if model.path else f"{megabytes(model.partial)} here" if model.partial else None
        rows.append([model.name, here, megabytes(model.bytes), model.license, model.description])
    rows += [[path.stem, "here", megabytes(path.stat().st_size), None, path.name] for path in own]
    table(["NAME", "", "SIZE", "LICENCE", ""], rows)
    say()
    say(f"Download one with `duckdb-sam pull NAME`, into {model_folder(folder)}.")
