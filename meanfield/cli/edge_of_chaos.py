"""``meanfield eoc``: the edge of chaos of an activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meanfield.cli.command import command
from meanfield.cli.options import as_csv, as_json, check_one_format, figure, formulas, parameters, sigma_b_grid, verbose
from meanfield.cli.standard_output import write_out
from meanfield.errors import DomainError

if TYPE_CHECKING:
    from pathlib import Path

    from meanfield.theory.edge_of_chaos import EdgeOfChaos

_FIELDS = ("sigma_b", "sigma_w", "q", "variance_slope", "stable", "status", "reason")
_MEANING = {
    "attracting": "attracting: nearby variances return to q, so inputs reach this point.",
    "repelling": "repelling: χ₁ = 1 holds at q, but nearby variances leave q, so inputs don't stay at this point.",
    "neutral": "neutral: F'(q) = 1; a variance near q neither returns nor leaves at a geometric rate.",
    "none": "none: no point of the edge of chaos at this σ_b.",
}


@command("eoc tanh", "eoc tanh silu --sigma-b 0:1:0.25", "eoc 'x*sigmoid(1.7*x)' --json", "eoc gelu -o curve.png")
@formulas
@sigma_b_grid
@parameters
@as_json()
@as_csv()
@figure("the curve")
@verbose
def eoc(
    activation: tuple[str, ...],
    sigma_b: str,
    parameter: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
    output: str | None,
    verbose: bool,
) -> None:
    """The edge of chaos: for each σ_b the σ_w where χ₁ = 1, with q, F'(q) and whether nearby variances return.

    σ's are standard deviations. A formula that starts with '-' goes after '--', at the end: meanfield eoc --sigma-b 0.2 -- "-x".
    """
    from meanfield.cli.figure_file import figure_path
    from meanfield.cli.parameter import named_activation
    from meanfield.cli.progress_log import show_progress
    from meanfield.cli.sigma_grid import sigma_grid

    check_one_format(as_json, as_csv)
    if parameter and len(activation) > 1:
        raise DomainError(f"-p {parameter[0]!r} can't be told to which of {len(activation)} activations it belongs; give one")
    grid = sigma_grid(sigma_b, "--sigma-b")
    path = figure_path(output)
    show_progress(verbose)

    found = [named_activation(text, parameter) for text in activation]  # a slip is told before the theory is loaded

    import numpy as np

    from meanfield.expectation.octaves import one_question
    from meanfield.theory.edge_of_chaos import edge_of_chaos

    with one_question():  # it takes less time than loading numba would
        curves = [edge_of_chaos(phi, sigma_b=np.array(grid)) for phi in found]
    if path is not None:
        _draw(curves, path)
    if as_json:
        _print_json(curves)
    elif as_csv:
        _print_csv(curves)
    else:
        for place, curve in enumerate(curves):
            if place:
                write_out("\n")
            _print_table(curve)


def _print_json(curves: list[EdgeOfChaos]) -> None:
    """One curve as an object; several as a list of such under "curves"."""
    from meanfield import __version__
    from meanfield.cli.machine_output import answer, write_answer, write_json

    fields = [{name: getattr(curve, name) for name in _FIELDS} for curve in curves]
    if len(curves) == 1:
        write_answer(curves[0].activation, fields[0])
        return
    write_json({"curves": [answer(curve.activation, found) for curve, found in zip(curves, fields, strict=True)], "version": __version__})


def _print_csv(curves: list[EdgeOfChaos]) -> None:
    """Several curves one below the other, behind the activation's name."""
    from meanfield.cli.machine_output import write_csv

    several = len(curves) > 1
    rows: list[tuple[Any, ...]] = []
    for curve in curves:
        about = (curve.activation.name,) if several else ()
        rows += [(*about, *row) for row in zip(*(getattr(curve, name).tolist() for name in _FIELDS), strict=True)]
    write_csv(("activation", *_FIELDS) if several else _FIELDS, rows)


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
    reasons = {reason for reason in curve.reason.tolist() if reason}
    if len(reasons) > 1:
        columns.append(("reason", curve.reason.tolist()))
    print_table(
        title=f"Edge of chaos of {curve.activation.name}",
        header=[name for name, _ in columns],
        rows=zip(*(cells for _, cells in columns), strict=True),
        notes=[
            *(meaning for status, meaning in _MEANING.items() if status in statuses),
            *(f"The reason: {reason}." for reason in reasons if len(reasons) == 1),
        ],
    )


def _draw(curves: list[EdgeOfChaos], path: Path) -> None:
    import numpy as np

    from meanfield.cli.figure_file import write_figure
    from meanfield.plot.column_width import detached_axes
    from meanfield.plot.edge_of_chaos import edge_of_chaos as draw
    from meanfield.theory.edge_of_chaos import edge_of_chaos

    # The points asked for, and enough between them for a smooth line.
    asked = np.unique(curves[0].sigma_b)
    fine = np.union1d(asked, np.linspace(asked[0], asked[-1], 201)) if asked.size > 1 else asked
    axes = draw([edge_of_chaos(curve.activation, sigma_b=fine) for curve in curves], ax=detached_axes())
    write_figure(axes, path)
