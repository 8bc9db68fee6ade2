"""``duckdb-sam completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from duckdb_sam.cli.app import app
from duckdb_sam.cli.options import Command
from duckdb_sam.cli.streams import say


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print what makes a shell complete commands, options and models of duckdb-sam.

    \b
    bash, in ~/.bashrc:                     eval "$(duckdb-sam completion bash)"
    zsh, in ~/.zshrc:                       eval "$(duckdb-sam completion zsh)"
    fish, in ~/.config/fish/config.fish:    duckdb-sam completion fish | source
    """
    found = get_completion_class(shell)
    assert found is not None
    say(found(app, {}, "duckdb-sam", "_DUCKDB_SAM_COMPLETE").source())
