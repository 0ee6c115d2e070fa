# SPDX-License-Identifier: Apache-2.0
"""One command: the options that all share, and help that ends in lines one can run. No command acts here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from privyseal.cli.session import Session

OUTPUTS: Final = ("table", "json")
_ALL_OUTPUTS: Final = ("table", "json", "pem", "der")


class Verb(click.Command):
    """A command with examples. Made by ``verb``."""

    examples: tuple[str, ...] = ()
    outputs: tuple[str, ...] = OUTPUTS
    notes: tuple[str, str] = ("", "")
    """A further section of the help: title and text."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The notes, then the examples, each on its own line as it would be typed."""
        if self.notes[0]:
            with formatter.section(self.notes[0]):
                formatter.write_text(self.notes[1])
        with formatter.section("Examples"):
            for line in self.examples:
                formatter.write(f"  {line}\n")

    def invoke(self, ctx: click.Context) -> object:
        """Settle the output form, then run."""
        session = ctx.ensure_object(Session)
        session.output = session.output or self.outputs[0]
        if session.output not in self.outputs:
            raise click.UsageError(f"this command prints {' or '.join(self.outputs)}, not {session.output}", ctx)
        return super().invoke(ctx)


def verb(
    name: str, *, examples: Sequence[str], outputs: tuple[str, ...] = OUTPUTS, notes: tuple[str, str] = ("", "")
) -> Callable[[Callable[..., None]], Verb]:
    """Make a command of a function whose first argument is the session; its docstring is the help."""

    def wrap(function: Callable[..., None]) -> Verb:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> None:
            function(click.get_current_context().ensure_object(Session), *args, **kwargs)

        made = click.command(name, cls=Verb)(call)
        made.examples = tuple(f"privyseal {line}" for line in examples)
        made.outputs = outputs
        made.notes = notes
        made.params += shared_options(outputs)
        return made

    return wrap


def shared_options(outputs: Sequence[str] = _ALL_OUTPUTS) -> list[click.Parameter]:
    """Options that may stand before the noun or after the verb; what comes last counts."""
    listed = "|".join(outputs)
    return [
        _shared(("-o", "--output"), click.Choice(outputs), f"Print {listed}. Default: {outputs[0]}.", metavar="FORM"),
        _shared(("--home",), click.Path(path_type=Path), "Directory of the installation.", metavar="DIR"),
        _shared(("--passphrase-file",), click.Path(path_type=Path), "File that opens the keys.", metavar="FILE"),
        click.Option(
            ("-q", "--quiet"), is_flag=True, expose_value=False, callback=_keep_flag, help="Say nothing but the result."
        ),
    ]


def _shared(names: tuple[str, ...], kind: click.ParamType[Any], text: str, *, metavar: str) -> click.Option:
    return click.Option(names, type=kind, expose_value=False, callback=_keep, help=text, metavar=metavar, is_eager=True)


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
    if value is not None and param.name:
        setattr(ctx.ensure_object(Session), param.name, value)


def _keep_flag(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Session).quiet = True
