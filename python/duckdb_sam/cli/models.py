"""``duckdb-sam models``."""

from __future__ import annotations

from pathlib import Path

import click

from duckdb_sam.cli.options import as_json
from duckdb_sam.cli.output import document, megabytes, say, table


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), help="Another model folder than $SAM_MODEL_DIR.")
@as_json
def command(folder: Path | None, json: bool) -> None:
    """List the models that can be pulled, and what is in the model folder.

    The model `nano` is built in. Any other checkpoint is named by its path, or by its name in the model folder.
    """
    import dataclasses

    from duckdb_sam.weights.registry import model_folder, models

    found = models(folder)
    own = _own(model_folder(folder), [model.saved_as for model in found])
    if json:
        fields = [{**dataclasses.asdict(model), "check": model.check} for model in found]
        document([*fields, *({"name": path.stem, "path": path} for path in own)])
        return
    rows = [["nano", "built in", None, "Apache-2.0", "small and fast, rough masks"]]
    for model in found:
        here = "here" if model.path else f"{megabytes(model.partial)} here" if model.partial else None
        rows.append([model.name, here, megabytes(model.bytes), model.license, model.description])
    rows += [[path.stem, "here", megabytes(path.stat().st_size), None, path.name] for path in own]
    table(["NAME", "", "SIZE", "LICENCE", ""], rows)
    say()
    say(f"Download one with `duckdb-sam pull NAME`, into {model_folder(folder)}.")


def _own(folder: Path, known: list[str]) -> list[Path]:
    """Return the other files in the model folder that can be named."""
    if not folder.is_dir():
        return []
    endings = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")
    return [path for path in sorted(folder.iterdir()) if path.suffix in endings and path.name not in known]
