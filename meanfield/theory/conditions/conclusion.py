"""The conclusion of Proposition 4: sup|f(c) − c| → 0 on the edge of chaos as σ_b → 0. Does it follow?

On the edge f is convex with f(1) = f'(1) = 1, so f(c) − c ≥ 0 falls from c = 0 to 1 and its largest value is f(0):

    sup|f(c) − c| = f(0) = (σ_b² + σ_w² E[φ(√q Z)]²)/q = (q V[φ'] − V[φ] + E[φ]²)/(q V[φ']).

As q → 0 with slopes λ = φ'(0+), β = φ'(0−): E[φ]/√q → (λ − β)/√(2π), V[φ]/q and V[φ'] → (λ² + β²)/2, so

    f(0) → (λ − β)²/(π(λ² + β²)),

which is 0 only where the slopes agree. It takes φ'(x) → φ'(0±) as x → 0±, more than that φ has these slopes: x + x² sin(1/x) has
φ'(0) = 1, but E[φ'²] → 3/2, and f(0) → 1/3.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.expectation.moments import MEAN, V1, moment_table
from meanfield.layers import limits
from meanfield.theory.conditions.condition import Condition

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.theory.conditions.condition_two import Edge
    from meanfield.theory.conditions.samples import Samples

STATEMENT = "sup over c in [0, 1] of |f(c) − c| → 0 as σ_b → 0 on the edge of chaos"
NEAR_ENOUGH = 1e-3  # relative distance of φ' from φ'(0±) that is none
BAND, FALLING = 4, 0.95  # octaves of |x|, and the factor by which that distance falls over them at least
FAR_FROM_ZERO = 1e-2  # a sup|f − c| that has settled above this does not vanish
NOISE = 1e-9  # of sup|f − c|
SETTLED = 0.02  # relative change over the last three halvings of σ_b


def limit_of_slopes(right: float, left: float) -> float:
    """The limit of f(0) as q → 0: (λ − β)²/(π(λ² + β²)); 1/π for ReLU.

    Examples
    --------
    >>> round(limit_of_slopes(1.0, 0.0) * 3.141592653589793, 12), limit_of_slopes(1.0, 1.0)
    (1.0, 0.0)
    """
    return (right - left) ** 2 / (math.pi * (right * right + left * left))


def check_conclusion(act: Activation, values: Samples, conditions: dict[str, Condition], edge: Edge) -> Condition:
    """The verdict on the conclusion, by its limit and by its values at σ_b = 2⁻¹ … 2⁻¹²."""
    one = conditions["i"].evidence
    right, left = float(one["slope_right"]), float(one["slope_left"])
    evidence = _along(conditions["ii"])
    if edge.origin == "neutral" and edge.fixed_point.holds is False:  # φ is two lines: one point, every q
        limit = limit_of_slopes(right, left)
        evidence |= {"limit": limit, "order": math.nan}
        if limit == 0.0:
            return Condition("conclusion", STATEMENT, True, "analytic", evidence, None, "φ is linear: f(c) = c at its one point")
        return Condition("conclusion", STATEMENT, False, "analytic", evidence, limit, f"at the edge's one point f(0) = {limit:.6g}")
    if edge.fixed_point.holds is False:
        why = "there are no points on the edge with small σ_b"
        sizes = [s for s in evidence["sup"] if math.isfinite(s)]
        if conditions["ii"].evidence.get("holds_at_fixed_point") is False and len(sizes) >= 4 and _settled(sizes):
            why = f"sup|f(c) − c| → {sizes[-1]:.6g}"
            return Condition("conclusion", STATEMENT, False, "numerical", evidence | {"limit": sizes[-1]}, sizes[-1], why)
        return Condition("conclusion", STATEMENT, False, "analytic", evidence | {"limit": math.nan}, edge.fixed_point.witness, why)
    if edge.fixed_point.vanishing is False:
        q = edge.fixed_point.lowest_q
        table = moment_table(act)
        at = np.array([q])
        limit = float(table(MEAN, at)[0] ** 2 / (q * table(V1, at)[0]))
        why = f"q → {q:.6g}, not 0, and f(0) → {limit:.6g} there"
        return Condition("conclusion", STATEMENT, False, "numerical", evidence | {"limit": limit}, limit, why)
    if edge.fixed_point.holds is None or edge.fixed_point.vanishing is None or conditions["i"].holds is None:
        return Condition("conclusion", STATEMENT, None, "numerical", evidence | {"limit": math.nan}, None, "undecided with (i) and (ii)")
    limit = limit_of_slopes(right, left)
    if not slope_settles(values, right, left):
        why = "φ' does not come near φ'(0±) as x → 0±, so f(0) need not vanish"
        sizes = [s for s in evidence["sup"] if math.isfinite(s)]
        if len(sizes) >= 4 and _settled(sizes):
            return Condition(
                "conclusion", STATEMENT, False, "numerical", evidence | {"limit": sizes[-1]}, sizes[-1], f"{why}: f(0) → {sizes[-1]:.6g}"
            )
        return Condition("conclusion", STATEMENT, None, "numerical", evidence | {"limit": math.nan}, None, why)
    if limits.same_slopes(act, 0.0):
        sizes = [s for s in evidence["sup"] if math.isfinite(s)]
        if not act.has_formula and len(sizes) >= 4 and sizes[-1] > NOISE and abs(sizes[-1] - sizes[-4]) <= SETTLED * sizes[-1]:
            # φ' of x|x|^0.001 still is 0.96 at x = 2⁻⁵⁶, and 0 at 0.
            why = f"φ'(0+) and φ'(0−) can't be told apart, but sup|f(c) − c| stays at {sizes[-1]:.3g} as far as σ_b = 2⁻¹²"
            return Condition("conclusion", STATEMENT, None, "numerical", evidence | {"limit": math.nan}, None, why)
        evidence["limit"] = 0.0
        why = f"φ'(0+) = φ'(0−), so f(0) → 0{_last_text(evidence)}"
        return Condition("conclusion", STATEMENT, True, "analytic", evidence, None, why)
    evidence["limit"] = limit
    why = f"φ'(0−) = {left:.6g} and φ'(0+) = {right:.6g} differ, so f(0) → (λ − β)²/(π(λ² + β²)) = {limit:.6g}, not 0"
    return Condition("conclusion", STATEMENT, False, "analytic", evidence, limit, why)


def slope_settles(values: Samples, right: float, left: float) -> bool:
    """Whether φ'(x) → φ'(0±) as x → 0±, as E[φ'²] → (λ² + β²)/2 takes: by its distance in eight bands of |x|, 2⁻⁵⁶ … 2⁻²⁴."""
    size = max(abs(right), abs(left))
    distance = np.maximum(np.abs(values.right_slope - right), np.abs(values.left_slope - left)) / size
    bands = [
        float(np.max(distance[(values.x >= 2.0**low) & (values.x < 2.0 ** (low + BAND))], initial=0.0)) for low in range(-56, -24, BAND)
    ]
    return bands[0] <= NEAR_ENOUGH or all(a <= FALLING * b for a, b in pairwise(bands))


def _along(two: Condition) -> dict[str, Any]:
    """q, σ_w, and sup|f(c) − c| = f(0) at σ_b = 2⁻¹ … 2⁻¹², and the order at which it falls."""
    names = ("sigma_b", "sigma_w", "q", "sup")
    if "sup" not in two.evidence:
        return {**dict.fromkeys(names, ()), "f(0)": (), "order": math.nan}
    evidence: dict[str, Any] = {name: two.evidence[name] for name in names}
    sigma_b, sup = np.array(evidence["sigma_b"]), np.array(evidence["sup"])
    last = np.flatnonzero(np.isfinite(sup) & (sup > 0))[-4:]
    order = math.nan
    if last.size >= 2:
        order = float(np.polyfit(np.log(sigma_b[last]), np.log(sup[last]), 1)[0])
    return {**evidence, "f(0)": evidence["sup"], "order": order}


def _settled(sizes: list[float]) -> bool:
    return sizes[-1] > FAR_FROM_ZERO and abs(sizes[-1] - sizes[-4]) <= SETTLED * sizes[-1]


def _last_text(evidence: dict[str, Any]) -> str:
    there = [(b, s) for b, s in zip(evidence["sigma_b"], evidence["sup"], strict=True) if math.isfinite(s)]
    if not there:
        return ""
    return f"; at σ_b = {there[-1][0]:.3g} it is {there[-1][1]:.3g}, falling as σ_b^{evidence['order']:.3g}"
