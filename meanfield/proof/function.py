"""φ as the proofs see it: exact pieces, whether it is continuous, and expansions far out on both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from meanfield.activations.formula.tree import Node
from meanfield.proof.balls import Ball, ProofError, flint, precision
from meanfield.proof.expansions import Expansion, Expansions
from meanfield.proof.jets import Jet, evaluate, real
from meanfield.proof.pieces import Pieces, continuity, cut_up

if TYPE_CHECKING:
    from meanfield.activations import Activation

STARTS = (8, 12, 16, 24, 32, 64, 128, 256, 1024)
BITS = 96  # for what is decided once: cuts, signs of constants, expansions


@dataclass(frozen=True)
class Tail:
    """φ(x), φ'(x), φ''(x) for all x ≥ start of one side; on the left side of φ(−x), as a function of x."""

    start: int
    jet: Jet


@dataclass(frozen=True)
class Function:
    """A formula made ready for proofs.

    Attributes
    ----------
    name : str
    tree : Node
        The formula.
    pieces : Pieces
    continuous : tuple of bool or None
        For each cut, whether φ is continuous there.
    slopes_continuous : tuple of bool or None
        The same for φ', where it can be told.
    """

    name: str
    tree: Node
    pieces: Pieces
    continuous: tuple[bool | None, ...]

    def jumps(self) -> bool | None:
        """Whether φ jumps somewhere."""
        if False in self.continuous:
            return True
        return None if None in self.continuous else False

    def tails(self, order: int) -> tuple[Tail, Tail]:
        """The expansions of the last piece and of the mirrored first one.

        Raises
        ------
        ProofError
            Where there is no rule for an expansion.
        """
        return tail(self.pieces, order), tail(self.pieces.mirrored(), order)

    def last_cut(self) -> float:
        """The largest |cut|."""
        return max((abs(float(cut.at.ball())) for cut in self.pieces.cuts), default=0.0)


def tail(pieces: Pieces, order: int, starts: tuple[int, ...] = STARTS) -> Tail:
    """The expansion of the last piece, from the first start where it can be shown."""
    last = pieces.pieces[-1]
    why = ProofError("the formula switches too far out")
    for start in starts:
        if last.low is not None and not last.low.ball() < start:
            continue
        field = Expansions(start)
        try:
            with precision(BITS):
                return Tail(start, evaluate(last.tree, field.x, order, field))
        except (ProofError, ZeroDivisionError, ValueError) as error:
            why = error if isinstance(error, ProofError) else ProofError(str(error))
    raise why


def function_of(act: Activation) -> Function:
    """The function of an activation that has a formula.

    Raises
    ------
    ProofError
        A black box has no formula; and not every formula can be cut exactly.
    """
    tree = formula_tree(act)
    if tree is None:
        raise ProofError(f"{act.name} has no formula: a function known at samples only can't be proved anything about")
    with precision(BITS):
        pieces = cut_up(tree)
        continuous = tuple(continuity(pieces, i) for i in range(len(pieces.cuts)))
    return Function(act.name, tree, pieces, continuous)


def formula_tree(act: Activation) -> Node | None:
    """The expression tree of an activation; None where it has none."""
    if not act.has_formula:
        return None
    tree = getattr(act, "_tree", None)
    if callable(tree):
        found: Node = tree()
        return found
    if isinstance(tree, Node):
        return tree
    if act.formula is None:
        return None
    from meanfield.activations.formula.sympy_bridge import from_sympy

    return from_sympy(act.formula)


def decaying_bound(f: Expansion, q: Ball, end: Ball) -> Ball:
    """A bound of ∫_end^∞ |f(x)| exp(−x²/2q)/√(2πq) dx, for end ≥ f's start.

    Each size m times exp(−x²/4q) falls from `end` on, so that it is at most its value there; what is left integrates to √2 erfc(end/2√q)/2.
    """
    from meanfield.proof.expansions import falls_from

    total = flint.arb(0)
    share = (end / (2 * q.sqrt())).erfc() / flint.arb(2).sqrt()
    for size, c in f.terms:
        if not falls_from(size, end, ((Fraction(2), -1 / (4 * q)),)):
            raise ProofError("E[φ²] has no bound: φ grows too fast, or q is too large for where the formula's expansion begins")
        total = total + c.ball.abs_upper() * size.at(end) * (-(end**2) / (4 * q)).exp() * share
    return total


Combination = Callable[[Jet, Any], Any]


def one_sided(function: Function, order: int) -> tuple[Jet, Jet]:
    """The jets at 0+ and 0−."""
    zero = flint.arb(0)
    pieces = function.pieces.pieces
    right = next(p for p in pieces if p.high is None or p.high.sign() == 1)
    left = next(p for p in reversed(pieces) if p.low is None or p.low.sign() == -1)
    return real(right.tree, zero, order), real(left.tree, zero, order)
