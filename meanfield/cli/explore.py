"""``meanfield explore``: the interactive page."""

from __future__ import annotations

import sys

import click

from meanfield.cli.command import argument, command
from meanfield.cli.options import known_names, parameters


@command("explore", "explore 'x*tanh(exp(x))' --no-browser")
@argument("activation", default="tanh", metavar="[ACTIVATION]", shell_complete=known_names, help="A name or a formula to begin with.")
@click.option("--port", default=0, metavar="N", help="The port on this machine; 0: a free one.")
@click.option("--no-browser", is_flag=True, help="Print the address only.")
@parameters
def explore(
    activation: str,
    port: int,
    no_browser: bool,
    parameter: tuple[str, ...],
) -> None:
    """An interactive page in the browser: drag a point of the phase diagram, type a formula, see what a network there does.

    Served on this machine only, until Ctrl-C. It needs the extra "explore": pip install "meanfield-nets[explore]".
    """
    from meanfield.explore.served import explore as serve

    given: object = activation
    if parameter:
        from meanfield.cli.parameter import named_activation

        given = named_activation(activation, parameter)
    with serve(given, port=port, open_browser=not no_browser) as page:  # whatever Ctrl-C meets, the worker is ended
        click.echo(f"{page.url}\nCtrl-C ends it.")
        sys.stdout.flush()
        page.wait()
