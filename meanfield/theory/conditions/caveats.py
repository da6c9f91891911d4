"""What a verdict on Proposition 4 leaves out, in plain words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.theory.conditions.condition import Condition
    from meanfield.theory.conditions.condition_two import Edge

_CLAIMS = {
    "softplus": "Hayou et al. (2018) name Softplus with ELU and SELU as satisfying the conditions; but φ(0) = log 2 ≠ 0, and no fixed "
    "point has χ₁ = 1.",
    "selu": "Hayou et al. (2018) claim the conclusion for SELU; the conditions hold, but f(0) does not vanish, as the slopes at 0 differ.",
    "silu": "Hayou et al. (2018) note F'(q) ≈ 1 + 0.01 on the edge of Swish; exactly, it reaches 1.10.",
}
_ALIKE = {"swish": "silu"}


def caveats(
    act: Activation,
    conditions: dict[str, Condition],
    edge: Edge,
    conclusion: Condition,
    satisfied: bool | None,
    strictly: bool | None,
) -> tuple[str, ...]:
    """The notes that belong to a verdict."""
    notes = []
    evidence = conditions["ii"].evidence
    if satisfied is True and strictly is not True:
        steepest = float(evidence.get("steepest_variance_slope", math.nan))
        intervals = evidence.get("attracting", ())
        begins = f" Attracting points begin at σ_b = {intervals[0][0]:.6g}." if intervals else " None of the points found attracts."
        notes.append(
            f"The two readings differ. With small σ_b, χ₁ = 1 holds at a fixed point that repels variances (F' up to {steepest:.4g} at "
            f"q = {float(evidence.get('steepest_at_q', math.nan)):.4g}): inputs leave it, unless they are scaled to q exactly.{begins}"
        )
    if strictly is True and edge.origin == "repelling":
        notes.append("At σ_b = 0 itself the fixed point q = 0 repels; for every small σ_b > 0 the point on the edge attracts.")
    if satisfied is True and conclusion.holds is False:
        notes.append(
            "The conditions hold, but the conclusion does not follow: as σ_b → 0 sup|f(c) − c| → "
            f"{float(conclusion.evidence['limit']):.6g}, "
            "since the slopes of φ on both sides of 0 differ. The published proof needs f(0) to vanish with q, which takes φ'(0+) = φ'(0−)."
        )
    claim = _ALIKE.get(act.name, act.name)
    if claim in _CLAIMS and all(value == 1.0 for key, value in act.parameters.items() if key == "beta"):
        notes.append(_CLAIMS[claim])
    undecided = [name for name, c in conditions.items() if c.holds is None]
    if undecided:
        notes.append(f"Undecided: ({'), ('.join(undecided)}). A sign smaller than its error estimate is not guessed.")
    numerical = [name for name, c in conditions.items() if c.holds is True and c.proof == "numerical"]
    if numerical:
        notes.append(f"Shown numerically, from samples and with a margin, not proven: ({'), ('.join(numerical)}).")
    return tuple(notes)
