"""``meanfield shape``: the activation changed to suit a depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from meanfield.cli.command import command
from meanfield.cli.options import as_csv, as_json, check_one_format, check_word, formula, one_of, parameters
from meanfield.errors import DomainError

if TYPE_CHECKING:
    from meanfield.activations.shaped import Shape, ShapedActivation

_METHODS = ("dks", "tat", "standard", "scale")
_FIELDS = ("output_scale", "input_scale", "input_shift", "output_shift", "residual")


@command("shape gelu --depth 100 --method tat")
@formula
@click.option("--depth", "layers", type=int, metavar="N", help="Number of activations one behind the other.")
@click.option(
    "--method", default="dks", metavar="NAME", shell_complete=one_of(_METHODS), help="dks, tat, standard (mean 0, variance 1) or scale."
)
@click.option("--zeta", default=1.5, help="dks: C'(1) of the whole network, above 1.")
@click.option("--tau", default=0.3, help="tat: C''(1) of the whole network, above 0.")
@click.option("--eta", default=0.9, help="tat with leaky ReLUs: where c = 0 ends, between 0 and 1.")
@parameters
@as_json()
@as_csv()
def shape(
    activation: str,
    layers: int | None,
    method: str,
    zeta: float,
    tau: float,
    eta: float,
    parameter: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
) -> None:
    """Scales and shifts with which φ suits a depth: x ↦ output_scale·(φ(input_scale·x + input_shift) + output_shift) at σ_w = 1, σ_b = 0.

    Every solution, best first.
    """
    check_one_format(as_json, as_csv)
    check_word("--method", method, _METHODS)
    if layers is None and method in ("dks", "tat"):
        raise DomainError(f"--method {method} needs --depth N, the number of activations one behind the other")
    from meanfield.cli.parameter import named_activation
    from meanfield.theory.shaping import shape_activation

    found = shape_activation(named_activation(activation, parameter), layers, method, zeta=zeta, tau=tau, eta=eta)
    names = (*_FIELDS, *found.solutions[0].parameters)
    if as_json:
        _print_json(found, layers, names)
    elif as_csv:
        from meanfield.cli.machine_output import write_csv

        write_csv(names, ([_value(each, name) for name in names] for each in found.solutions))
    else:
        from meanfield.cli.table import print_table

        print_table(
            title=f"{found.name}, to be used with σ_w = 1, σ_b = 0",
            header=(*names, "remark"),
            rows=(
                [*(f"{_value(each, name):{'.1g' if name == 'residual' else '.10g'}}" for name in names), each.reason]
                for each in found.solutions
            ),
            notes=[f"{name} = {value:.12g} asked, {found.reached[name]:.12g} reached" for name, value in found.targets.items()],
        )


def _value(each: Shape, name: str) -> float:
    return each.parameters[name] if name in each.parameters else float(getattr(each, name))


def _print_json(found: ShapedActivation, layers: int | None, names: tuple[str, ...]) -> None:
    from meanfield import __version__
    from meanfield.cli.machine_output import write_json

    write_json(
        {
            "activation": found.base.name,
            "method": found.method,
            "depth": layers,
            "targets": dict(found.targets),
            "reached": dict(found.reached),
            "solutions": [{**{name: _value(each, name) for name in names}, "reason": each.reason} for each in found.solutions],
            "version": __version__,
        }
    )
