"""``duckdb-sam convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from duckdb_sam.cli.options import Command, as_json, model_names
from duckdb_sam.cli.output import document
from duckdb_sam.cli.streams import say


@click.command(cls=Command)
@click.argument("model", shell_complete=model_names)
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--dtype", type=click.Choice(["f32", "f16"]), default="f32", show_default=True,
              help="f16 takes half the space and changes few pixels.")  # fmt: skip
@click.option("--image-size", type=click.IntRange(1), metavar="PIXELS",
              help="The side of what the encoder sees, where the weights do not tell.")  # fmt: skip
@click.option("--replace", is_flag=True, help="Replace a file that is there.")
@as_json
def command(
    model: str, path: Path | None, dtype: Literal["f32", "f16"], image_size: int | None, replace: bool, json: bool
) -> None:
    """Write MODEL, a name or the path of a checkpoint, as one safetensors file, and print its path.

    Without PATH it is the path of the checkpoint with the ending .safetensors; where MODEL is a name, PATH is needed.
    Optimizers and whatever else inference does not use are left out.

    \b
    Example:
      duckdb-sam convert checkpoints/last.ckpt parcels.safetensors --dtype f16
    """
    from duckdb_sam.weights import convert

    if path is None and (not Path(model).suffix or Path(model).is_dir()):
        raise click.UsageError(
            f"{model} is the {'folder' if Path(model).is_dir() else 'name'} of a model: say which file to write as "
            f"well, such as duckdb-sam convert {model} {Path(model).name}.safetensors",
            click.get_current_context(),
        )
    written = convert(model, path, dtype=dtype, image_size=image_size, replace=replace)
    if json:
        document({"path": written, "bytes": written.stat().st_size})
    else:
        say(str(written))
