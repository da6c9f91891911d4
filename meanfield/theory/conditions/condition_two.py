"""Condition (ii): an A > 0 such that every σ_b in [0, A] has a point on the edge of chaos, under two readings of "point".

On the edge σ_b² = s(q) = q − V[φ](q)/V[φ'](q), continuous in q. So the σ_b that are reached are an interval for each stretch of q where
s ≥ 0, and everything follows from s: no σ_b is solved for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.expectation.moments import DEFICIT, EXCESS, MEAN, V1, V
from meanfield.solve.scan import polish
from meanfield.theory.conditions.condition import Condition
from meanfield.theory.conditions.coverage import reached, runs
from meanfield.theory.conditions.samples import clear_sign
from meanfield.theory.conditions.structure import piecewise_linear
from meanfield.theory.edge_of_chaos import edge_of_chaos

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array, Mask
    from meanfield.theory.conditions.samples import Moments, Samples

STATEMENT = "there is A > 0 such that for every σ_b in [0, A] some σ_w puts (σ_b, σ_w) on the edge of chaos"
STRAIGHT = 1e-9  # distance of φ from a line, relative to the line, that is its rounding
ALONG = tuple(2.0**-k for k in range(1, 13))  # σ_b at which F'(q) is shown


@dataclass(frozen=True)
class Reading:
    """(ii) with one meaning of q: the verdict, [0, A], and what q does as σ_b → 0."""

    holds: bool | None
    A: float
    vanishing: bool | None  # q → 0 as σ_b → 0
    lowest_q: float  # the q at σ_b → 0 where that is not 0
    witness: float | None
    reason: str
    proof: str


@dataclass(frozen=True)
class Edge:
    """(ii) under both readings, and the curve's columns."""

    condition: Condition
    fixed_point: Reading
    limit: Reading
    origin: str  # status of the point at σ_b = 0


def condition_two(act: Activation, seen: Moments, values: Samples, one: Condition) -> Edge:
    """The verdict on (ii) under both readings."""
    zero, slopes = one.evidence["phi(0)_is_zero"], one.evidence["slopes_not_both_zero"]
    at_zero = edge_of_chaos(act, 0.0) if zero and slopes else None
    origin = "none" if at_zero is None else str(at_zero.status)
    if seen.table.steep:
        return _without_points(f"χ₁ = ∞ at every q: {seen.table.steep}", origin)
    if seen.q.size and math.isinf(float(seen[V1][0])):
        return _without_points(f"χ₁ = ∞ at every q: {seen.table.error(V1, float(seen.q[0]))[1]}", origin)
    if seen.q.size < 16:
        if seen.infinite and not seen.unknown:
            return _without_points(seen.infinite, origin)
        return _without_points(seen.unknown or "V[φ] can't be followed", origin, None)
    if not np.any(seen[V1] > 0):
        return _without_points("χ₁ = 0 at every q: φ is constant", origin)
    if at_zero is not None and origin == "neutral":
        proof = _two_lines_shown(act, values, float(one.evidence["slope_right"]), float(one.evidence["slope_left"]))
        if proof:
            return _two_lines(act, float(at_zero.sigma_w), proof)
    with np.errstate(divide="ignore", invalid="ignore"):
        square = seen[DEFICIT] / seen[V1]
        noise = seen.noise[DEFICIT] / seen[V1]
    usable = np.isfinite(square) & (seen[V1] > 0)
    if not usable.all():
        usable[int(np.argmin(usable)) :] = False
    sign = np.where(usable, clear_sign(square, noise), 0.0)
    weak = _fixed_point_reading(seen, square, sign, usable, zero, slopes)
    attracting = _attracting_intervals(seen, square, usable, _slope_sign(seen, zero), zero)
    strict = _limit_reading(seen, square, noise, usable, zero, weak, attracting)
    along = _along(seen, square, usable)
    evidence: dict[str, Any] = {
        "A": weak.A,
        "A_at_limit": strict.A,
        "A_is_lower_bound": _rising_to_the_end(square, usable),
        "largest_q_tried": float(seen.q[usable][-1]) if usable.any() else 0.0,
        "holds_at_fixed_point": weak.holds,
        "holds_at_limit": strict.holds,
        "reason_at_limit": strict.reason,
        "status_at_zero": origin,
        "attracting": attracting,
        **along,
    }
    evidence.update(_steepest(seen, square, usable, weak.A))
    condition = Condition("ii", STATEMENT, weak.holds, weak.proof, evidence, weak.witness, weak.reason)
    return Edge(condition, weak, strict, origin)


def _without_points(why: str, origin: str, holds: bool | None = False) -> Edge:
    witness, proof = (0.0, "analytic") if holds is False else (None, "numerical")
    reading = Reading(holds, math.nan, None, math.nan, witness, why, proof)
    evidence = {"A": math.nan, "A_at_limit": math.nan, "holds_at_fixed_point": holds, "holds_at_limit": holds, "reason_at_limit": why}
    return Edge(Condition("ii", STATEMENT, holds, proof, evidence, witness, why), reading, reading, origin)


def _two_lines_shown(act: Activation, values: Samples, right: float, left: float) -> str:
    """How φ is known to be linear on both sides of 0, or "" where a sample says that it is not."""
    for side, found in ((right, values.right), (-left, values.left)):
        if np.any(np.abs(found - side * values.x) > STRAIGHT * max(abs(right), abs(left)) * values.x):
            return ""
    return "analytic" if piecewise_linear(act) and all(b.location == 0.0 for b in act.breakpoints) else "numerical"


def _two_lines(act: Activation, sigma_w: float, proof: str) -> Edge:
    witness = ALONG[-1]
    why = (
        "φ is linear on both sides of 0, so σ_b² = q − V[φ]/V[φ'] = 0 at every q: the edge is the single point "
        f"σ_b = 0, σ_w = {sigma_w:.9g}; "
        f"there is none at σ_b = {witness:.3g} or any other"
    )
    reading = Reading(False, 0.0, None, math.nan, witness, why, proof)
    evidence = {
        "A": 0.0,
        "A_at_limit": 0.0,
        "holds_at_fixed_point": False,
        "holds_at_limit": False,
        "reason_at_limit": why,
        "status_at_zero": "neutral",
        "sigma_w": sigma_w,
        "status_at_witness": str(edge_of_chaos(act, witness).status),
    }
    return Edge(Condition("ii", STATEMENT, False, proof, evidence, witness, why), reading, reading, "neutral")


def _fixed_point_reading(seen: Moments, square: Array, sign: Array, usable: Mask, zero: bool | None, slopes: bool | None) -> Reading:
    """Every q with s(q) ≥ 0 counts."""
    top_q = float(seen.q[usable][-1]) if usable.any() else 0.0
    largest = float(np.max(square[usable])) if usable.any() else math.nan
    if zero:
        # For ρ with ρ(0) = 0, q E[ρ'² 1(x>0)] ≥ E[ρ² 1(x>0)]: the Gaussian Poincaré inequality for the odd function that
        # agrees with ρ on x > 0, whose mean is 0. The same on x < 0. Equality for lines only. So s(q) > 0 at every q > 0.
        why = (
            "φ(0) = 0 and φ is not linear on both sides of 0, so V[φ] < q V[φ'] at every q > 0 "
            "(Gaussian Poincaré inequality on each half-line)"
        )
        if slopes is False:
            note = "σ_b = 0 has no point: its q would be 0, where the slopes of φ are 0 and χ₁ = 0 for any σ_w"
            return Reading(False, math.nan, True, 0.0, 0.0, note, "analytic")
        if slopes is None:
            return Reading(
                None, math.nan, True, 0.0, None, "whether σ_b = 0 has a point is undecided: the slopes of φ at 0 are", "numerical"
            )
        # Where rounding hides s(q), or the quadrature has missed what makes it positive, the inequality still says that there is an A.
        A = math.sqrt(largest) if largest > 0.0 and not seen.unresolved else math.nan
        shown = "how large A is can't be seen" if math.isnan(A) else f"A = {A:.6g}"
        return Reading(True, A, True, 0.0, None, f"{why}; {shown}", "analytic")
    positive = np.flatnonzero(sign > 0)
    if positive.size == 0:
        if zero is None or np.any(usable & (sign == 0)):
            return Reading(None, math.nan, None, math.nan, None, "the sign of q − V[φ]/V[φ'] is within its error at some q", "numerical")
        why = f"q − V[φ]/V[φ'] < 0 at every q in [{seen.q[0]:.2g}, {top_q:.3g}], at most {largest:.3g}: no σ_b has a point with such a q"
        return Reading(False, math.nan, None, math.nan, 0.0, why, "numerical")
    first, top = int(positive[0]), math.sqrt(largest)
    before = np.flatnonzero(sign[:first] < 0)
    if zero is None or not before.size:
        return Reading(None, top, None, math.nan, None, "whether φ(0) = 0, and with it σ_b = 0, is undecided", "numerical")
    # φ(0) ≠ 0: s(q) → −φ(0)²/V[φ'](0) < 0 as q → 0, so s has a zero.
    lowest = _root(seen, DEFICIT, int(before[-1]), first)
    why = f"σ_b² = q − V[φ]/V[φ'] is negative up to q = {lowest:.6g} and covers [0, {top:.6g}²] above"
    return Reading(True, top, False, lowest, None, why, "numerical")


def _limit_reading(
    seen: Moments,
    square: Array,
    noise: Array,
    usable: Mask,
    zero: bool | None,
    weak: Reading,
    attracting: tuple[tuple[float, float], ...],
) -> Reading:
    """Only q that are the smallest fixed point of F and attract count."""
    if weak.holds is not True:
        return weak
    if seen.unresolved:
        return Reading(None, math.nan, None, math.nan, None, seen.unresolved, "numerical")
    q = seen.q
    excess = _slope_sign(seen, zero)
    there = usable & (square >= 0)
    if zero:  # s > 0 at every q > 0, whatever rounding says near q = 0
        square = np.maximum(square, 0.0)
        there = usable
    candidates = np.flatnonzero(there & (excess < 0))
    smallest = np.zeros(q.shape, dtype=bool)
    for i in candidates:
        # F(x) − x at x < q for the network on the edge at q: positive as long as q is the smallest fixed point.
        below = square[i] + seen[V][:i] / seen[V1][i] - q[:i]
        smallest[i] = bool(np.all(below > -(noise[i] + 1e-12 * q[i])))
    low, high, lowest = [], [], []
    for a, b in runs(smallest):
        stretch = square[a : b + 1]
        # The curve begins at σ_b = 0: at q = 0, or where s changes sign just below.
        begins = a == 0 if zero else a > 0 and square[a - 1] < 0
        low.append(0.0 if begins else math.sqrt(max(float(np.min(stretch)), 0.0)))
        high.append(math.sqrt(float(np.max(stretch))))
        lowest.append(float(q[a]))
    A = reached(low, high)
    if math.isnan(A) or A == 0.0:
        if np.any(there & (excess == 0)) and not candidates.size:
            return Reading(None, math.nan, None, math.nan, None, "the sign of F' − 1 is within its error", "numerical")
        beginning = f"attracting ones begin at σ_b = {attracting[0][0]:.6g}" if attracting else f"none attracts for q ≤ {q[usable][-1]:.3g}"
        why = f"near σ_b = 0 the fixed points with χ₁ = 1 repel (F' > 1), so the recursion does not stay there; {beginning}"
        return Reading(False, math.nan, None, math.nan, 0.0, why, "numerical")
    first = low.index(min(low))
    vanishing, at = (True, 0.0) if zero else (False, lowest[first])
    return Reading(True, A, vanishing, at, None, f"up to σ_b = {A:.6g} the points are the smallest fixed points, and attract", "numerical")


def _slope_sign(seen: Moments, zero: bool | None) -> Array:
    """The sign of F' − 1 along the curve; 0 where it is within its error."""
    sign = clear_sign(seen[EXCESS], seen.noise[EXCESS])
    told = np.flatnonzero(sign != 0)
    if zero and told.size:
        # F' − 1 ~ a power of q near 0, where it drowns in rounding: it has the first sign that is seen.
        sign[: told[0]] = sign[told[0]]
    return sign


def _root(seen: Moments, column: int, low: int, high: int) -> float:
    ends = np.array([seen.q[low]]), np.array([seen.q[high]])
    values = np.array([seen[column][low]]), np.array([seen[column][high]])
    return float(polish(lambda q, _: seen.table(column, q), *ends, *values)[0])


def _rising_to_the_end(square: Array, usable: Mask) -> bool:
    """Whether the largest σ_b² is the last one that was looked at."""
    if not usable.any():
        return False
    last = int(np.flatnonzero(usable)[-1])
    return bool(int(np.argmax(np.where(usable, square, -np.inf))) == last)


def _attracting_intervals(seen: Moments, square: Array, usable: Mask, slope: Array, zero: bool | None) -> tuple[tuple[float, float], ...]:
    """(σ_b at the begin, σ_b at the end) of each stretch of the curve with F' < 1, its ends to full accuracy."""
    if zero:
        square = np.maximum(square, 0.0)
    attracts = usable & (slope < 0) & (square >= 0)
    found = []
    for a, b in runs(attracts):
        ends = []
        for inner, outer in ((a, a - 1), (b, b + 1)):
            if 0 <= outer < seen.q.size and usable[outer] and square[outer] > 0 and slope[outer] > 0:
                root = _root(seen, EXCESS, min(inner, outer), max(inner, outer))
                at = np.array([root])
                ends.append(float(np.sqrt(max(float((seen.table(DEFICIT, at) / seen.table(V1, at))[0]), 0.0))))
            else:
                ends.append(0.0 if zero and inner == 0 else math.sqrt(max(float(square[inner]), 0.0)))
        if b - a > 1:
            found.append((ends[0], ends[1]))
    return tuple(found)


def _along(seen: Moments, square: Array, usable: Mask) -> dict[str, Any]:
    """The points with the smallest q at σ_b = 2⁻¹ … 2⁻¹²; nan where there is none in the range."""
    q = np.full(len(ALONG), math.nan)
    s, at = square[usable], seen.q[usable]
    for i, sigma_b in enumerate(ALONG):
        above = np.flatnonzero(s >= sigma_b**2)
        if not above.size or above[0] == 0:
            continue

        def rest(x: Array, target: float = sigma_b**2) -> Array:
            result: Array = seen.table(DEFICIT, x) / seen.table(V1, x) - target
            return result

        low, high = at[above[0] - 1 : above[0]], at[above[0] : above[0] + 1]
        q[i] = float(polish(lambda x, _: rest(x), low, high, rest(low), rest(high))[0])
    found = np.isfinite(q)
    slope, weight, sup = (np.full(q.shape, math.nan) for _ in range(3))
    if found.any():
        x = q[found]
        slopes = seen.table(V1, x)
        weight[found] = 1.0 / np.sqrt(slopes)
        slope[found] = 1.0 + seen.table(EXCESS, x) / (x * slopes)
        # sup|f(c) − c| = f(0) = (σ_b² + σ_w² E[φ]²)/q (see conclusion.py)
        sup[found] = (np.array(ALONG)[found] ** 2 + seen.table(MEAN, x) ** 2 / slopes) / x
    columns = {"sigma_b": np.array(ALONG), "sigma_w": weight, "q": q, "variance_slope": slope, "sup": sup}
    return {name: tuple(float(v) for v in column) for name, column in columns.items()}


def _steepest(seen: Moments, square: Array, usable: Mask, A: float) -> dict[str, Any]:
    """The largest F'(q) on the curve."""
    there = usable & (square > 0)
    if not there.any() or math.isnan(A):
        return {}
    slope = 1.0 + seen[EXCESS][there] / (seen.q[there] * seen[V1][there])
    i = int(np.argmax(slope))
    return {"steepest_variance_slope": float(slope[i]), "steepest_at_q": float(seen.q[there][i])}
