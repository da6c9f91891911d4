"""``meanfield simulate``: random networks against the theory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from meanfield.cli.beside_theory import check_correlation, check_least, layers_shown, print_csv, sampled_columns, variances
from meanfield.cli.command import command
from meanfield.cli.options import as_csv, as_json, check_one_format, check_word, figure, file_names, formula, one_of, parameters, verbose
from meanfield.errors import DomainError

if TYPE_CHECKING:
    from pathlib import Path

    from meanfield.simulation import Comparison, Simulation
    from meanfield.simulation.beside_theory import Beside

QUANTITIES = ("q1", "q2", "c", "gradient")


@command("simulate tanh --sigma-w 1.3 --width 100 --depth 5 --networks 20")
@formula
@click.option("--sigma-w", type=float, help="σ_w; on the edge of chaos where it is left out.")
@click.option("--sigma-b", default=0.2, help="σ_b.")
@click.option("--width", default=1000, metavar="N", help="Units in each layer.")
@click.option("--depth", default=50, metavar="L", help="Layers after the first, h⁰.")
@click.option("--networks", default=100, metavar="N", help="How many networks.")
@click.option("--q", default="1", help="The variance of h⁰, or of the two inputs: 1 or 1,0.5.")
@click.option("--c", default=0.5, help="The correlation of h⁰, in [-1, 1].")
@click.option("--seed", default=0, help="The same seed gives the same numbers.")
@click.option(
    "--method",
    default="conditional",
    metavar="NAME",
    shell_complete=one_of(("conditional", "weights")),
    help="conditional (fast, Gaussian weights) or weights (explicit matrices).",
)
@click.option(
    "--weights",
    default="gaussian",
    metavar="NAME",
    shell_complete=one_of(("gaussian", "orthogonal", "uniform")),
    help="gaussian, or with --method weights also orthogonal, uniform.",
)
@click.option("--gradients/--no-gradients", default=True, help="Whether to run the backward pass.")
@click.option("--jobs", "-j", default=1, metavar="N", help="Threads to share the networks.")
@click.option("--checkpoint", metavar="FILE", shell_complete=file_names, help="Keep what is done there, and go on from it the next time.")
@click.option("--quantity", default="c", metavar="NAME", shell_complete=one_of(QUANTITIES), help=f"What -o draws: {', '.join(QUANTITIES)}.")
@parameters
@as_json()
@as_csv(": a row for each layer")
@figure("one quantity")
@verbose
def simulate(
    activation: str,
    sigma_w: float | None,
    sigma_b: float,
    width: int,
    depth: int,
    networks: int,
    q: str,
    c: float,
    seed: int,
    method: str,
    weights: str,
    gradients: bool,
    jobs: int,
    checkpoint: str | None,
    quantity: str,
    parameter: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
    output: str | None,
    verbose: bool,
) -> None:
    """Random networks of finite width: two inputs forward, a gradient back, layer by layer, with the theory beside them.

    σ's are standard deviations.
    """
    from meanfield.cli.figure_file import figure_path
    from meanfield.cli.parameter import named_activation
    from meanfield.cli.progress_log import show_progress

    check_one_format(as_json, as_csv)
    check_word("--quantity", quantity, QUANTITIES)
    if quantity == "gradient" and output is not None and not gradients:
        raise DomainError("--quantity gradient needs the backward pass; leave --no-gradients out")
    check_least(("--width", width, 1), ("--depth", depth, 0), ("--networks", networks, 1), ("--seed", seed, 0))
    check_correlation(c)
    if jobs == 0:
        raise DomainError("--jobs 0 is out of range; give 1 or more, or -1 for all cores")
    start = variances(q)
    for option, sigma in (("--sigma-w", 0.0 if sigma_w is None else sigma_w), ("--sigma-b", sigma_b)):
        if not (0.0 <= sigma < math.inf):
            raise DomainError(f"{option} {sigma!r} is out of range; a standard deviation is a finite number, 0 or more")
    path = figure_path(output)
    show_progress(verbose)

    from meanfield.simulation import simulate as run
    from meanfield.simulation.beside_theory import beside_theory

    phi = named_activation(activation, parameter)
    chosen = _on_the_edge(phi, sigma_b) if sigma_w is None else sigma_w
    sim = run(
        phi,
        chosen,
        sigma_b,
        width=width,
        depth=depth,
        networks=networks,
        q=start,
        c=c,
        seed=seed,
        method=method,
        weights=weights,
        gradients=gradients,
        n_jobs=jobs,
        checkpoint=checkpoint,
    )
    verdict = sim.compare()
    found = beside_theory(sim, verdict, start, c)
    if path is not None:
        _draw(sim, quantity, path)
    if as_json:
        _print_json(sim, found, verdict)
    elif as_csv:
        print_csv(found)
    else:
        _print_table(sim, found, verdict)


def _on_the_edge(phi: Any, sigma_b: float) -> float:
    from meanfield.theory.edge_of_chaos import edge_of_chaos

    edge = edge_of_chaos(phi, sigma_b=sigma_b)
    if edge.status == "none":
        raise DomainError(f"--sigma-w must be given: at σ_b = {sigma_b:g} {phi.name} has no edge of chaos ({edge.reason})")
    return float(edge.sigma_w)


def _print_json(sim: Simulation, found: dict[str, Beside], verdict: Comparison) -> None:
    from meanfield.cli.machine_output import write_answer

    ensemble = sim.plain
    write_answer(
        ensemble.activation,
        {
            **{name: getattr(ensemble, name) for name in ("sigma_w", "sigma_b", "networks", "seed", "method", "weights")},
            "widths": list(ensemble.widths),
            "layer": list(range(sim.depth + 1)),
            **{name: vars(one) for name, one in found.items()},
            "consistent": verdict.consistent,
            "max_abs_z": verdict.max_abs_z,
            "verdict": verdict.verdict,
        },
    )


def _print_table(sim: Simulation, found: dict[str, Beside], verdict: Comparison) -> None:
    from meanfield.cli.table import print_table

    ensemble = sim.plain
    sigmas = f"σ_w = {ensemble.sigma_w:.6g}, σ_b = {ensemble.sigma_b:.6g}"
    header, columns = sampled_columns(found, layers_shown(sim.depth), second=not _same_inputs(sim))
    networks = f"{ensemble.networks} random network{'s' * (ensemble.networks > 1)}"
    shape = f"width {ensemble.widths[0]}, depth {sim.depth}"
    print_table(
        title=f"{networks}: {ensemble.activation.name}, {sigmas}, {shape}, {ensemble.weights} weights, seed {ensemble.seed}",
        header=header,
        rows=zip(*columns, strict=True),
        together=4,
        notes=[
            "± error: of the mean over networks. N → ∞: infinite width. z: against the mean at this width, to first order in 1/width;",
            "?: not judged. The z of the gradient is that of its logarithm.",
            "",
            verdict.verdict,
        ],
    )


def _same_inputs(sim: Simulation) -> bool:
    first, second = sim.plain.start[:, 0], sim.plain.start[:, 1]
    return bool(abs(first @ first - second @ second) <= 1e-12 * (first @ first))


def _draw(sim: Simulation, quantity: str, path: Path) -> None:
    from meanfield.cli.figure_file import write_figure
    from meanfield.plot.column_width import detached_axes
    from meanfield.plot.comparison import comparison as draw

    axes = draw(sim, detached_axes(), quantity=quantity)
    write_figure(axes, path)
