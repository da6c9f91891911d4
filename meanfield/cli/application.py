"""The commands and their help."""

from __future__ import annotations

import typer

from meanfield.cli.catalogue import activations
from meanfield.cli.check import check
from meanfield.cli.depth import depth
from meanfield.cli.edge_of_chaos import eoc
from meanfield.cli.network import network
from meanfield.cli.phase import phase
from meanfield.cli.prove import prove
from meanfield.cli.report import report
from meanfield.cli.simulate import simulate

application = typer.Typer(
    name="meanfield",
    help="Mean-field theory of random neural networks, for any activation function.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
application.command()(eoc)
application.command()(phase)
application.command()(depth)
application.command()(check)
application.command()(prove)
application.command()(simulate)
application.command()(network)
application.command()(report)
application.command()(activations)


def _version(wanted: bool) -> None:
    if wanted:
        from meanfield import __version__

        typer.echo(f"meanfield {__version__}")
        raise typer.Exit


@application.callback(invoke_without_command=True)
def _without_command(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version and exit."),
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(64)
