"""The commands there are, and how a call of one ends."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from duckdb_sam.cli import interruption
from duckdb_sam.cli.errors import INTERRUPTED, USAGE, reason, spoken
from duckdb_sam.cli.output import document
from duckdb_sam.cli.streams import OutputError, flush, note

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
    try:
        try:
            status: object = app.main(list(arguments), "duckdb-sam", standalone_mode=False)
            flush()
            return status if isinstance(status, int) else 0
        except Exception as failure:
            if stop := interruption(failure):
                raise stop from None
            command, text, status = _told(failure)
            _fail(arguments, command, text, status)
            return status
    except KeyboardInterrupt as stop:
        _fail(arguments, "duckdb-sam", spoken(str(stop)) or "interrupted", INTERRUPTED)
        return INTERRUPTED


def _told(failure: Exception) -> tuple[str, str, int]:
    """Return the command, what went wrong, and the status; what is a fault of this package is raised."""
    if isinstance(failure, click.UsageError):
        command = failure.ctx.command_path if failure.ctx else "duckdb-sam"
        return command, f"{failure.format_message()}\nTry '{command} --help'.", USAGE
    if isinstance(failure, click.ClickException):
        return "duckdb-sam", failure.format_message(), failure.exit_code
    if isinstance(failure, OSError) and _raised_by_click(failure):
        failure = OutputError(f"stdout cannot be written to: {failure.strerror or failure}")
    if isinstance(failure, OutputError):
        return "duckdb-sam", str(failure), 1
    text = reason(failure)
    if text is None or os.environ.get(_TRACEBACK):
        raise failure
    return "duckdb-sam", text, 1


def _raised_by_click(failure: Exception) -> bool:
    """Whether click was printing."""
    *_, (frame, _) = traceback.walk_tb(failure.__traceback__)
    return str(frame.f_globals.get("__name__")).startswith("click.")


def _fail(arguments: Sequence[str], command: str, text: str, status: int) -> None:
    """Say what went wrong on stderr, and to scripts on stdout as well."""
    note(f"{command}: {text}")
    if _wants_json(arguments):
        with contextlib.suppress(OutputError):
            document({"status": status, "error": text.splitlines()[0] if status == USAGE else text})
            flush()


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether a JSON document was asked for, as the arguments may be so wrong that they were not understood."""
    given = list(arguments)
    given = given[: given.index("--")] if "--" in given else given
    return "--json" in given and given[0] != "shell"
