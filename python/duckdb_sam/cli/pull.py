"""``duckdb-sam pull``."""

from __future__ import annotations

from pathlib import Path

import click

from duckdb_sam.cli.options import Command, as_json, published
from duckdb_sam.cli.output import document
from duckdb_sam.cli.streams import say


@click.command(cls=Command)
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=published)
@click.option("--force", is_flag=True, help="Download again what is there.")
@click.option("--folder", type=click.Path(path_type=Path), help="Another model folder than $SAM_MODEL_DIR.")
@as_json
def command(names: tuple[str, ...], force: bool, folder: Path | None, json: bool) -> None:
    """Download models into the model folder, and print their paths. `duckdb-sam models` lists the names.

    A download that was interrupted goes on where it was. The environment variable SAM_MODEL_MIRROR names a mirror,
    HTTPS_PROXY a proxy; SAM_OFFLINE=1 allows no download.

    \b
    Example:
      duckdb-sam pull mobile_sam
      duckdb-sam run photos --generate --model mobile_sam
    """
    from duckdb_sam.weights import pull
    from duckdb_sam.weights.registry import find

    for name in names:
        find(name)  # a name that is not known is told before anything is downloaded
    paths = {name: pull(name, force, folder) for name in names}
    if json:
        document(paths)
    else:
        for path in paths.values():
            say(str(path))
