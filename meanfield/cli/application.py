"""The commands and their help."""

from __future__ import annotations

from collections.abc import Callable

import typer

from meanfield.cli.catalogue import activations
from meanfield.cli.check import check
from meanfield.cli.compare import compare
from meanfield.cli.depth import depth
from meanfield.cli.edge_of_chaos import eoc
from meanfield.cli.explore import explore
from meanfield.cli.gain import gain
from meanfield.cli.network import network
from meanfield.cli.phase import phase
from meanfield.cli.prove import prove
from meanfield.cli.recommend import recommend
from meanfield.cli.report import report
from meanfield.cli.shape import shape
from meanfield.cli.simulate import simulate
from meanfield.cli.spectrum import spectrum

# Each command with what one may type; a test runs them all.
COMMANDS: dict[Callable[..., None], tuple[str, ...]] = {
    eoc: ("eoc tanh", "eoc tanh silu --sigma-b 0:1:0.25", "eoc 'x*sigmoid(1.7*x)' --json", "eoc gelu -o curve.png"),
    phase: ("phase tanh", "phase relu --quantity chi_1 -o phases.png"),
    depth: ("depth silu --sigma-b 0.2", "depth tanh --sigma-w 1.3,2.5 --sigma-b 0.3 --csv"),
    recommend: ("recommend tanh --depth 50", "recommend relu --depth 50 --dropout 0.1 --no-bias"),
    compare: ("compare relu tanh --depth 30", "compare relu elu --depth 20 --csv"),
    gain: ("gain relu gelu silu",),
    shape: ("shape gelu --depth 100 --method tat",),
    check: ("check tanh", "check 'x*tanh(exp(x))' --json"),
    simulate: ("simulate tanh --sigma-w 1.3 --sigma-b 0.2 --width 100 --depth 5 --networks 20",),
    spectrum: ("spectrum tanh --sigma-w 1.1 --sigma-b 0.1 --depth 64 --orthogonal",),
    prove: ("prove tanh",),
    network: ("network net.toml", "network net.toml --simulate --width 100 --networks 20"),
    report: ("report mish -o mish.html",),
    explore: ("explore", "explore 'x*tanh(exp(x))' --no-browser"),
    activations: ("activations", "activations --json"),
}

application = typer.Typer(
    name="meanfield",
    help="Mean-field theory of random neural networks, for any activation function.",
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich and what it reads Markdown with take longer to load than the rest of the help
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command, _lines in COMMANDS.items():
    # An empty line between them: help is set as paragraphs.
    application.command(
        short_help=(_command.__doc__ or "").partition("\n")[0],  # whole, where it would be cut in the list of commands
        epilog="Examples:\n\n" + "\n\n".join(f"meanfield {line}" for line in _lines),
    )(_command)


def _version(wanted: bool) -> None:
    if wanted:
        from meanfield import __version__

        typer.echo(f"meanfield {__version__}")
        raise typer.Exit


@application.callback(invoke_without_command=True)
def _without_command(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", "-V", metavar="", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(64)
