"""``meanfield simulate``: random networks against the theory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meanfield.errors import DomainError

if TYPE_CHECKING:
    from pathlib import Path

    from meanfield.simulation import Comparison, Simulation
    from meanfield.theory.trajectory import Trajectory

QUANTITIES = ("q1", "q2", "c", "gradient")
_LAYERS_SHOWN = 14  # of a table


def simulate(
    activation: Annotated[
        str,
        typer.Argument(metavar="ACTIVATION", help="A name (see 'meanfield activations') or a formula in x, such as 'x*sigmoid(1.7*x)'."),
    ],
    sigma_w: Annotated[float | None, typer.Option("--sigma-w", help="σ_w; on the edge of chaos where it is left out.")] = None,
    sigma_b: Annotated[float, typer.Option("--sigma-b", help="σ_b.")] = 0.2,
    width: Annotated[int, typer.Option("--width", metavar="N", help="Units in each layer.")] = 1000,
    depth: Annotated[int, typer.Option("--depth", metavar="L", help="Layers after the first, h⁰.")] = 50,
    networks: Annotated[int, typer.Option("--networks", metavar="N", help="How many networks.")] = 100,
    q: Annotated[str, typer.Option("--q", help="The variance of h⁰, or of the two inputs: 1 or 1,0.5.")] = "1",
    c: Annotated[float, typer.Option("--c", help="The correlation of h⁰, in [-1, 1].")] = 0.5,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same numbers.")] = 0,
    method: Annotated[
        str, typer.Option("--method", metavar="NAME", help="conditional (fast, Gaussian weights) or weights (explicit matrices).")
    ] = "conditional",
    weights: Annotated[
        str, typer.Option("--weights", metavar="NAME", help="gaussian, or with --method weights also orthogonal, uniform.")
    ] = "gaussian",
    gradients: Annotated[bool, typer.Option("--gradients/--no-gradients", help="Whether to run the backward pass.")] = True,
    jobs: Annotated[int, typer.Option("--jobs", "-j", metavar="N", help="Threads to share the networks.")] = 1,
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", metavar="FILE", help="Keep what is done there, and go on from it the next time.")
    ] = None,
    quantity: Annotated[str, typer.Option("--quantity", metavar="NAME", help=f"What -o draws: {', '.join(QUANTITIES)}.")] = "c",
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter of the activation; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout, numbers in full.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on stdout, numbers in full: a row for each layer.")] = False,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Also draw one quantity to a .png, .svg or .pdf file.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say on stderr what is being done.")] = False,
) -> None:
    """Random networks of finite width: two inputs forward, a gradient back, layer by layer, with the theory beside them.

    σ's are standard deviations.
    """
    from meanfield.cli.figure_file import figure_path
    from meanfield.cli.parameter import parameters
    from meanfield.cli.progress_log import show_progress

    if as_json and as_csv:
        raise DomainError("--json and --csv can't both be given; choose one")
    if quantity not in QUANTITIES:
        raise DomainError(f"--quantity {quantity!r} is unknown; give one of {', '.join(QUANTITIES)}")
    if quantity == "gradient" and output is not None and not gradients:
        raise DomainError("--quantity gradient needs the backward pass; leave --no-gradients out")
    for option, value, least in (("--width", width, 1), ("--depth", depth, 0), ("--networks", networks, 1), ("--seed", seed, 0)):
        if value < least:
            raise DomainError(f"{option} {value} is out of range; give {least} or more")
    if not (-1.0 <= c <= 1.0):
        raise DomainError(f"--c {c!r} is out of range; a correlation lies in [-1, 1]")
    if jobs == 0:
        raise DomainError("--jobs 0 is out of range; give 1 or more, or -1 for all cores")
    start = _variances(q)
    for option, sigma in (("--sigma-w", 0.0 if sigma_w is None else sigma_w), ("--sigma-b", sigma_b)):
        if not (0.0 <= sigma < math.inf):
            raise DomainError(f"{option} {sigma!r} is out of range; a standard deviation is a finite number, 0 or more")
    keywords = parameters(parameter or [])
    path = None if output is None else figure_path(output)
    show_progress(verbose)

    from meanfield.activations import activation as find
    from meanfield.simulation import simulate as run

    phi = find(activation, **keywords)
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
    theory = _theory(sim, start, c)
    verdict = sim.compare()
    if path is not None:
        _draw(sim, quantity, path)
    if as_json:
        _print_json(sim, theory, verdict)
    elif as_csv:
        _print_csv(sim, theory, verdict)
    else:
        _print_table(sim, theory, verdict)


def _variances(text: str) -> float | tuple[float, float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 2) or not all(0.0 < value < math.inf for value in values):
        raise DomainError(f"--q {text!r} is out of range; give one positive number, or two with a comma between them")
    return values[0] if len(values) == 1 else (values[0], values[1])


def _on_the_edge(phi: Any, sigma_b: float) -> float:
    from meanfield.theory.edge_of_chaos import edge_of_chaos

    edge = edge_of_chaos(phi, sigma_b=sigma_b)
    if edge.status == "none":
        raise DomainError(f"--sigma-w must be given: at σ_b = {sigma_b:g} {phi.name} has no edge of chaos ({edge.reason})")
    return float(edge.sigma_w)


def _theory(sim: Simulation, q: Any, c: float) -> Trajectory:
    from meanfield.theory.mean_field import MeanField

    ensemble = sim.ensemble
    return MeanField(ensemble.activation, ensemble.sigma_w, ensemble.sigma_b).propagate(sim.depth, q=q, c=c)


def _quantities(sim: Simulation) -> tuple[str, ...]:
    return QUANTITIES if sim.gradient is not None else QUANTITIES[:-1]


def _print_json(sim: Simulation, theory: Trajectory, verdict: Comparison) -> None:
    from meanfield import __version__
    from meanfield.cli.machine_output import write_json

    ensemble = sim.ensemble
    formula = ensemble.activation.formula
    write_json(
        {
            "activation": ensemble.activation.name,
            "parameters": ensemble.activation.parameters,
            "formula": None if formula is None else str(formula),
            **{name: getattr(ensemble, name) for name in ("sigma_w", "sigma_b", "networks", "seed", "method", "weights")},
            "widths": list(ensemble.widths),
            "layer": list(range(sim.depth + 1)),
            **{
                name: {
                    "mean": getattr(sim, name).mean,
                    "standard_error": getattr(sim, name).standard_error,
                    "infinite_width": getattr(theory, name),
                    "z": verdict.z_scores[name],
                    "judged": verdict.judged[name],
                }
                for name in _quantities(sim)
            },
            "consistent": verdict.consistent,
            "max_abs_z": verdict.max_abs_z,
            "verdict": verdict.verdict,
            "version": __version__,
        }
    )


def _print_csv(sim: Simulation, theory: Trajectory, verdict: Comparison) -> None:
    from meanfield.cli.machine_output import write_csv

    names = _quantities(sim)
    header = ["layer", *(f"{name}{part}" for name in names for part in ("", "_standard_error", "_infinite_width", "_z"))]
    columns = [
        column.tolist()
        for name in names
        for column in (getattr(sim, name).mean, getattr(sim, name).standard_error, getattr(theory, name), verdict.z_scores[name])
    ]
    write_csv(header, zip(range(sim.depth + 1), *columns, strict=True))


def _print_table(sim: Simulation, theory: Trajectory, verdict: Comparison) -> None:
    from meanfield.cli.table import print_table

    ensemble = sim.ensemble
    names = [name for name in _quantities(sim) if name != "q2" or not _same_inputs(sim)]
    layers = _shown(sim.depth)
    sigmas = f"σ_w = {ensemble.sigma_w:.6g}, σ_b = {ensemble.sigma_b:.6g}"
    header, columns = ["layer"], [[str(layer) for layer in layers]]
    for name in names:
        found = getattr(sim, name)
        header += [name, "± error", "N → ∞", "z"]
        columns += [
            [f"{found.mean[i]:.6g}" for i in layers],
            [f"{found.standard_error[i]:.1e}" for i in layers],
            [f"{getattr(theory, name)[i]:.6g}" for i in layers],
            [_score(verdict, name, i) for i in layers],
        ]
    print_table(
        title=f"{ensemble.networks} random networks: {ensemble.activation.name}, {sigmas}, width {ensemble.widths[0]}, depth {sim.depth}, "
        f"{ensemble.weights} weights, seed {ensemble.seed}",
        header=header,
        rows=zip(*columns, strict=True),
        notes=[
            "± error: of the mean over networks. N → ∞: infinite width. z: against the mean at this width, to first order in 1/width;",
            "?: not judged. The z of the gradient is that of its logarithm.",
            "",
            verdict.verdict,
        ],
    )


def _score(verdict: Comparison, name: str, layer: int) -> str:
    z = float(verdict.z_scores[name][layer])
    return "—" if math.isnan(z) else f"{z:.2f}" if verdict.judged[name][layer] else f"{z:.2f}?"


def _same_inputs(sim: Simulation) -> bool:
    first, second = sim.ensemble.start[:, 0], sim.ensemble.start[:, 1]
    return bool(abs(first @ first - second @ second) <= 1e-12 * (first @ first))


def _shown(depth: int) -> list[int]:
    """Layers of a table: all of a few, spread over many."""
    if depth < _LAYERS_SHOWN:
        return list(range(depth + 1))
    return sorted({round(depth * i / (_LAYERS_SHOWN - 1)) for i in range(_LAYERS_SHOWN)})


def _draw(sim: Simulation, quantity: str, path: Path) -> None:
    from meanfield.cli.figure_file import write_figure
    from meanfield.plot.column_width import detached_axes
    from meanfield.plot.comparison import comparison as draw

    axes = draw(sim, detached_axes(), quantity=quantity)
    write_figure(axes.figure.figure, path)
    typer.echo(f"meanfield: wrote {path}", err=True)
