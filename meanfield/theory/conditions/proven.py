"""What is proved about an activation in the place of what is read off samples, where python-flint is installed.

Only verdicts of a theorem replace one: None changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meanfield.theory.conditions.condition import Condition, all_of

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.proof import Proof

_AGAINST = {
    "i": {"away_from_zero": "φ(0) ≠ 0", "flat_at_zero": "both slopes at 0 are 0", "grows": "|φ(x)/x| has no bound"},
    "ii": {"jumps": "φ jumps, so χ₁ = ∞ at every q", "two_lines": "φ is linear on both sides of 0, so σ_b² = 0 at every q of the edge"},
    "iii": {"falls": "E[xφφ'] < 0 at some q"},
}
_NEEDED = ("zero", "slopes", "regular", "tails")
_FOR = {
    "i": (_NEEDED, "φ(0) = 0, slopes that are not both 0, and expansions for large |x|"),
    "ii": (
        (*_NEEDED, "not_two_lines"),
        "φ(0) = 0, φ locally absolutely continuous and not linear on both sides of 0: V[φ] < q V[φ'] at every q > 0",
    ),
    "iii": ((*_NEEDED, "not_two_lines"), "E[xφφ'] > 0 at every q > 0, and q → 0 with σ_b"),
}


def proof_of(act: Activation) -> Proof | None:
    """What can be proved quickly; None without python-flint, or for a black box."""
    from meanfield.proof.balls import available

    if not available() or not act.has_formula:
        return None
    from meanfield.proof.proposition4 import quick_proof

    return quick_proof(act)


def with_proof(conditions: dict[str, Condition], proof: Proof) -> dict[str, Condition]:
    """The conditions, with what is proved in the place of what was read off samples."""
    found = {}
    for name, condition in conditions.items():
        holds, why = _proved(name, set(proof.confirmed))
        if holds is None or (condition.holds is holds and condition.proof != "numerical"):
            found[name] = condition
        elif condition.holds is holds:
            found[name] = replace(condition, proof="theorem", reason=why)
        else:
            found[name] = replace(
                condition, holds=holds, proof="theorem", reason=why, witness=condition.witness if holds is False else None
            )
    return found


def strictly(proof: Proof, measured: bool | None) -> bool | None:
    """The strict reading: proved, or as measured."""
    return measured if proof.satisfied_strictly is None else proof.satisfied_strictly


def _proved(name: str, confirmed: set[str]) -> tuple[bool | None, str]:
    for claim, why in _AGAINST.get(name, {}).items():
        if claim in confirmed and (claim != "two_lines" or "zero" in confirmed):
            return False, why
    if name == "iv":
        return (True, "aₙ² ≥ 0 for the Hermite coefficients of φ") if {"regular", "tails"} <= confirmed else (None, "")
    needed, why = _FOR[name]
    if set(needed) <= confirmed and (name != "iii" or confirmed & {"rises", "waves"}):
        return True, why
    return None, ""


def satisfied(conditions: dict[str, Condition]) -> bool | None:
    """(i)–(iv) together."""
    return all_of(c.holds for c in conditions.values())
