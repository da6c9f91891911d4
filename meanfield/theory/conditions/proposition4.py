"""Proposition 4 of Hayou et al. (2018): when a deep network on the edge of chaos can pass information as deep as one likes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meanfield.activations import activation as find_activation
from meanfield.result import Result, paged
from meanfield.theory.conditions.condition import SHOWN, Condition, all_of, as_known, condition_columns

if TYPE_CHECKING:
    from meanfield.activations import Activation


@dataclass(frozen=True, eq=False, repr=False)
class Proposition4(Result):
    """The verdict on one activation.

    Attributes
    ----------
    activation : Activation
    satisfied : bool or None
        Whether (i)–(iv) hold, with q in (ii) and (iii) *a* fixed point of F where χ₁ = 1. None: undecided.
    satisfied_strictly : bool or None
        The same with q *the limit* of the variance recursion from small inputs: the smallest fixed point of F, attracting.
    conditions : dict of str to Condition
        "i", "ii", "iii", "iv".
    conclusion : Condition
        Whether sup over c of |f(c) − c| → 0 as σ_b → 0 on the edge of chaos.
    caveats : tuple of str
        What the verdict leaves out, in plain words.
    propositions : dict of str to Condition
        "5" and "7": shorter roads to the same verdict, where they apply.
    """

    activation: Activation
    satisfied: bool | None
    satisfied_strictly: bool | None
    conditions: dict[str, Condition]
    conclusion: Condition
    caveats: tuple[str, ...]
    propositions: dict[str, Condition]

    @property
    def verdict(self) -> str:
        """The outcome in words."""
        weak, strict = SHOWN[self.satisfied], SHOWN[self.satisfied_strictly]
        return f"satisfied (q a fixed point): {weak}; strictly (q the limit of the recursion): {strict}"

    def _columns(self) -> dict[str, Any]:
        return condition_columns([*self.conditions.values(), self.conclusion, *self.propositions.values()])

    def __str__(self) -> str:
        lines = [f"Proposition 4 of Hayou et al. (2018) for {self.activation.name}", ""]
        for name, condition in self.conditions.items():
            lines.append(f"({name})".ljust(6) + f"{SHOWN[condition.holds]:<10}{condition.proof}")
            lines += [paged(condition.statement, 6), paged(condition.reason, 6)]
        lines += ["", paged(self.verdict)]
        lines.append(f"conclusion, sup|f(c) − c| → 0: {SHOWN[self.conclusion.holds]} ({self.conclusion.proof}): {self.conclusion.reason}")
        lines += [f"Proposition {name}: {SHOWN[c.holds]}: {c.reason}" for name, c in self.propositions.items()]
        lines += [f"note: {caveat}" for caveat in self.caveats]
        return paged("\n".join(lines), hang=6)


def check_proposition4(activation: Any) -> Proposition4:
    """Check conditions (i)–(iv) of Proposition 4, and whether its conclusion follows.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.

    Returns
    -------
    Proposition4
        A verdict, True, False or None (undecided), with its proof, evidence and witness for each condition; readable as text.

    Raises
    ------
    ActivationError
        If the activation can't be understood or evaluated.

    Notes
    -----
    (i) φ(0) = 0, one-sided slopes at 0 that are not both 0, |φ(x)/x| ≤ K. (ii) There is A > 0 such that every σ_b in [0, A] has a
    point on the edge of chaos. (iii) F is non-decreasing there, and q → 0 as σ_b → 0. (iv) f is convex on [0, 1]. Then
    sup|f(c) − c| → 0 as σ_b → 0. Where the extra "proof" is installed, what `prove_proposition4` shows with little work replaces what is
    read off samples: the proof is "theorem" then.

    By definition q is the limit of the variance recursion. χ₁ = 1 at *any* fixed point is weaker: for SiLU, GELU and Mish the fixed
    points with small σ_b repel. Both readings are given. The conclusion needs φ'(0+) = φ'(0−) besides; it is checked on its own.

    References
    ----------
    Hayou, Doucet, Rousseau (2018), Propositions 4, 5 and 7.

    Examples
    --------
    >>> import meanfield as mf
    >>> silu = mf.check_proposition4("silu")
    >>> silu.satisfied, silu.satisfied_strictly, silu.conclusion.holds
    (True, False, True)
    >>> mf.check_proposition4("sigmoid").conditions["i"].witness  # φ(0)
    0.5
    """
    from meanfield.theory.conditions.caveats import caveats
    from meanfield.theory.conditions.closer_look import look_closer, with_what_was_found
    from meanfield.theory.conditions.conclusion import check_conclusion
    from meanfield.theory.conditions.condition_four import condition_four
    from meanfield.theory.conditions.condition_one import condition_one
    from meanfield.theory.conditions.condition_three import condition_three
    from meanfield.theory.conditions.condition_two import condition_two
    from meanfield.theory.conditions.propositions_5_7 import proposition_five, proposition_seven
    from meanfield.theory.conditions.proven import proof_of, with_proof
    from meanfield.theory.conditions.proven import strictly as proven_strictly
    from meanfield.theory.conditions.samples import moments, sample
    from meanfield.theory.conditions.structure import structure

    given = find_activation(activation)
    closer = look_closer(given)
    act = with_what_was_found(given, closer)
    shape, values, seen = structure(act), sample(act, closer), moments(act, closer)
    one = condition_one(act, values, shape)
    edge = condition_two(act, seen, values, one)
    three = condition_three(act, seen, values, shape, one.evidence["phi(0)_is_zero"], edge)
    conditions = {name: as_known(c, act) for name, c in {"i": one, "ii": edge.condition, "iii": three, "iv": condition_four(seen)}.items()}
    strictly = all_of((one.holds, edge.limit.holds, three.evidence["holds_at_limit"], conditions["iv"].holds))
    proof = proof_of(given)
    if proof is not None:
        conditions, strictly = with_proof(conditions, proof), proven_strictly(proof, strictly)
    satisfied = all_of(c.holds for c in conditions.values())
    conclusion = as_known(check_conclusion(act, values, conditions, edge), act)
    shorter = {"5": proposition_five(act, values, shape, one, edge.condition), "7": proposition_seven(seen, values, shape)}
    propositions = {name: as_known(c, act) for name, c in shorter.items()}
    return Proposition4(
        given, satisfied, strictly, conditions, conclusion, caveats(act, conditions, edge, conclusion, satisfied, strictly), propositions
    )
