"""``meanfield recommend``: what to initialise a network of a given depth with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from meanfield.cli.command import command
from meanfield.cli.options import as_csv, as_json, check_one_format, check_word, formula, one_of, parameters, verbose
from meanfield.errors import DomainError

if TYPE_CHECKING:
    from meanfield.theory.recommend import Recommendation

_FIELDS = (
    "depth",
    "sigma_w",
    "sigma_b",
    "q",
    "status",
    "variance_change",
    "gradient_change",
    "correlation_change",
    "dropout",
    "weights",
    "residual",
    "reason",
)


_LAWS = ("gaussian", "orthogonal", "uniform")


@command("recommend tanh --depth 50", "recommend relu --depth 50 --dropout 0.1 --no-bias")
@formula
@click.option("--depth", default=100, metavar="N", help="How many layers the network has.")
@click.option("--no-bias", is_flag=True, help="The layers have no biases.")
@click.option("--input-variance", type=float, help="The variance of the first layer's pre-activations; 1 where it is left out.")
@click.option("--dropout", default=0.0, help="The rate of dropout behind each activation, in [0, 1).")
@click.option("--weights", default="gaussian", metavar="NAME", shell_complete=one_of(_LAWS), help="gaussian, orthogonal or uniform.")
@click.option("--residual", is_flag=True, help="The layers are branches of residual sums.")
@parameters
@as_json()
@as_csv()
@verbose
def recommend(
    activation: str,
    depth: int,
    no_bias: bool,
    input_variance: float | None,
    dropout: float,
    weights: str,
    residual: bool,
    parameter: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
    verbose: bool,
) -> None:
    """What to initialise a network with at a given depth: σ_w and σ_b, and why.

    Weights have standard deviation σ_w/√fan_in, biases σ_b.
    """
    from meanfield.cli.parameter import named_activation
    from meanfield.cli.progress_log import show_progress

    check_one_format(as_json, as_csv)
    check_word("--weights", weights, _LAWS)
    if depth < 1:
        raise DomainError(f"--depth {depth} is out of range; give 1 or more layers")
    show_progress(verbose)

    phi = named_activation(activation, parameter)  # a slip is told before the theory is loaded
    from meanfield.theory.recommend import recommend as find

    found = find(phi, depth, bias=not no_bias, input_variance=input_variance, dropout=dropout, weights=weights, residual=residual)
    if as_json:
        from meanfield.cli.machine_output import write_answer

        write_answer(phi, {name: getattr(found, name) for name in _FIELDS})
    elif as_csv:
        from meanfield.cli.machine_output import write_csv

        write_csv(_FIELDS, [[getattr(found, name) for name in _FIELDS]])
    else:
        _print_table(phi.name, found)


def _print_table(name: str, found: Recommendation) -> None:
    from meanfield.cli.table import number, print_table

    print_table(
        title=f"What to initialise {name} with, at {found.depth} layers",
        header=("σ_w", "σ_b", "q"),
        rows=[(number(found.sigma_w), number(found.sigma_b), f"{found.q:.6g}")],
        notes=[found.reason],
    )
