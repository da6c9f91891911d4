"""``meanfield eoc``: the edge of chaos of an activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from meanfield.cli.options import AsCsv, AsJson, Formula, Parameters, SigmaB, Verbose, check_one_format, figure_option

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


def eoc(
    activation: Formula,
    sigma_b: SigmaB = "0:1:0.1",
    parameter: Parameters = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    output: Annotated[str | None, figure_option("the curve")] = None,
    verbose: Verbose = False,
) -> None:
    """The edge of chaos: for each σ_b the σ_w where χ₁ = 1, with q, F'(q) and whether nearby variances return.

    σ's are standard deviations. A formula that starts with '-' goes after '--', at the end: meanfield eoc --sigma-b 0.2 -- "-x".
    """
    from meanfield.cli.figure_file import figure_path
    from meanfield.cli.parameter import named_activation
    from meanfield.cli.progress_log import show_progress
    from meanfield.cli.sigma_grid import sigma_grid

    check_one_format(as_json, as_csv)
    grid = sigma_grid(sigma_b, "--sigma-b")
    path = figure_path(output)
    show_progress(verbose)

    import numpy as np

    from meanfield.expectation.octaves import one_question
    from meanfield.theory.edge_of_chaos import edge_of_chaos

    phi = named_activation(activation, parameter)
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
    from meanfield.cli.machine_output import write_answer

    write_answer(curve.activation, {name: getattr(curve, name) for name in _FIELDS})


def _print_csv(curve: EdgeOfChaos) -> None:
    from meanfield.cli.machine_output import write_csv

    write_csv(_FIELDS, zip(*(getattr(curve, name).tolist() for name in _FIELDS), strict=True))


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
    write_figure(axes, path)
