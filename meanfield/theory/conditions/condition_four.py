"""Condition (iv): the correlation map is convex on [0, 1]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meanfield.theory.conditions.condition import Condition

if TYPE_CHECKING:
    from meanfield.theory.conditions.samples import Moments

STATEMENT = "for every such point the correlation map f is convex on [0, 1]"


def condition_four(seen: Moments) -> Condition:
    """The verdict on (iv): f(c) = (σ_b² + σ_w² Σ aₙ² cⁿ)/q with the Hermite coefficients aₙ of φ(√q ·), no weight below 0."""
    evidence: dict[str, Any] = {"largest_q": float(seen.q[-1]) if seen.q.size else 0.0}
    if seen.q.size == 0:
        if seen.unknown:
            return Condition("iv", STATEMENT, None, "numerical", evidence, None, seen.unknown)
        why = f"there is no correlation map: {seen.infinite or 'E[φ²] is infinite'}"
        return Condition("iv", STATEMENT, False, "analytic", evidence, 0.0, why)
    why = "f is a power series in c with weights ≥ 0 (squares of Hermite coefficients), so convex on [0, 1]"
    if seen.infinite:
        why += f"; {seen.infinite}"
    return Condition("iv", STATEMENT, True, "analytic", evidence, None, why)
