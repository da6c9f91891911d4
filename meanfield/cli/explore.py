"""``meanfield explore``: the interactive page."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from meanfield.cli.options import Parameters, known_names


def explore(
    activation: Annotated[
        str, typer.Argument(metavar="[ACTIVATION]", help="A name or a formula to begin with.", autocompletion=known_names)
    ] = "tanh",
    port: Annotated[int, typer.Option("--port", metavar="N", help="The port on this machine; 0: a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", metavar="", help="Print the address only.")] = False,
    parameter: Parameters = None,
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
        typer.echo(f"{page.url}\nCtrl-C ends it.")
        sys.stdout.flush()
        page.wait()
