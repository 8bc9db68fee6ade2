"""The commands there are, and how a call of one ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from duckdb_sam.cli.errors import INTERRUPTED, USAGE, reason, spoken
from duckdb_sam.cli.output import flush, prepare

COMMANDS = {
    "run": "Segment photos: masks into a file, overlays, COCO, YOLO.",
    "gallery": "Show rows, photos and results as a page with pictures.",
    "label": "Mark objects by clicking on photos, in the browser.",
    "demo": "See what it does, in a few seconds.",
    "info": "Tell size, format and faults of images.",
    "models": "List the models, and which of them are here.",
    "pull": "Download a model.",
    "convert": "Write a model as one safetensors file.",
    "shell": "Start DuckDB's own command line with the extension.",
    "path": "Print the path of the extension, for LOAD.",
    "completion": "Print what completes commands and options in your shell.",
    "version": "Print the versions of all parts.",
}
"""Another command is another line here, and a module of this package of that name with its ``command``."""

_TRACEBACK = "DUCKDB_SAM_TRACEBACK"


class _Commands(click.Group):
    """Loads the module of a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return import_module(f"duckdb_sam.cli.{cmd_name}").command if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"the commands are {', '.join(COMMANDS)}"
            raise click.UsageError(f"there is no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


_EXAMPLES = """\
\b
Examples:
  duckdb-sam demo
  duckdb-sam run photos --generate --overlay out
  duckdb-sam run photos --point 0.5 0.6 --into masks.parquet
  duckdb-sam gallery masks.parquet --open
  duckdb-sam pull mobile_sam
  duckdb-sam shell masks.db

\b
Exit status: 0 if all went well, 1 for a mistake and where nothing could be done, 2 for arguments that are wrong,
3 if some images failed, 130 after Ctrl-C.
"""


_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.command(cls=_Commands, context_settings=_SETTINGS, epilog=_EXAMPLES, invoke_without_command=True)
@click.option("--version", "-V", is_flag=True, help="Print the version.")
@click.pass_context
def app(ctx: click.Context, version: bool) -> None:
    """Segment Anything: find objects in images, and get their masks.

    Say where an object is (a point, a box), or ask for all objects, and get masks as a Parquet file, a DuckDB table,
    overlays to look at, COCO, YOLO or labelme. `duckdb-sam COMMAND --help` tells more about a command.
    """
    if version:
        from duckdb_sam import __version__

        click.echo(f"duckdb-sam {__version__}")
        ctx.exit()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def execute(arguments: Sequence[str]) -> int:
    """Run a command, and return the exit status. What is the user's to mend is told in a line on stderr."""
    prepare()
    try:
        status: object = app.main(list(arguments), "duckdb-sam", standalone_mode=False)
        flush()
        return status if isinstance(status, int) else 0
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "duckdb-sam"
        return _failed(f"{error.format_message()}\nTry '{command} --help'.", USAGE, command)
    except click.ClickException as error:
        return _failed(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        given = error.__cause__ or error.__context__ if isinstance(error, click.Abort) else error
        return _failed(spoken(str(given)) if given and str(given) else "interrupted", INTERRUPTED)
    except Exception as error:
        text = reason(error)
        if text is None or os.environ.get(_TRACEBACK):
            raise
        return _failed(text, 1)


def _failed(text: str, status: int, command: str = "duckdb-sam") -> int:
    print(f"{command}: {text}", file=sys.stderr)
    return status
