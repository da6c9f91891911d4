"""Propositions 5 and 7 of Hayou et al. (2018): conditions on φ alone that give all of Proposition 4."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import AccuracyWarning, MeanFieldError
from meanfield.expectation.moments import V1
from meanfield.theory.conditions.condition import Condition, all_of

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.theory.conditions.samples import Moments, Samples
    from meanfield.theory.conditions.structure import Shape

STATEMENT_5 = "φ is bounded and odd, φ'(0) > 0, φ' ≥ 0, and xφ > 0 and xφ'' < 0 off 0; with (ii) this gives (i)–(iv)"
STATEMENT_7 = (
    "φ is bounded and V[φ'](q) = E[φ'(√q Z)²] falls no faster than q^(−β) with β in (0, 1): then σ_b² = q − V[φ]/V[φ'] → ∞ along "
    "the edge, and it reaches every σ_b from its beginning on"
)
BOUNDED = 1.02  # growth of |φ| when |x| is squared, far out
ROUNDING = 1e-13
FAR = 2.0**10  # q from which on the decay of V[φ'] is read off
MARGIN = 0.02  # of its exponent


def is_odd(values: Samples, shape: Shape | None) -> tuple[bool, str]:
    """Whether φ(−x) = −φ(x), and how that is known."""
    if shape is not None and shape.odd:
        return True, "symbolic"
    same = np.abs(values.right + values.left) <= ROUNDING * np.abs(values.right)
    return bool(values.x.size and np.all(same | (values.right == -values.left))), "numerical"


def proposition_five(act: Activation, values: Samples, shape: Shape | None, one: Condition, two: Condition) -> Condition:
    """Whether Proposition 5 applies."""
    if values.x.size == 0 or values.undefined:
        return Condition("5", STATEMENT_5, None, "numerical", {}, None, values.undefined)
    checks: dict[str, bool | None] = {}
    witnesses: dict[str, Any] = {}
    checks["odd"], evidence_for_odd = is_odd(values, shape)
    checks["bounded"], bound = _bounded(values, shape)
    slope = float(one.evidence["slope_right"])
    checks["slope_at_0_positive"] = slope > 0.0
    checks["jumps_nowhere"] = not any(b.value_jump for b in act.breakpoints)
    kinks = [b for b in act.breakpoints if b.slope_jump > 0 and b.location > 0]
    curvature, low, high = _curvature(act, values)
    tests = {
        "rises": (values.right_slope >= 0, values.x),
        "same_sign_as_x": (values.right > 0, values.x),
        "concave_beyond_0": (curvature < 0, values.x[low:high]),
    }
    for name, (good, x) in tests.items():
        checks[name] = bool(np.all(good))
        if not checks[name]:
            witnesses[name] = float(x[int(np.argmin(good))])
    if kinks:
        checks["concave_beyond_0"], witnesses["concave_beyond_0"] = False, kinks[0].location
    holds = all_of((*checks.values(), two.holds))
    evidence: dict[str, Any] = {**checks, "bound": bound, "odd_shown": evidence_for_odd, "witnesses": witnesses, "(ii)": two.holds}
    if holds:
        reason = (
            f"bounded by {bound:.6g}, odd, rising, concave beyond 0 (as sampled up to x = {float(values.x[high - 1]):.3g}), and (ii) holds"
        )
        return Condition("5", STATEMENT_5, True, "numerical", evidence, None, reason)
    failing = [name.replace("_", " ") for name, verdict in checks.items() if verdict is False]
    reason = "does not apply: not " + ", not ".join(failing) if failing else "undecided with (ii)" if two.holds is None else "(ii) fails"
    return Condition("5", STATEMENT_5, holds, "numerical", evidence, next(iter(witnesses.values()), None), reason)


def _bounded(values: Samples, shape: Shape | None) -> tuple[bool, float]:
    size = np.maximum(np.abs(values.right), np.abs(values.left))
    top = float(np.max(size))
    if shape is not None and max(-shape.low, shape.high) < math.inf:
        return True, top
    half = float(np.max(size[values.x <= math.sqrt(float(values.x[-1]))], initial=0.0))
    return math.isfinite(top) and top <= BOUNDED * half, top


def _curvature(act: Activation, values: Samples) -> tuple[Any, int, int]:
    """φ'' at the samples where it is neither rounding near 0 nor underflowed far out."""
    low = int(np.searchsorted(values.x, 2.0**-16))
    saturated = np.flatnonzero(np.abs(values.right_slope) < 1e-200)
    high = max(int(saturated[0]) if saturated.size else values.x.size, low + 1)
    high = min(high, int(np.searchsorted(values.x, 2.0**40)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)  # only the sign counts
        try:
            return act.values(np.ascontiguousarray(values.x[low:high]), 2), low, high
        except MeanFieldError:
            return np.ones(high - low), low, high


def proposition_seven(seen: Moments, values: Samples, shape: Shape | None) -> Condition:
    """Whether Proposition 7 applies: the decay of V[φ'] as a power of q."""
    if seen.q.size == 0 and seen.unknown:
        return Condition("7", STATEMENT_7, None, "numerical", {}, None, seen.unknown)
    if values.x.size == 0 or seen.q.size == 0 or seen.infinite or seen.table.steep:
        reason = "does not apply: V[φ] or V[φ'] is infinite"
        return Condition("7", STATEMENT_7, False, "analytic", {}, None, reason)
    bounded, bound = _bounded(values, shape)
    far = (seen.q >= FAR) & (seen[V1] > 0) & np.isfinite(seen[V1])
    if np.count_nonzero(far) < 16:
        return Condition("7", STATEMENT_7, None, "numerical", {}, None, "the decay of V[φ'] can't be seen")
    exponents = -np.diff(np.log(seen[V1][far])) / np.diff(np.log(seen.q[far]))
    decay = float(exponents[-1])
    evidence = {"decay": decay, "bounded": bounded, "bound": bound, "largest_decay": float(np.max(exponents))}
    holds: bool | None = False
    if bounded:
        holds = True if float(np.max(exponents[-16:])) < 1 - MARGIN else False if decay > 1 + MARGIN else None
    reason = f"V[φ'] ~ q^{-decay + 0.0:.4g} far out, φ is {'' if bounded else 'not '}bounded" + ("" if holds else ": does not apply")
    return Condition("7", STATEMENT_7, holds, "numerical", evidence, None, reason)
