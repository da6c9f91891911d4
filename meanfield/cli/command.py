"""A command of the command line, with a help that names its arguments and ends with lines to type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

SHOWN = {"help_option_names": ["-h", "--help"], "show_default": True}


class Argument(click.Argument):
    """An argument that the help says a word about. (click's own have that from 8.5 on.)"""

    def __init__(self, declarations: Sequence[str], required: bool | None = None, help: str = "", **more: Any) -> None:
        super().__init__(declarations, required=required, **more)
        self.explanation = help + ("  [required]" if self.required else "")


class Command(click.Command):
    """A command with examples; each is run by a test."""

    def __init__(self, *given: Any, examples: tuple[str, ...] = (), **more: Any) -> None:
        super().__init__(*given, **more)
        self.examples = examples

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The arguments, then the options."""
        arguments = [(one.human_readable_name, one.explanation) for one in self.params if isinstance(one, Argument)]
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl(arguments)
        super().format_options(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, each on a line of its own that can be pasted."""
        with formatter.section("Examples"):
            for line in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}meanfield {line}\n")


def command(*examples: str) -> Callable[[Callable[..., None]], Command]:
    """The command that is named as the function is, with what one may type behind ``meanfield``.

    Examples
    --------
    >>> @command("add 1 2")
    ... def add():
    ...     "Say the sum.  Of both."
    >>> add.name, add.short_help, add.examples
    ('add', 'Say the sum.  Of both.', ('add 1 2',))
    """

    def made(function: Callable[..., None]) -> Command:
        first = (function.__doc__ or "").partition("\n")[0]  # whole, where click would cut it in the list of commands
        return click.command(function.__name__, cls=Command, examples=examples, short_help=first, context_settings=SHOWN)(function)

    return made


def argument(*declarations: str, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``click.argument`` with ``help``.

    Examples
    --------
    >>> @command("add 1")
    ... @argument("number", metavar="NUMBER", help="What to add.")
    ... def add(number):
    ...     "Say the sum."
    >>> add.params[0].explanation
    'What to add.  [required]'
    """
    return click.argument(*declarations, cls=Argument, **more)
