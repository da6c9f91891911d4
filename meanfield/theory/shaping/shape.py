"""`shape_activation`: the activation changed to suit a depth, in place of the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.activations.kept import Kept
from meanfield.activations.shaped import Shape, ShapedActivation
from meanfield.errors import DomainError
from meanfield.expectation.arguments import within
from meanfield.expectation.poles import not_square_integrable
from meanfield.theory.recommend import checked_layers
from meanfield.theory.shaping.equations import LOST, NEARLY, SAME, WORST, Equations, Places, nearest, solved
from meanfield.theory.shaping.landscape import far_landscape, landscape
from meanfield.theory.shaping.rectified import (
    PARAMETER,
    kappa_for_slope,
    leaky_excess,
    leaky_shape,
    slopes_only,
    slopes_only_shapes,
)
from meanfield.theory.shaping.subnetworks import InARow, InNetwork
from meanfield.theory.standardisation import standardisation

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.theory.network import Network

    Graph = InARow | InNetwork

METHODS = ("dks", "tat", "standard", "scale")
EQUAL = 1e-9  # of γα: mirror images, of which the one with β > 0 comes first
LEAST_TARGET = 1e-12  # C'(1) − 1 or C''(1) that can be told from 0
LEAST_SLOPE = 1e-70  # of φ, and the reciprocal of the largest: fourth powers are asked for
ALIKE = 1.05  # finite-width errors within so much of the smallest count as the smallest

_found: Kept[dict[tuple[str, float], tuple[Shape, ...]]] = Kept("shapes")


def shape_activation(
    activation: Any,
    depth: int | None = None,
    method: str = "dks",
    *,
    network: Network | None = None,
    zeta: float = 1.5,
    tau: float = 0.3,
    eta: float = 0.9,
) -> ShapedActivation:
    """φ̂(x) = γ(φ(αx + β) + δ), to be used with σ_w = 1 and σ_b = 0.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts. Of "leaky_relu" and "prelu" the negative slope is solved for, whatever it is given as.
    depth : int
        Number of activations one behind the other, in [1, 10⁸]. "standard" and "scale" don't ask for it.
    method : {"dks", "tat", "standard", "scale"}
        "dks" (Martens et al. 2021): Q(1) = 1, Q'(1) = 1, C(0) = 0 and C'(1) = ζ_L, with which the whole network has C'(1) = zeta.
        "tat" (Zhang et al. 2022): Q(1) = Q'(1) = C'(1) = 1 and C''(1) = τ_L, with which the network has C''(1) = tau; for leaky ReLUs in
        place of it C(0) = eta for the whole network. "standard": mean 0 and variance 1 at Z ~ N(0, 1). "scale": divided by the standard
        deviation.
    network : Network, optional
        In place of a depth: targets hold for the worst subnetwork, residual branches included. Every `Activation` layer in it stands for
        the shaped one.
    zeta : float
        Above 1: the slope C'(1) of the network, for "dks".
    tau : float
        Above 0: the curvature C''(1) of the network, for "tat".
    eta : float
        In (0, 1): the correlation that c = 0 ends at, for "tat" with leaky ReLUs.

    Returns
    -------
    ShapedActivation
        An `Activation` with .output_scale (γ), .input_scale (α), .input_shift (β), .output_shift (δ), .solutions (best first, see
        below), .targets, .reached and .residual: the largest departure from a target, of C'(1) − 1 or C''(1)
        relative to the target, of Q'(1) in units of it.

    Raises
    ------
    DomainError
        If an argument is out of range, or there is no solution: the message says why.

    Notes
    -----
    Both methods leave two equations in (α, β). As the depth grows their solutions tend to the roots β of φ''² + 2φ'φ''' (DKS: the
    inflection points of |φ'|^{3/2}) and of φ'φ''' ± φ''|φ''|/√2 (TAT), with α ≈ √(2(ζ_L − 1))|φ'/φ''| and √τ_L|φ'/φ''|; φ without
    such a root (exp, powers) has no solution at large depth. All are looked for, in a grid of (α, β) that is made once for each φ.
    The best has the smallest γα, at which φ̂ is closest to the identity, among those whose error at finite width is within 5% of the
    smallest: √(v + (¼Q''(1)Lv)²) with v = E φ̂⁴ − 1, spread and shift of the variance behind as many layers as they are wide.
    Of a ReLU, where α is no unknown, "dks" asks no Q'(1).

    References
    ----------
    Martens et al. (2021), arXiv 2110.01765; Zhang, Botev, Martens (2022), arXiv 2203.08120.

    Examples
    --------
    >>> import meanfield as mf
    >>> a = mf.shape_activation("tanh", depth=100, method="dks")
    >>> round(a.input_scale, 9), round(a.input_shift, 9), len(a.solutions), a.residual < 1e-11
    (0.090437945, 0.560106691, 2, True)
    >>> leaky = mf.shape_activation("leaky_relu", depth=50, method="tat")
    >>> round(leaky.parameters["negative_slope"], 10)
    0.4305229485
    """
    act = find_activation(activation)
    if method not in METHODS:
        raise DomainError(f"method = {method!r} must be one of {', '.join(map(repr, METHODS))}")
    if isinstance(act, ShapedActivation):
        raise DomainError(f"activation = {act.name!r} is shaped already; shape {act.base.name!r}")
    zeta = _number("zeta", zeta, 1.0, 1e6, open_low=True)
    tau = _number("tau", tau, 0.0, 1e6, open_low=True)
    eta = _number("eta", eta, 0.0, 1.0, open_low=True, open_high=True)
    if method in ("standard", "scale"):
        return _standardised(act, method)
    graph = _graph(depth, network)
    if any(b.value_jump != 0.0 for b in act.breakpoints):
        where = next(b.location for b in act.breakpoints if b.value_jump != 0.0)
        raise DomainError(f"{act.name} jumps at x = {where:.6g}: C'(1) is infinite whatever the scales, and {method!r} has no solution")
    for order in (1, 2) if method == "tat" else (1,):
        singular = not_square_integrable(act, order)
        if singular is not None:
            raise DomainError(
                f"φ{order * chr(39)} of {act.name} has no mean square beside x = {singular:.6g}, and {method!r} has no solution"
            )
    if method == "dks":
        return _dks(act, graph, zeta)
    return _tat(act, graph, tau, eta)


def _graph(depth: Any, network: Any) -> Graph:
    if (depth is None) == (network is None):
        raise DomainError("shape_activation needs one of depth and network: a number of layers in a row, or a meanfield.Network")
    if network is None:
        return InARow(checked_layers(depth))
    from meanfield.theory.network import Network

    if not isinstance(network, Network):
        raise DomainError(f"network must be a meanfield.Network, not {type(network).__name__}")
    return InNetwork(network)


def _dks(act: Activation, graph: Graph, zeta: float) -> ShapedActivation:
    target = graph.slope(zeta)
    targets = {"Q(1)": 1.0, "Q'(1)": 1.0, "C(0)": 0.0, "C'(1)": 1.0 + target}
    name = f"dks({act.name}, {graph})"
    if act.name in PARAMETER:
        kappa = kappa_for_slope(target)
        shape = leaky_shape(act, kappa, centred=True)
        reached = _leaky_reached(shape, centred=True)
        residual = max(abs(reached["Q(1)"] - 1.0), abs(leaky_excess(shape) / target - 1.0))
        return _leaky(act, replace(shape, residual=residual, reached=reached), targets, "dks", name)
    if slopes_only(act):
        shapes = slopes_only_shapes(act, target)
        if not shapes:
            raise DomainError(f"no input_shift gives {act.name} C'(1) = {1.0 + target:.9g} at {graph}")
        del targets["Q'(1)"]
        why = "only C'(1) is asked: α is no unknown of a φ that is two lines, and Q'(1) = 1 would need another"
        order = sorted(shapes, key=lambda shape: (round(math.log(shape.slope) / EQUAL), -shape.input_shift))
        ranked = tuple(replace(shape, reason=f"γα = {shape.slope:.6g}; {why}") for shape in order)
        return ShapedActivation(act, ranked, targets, "dks", name)
    return ShapedActivation(act, _all(act, Equations("dks", target), graph), targets, "dks", name)


def _tat(act: Activation, graph: Graph, tau: float, eta: float) -> ShapedActivation:
    name = f"tat({act.name}, {graph})"
    if act.name in PARAMETER:
        kappa = graph.kappa(eta)
        shape = leaky_shape(act, kappa, centred=False)
        reached = {**_leaky_reached(shape, centred=False), "C^L(0)": 1.0 - graph.left(kappa)}
        residual = max(abs(reached["Q(1)"] - 1.0), abs(reached["C^L(0)"] - eta) / (1.0 - eta))
        targets = {"Q(1)": 1.0, "Q'(1)": 1.0, "C'(1)": 1.0, "C^L(0)": eta}
        return _leaky(act, replace(shape, residual=residual, reached=reached), targets, "tat", name)
    kinks = [b for b in act.breakpoints if b.slope_jump != 0.0]
    if kinks:
        raise DomainError(
            f"method = 'tat' needs E φ''² < ∞, and φ' of {act.name} jumps at x = {kinks[0].location:.6g}: C''(1) is infinite whatever the "
            "scales; use method = 'dks', or 'leaky_relu', whose negative slope is solved for"
        )
    target = graph.curvature(tau)
    targets = {"Q(1)": 1.0, "Q'(1)": 1.0, "C'(1)": 1.0, "C''(1)": target}
    return ShapedActivation(act, _all(act, Equations("tat", target), graph), targets, "tat", name)


def _all(act: Activation, equations: Equations, graph: Graph) -> tuple[Shape, ...]:
    """Every solution; they are kept with the activation."""
    if act not in _found:
        _found[act] = {}
    kept, key = _found[act], (equations.name, equations.target)
    if key not in kept:
        view = landscape(act)
        starts = view.starts(equations)
        shapes = solved(act, equations, starts, view.scale)
        if not shapes:
            further, cuts = far_landscape(act, view.scale)
            shapes = solved(act, equations, further.starts(equations), view.scale, cuts) if further.grids else []
        if not shapes:
            why = _unconfirmed(act, equations, starts, view.scale)
            if why:
                told = f"no input_scale and input_shift could be confirmed for method = {equations.name!r}, {act.name} at {graph}"
                raise DomainError(f"{told}: {why}")
            raise DomainError(_nothing(act, equations, graph))
        kept[key] = tuple(shapes)
    return _ranked(list(kept[key]), graph.layers)


def _ranked(shapes: list[Shape], depth: int) -> tuple[Shape, ...]:
    """Among those with next to the smallest error at finite width the smallest γα first; then by that error. The smallest |β| of equals."""
    errors = {id(shape): shape.finite_width_error(depth) for shape in shapes}
    least = min(errors.values())

    def place(shape: Shape) -> tuple[bool, float, float, float]:
        worse = errors[id(shape)] > ALIKE * least
        size = round(math.log(errors[id(shape)] if worse else shape.slope) / EQUAL)
        return worse, size, round(abs(shape.input_shift) / SAME), -shape.input_shift

    order = sorted(shapes, key=place)
    ranked = []
    for index, shape in enumerate(order):
        why = f"γα = {shape.slope:.6g}, Q''(1) = {shape.variance_curvature:.2g}, finite-width error {errors[id(shape)]:.4g}"
        if len(order) == 1:
            why += ", the only one found"
        elif index == 0:
            why += f": of {len(order)}, the smallest γα among those with the smallest error"
        elif any(abs(math.log(shape.slope / other.slope)) < 2 * EQUAL for other in order[:index]):
            why += ", a mirror image"
        ranked.append(replace(shape, reason=why))
    return tuple(ranked)


def _unconfirmed(act: Activation, equations: Equations, starts: Places, scale: float) -> str:
    """Why what looks like a solution is none that can be handed on, in words and numbers; nothing where nothing looks like one."""
    quantity = "C'(1) − 1" if equations.name == "dks" else "C''(1)"
    if equations.target < LEAST_TARGET:
        return f"{quantity} = {equations.target:.3g} is less than double precision tells from 0"
    if not starts.alpha.size:
        return ""
    alpha, beta = float(starts.alpha[0]), float(starts.beta[0])
    near = f"near input_scale = {alpha:.4g}, input_shift = {beta:.4g}"
    size, slope = abs(float(act(beta))), alpha * abs(float(act.derivative(beta)))
    if size > LOST * slope > 0.0:
        return f"{near} φ is {size:.3g} and varies by {slope:.3g} only: φ + output_shift loses its digits; subtract a constant from φ"
    if nearest(act, equations, starts, scale) > NEARLY:
        return ""
    return f"{near} {quantity} and Q'(1) come close, but not within {WORST:g}: φ is too rough or too noisy there, or just misses it"


def _nothing(act: Activation, equations: Equations, graph: Graph) -> str:
    """Why there is no solution, in words and numbers."""
    method, target = equations.name, equations.target
    quantity = "C'(1) − 1" if method == "dks" else "C''(1)"
    told = f"no input_scale and input_shift solve method = {method!r} for {act.name} at {graph}"
    steepest = float(np.max(np.abs(act.values(landscape(act).scale * np.array([-1.0, -0.3, 0.3, 1.0]), 1))))
    if steepest > 1.0 / LEAST_SLOPE or 0.0 < steepest < LEAST_SLOPE:
        return f"{told}: φ' is about {steepest:.3g}, whose powers double precision does not hold; divide φ by that"
    parts: list[list[str]] = []
    for sign in equations.signs:
        balances = landscape(act).balances(equations, sign)
        if not balances.size:
            return (
                f"{told}: {quantity} = {target:.6g} is not reached by any: φ is too close to a line, or too far from one. "
                f"{_looked_for(act)}"
            )
        ranges = [
            f"between {side.min():.6g} and {side.max():.6g}" for side in (balances[balances < 0.0], balances[balances >= 0.0]) if side.size
        ]
        if not parts or ranges != parts[-1]:  # of a φ with a symmetry both signs of TAT tell the same
            parts.append(ranges)
    apart = "; ".join(
        f"(Q'(1) − 1)/({quantity}) lies {' or '.join(ranges)} wherever {quantity} = {target:.6g}, and 0 is asked" for ranges in parts
    )
    curve = "φ''² + 2φ'φ'''" if method == "dks" else "φ'φ''' ± φ''|φ''|/√2"
    kinked = any(b.slope_jump != 0.0 for b in act.breakpoints)
    roots = "" if kinked else f". At large depth solutions stand at the roots of {curve} only"
    return f"{told}: {apart}{roots}. {_looked_for(act)}"


def _looked_for(act: Activation) -> str:
    most, furthest = landscape(act).reach
    return f"Looked for with input_scale up to {most:.3g} and input_shift within ±{furthest:.3g}"


def _leaky(act: Activation, shape: Shape, targets: Mapping[str, float], method: str, name: str) -> ShapedActivation:
    why = f"the only negative slope in (−1, 1): {next(iter(shape.parameters.values())):.12g}"
    given: dict[str, Any] = dict(shape.parameters)
    base = find_activation(act.name, **given)
    return ShapedActivation(base, (replace(shape, reason=why),), targets, method, name)


def _leaky_reached(shape: Shape, centred: bool) -> dict[str, float]:
    """By closed form from the slope itself: E φ² = E φ'² = (1 + s²)/2, E φ = (1 − s)/√2π, and φ'(Z)Z = φ(Z)."""
    (s,) = shape.parameters.values()
    square, mean = 0.5 * (1.0 + s * s), (1.0 - s) / math.sqrt(2.0 * math.pi)
    gain = shape.output_scale**2
    q = gain * (square + 2.0 * mean * shape.output_shift + shape.output_shift**2)
    found = {"Q(1)": q, "Q'(1)": gain * (square + mean * shape.output_shift), "C'(1)": gain * square / q}
    return {**found, "C(0)": gain * (mean + shape.output_shift) ** 2 / q} if centred else found


def _standardised(act: Activation, method: str) -> ShapedActivation:
    found = standardisation(act)
    if not (found.std > 0.0 and math.isfinite(found.std)):
        raise DomainError(f"method = {method!r} divides by the standard deviation of {act.name} at Z ~ N(0, 1), which is {found.std:g}")
    shift = -found.mean if method == "standard" else 0.0
    targets = {"mean": 0.0, "variance": 1.0} if method == "standard" else {"variance": 1.0}
    reached = {"mean": found.gain * (found.mean + shift), "variance": (found.gain * found.std) ** 2}
    residual = max(abs(reached[name] - value) for name, value in targets.items())
    shape = Shape(found.gain, 1.0, 0.0, shift, residual, {name: reached[name] for name in targets}, "the only one")
    return ShapedActivation(act, (shape,), targets, method, f"{method}({act.name})")


def _number(name: str, value: Any, low: float, high: float, *, open_low: bool = False, open_high: bool = False) -> float:
    array = within(name, value, low, high)
    if array.ndim:
        raise DomainError(f"{name} must be one number, not an array of shape {array.shape}")
    number = float(array)
    if (open_low and number == low) or (open_high and number == high):
        raise DomainError(f"{name} = {number!r} is out of range: it must lie strictly between {low:g} and {high:g}")
    return number
