"""``meanfield report``: the datasheet of an activation."""

from __future__ import annotations

from typing import Annotated

import typer


def report(
    activation: Annotated[
        str,
        typer.Argument(metavar="ACTIVATION", help="A name (see 'meanfield activations') or a formula in x, such as 'x*sigmoid(1.7*x)'."),
    ],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write; without it the page goes to stdout.")
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter of the activation; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the Monte-Carlo check.")] = 0,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say on stderr what is being done.")] = False,
) -> None:
    """A datasheet of an activation: one HTML file with figures, tables, verdicts and lines to paste; it needs no network.

    A formula that starts with '-' goes after '--', at the end: meanfield report -o page.html -- "-x".
    """
    from meanfield.cli.parameter import parameters
    from meanfield.cli.progress_log import show_progress
    from meanfield.report.datasheet import checked_path, datasheet, rendered, write_page

    keywords = parameters(parameter or [])
    path = None if output is None else checked_path(output, "-o")
    show_progress(verbose)

    from meanfield.activations import activation as find

    page = rendered(datasheet(find(activation, **keywords), seed))
    if path is None:
        from meanfield.cli.standard_output import write_out

        write_out(page)
        return
    write_page(page, path)
    typer.echo(f"meanfield: wrote {path}", err=True)
