"""The commands, each loaded when it is named."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import click

from meanfield.cli.command import SHOWN
from meanfield.cli.completion import SHELLS, install, show
from meanfield.cli.options import one_of

# Where each lives, in the order of the help.
COMMANDS = {
    "eoc": "edge_of_chaos",
    "phase": "phase",
    "depth": "depth",
    "recommend": "recommend",
    "compare": "compare",
    "gain": "gain",
    "shape": "shape",
    "check": "check",
    "simulate": "simulate",
    "spectrum": "spectrum",
    "prove": "prove",
    "network": "network",
    "report": "report",
    "explore": "explore",
    "activations": "catalogue",
}


class _Commands(click.Group):
    """The group of all commands; only the one asked for is imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        home = importlib.import_module(f"meanfield.cli.{COMMANDS[cmd_name]}")
        found: click.Command = getattr(home, cmd_name)
        return found

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in COMMANDS or args[0].startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        from difflib import get_close_matches

        near = get_close_matches(args[0], COMMANDS)
        raise click.UsageError(f"No such command {args[0]!r}{f'; did you mean {near[0]!r}?' if near else '.'}", ctx)


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from meanfield import __version__

        click.echo(f"meanfield {__version__}")
        context.exit()


def _completion(context: click.Context, option: click.Parameter, shell: str | None) -> None:
    if shell is not None and not context.resilient_parsing:
        answer = install if option.name == "install_completion" else show
        click.echo(answer(application, shell))
        context.exit()


def _for_completion(name: str, help: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        name,
        is_flag=False,
        flag_value="",
        metavar="[SHELL]",
        is_eager=True,
        expose_value=False,
        callback=_completion,
        shell_complete=one_of(SHELLS),
        help=help,
    )


@click.group("meanfield", cls=_Commands, invoke_without_command=True, context_settings=SHOWN)
@click.option("--version", "-V", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version and exit.")
@_for_completion("--install-completion", "Let the shell (bash, zsh or fish; yours, where it is left out) complete what is typed.")
@_for_completion("--show-completion", "Print what the shell has to read for that.")
@click.pass_context
def application(context: click.Context) -> None:
    """Mean-field theory of random neural networks, for any activation function."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        context.exit(64)
