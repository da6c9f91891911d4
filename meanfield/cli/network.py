"""``meanfield network``: a network of layers from its description."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from meanfield.cli.beside_theory import check_correlation, check_least, layers_shown, print_csv, sampled_columns, variances
from meanfield.cli.command import argument, command
from meanfield.cli.options import as_csv, as_json, check_one_format, figure, file_names, verbose
from meanfield.errors import DomainError

if TYPE_CHECKING:
    from pathlib import Path

    from meanfield.simulation import Simulation
    from meanfield.theory.network import Network
    from meanfield.theory.trajectory import Trajectory

_COLUMNS = ("q1", "q2", "c", "epsilon", "gradient", "mean1", "mean2")
_MOST_LAYERS = 1_000_000  # a trajectory of ten times as many fills gigabytes
_NAME = 48  # letters of a layer in a table


@command("network net.toml", "network net.toml --simulate --width 100 --networks 20")
@argument("file", metavar="FILE", shell_complete=file_names, help="A .toml or .json file, or - for stdin.")
@click.option("--propagate", is_flag=True, help="Follow two inputs and a gradient from layer to layer.")
@click.option("--simulate", is_flag=True, help="Draw random networks of it, with the theory beside them.")
@click.option("--q", show_default="1", help="Mean square of the inputs' components, or of each input's: 1 or 1,0.5.")
@click.option("--c", type=float, show_default="0.5", help="Correlation of the inputs, in [-1, 1].")
@click.option("--width", type=int, metavar="N", show_default="500", help="Units in each layer.")
@click.option("--networks", type=int, metavar="N", show_default="50", help="How many networks.")
@click.option("--seed", type=int, show_default="0", help="The same seed gives the same numbers.")
@click.option("--jobs", "-j", type=int, metavar="N", show_default="1", help="Threads to share the networks.")
@as_json()
@as_csv(": a row for each layer")
@figure("q, c and the gradient")
@verbose
def network(
    file: str,
    propagate: bool,
    simulate: bool,
    q: str | None,
    c: float | None,
    width: int | None,
    networks: int | None,
    seed: int | None,
    jobs: int | None,
    as_json: bool,
    as_csv: bool,
    output: str | None,
    verbose: bool,
) -> None:
    """A network of layers, residual, normalised, gated and so on, from its description: what each layer does to two inputs.

    A description is a list of layers, in TOML or JSON; a string is an activation. In a file block.toml:

    \b
    layers = [
      {type = "dense", sigma_w = 1.4, sigma_b = 0.1},
      {type = "repeat", times = 12, layers = [
        {type = "residual", scale = 0.3, branch = [
          {type = "layer_norm"}, "gelu", {type = "dense", sigma_w = 1}]}]}]

    \b
    meanfield network block.toml
    meanfield network block.toml --propagate --q 1 --c 0.2 -o block.png
    meanfield network block.toml --simulate --width 500 --networks 50

    Types: dense, convolution, activation, dropout, layer_norm, rms_norm, batch_norm, residual, concatenate, mixture, gate, identity and
    repeat; their arguments are those of meanfield.layers.
    --json, --csv and -o follow two inputs, as --propagate does.
    """
    from meanfield.cli.description_file import described_network
    from meanfield.cli.figure_file import figure_path
    from meanfield.cli.progress_log import show_progress

    check_one_format(as_json, as_csv)
    if propagate and simulate:
        raise DomainError("--propagate and --simulate can't both be given; --simulate has the theory beside it")
    propagates = propagate or ((as_json or as_csv or output is not None) and not simulate)
    _refuse_idle("--simulate", simulate, {"--width": width, "--networks": networks, "--seed": seed, "--jobs": jobs})
    _refuse_idle("--propagate or --simulate", simulate or propagates, {"--q": q, "--c": c})
    start, correlation = variances("1" if q is None else q), 0.5 if c is None else c
    check_correlation(correlation)
    path = figure_path(output)
    show_progress(verbose)

    net = described_network(file)
    turns = sum(getattr(layer, "times", 1) for layer in net.layers)
    if turns > _MOST_LAYERS:
        raise DomainError(f"the network has {turns} layers; at most {_MOST_LAYERS:,} are followed here")
    if not (simulate or propagates):
        from meanfield.cli.standard_output import write_out

        write_out(f"{net}\n")
        return
    trajectory = net.propagate(start, correlation)
    sim = _sampled(net, start, correlation, width, networks, seed, jobs) if simulate else None
    if path is not None:
        _draw(trajectory, sim, path)
    if sim is None:
        _print_trajectory(net, trajectory, as_json, as_csv)
    else:
        _print_simulation(net, sim, trajectory, start, correlation, as_json, as_csv)


def _refuse_idle(needed: str, given: bool, options: dict[str, Any]) -> None:
    """An option that would change nothing is a slip."""
    for option, value in options.items():
        if value is not None and not given:
            raise DomainError(f"{option} {value} says nothing without {needed}")


def _sampled(net: Network, start: Any, c: float, width: int | None, networks: int | None, seed: int | None, jobs: int | None) -> Simulation:
    units, count, number, threads = (
        usual if value is None else value for value, usual in ((width, 500), (networks, 50), (seed, 0), (jobs, 1))
    )
    check_least(("--width", units, 2), ("--networks", count, 1), ("--seed", number, 0))
    if threads == 0:
        raise DomainError("--jobs 0 is out of range; give 1 or more, or -1 for all cores")
    return net.simulate(units, count, start, c, number, n_jobs=threads)


def _about(net: Network) -> dict[str, Any]:
    from meanfield.layers import to_description

    return {
        **to_description(net),
        "exactness": [{"place": place, "kind": kind, "why": why} for place, kind, why in net.exactness],
    }


def _print_trajectory(net: Network, trajectory: Trajectory, as_json: bool, as_csv: bool) -> None:
    from meanfield.cli.table import print_table

    columns = {name: getattr(trajectory, name) for name in _COLUMNS}
    if as_json:
        _print_json({**_about(net), "name": trajectory.names, **columns})
    elif as_csv:
        from meanfield.cli.machine_output import write_csv

        rows = zip(range(trajectory.depth + 1), *(column.tolist() for column in columns.values()), trajectory.names, strict=True)
        write_csv(("layer", *_COLUMNS, "name"), rows)
    else:
        wanted = [name for name in _COLUMNS if _tells(name, trajectory)]
        print_table(
            title=f"Two inputs through {trajectory.depth} layers",
            header=("layer", *("1 - c" if name == "epsilon" else name for name in wanted), "behind"),
            rows=[
                (str(i), *(f"{columns[name][i]:.6g}" for name in wanted), _short(trajectory.names[i]))
                for i in layers_shown(trajectory.depth)
            ],
            notes=_inexact(net),
        )


def _tells(name: str, trajectory: Trajectory) -> bool:
    """Whether a column says what no other says: the second input where it differs, means where there are any."""
    values = getattr(trajectory, name)
    if name in ("q2", "mean2"):
        return bool((values != getattr(trajectory, f"{name[:-1]}1")).any())
    return name != "mean1" or bool(values.any())


def _short(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


def _inexact(net: Network) -> list[str]:
    return [f"{place}: {kind}, {why}" for place, kind, why in net.exactness if kind != "exact"]


def _print_simulation(net: Network, sim: Simulation, trajectory: Trajectory, start: Any, c: float, as_json: bool, as_csv: bool) -> None:
    from meanfield.cli.table import print_table
    from meanfield.simulation.beside_theory import beside_theory

    verdict = sim.compare()
    found = beside_theory(sim, verdict, start, c)
    if as_json:
        sampled = {name: getattr(sim.ensemble, name) for name in ("width", "networks", "seed")}
        judged = {name: getattr(verdict, name) for name in ("consistent", "max_abs_z", "verdict")}
        _print_json({**_about(net), **sampled, "name": trajectory.names, **{name: vars(one) for name, one in found.items()}, **judged})
    elif as_csv:
        print_csv(found, trajectory.names)
    else:
        header, columns = sampled_columns(found, layers_shown(sim.depth), second=isinstance(start, tuple) and start[0] != start[1])
        print_table(
            title=sim.ensemble.label,
            header=header,
            rows=zip(*columns, strict=True),
            together=4,
            notes=[
                "± error: of the mean over networks. N → ∞: infinite width. z: against that, with what finite width may do to a mean",
                "beside the standard error; ?: not judged. The z of the gradient is that of its logarithm.",
                *_inexact(net),
                "",
                verdict.verdict,
            ],
        )


def _print_json(found: dict[str, Any]) -> None:
    from meanfield import __version__
    from meanfield.cli.machine_output import write_json

    write_json({**found, "version": __version__})


def _draw(trajectory: Trajectory, sim: Simulation | None, path: Path) -> None:
    from meanfield.cli.figure_file import write_figure
    from meanfield.plot.trajectory_panels import trajectory_panels

    write_figure(trajectory_panels(trajectory, sim), path)
