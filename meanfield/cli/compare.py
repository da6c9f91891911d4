"""``meanfield compare``: activations side by side at one depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from meanfield.cli.command import command
from meanfield.cli.options import as_csv, as_json, check_one_format, figure, formulas, verbose
from meanfield.errors import DomainError

if TYPE_CHECKING:
    from meanfield.theory.activation_comparison import ActivationComparison


@command("compare relu tanh --depth 30", "compare relu elu --depth 20 --csv")
@formulas
@click.option("--depth", default=100, metavar="N", help="How many layers the networks have.")
@click.option("--width", default=1000, metavar="N", help="Units of a layer, for the spread of gradients.")
@as_json()
@as_csv()
@figure("what is left of signals")
@verbose
def compare(
    activation: tuple[str, ...],
    depth: int,
    width: int,
    as_json: bool,
    as_csv: bool,
    output: str | None,
    verbose: bool,
) -> None:
    """Activations side by side: edge of chaos, what to initialise with, how deep signals go, gradients, Proposition 4."""
    from meanfield.cli.figure_file import figure_path, write_figure
    from meanfield.cli.parameter import named_activation
    from meanfield.cli.progress_log import show_progress

    check_one_format(as_json, as_csv)
    if depth < 1:
        raise DomainError(f"--depth {depth} is out of range; give 1 or more layers")
    if width < 1:
        raise DomainError(f"--width {width} is out of range; give 1 or more units")
    path = figure_path(output)
    show_progress(verbose)

    given = [named_activation(text, None) for text in activation]  # a slip is told before the theory is loaded
    from meanfield.theory.activation_comparison import compare as find

    found = find(given, depth, width=width)
    if path is not None:
        from meanfield.plot.activation_comparison import activation_comparison as draw
        from meanfield.plot.column_width import detached_axes

        write_figure(draw(found, ax=detached_axes()), path)
    columns = found._columns()
    if as_json:
        from meanfield import __version__
        from meanfield.cli.machine_output import write_json

        write_json({"depth": found.depth, "width": found.width, **columns, "version": __version__})
    elif as_csv:
        from meanfield.cli.machine_output import write_csv

        write_csv(tuple(columns), zip(*columns.values(), strict=True))
    else:
        _print_table(found)


def _print_table(found: ActivationComparison) -> None:
    from meanfield.cli.table import print_table
    from meanfield.theory.conditions.condition import SHOWN

    print_table(
        title=f"{len(found)} activation{'s' * (len(found) > 1)} at {found.depth} layer{'s' * (found.depth > 1)}",
        header=("activation", "σ_w", "σ_b", "q", "layers", "variance", "gradient", "1 - c", "spread", "Jacobian", "Prop. 4", "EOC at 0"),
        rows=[
            (
                row.activation.name if len(row.activation.name) <= 20 else row.activation.name[:19] + "…",
                *(_short(value) for value in (row.sigma_w, row.sigma_b, row.q, row.layers)),
                *(_short(value, 3) for value in (row.variance, row.gradient, row.difference)),
                *(_short(value, 3) for value in (row.gradient_spread, row.jacobian_spread)),
                SHOWN[row.satisfied],
                row.edge_status if row.edge_status == "none" else f"{row.edge_sigma_w:.5g} {row.edge_status}",
            )
            for row in found.rows
        ],
        notes=[
            "σ_w, σ_b: what to initialise with; q: the variance fixed point there.",
            "layers: until c is within 0.01 of c*, from c = 0.5, the variance held at q.",
            "variance, 1 - c: behind the last layer, over that at the start. gradient: its mean square, first layer over last.",
            f"spread: of the log of one network's squared gradient, at width {found.width}. Jacobian: the relative variance of its squared "
            "singular values with orthogonal weights; 0 is isometry.",
            "EOC at 0: σ_w on the edge of chaos at σ_b = 0, and what variances near its q do.",
            *(f"{row.activation.name}: {row.reason}." for row in found.rows if row.reason),
        ],
    )


def _short(value: float, digits: int = 5) -> str:
    return "—" if value != value else f"{value:.{digits}g}"
