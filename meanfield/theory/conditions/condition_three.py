"""Condition (iii): F never falls, and q → 0 as σ_b → 0 on the edge.

F' = σ_w² dV/dq, so for every network on the edge the first half is one question about φ: does V[φ] rise on all of (0, ∞)?
With g(x) = φ(x)² + φ(−x)², V(q) = ½E[g(√q|Z|)]: it rises at every q where g rises at every x.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import AccuracyWarning
from meanfield.expectation.moments import Q_DV, V
from meanfield.solve.scan import with_extrema
from meanfield.theory.conditions.condition import Condition, all_of, weakest
from meanfield.theory.conditions.samples import clear_sign
from meanfield.theory.conditions.waves import rising_by_its_spectrum

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array
    from meanfield.theory.conditions.condition_two import Edge, Reading
    from meanfield.theory.conditions.samples import Moments, Samples
    from meanfield.theory.conditions.structure import Shape

STATEMENT = "for every such point F is non-decreasing, and q → 0 as σ_b → 0"
ROUNDING = 1e-13  # of g, in the sign of its changes
TAILS = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)  # |x| beyond which φ² may rise


def condition_three(act: Activation, seen: Moments, values: Samples, shape: Shape | None, zero: bool | None, edge: Edge) -> Condition:
    """The verdict on (iii), with q as in the fixed-point reading; the other is in the evidence."""
    rises, proof, reason, witness, evidence = variance_rises(act, seen, values, shape, zero)
    weak, weak_reason = _vanishing(edge.fixed_point)
    strict, _ = _vanishing(edge.limit)
    evidence |= {"V_non_decreasing": rises, "q_vanishes": weak, "holds_at_limit": all_of((rises, strict))}
    holds = all_of((rises, weak))
    if rises is False:
        return Condition("iii", STATEMENT, False, proof, evidence, witness, reason)
    if weak is False:
        return Condition("iii", STATEMENT, False, "numerical", evidence, edge.fixed_point.lowest_q, f"{weak_reason} ({reason})")
    if edge.fixed_point.holds is True and edge.fixed_point.proof == "numerical":
        proof = weakest((proof, "numerical"))
    return Condition("iii", STATEMENT, holds, proof, evidence, None, f"{reason}; {weak_reason}")


def _vanishing(reading: Reading) -> tuple[bool | None, str]:
    if reading.holds is not True:  # no points for all σ_b in [0, A]: nothing to ask
        return (
            (None, "whether q → 0 is undecided with (ii)")
            if reading.holds is None
            else (True, "no points with small σ_b, so q is not asked for")
        )
    if reading.vanishing:
        return True, "q → 0 with σ_b, as σ_b² = q − V[φ]/V[φ'] > 0 for every small q"
    if reading.vanishing is False:
        return False, f"q → {reading.lowest_q:.6g} as σ_b → 0, not 0"
    return None, "whether q → 0 is undecided"


def variance_rises(
    act: Activation, seen: Moments, values: Samples, shape: Shape | None, zero: bool | None
) -> tuple[bool | None, str, str, float | None, dict[str, Any]]:
    """Whether V[φ] never falls: verdict, proof, reason, witness, evidence."""
    evidence: dict[str, Any] = {}
    if seen.q.size == 0:
        return None, "numerical", seen.unknown or seen.infinite or "E[φ(√q Z)²] has no finite values", None, evidence
    evidence["q_range"] = (float(seen.q[0]), float(seen.q[-1]))
    at, fraction, noise = _log_slope(seen)
    sign = clear_sign(fraction, noise)
    falling = np.flatnonzero(sign < 0)
    worst = int(falling[np.argmin(fraction[falling])]) if falling.size else int(np.argmin(fraction))
    evidence["smallest_log_slope"] = float(fraction[worst])
    evidence["at_q"] = float(at[worst])
    if falling.size:
        q = float(at[worst])
        return False, "numerical", f"F'(q) < 0 at q = {q:.6g}: d log V/d log q = {fraction[worst]:.4g}", q, evidence
    downwards = any(b.value_jump < 0 for b in act.breakpoints)
    upwards = any(b.value_jump > 0 for b in act.breakpoints)
    if shape is not None and zero and ((shape.rises and not downwards) or (shape.falls and not upwards)):
        way = "rises" if shape.rises else "falls"
        return True, "analytic", f"φ(0) = 0 and φ {way} everywhere, so xφφ' ≥ 0 and F rises at every q", None, evidence
    if rising_by_its_spectrum(act):
        return (
            True,
            "analytic",
            "φ² is a constant minus cosines with weights ≥ 0, whose mean falls with q: F rises at every q",
            None,
            evidence,
        )
    if _square_rises(values, 0.0):
        reason = f"φ(x)² + φ(−x)² rises with |x|, so F rises at every q ({values.x.size} samples of |x| up to {values.x[-1]:.1g})"
        return True, "numerical", reason, None, evidence
    if seen.unresolved:
        return None, "numerical", f"F' > 0 as far as the moments go, but {seen.unresolved}", None, evidence
    unseen = np.flatnonzero(sign == 0)
    # Where φ(0) ≠ 0, V hardly moves near q = 0: there a prefix of unseen signs is the one that follows it.
    if unseen.size and not (unseen[-1] == unseen.size - 1 and at[unseen[-1]] < 2.0**-20):
        q = float(at[unseen[-1]])
        return None, "numerical", f"F' is within its error at q = {q:.6g}", None, evidence
    range_ = f"F' > 0 for q in [{seen.q[0]:.1g}, {seen.q[-1]:.3g}]"
    if seen.unknown:
        return None, "numerical", f"{range_}; {seen.unknown}", None, evidence
    if seen.infinite:
        return True, "numerical", f"{range_}; {seen.infinite}", None, evidence
    tail = _tail(seen, values)
    if tail is None:
        return None, "numerical", f"{range_}, but beyond it the sign is not settled", None, evidence
    return True, "numerical", f"{range_}; beyond, {tail}", None, evidence


def _log_slope(seen: Moments) -> tuple[Array, Array, Array]:
    """q, d log V/d log q and its noise at the samples and at the extrema between them: V may fall there only."""

    def slope(q: Array) -> Array:
        return _ratio(seen.table(Q_DV, q), seen.table(V, q))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        noise = _ratio(seen.noise[Q_DV], seen[V])
        if seen.unresolved:  # the table misses what was added to the samples
            return seen.q, _ratio(seen[Q_DV], seen[V]), noise
        at, fraction = with_extrema(seen.q, _ratio(seen[Q_DV], seen[V]), slope, noise[1:-1])
    after = np.minimum(np.searchsorted(seen.q, at), seen.q.size - 1)
    return at, fraction, np.maximum(noise[after], noise[np.maximum(after - 1, 0)])


def _ratio(part: Array, whole: Array) -> Array:
    result: Array = part / np.where(whole > 0, whole, 1.0)
    return result


def _square_rises(values: Samples, start: float) -> bool:
    """Whether g never falls at samples x ≥ start, by its values and by its slope."""
    far = values.x >= start
    if values.undefined or np.count_nonzero(far) < 16:
        return False
    square, slope = values.square[far], values.square_slope[far]
    with np.errstate(invalid="ignore"):
        by_values = np.diff(square) >= -ROUNDING * square[1:]
        by_slope = slope >= -ROUNDING * square
    finite = np.isfinite(square) & np.isfinite(slope)
    return bool(np.all(by_values | ~finite[1:]) and np.all(by_slope | ~finite))


def _tail(seen: Moments, values: Samples) -> str | None:
    """Why F' > 0 beyond the largest q, or None.

    √(2πq) · q dV/dq = ∫₀^∞ h(x) e^(−x²/2q) dx with h = x g'(x)/2. Where g rises for x ≥ X, the part beyond X grows with q; the part
    below X changes by at most (X²/2q) ∫₀^X |h| dx. So a sum that exceeds this at one q stays positive beyond it.
    """
    if values.undefined or seen.q.size < 32:
        return None
    at = seen.q.size - 1 - 8
    q = float(seen.q[at])
    root = math.sqrt(2 * math.pi * q)
    total = (float(seen[Q_DV][at]) - float(seen.noise[Q_DV][at])) * root
    for limit in TAILS:
        near = values.x <= limit
        x, size = values.x[near], np.abs(values.square_slope[near])
        part = float(np.sum(0.5 * (size[1:] + size[:-1]) * np.diff(x)))
        if total > 2 * limit**2 / (2 * q) * part and _square_rises(values, limit):
            return f"φ(x)² + φ(−x)² rises for |x| ≥ {limit:g}, and the part below can't turn the sign"
    return None
