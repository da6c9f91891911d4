"""``meanfield report``: the datasheet of an activation."""

from __future__ import annotations

import sys

import click

from meanfield.cli.command import command
from meanfield.cli.options import file_names, formula, parameters, verbose
from meanfield.errors import DomainError


@command("report mish -o mish.html")
@formula
@click.option("--output", "-o", metavar="FILE", shell_complete=file_names, help="The file to write; without it the page goes to stdout.")
@parameters
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the Monte-Carlo check.")
@verbose
def report(
    activation: str,
    output: str | None,
    parameter: tuple[str, ...],
    seed: int,
    verbose: bool,
) -> None:
    """A datasheet of an activation: one HTML file with figures, tables, verdicts and lines to paste; it needs no network.

    A formula that starts with '-' goes after '--', at the end: meanfield report -o page.html -- "-x".
    """
    from meanfield.cli.parameter import named_activation
    from meanfield.cli.progress_log import say_written, show_progress
    from meanfield.report.datasheet import checked_path, datasheet, rendered, write_page

    path = None if output is None else checked_path(output, "-o")
    if path is None and sys.stdout.isatty():  # thousands of lines of HTML are nothing to read
        raise DomainError("the datasheet is one HTML page: name a file for it, -o page.html, or send it on, meanfield report … > page.html")
    show_progress(verbose)

    page = rendered(datasheet(named_activation(activation, parameter), seed))
    if path is None:
        from meanfield.cli.standard_output import write_out

        write_out(page)
        return
    write_page(page, path)
    say_written(path)
