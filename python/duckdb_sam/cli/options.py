"""Options in sections, and those that many commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

_F = TypeVar("_F", bound=Callable[..., Any])


class Option(click.Option):
    """An option that the help shows in a section of its own."""

    def __init__(self, *args: Any, section: str | None = None, **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        self.section = section

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Leave out ranges, which are obvious."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


class Command(click.Command):
    """A command whose help has its options in sections, and whose mistakes all say which command's help to read."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give errors of the parser the context that click leaves out, as of an option without its value."""
        given = list(args)
        try:
            rest = super().parse_args(ctx, args)
            self._check_once(ctx, given)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise
        for parameter in self.get_params(ctx):  # of a variable of the shell that is not set, mostly
            if ctx.params.get(parameter.name) in ("", Path("")):
                name = parameter.opts[0] if isinstance(parameter, click.Option) else parameter.make_metavar(ctx)
                if name != "--into":  # which says what may be given
                    raise click.UsageError(f"{name} is empty: give it a value, or leave it away", ctx)
        return rest

    def _check_once(self, ctx: click.Context, args: list[str]) -> None:
        """Refuse a second value of what has one: the first would be lost without a word."""
        order: list[click.Parameter] = self.make_parser(ctx).parse_args(args)[2]
        for parameter in set(order):
            once = isinstance(parameter, click.Option) and not parameter.multiple and not parameter.is_flag
            if once and order.count(parameter) > 1:
                raise click.UsageError(f"{parameter.opts[0]} is given {order.count(parameter)} times: give it once")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections in the order of their first options, and what belongs to none at the end."""
        sections: dict[str, list[tuple[str, str]]] = {}
        others: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                section = getattr(parameter, "section", None)
                (others if section is None else sections.setdefault(section, [])).append(record)
        for title, records in {**sections, "Others" if sections else "Options": others}.items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=28)


def option(*names: str, section: str | None = None, **attrs: Any) -> Callable[[_F], _F]:
    """Declare an option in a section."""
    return click.option(*names, cls=Option, section=section, **attrs)


def as_json(function: _F) -> _F:
    """Add ``--json``."""
    return click.option("--json", "json", is_flag=True, help="Print one JSON document, for scripts.")(function)


def published(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of models that can be pulled and begin so."""
    from duckdb_sam.weights.registry import models

    return [model.name for model in models() if model.name.startswith(incomplete)]


def model_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of all models that begin so; else it is the path of a checkpoint."""
    own = [path.stem for path in other_models(None)]
    names = [name for name in ("nano", *own) if name.startswith(incomplete)]
    found = dict.fromkeys([*names, *published(ctx, parameter, incomplete)])
    return [CompletionItem(name) for name in found] or [CompletionItem(incomplete, type="file")]


def other_models(folder: Path | None) -> list[Path]:
    """Return the files in the model folder that can be named and were not published."""
    from duckdb_sam.weights.registry import model_folder, models

    where, known = model_folder(folder), [model.saved_as for model in models(folder)]
    if not where.is_dir():
        return []
    endings = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")
    return [path for path in sorted(where.iterdir()) if path.suffix in endings and path.name not in known]
