"""``meanfield depth``: how many layers a signal travels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from meanfield.cli.command import command
from meanfield.cli.options import as_csv, as_json, check_one_format, formula, parameters, verbose
from meanfield.errors import DomainError

if TYPE_CHECKING:
    from meanfield.activations import Activation

_MOST_POINTS = 10_000
_LAW = "law: what 1 - c tends to after l layers on the edge of chaos."


@dataclass(frozen=True)
class _Point:
    """One (σ_b, σ_w) with what is known of it; nan where there is no edge of chaos."""

    sigma_b: float
    sigma_w: float = math.nan
    q: float = math.nan
    status: str = "none"
    c_star: float = math.nan
    chi_1: float = math.nan
    xi_q: float = math.nan
    xi_c: float = math.nan
    xi_grad: float = math.nan
    layers: float = math.nan
    exponent: float = math.nan
    constant: float = math.nan
    kind: str = ""
    reason: str = ""


_FIELDS = tuple(_Point.__dataclass_fields__)


@command("depth silu --sigma-b 0.2", "depth tanh --sigma-w 1.3,2.5 --sigma-b 0.3 --csv")
@formula
@click.option(
    "--sigma-b",
    metavar="GRID",
    help="σ_b: 0.2, or 0,0.1,0.5, or start:stop:step with the stop included. Left out: 0.2, or 0 where there is no other.",
)
@click.option("--sigma-w", metavar="GRID", help="σ_w, in the same way; on the edge of chaos where it is left out.")
@click.option("--c0", default=0.5, help="The correlation of the two inputs, in [-1, 1].")
@click.option("--threshold", default=0.01, help="How near c* counts as arrived.")
@click.option("--depth", "layers", type=int, metavar="N", help="Also recommend an initialisation for a network of N layers.")
@parameters
@as_json()
@as_csv()
@verbose
def depth(
    activation: str,
    sigma_b: str | None,
    sigma_w: str | None,
    c0: float,
    threshold: float,
    layers: int | None,
    parameter: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
    verbose: bool,
) -> None:
    """How many layers until two inputs can't be told apart: |c - c*| < threshold, the variance held at its fixed point.

    Without --sigma-w on the edge of chaos. σ's are standard deviations.
    """
    from meanfield.cli.parameter import named_activation
    from meanfield.cli.progress_log import show_progress
    from meanfield.cli.sigma_grid import sigma_grid

    check_one_format(as_json, as_csv)
    if not -1.0 <= c0 <= 1.0:
        raise DomainError(f"--c0 {c0!r} is out of range; a correlation lies in [-1, 1]")
    if not (threshold > 0.0 and math.isfinite(threshold)):
        raise DomainError(f"--threshold {threshold!r} is out of range; give a finite number above 0")
    if layers is not None and layers < 1:
        raise DomainError(f"--depth {layers} is out of range; give 1 or more layers")
    biases = sigma_grid("0.2" if sigma_b is None else sigma_b, "--sigma-b")
    weights = None if sigma_w is None else sigma_grid(sigma_w, "--sigma-w")
    if len(biases) * len(weights or [0.0]) > _MOST_POINTS:
        raise DomainError(f"--sigma-b and --sigma-w ask for more than {_MOST_POINTS:,} points; give at most {_MOST_POINTS:,}")
    show_progress(verbose)

    phi = named_activation(activation, parameter)
    if weights is None and sigma_b is None:
        biases = _usual(phi)
    if weights is None:
        points = [_on_the_edge(phi, bias, c0, threshold) for bias in biases]
    else:
        points = [_off_the_edge(phi, bias, weight, c0, threshold) for bias in biases for weight in weights]
    advice = None if layers is None else _recommendation(phi, layers)
    if as_json:
        _print_json(phi, points, c0, threshold, advice)
    elif as_csv:
        from meanfield.cli.machine_output import write_csv

        write_csv(_FIELDS, ([getattr(point, name) for name in _FIELDS] for point in points))
    else:
        _print_table(phi, points, c0, threshold, advice, edge=weights is None)


def _usual(phi: Activation) -> list[float]:
    """0.2; or 0 for an activation whose edge of chaos is that one point, as ReLU's is."""
    from meanfield.theory.edge_of_chaos import edge_of_chaos

    alone = edge_of_chaos(phi, sigma_b=0.2).status == "none" and edge_of_chaos(phi, sigma_b=0.0).status != "none"
    return [0.0 if alone else 0.2]


def _on_the_edge(phi: Activation, sigma_b: float, c0: float, threshold: float) -> _Point:
    from meanfield.theory.asymptotics import asymptotics
    from meanfield.theory.depth import propagation_depth
    from meanfield.theory.edge_of_chaos import edge_of_chaos

    edge = edge_of_chaos(phi, sigma_b=sigma_b)
    if edge.status == "none":
        return _Point(sigma_b, reason=str(edge.reason))
    exponent, constant, kind, reason = math.nan, math.nan, "", ""
    try:
        law = asymptotics(phi, sigma_b=sigma_b)
        exponent, constant, kind = float(law.exponent), float(law.constant), str(law.kind)
    except DomainError as error:  # an infinite φ' leaves the layers countable, but gives another law
        reason = str(error)
    return _Point(
        sigma_b=sigma_b,
        sigma_w=float(edge.sigma_w),
        q=float(edge.q),
        status=str(edge.status),
        c_star=1.0,
        chi_1=1.0,
        xi_q=_depth_scale(float(edge.variance_slope)),
        xi_c=math.inf,
        xi_grad=math.inf,
        layers=float(propagation_depth(phi, sigma_b=sigma_b, c0=c0, threshold=threshold)),
        exponent=exponent,
        constant=constant,
        kind=kind,
        reason=reason,
    )


def _depth_scale(slope: float) -> float:
    """−1/log|slope|, as in `MeanField.depth_scales`."""
    size = abs(slope)
    if size == 0.0 or math.isinf(size):
        return 0.0
    return math.inf if size == 1.0 else -1.0 / math.log(size)


def _off_the_edge(phi: Activation, sigma_b: float, sigma_w: float, c0: float, threshold: float) -> _Point:
    from meanfield.theory.depth import propagation_depth
    from meanfield.theory.mean_field import MeanField

    network = MeanField(phi, sigma_w=sigma_w, sigma_b=sigma_b)
    scales = network.depth_scales
    return _Point(
        sigma_b=sigma_b,
        sigma_w=sigma_w,
        q=float(network.q_star),
        status=network.phase,
        c_star=float(network.c_star),
        chi_1=float(network.chi_1),
        xi_q=float(scales.xi_q),
        xi_c=float(scales.xi_c),
        xi_grad=float(scales.xi_grad),
        layers=float(propagation_depth(phi, sigma_b=sigma_b, sigma_w=sigma_w, c0=c0, threshold=threshold)),
        kind="exponential",
    )


def _recommendation(phi: Activation, layers: int) -> dict[str, Any]:
    from meanfield.theory.recommend import recommend

    found = recommend(phi, depth=layers)
    return {
        "depth": layers,
        "sigma_w": float(found.sigma_w),
        "sigma_b": float(found.sigma_b),
        "q": float(found.q),
        "reason": str(found.reason),
    }


def _print_json(phi: Activation, points: list[_Point], c0: float, threshold: float, advice: dict[str, Any] | None) -> None:
    from meanfield.cli.machine_output import write_answer

    columns = {name: [getattr(point, name) for point in points] for name in _FIELDS}
    write_answer(phi, {"c0": c0, "threshold": threshold, **columns, "recommendation": advice})


def _print_table(phi: Activation, points: list[_Point], c0: float, threshold: float, advice: dict[str, Any] | None, edge: bool) -> None:
    from meanfield.cli.table import number, print_table

    columns: list[tuple[str, list[str]]] = [
        ("σ_b", [number(point.sigma_b) for point in points]),
        ("σ_w", [number(point.sigma_w) for point in points]),
        ("q" if edge else "q*", [number(point.q) for point in points]),
        ("layers", [number(point.layers) for point in points]),
    ]
    if not edge:
        columns += [("c*", [number(point.c_star) for point in points]), ("χ₁", [f"{point.chi_1:.6g}" for point in points])]
    columns.append(("ξ_q", [_short(point.xi_q) for point in points]))
    if not edge:
        columns += [("ξ_c", [_short(point.xi_c) for point in points]), ("ξ_∇", [_short(point.xi_grad) for point in points])]
    else:
        columns.append(("law", [_law(point) for point in points]))
    columns.append(("status" if edge else "phase", [point.status for point in points]))
    reasons = {point.reason for point in points if point.reason}
    if len(reasons) > 1:
        columns.append(("reason", [point.reason for point in points]))
    notes = [
        f"layers: until |c - c*| < {threshold:g}, from c = {c0:g} with the variance held at {'q' if edge else 'q*'}; inf: never.",
        "ξ: depth scales in layers, -1/log|slope|; negative: what grows by a factor e in as many layers.",
    ]
    if edge:
        notes += [_LAW, "On the edge of chaos χ₁ = 1: ξ_c and ξ_∇ are infinite."]
    if edge and any(point.status == "repelling" for point in points):
        notes.append("repelling: variances near q leave it, with depth scale |ξ_q|; inputs don't stay at this point.")
    notes += [f"—: {reason}." for reason in reasons if len(reasons) == 1]
    if advice is not None:
        words = ", ".join(f"{symbol} = {number(advice[name])}" for symbol, name in (("σ_w", "sigma_w"), ("σ_b", "sigma_b"), ("q", "q")))
        notes += ["", f"For {advice['depth']} layers: {words}.", advice["reason"]]
    print_table(
        title=f"How deep signals go: {phi.name}" + (", on the edge of chaos" if edge else ""),
        header=[name for name, _ in columns],
        rows=zip(*(cells for _, cells in columns), strict=True),
        notes=notes,
    )


def _short(value: float) -> str:
    return "—" if math.isnan(value) else f"{value:.6g}"


def _law(point: _Point) -> str:
    if math.isnan(point.constant):
        return "—"
    if point.exponent == 0:
        return "1 - c_0"
    return f"{point.constant:.6g}/l" + ("" if point.exponent == 1 else f"^{point.exponent:g}")
