"""``meanfield gain``: what multiplies weights or activations to keep a variance."""

from __future__ import annotations

import click

from meanfield.cli.command import argument, command
from meanfield.cli.options import as_csv, as_json, check_one_format, parameters
from meanfield.errors import DomainError

USUAL = (
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "celu",
    "gelu",
    "silu",
    "mish",
    "softplus",
    "tanh",
    "sigmoid",
    "softsign",
    "relu6",
    "hardswish",
)
_FIELDS = ("activation", "mean", "std", "rms", "gain", "sigma_w")


@command("gain relu gelu silu")
@argument("activation", nargs=-1, metavar="[ACTIVATION]...", help="Names or formulas; the usual ones without.")
@click.option("--q", default=1.0, help="Variance of the input.")
@parameters
@as_json()
@as_csv()
def gain(
    activation: tuple[str, ...],
    q: float,
    parameter: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
) -> None:
    """Mean, standard deviation and root mean square of φ at Gaussian input, and the gains that keep its variance.

    gain = √q/std goes with weights that are standardised (NFNets), sigma_w = √q/rms with others and without biases (He).
    """
    check_one_format(as_json, as_csv)
    names = activation or list(USUAL)
    if parameter and len(names) != 1:
        raise DomainError("-p goes with one activation; name it")
    from meanfield.cli.parameter import named_activation
    from meanfield.theory.standardisation import standardisation

    if not 0.0 < q <= 1e280:
        raise DomainError(f"--q {q!r} is out of range; give a variance above 0 and at most 1e280")
    rows = []
    for name in names:
        found = standardisation(named_activation(name, parameter), q)
        root = q**0.5
        rows.append([name, found.mean, found.std, found.rms, _over(root, found.std), _over(root, found.rms)])
    if as_json:
        from meanfield import __version__
        from meanfield.cli.machine_output import write_json

        write_json({"q": q, "gains": [dict(zip(_FIELDS, row, strict=True)) for row in rows], "version": __version__})
    elif as_csv:
        from meanfield.cli.machine_output import write_csv

        write_csv(_FIELDS, rows)
    else:
        from meanfield.cli.table import print_table

        print_table(
            title=f"φ(√q Z) at q = {q:g}",
            header=_FIELDS,
            rows=([name, _beside(mean, rms), *(f"{value:.12g}" for value in (std, rms, *gains))] for name, mean, std, rms, *gains in rows),
            notes=(
                "gain = √q/std keeps the variance with standardised weights, sigma_w = √q/rms with others and σ_b = 0.",
                "Neither keeps gradients: 'meanfield depth' and 'meanfield shape' do.",
            ),
        )


def _beside(mean: float, rms: float) -> str:
    """The mean, which is 0 where it is no more than the rounding of what it is the mean of."""
    return "0" if abs(mean) < 1e-15 * rms else f"{mean:.12g}"


def _over(root: float, size: float) -> float:
    return root / size if size else float("inf")
