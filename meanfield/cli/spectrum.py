"""``meanfield spectrum``: the singular values of a deep network's Jacobian."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from meanfield.cli.command import command
from meanfield.cli.options import as_json, figure, formula, parameters, verbose
from meanfield.errors import DomainError

if TYPE_CHECKING:
    from meanfield.theory.mean_field import MeanField
    from meanfield.theory.spectrum.jacobian_law import JacobianSpectrum

_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@command("spectrum tanh --sigma-w 1.1 --sigma-b 0.1 --depth 64 --orthogonal")
@formula
@click.option("--sigma-w", type=float, help="σ_w; on the edge of chaos where it is left out.")
@click.option("--sigma-b", default=0.0, help="σ_b.")
@click.option("--depth", default=64, metavar="L", help="Number of layers.")
@click.option("--orthogonal", is_flag=True, help="Orthogonal weights instead of Gaussian ones.")
@click.option("--q", metavar="Q", help="Variance of the pre-activations, or 'trajectory'; q* where it is left out.")
@parameters
@as_json()
@figure("the density")
@verbose
def spectrum(
    activation: str,
    sigma_w: float | None,
    sigma_b: float,
    depth: int,
    orthogonal: bool,
    q: str | None,
    parameter: tuple[str, ...],
    as_json: bool,
    output: str | None,
    verbose: bool,
) -> None:
    """The singular values of the input-output Jacobian at infinite width: their range, atoms, moments and quantiles.

    σ's are standard deviations.
    """
    from meanfield.cli.figure_file import figure_path
    from meanfield.cli.parameter import named_activation
    from meanfield.cli.progress_log import show_progress

    path = figure_path(output)
    show_progress(verbose)

    from meanfield.theory.mean_field import MeanField
    from meanfield.theory.spectrum.plain_layers import spectrum_of

    phi = named_activation(activation, parameter)
    at: float | str | None = None if q is None else q if q == "trajectory" else _variance(q)
    if sigma_w is None:
        from meanfield.theory.edge_of_chaos import edge_of_chaos

        edge = edge_of_chaos(phi, sigma_b=sigma_b)
        if edge.status == "none":
            raise DomainError(f"--sigma-b {sigma_b:g}: {edge.reason}; give --sigma-w too")
        sigma_w, at = float(edge.sigma_w), float(edge.q) if at is None else at
    network = MeanField(phi, sigma_w, sigma_b)
    found = spectrum_of(network, depth, "orthogonal" if orthogonal else "gaussian", at)
    if path is not None:
        from meanfield.cli.figure_file import write_figure
        from meanfield.plot.column_width import detached_axes
        from meanfield.plot.spectrum import spectrum as draw

        write_figure(draw(found, ax=detached_axes(), legend=False), path)
    if as_json:
        _print_json(network, found)
    else:
        _print_table(network, found)


def _variance(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DomainError(f"--q {text!r} is neither a number nor 'trajectory'") from None


def _quantiles(found: JacobianSpectrum) -> list[float]:
    import numpy as np

    values: list[float] = np.asarray(found.quantile(np.array(_QUANTILES))).tolist()
    return values


def _print_json(network: MeanField, found: JacobianSpectrum) -> None:
    from meanfield.cli.machine_output import write_answer

    fields: dict[str, Any] = {
        name: getattr(found, name) for name in ("depth", "weights", "q", "edges", "bands", "mean", "variance", "mean_log")
    }
    atoms = [{"value": atom.value, "mass": atom.mass} for atom in found.atoms]
    quantiles = {f"{p:g}": value for p, value in zip(_QUANTILES, _quantiles(found), strict=True)}
    write_answer(
        found.activation, {"sigma_w": network.sigma_w, "sigma_b": network.sigma_b, **fields, "atoms": atoms, "quantiles": quantiles}
    )


def _print_table(network: MeanField, found: JacobianSpectrum) -> None:
    from meanfield.cli.table import number, print_table

    low, high = found.edges
    rows = [("smallest", number(low)), ("largest", number(high))]
    rows += [(f"{100 * p:g}% below", number(value)) for p, value in zip(_QUANTILES, _quantiles(found), strict=True)]
    rows += [(f"atom of mass {atom.mass:.6g}", number(atom.value)) for atom in found.atoms]
    rows += [("mean of s²", number(found.mean)), ("variance of s²", number(found.variance)), ("mean of log s²", number(found.mean_log))]
    notes = ["s: singular values of ∂h^L/∂h⁰ at infinite width; corrections are of the order of depth/width."]
    if low == 0.0 and not any(atom.value == 0.0 for atom in found.atoms):
        notes.append("The smallest is 0 as φ' comes as near to 0 as one likes, however little of the mass lies there: go by the quantiles.")
    if found.weights == "gaussian":
        notes.append("Gaussian weights add 1 to the relative variance of s² in each layer; --orthogonal ones add nothing.")
    at = f"q = {found.q:.6g}" if isinstance(found.q, float) else "along the trajectory from q = 1"
    print_table(
        title=f"Jacobian of {found.depth} layers of {found.activation.name}, {found.weights} weights, "
        f"σ_w = {number(network.sigma_w)}, σ_b = {number(network.sigma_b)}, {at}",
        header=["", "s"],
        rows=rows,
        notes=notes,
    )
