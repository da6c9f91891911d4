"""A verdict on one condition: what holds, how it is known, and what shows that it does not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from meanfield.result import Result, paged

if TYPE_CHECKING:
    from meanfield.activations import Activation

SHOWN = {True: "yes", False: "no", None: "undecided"}


@dataclass(frozen=True, eq=False, repr=False)
class Condition(Result):
    """One condition on an activation.

    Attributes
    ----------
    name : str
        "i" … "iv", or what it is about.
    statement : str
        The condition in words.
    holds : bool or None
        None: undecided. A sign that is smaller than its error estimate decides nothing.
    proof : str
        "symbolic" (exact, from the formula), "analytic" (a theorem covers it), "theorem" (proved by balls, with python-flint) or
        "numerical" (with a margin, in a stated range); never more than "numerical" for a callable, which is known at samples only.
    evidence : dict
        Numbers and words behind the verdict, by name.
    witness : object
        Where the condition fails: a number such as the q with F'(q) < 0, or None.
    reason : str
        The verdict's reason in a sentence.
    """

    name: str
    statement: str
    holds: bool | None
    proof: str
    evidence: dict[str, Any] = field(default_factory=dict)
    witness: Any = None
    reason: str = ""

    def _columns(self) -> dict[str, Any]:
        return condition_columns([self])

    def __str__(self) -> str:
        return paged(f"({self.name}) {SHOWN[self.holds]}, {self.proof}: {self.reason or self.statement}")


def condition_columns(conditions: Iterable[Condition]) -> dict[str, Any]:
    """Conditions as a table, a row each."""
    rows = list(conditions)
    return {name: [getattr(row, name) for row in rows] for name in ("name", "statement", "holds", "proof", "reason")}


def all_of(verdicts: Iterable[bool | None]) -> bool | None:
    """False if one is False, None if one of the others is undecided, else True.

    Examples
    --------
    >>> all_of([True, None, False]), all_of([True, None]), all_of([True, True])
    (False, None, True)
    """
    found = list(verdicts)
    if False in found:
        return False
    return None if None in found else True


def as_known(condition: Condition, act: Activation) -> Condition:
    """The condition with the proof that φ allows: a φ without a formula is known at samples, and nothing said of it is better than that."""
    return condition if act.has_formula else replace(condition, proof="numerical")


def weakest(proofs: Iterable[str]) -> str:
    """The weakest of several kinds of proof: a chain is as good as that."""
    order = ("numerical", "theorem", "analytic", "symbolic")
    return min(proofs, key=order.index)
