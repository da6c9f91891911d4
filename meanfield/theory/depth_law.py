"""How variance, correlation and gradient depend on the depth: what ξ is for plain networks, for any repeated layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.expectation.moments import V
from meanfield.expectation.second_moment import second_moment
from meanfield.layers import limits
from meanfield.layers.normalise import LayerNorm, RMSNorm
from meanfield.layers.residual import Residual
from meanfield.layers.state import State
from meanfield.result import Result
from meanfield.theory.bend import law_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from meanfield.theory.layer_field import LayerField
    from meanfield.theory.plain_field import PlainField

STRAIGHT = 1e-11  # |1 − ε'/ε| at ε = 1e-6 up to this is no bend
UNIT = 1e-12
FAR = 1e24  # a variance at which a bounded φ's slope is felt as ∫φ'² over √(2π q)


@dataclass(frozen=True, eq=False, repr=False)
class DepthLaw(Result):
    """One quantity after l layers, to leading order.

    Attributes
    ----------
    kind : str
        "exponential": constant · exp(exponent · l). "power": constant · l^exponent. "logarithmic": constant · (log l)^exponent.
        "bounded": it tends to `constant`, and what is left falls like exp(exponent · l); exponent 0 where it is there at once, stays
        where it is, or comes near more slowly than that. "stretched": constant · exp(exponent · √l). "unknown": no law is known.
    exponent, constant : float
        constant is nan where it depends on the start.
    """

    kind: str
    exponent: float
    constant: float

    def __str__(self) -> str:
        forms = {
            "exponential": f"exp({self.exponent:.6g} l)",
            "power": f"l^{self.exponent:.6g}",
            "logarithmic": f"(log l)^{self.exponent:.6g}",
            "stretched": f"exp({self.exponent:.6g} √l)",
        }
        if self.kind not in forms:
            return f"bounded, {self.constant:.6g}" if self.kind == "bounded" else "unknown"
        return forms[self.kind] if math.isnan(self.constant) else f"{self.constant:.6g} {forms[self.kind]}"


@dataclass(frozen=True, eq=False, repr=False)
class DepthLaws(Result):
    """Of q, of 1 − c, and of the gradient |δ⁰|²/|δ^L|² by L."""

    variance: DepthLaw
    correlation: DepthLaw
    gradient: DepthLaw

    def _columns(self) -> dict[str, Any]:
        rows = {"variance": self.variance, "correlation": self.correlation, "gradient": self.gradient}
        return {"quantity": list(rows)} | {name: [getattr(law, name) for law in rows.values()] for name in ("kind", "exponent", "constant")}

    def __str__(self) -> str:
        return f"variance: {self.variance}\n1 - c: {self.correlation}\ngradient: {self.gradient}"


UNKNOWN = DepthLaw("unknown", math.nan, math.nan)


def plain_laws(net: PlainField) -> DepthLaws:
    """Of a plain network."""
    rule = net.rule
    return DepthLaws(_variance(net), _correlation(net, lambda q: law_at(net.activation, rule.w, q)[:2]), _gradient(net.chi_1))


def layer_laws(net: LayerField) -> DepthLaws:
    """Of a repeated layer."""
    layer, rule, q = net.layer, net.rule_or_none, net.q_star
    if (
        isinstance(layer, Residual)
        and abs(layer.skip) == 1.0
        and isinstance(layer.branch.layers[0], (LayerNorm, RMSNorm))
        and q == math.inf
    ):
        return _pre_normalised(net, layer)
    if rule is not None and rule.a == 1.0 and q == math.inf and limits.slopes(rule.activation, math.inf) == (0.0, 0.0):
        return _bounded_branch(net)
    return DepthLaws(_variance(net), _correlation(net, lambda _: _bend(lambda e: float(net.decorrelation_map(e)))), _gradient(net.chi_1))


def _variance(net: PlainField) -> DepthLaw:
    q = net.q_star
    slope = net.growth_far_out if math.isinf(q) else float(net.variance_slope(q))
    if 0.0 < q < math.inf:
        return DepthLaw("bounded", math.log(abs(slope)) if abs(slope) not in (0.0, 1.0) else 0.0, q)
    if not math.isfinite(slope) or slope <= 0.0:
        return UNKNOWN if q else DepthLaw("bounded", 0.0, 0.0)
    return DepthLaw("exponential", math.log(slope), math.nan) if abs(slope - 1.0) > UNIT else UNKNOWN


def _gradient(factor: float) -> DepthLaw:
    if abs(factor - 1.0) <= UNIT:
        return DepthLaw("bounded", 0.0, 1.0)
    return DepthLaw("exponential", math.log(factor), 1.0) if 0.0 < factor < math.inf else UNKNOWN


def _correlation(net: PlainField, bend: Callable[[float], tuple[float, float]]) -> DepthLaw:
    point = net._correlation_point
    if math.isnan(point.epsilon) or not 0.0 < net.q_star < math.inf:
        return UNKNOWN
    if point.epsilon > 0.0:
        return DepthLaw("bounded", math.log1p(-point.loss) if point.loss < 1.0 else -math.inf, point.epsilon)
    if point.slope < 1.0:
        return DepthLaw("exponential", math.log(point.slope) if point.slope > 0.0 else -math.inf, math.nan)
    exponent, constant = bend(net.q_star)
    return DepthLaw("power", -exponent, constant) if exponent else DepthLaw("bounded", 0.0, math.nan)


def _bend(after: Callable[[float], float]) -> tuple[float, float]:
    """(exponent, constant) of ε_l ~ constant/l^exponent from ε' at small ε: ε − ε²/β or ε − κ ε^(3/2)."""
    small, smaller = 1e-6, 1e-8
    first, second = (1.0 - after(e) / e for e in (small, smaller))
    if abs(first) <= STRAIGHT:
        return 0.0, math.nan
    if second > 0.0 and first / second < 30.0:  # ten times for √ε, a hundred for ε
        kappa = (second / math.sqrt(smaller) * 10.0 - first / math.sqrt(small)) / 9.0  # the next term is of order ε
        return 2.0, 4.0 / kappa**2
    return 1.0, small / first


def _pre_normalised(net: LayerField, layer: Residual) -> DepthLaws:
    """x + F(norm(x)): p_l ~ s² l, gradients L^(χ_F/s²), and correlations by log l."""
    unit = State.of(1.0, 1.0, 0.5)
    behind = layer.branch.apply(unit).state.whole
    added = layer.scale**2 * float(behind.q1)
    slope = float(layer.branch.apply(State.of(1.0, 1.0, np.zeros(1), np.ones(1))).state.whole.slope[0]) / float(behind.q1)
    growth = net.branch_factor * layer.scale**2 / added

    def after(epsilon: float) -> float:
        return float(np.ravel(layer.branch.apply(State.of(1.0, 1.0, np.array([epsilon]))).state.whole.epsilon)[0])

    epsilon = net._correlation_point.epsilon
    if epsilon > 0.0:
        correlation = DepthLaw("bounded", 0.0, epsilon)
    elif abs(slope - 1.0) <= UNIT:
        exponent, constant = _bend(after)
        correlation = DepthLaw("logarithmic", -exponent, constant) if exponent else DepthLaw("bounded", 0.0, math.nan)
    else:
        correlation = DepthLaw("power", -(1.0 - slope), math.nan)
    return DepthLaws(DepthLaw("power", 1.0, added), correlation, DepthLaw("power", growth, math.nan))


def _bounded_branch(net: LayerField) -> DepthLaws:
    """x + W φ(x) + b with bounded φ: p ~ s l, log gradient ~ A √l with A = 2 w ∫φ'²dx/√(2π s), and 1 − c to its limit by a power of l."""
    rule = net.rule
    if limits.oscillates(rule.activation):  # φ and φ' keep their mean squares however far out
        size = rule.w * rule.mu * limits.settled(rule.activation, V) + rule.b
        return DepthLaws(DepthLaw("power", 1.0, size), DepthLaw("bounded", 0.0, net._correlation_point.epsilon), _gradient(net.chi_1))
    ends = rule.activation.values(np.array([-1e30, 1e30]), 0)
    size = rule.w * float(np.mean(ends**2)) + rule.b
    integral = float(second_moment(rule.activation, FAR, derivative=1)) * math.sqrt(2.0 * math.pi * FAR)
    rate = 2.0 * rule.w * integral / math.sqrt(2.0 * math.pi * size)
    epsilon = net._correlation_point.epsilon
    return DepthLaws(DepthLaw("power", 1.0, size), DepthLaw("bounded", 0.0, epsilon), DepthLaw("stretched", rate, math.nan))
