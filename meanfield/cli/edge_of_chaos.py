"""``meanfield eoc``: the edge of chaos of an activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from meanfield.errors import DomainError

if TYPE_CHECKING:
    from pathlib import Path

    from meanfield.theory.edge_of_chaos import EdgeOfChaos

_MEANING = {
    "attracting": "attracting: nearby variances return to q, so inputs reach this point.",
    "repelling": "repelling: χ₁ = 1 holds at q, but nearby variances leave q, so inputs don't stay at this point.",
    "neutral": "neutral: F'(q) = 1; a variance near q neither returns nor leaves at a geometric rate.",
    "none": "none: no point of the edge of chaos at this σ_b.",
}


def eoc(
    activation: Annotated[
        str,
        typer.Argument(metavar="ACTIVATION", help="A name (see 'meanfield activations') or a formula in x, such as 'x*sigmoid(1.7*x)'."),
    ],
    sigma_b: Annotated[
        str, typer.Option("--sigma-b", help="σ_b: 0.2, or 0,0.1,0.5, or start:stop:step with the stop included.")
    ] = "0:1:0.1",
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter of the activation; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout, numbers in full.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on stdout, numbers in full.")] = False,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Also draw the curve to a .png, .svg or .pdf file.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say on stderr what is being done.")] = False,
) -> None:
    """The edge of chaos: for each σ_b the σ_w where χ₁ = 1, with q, F'(q) and whether nearby variances return.

    σ's are standard deviations. A formula that starts with '-' goes after '--', at the end: meanfield eoc --sigma-b 0.2 -- "-x".
    """
    from meanfield.cli.figure_file import figure_path
    from meanfield.cli.parameter import parameters
    from meanfield.cli.progress_log import show_progress
    from meanfield.cli.sigma_grid import sigma_grid

    if as_json and as_csv:
        raise DomainError("--json and --csv can't both be given; choose one")
    grid = sigma_grid(sigma_b, "--sigma-b")
    keywords = parameters(parameter or [])
    path = None if output is None else figure_path(output)
    show_progress(verbose)

    import numpy as np

    from meanfield.activations import activation as find
    from meanfield.expectation.octaves import one_question
    from meanfield.theory.edge_of_chaos import edge_of_chaos

    phi = find(activation, **keywords)
    with one_question():  # it takes less time than loading numba would
        curve = edge_of_chaos(phi, sigma_b=np.array(grid))
    if path is not None:
        _draw(curve, path)
    if as_json:
        _print_json(curve)
    elif as_csv:
        _print_csv(curve)
    else:
        _print_table(curve)


def _print_json(curve: EdgeOfChaos) -> None:
    from meanfield import __version__
    from meanfield.cli.machine_output import write_json

    formula = curve.activation.formula
    write_json(
        {
            "activation": curve.activation.name,
            "parameters": curve.activation.parameters,
            "formula": None if formula is None else str(formula),
            **{name: getattr(curve, name) for name in ("sigma_b", "sigma_w", "q", "variance_slope", "stable", "status", "reason")},
            "version": __version__,
        }
    )


def _print_csv(curve: EdgeOfChaos) -> None:
    from meanfield.cli.machine_output import write_csv

    names = ("sigma_b", "sigma_w", "q", "variance_slope", "stable", "status", "reason")
    write_csv(names, zip(*(getattr(curve, name).tolist() for name in names), strict=True))


def _print_table(curve: EdgeOfChaos) -> None:
    from meanfield.cli.table import number, print_table

    statuses: list[str] = curve.status.tolist()
    columns: list[tuple[str, list[Any]]] = [
        ("σ_b", [number(value) for value in curve.sigma_b.tolist()]),
        ("σ_w", [number(value) for value in curve.sigma_w.tolist()]),
        ("q", [number(value) for value in curve.q.tolist()]),
        ("F'(q)", [number(value) for value in curve.variance_slope.tolist()]),
        ("status", statuses),
    ]
    if "none" in statuses:
        columns.append(("reason", curve.reason.tolist()))
    print_table(
        title=f"Edge of chaos of {curve.activation.name}",
        header=[name for name, _ in columns],
        rows=zip(*(cells for _, cells in columns), strict=True),
        notes=[meaning for status, meaning in _MEANING.items() if status in statuses],
    )


def _draw(curve: EdgeOfChaos, path: Path) -> None:
    import numpy as np

    from meanfield.cli.figure_file import write_figure
    from meanfield.plot.column_width import detached_axes
    from meanfield.plot.edge_of_chaos import edge_of_chaos as draw
    from meanfield.theory.edge_of_chaos import edge_of_chaos

    # The points asked for, and enough between them for a smooth line.
    asked = np.unique(curve.sigma_b)
    fine = np.union1d(asked, np.linspace(asked[0], asked[-1], 201)) if asked.size > 1 else asked
    axes = draw(edge_of_chaos(curve.activation, sigma_b=fine), ax=detached_axes())
    write_figure(axes.figure.figure, path)
    typer.echo(f"meanfield: wrote {path}", err=True)
