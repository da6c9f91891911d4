"""One of the two functions of a covariance: φ^(k) at its variance, with bounds on the line and off it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from meanfield.proof.balls import Ball, ProofError, flint
from meanfield.proof.expansions import Size, falls_from
from meanfield.proof.function import Function
from meanfield.proof.integrals import largest
from meanfield.proof.jets import Complexes, program
from meanfield.proof.piece import Piece
from meanfield.proof.pieces import Pieces

_LARGEST = 1e3  # an ellipse on which |f| is larger is nearly at a pole: halving the panel is cheaper


@dataclass(frozen=True)
class Side:
    """One of the two functions: φ^(k), of x or of −x, at its variance; and the bound |f(x)| ≤ A exp(κ|x|)."""

    pieces: Pieces
    k: int
    sign: int  # of φ^(k)(−x) where the pieces are mirrored
    q: Ball
    kappa: Ball
    most: Ball

    def value(self, piece: Piece, x: Any, field: Any) -> Any:
        found = program(piece.tree).run(x, self.k, field)[self.k]
        return found if self.sign > 0 else -found

    def bound(self, size: Ball) -> Ball:
        """Of |f| on |x| ≤ size, to a factor or so."""
        return largest(self.pieces, lambda jet, x: jet[self.k], self.k, -size.upper(), size.upper())


def side_of(function: Function, k: int, q: Ball, turned: bool) -> Side:
    """φ^(k)(±x) with a bound that holds on the whole line."""
    pieces = function.pieces.mirrored() if turned else function.pieces
    kappa = 1 / q.sqrt().upper()
    most = flint.arb(0)
    for tail in function.tails(k):
        start = end = flint.arb(tail.start)
        for size, _ in tail.jet[k].terms:
            while not falls_from(size, end, ((Fraction(1), -kappa),)):
                end = end * 2
                if end > 1e30:
                    raise ProofError("φ grows too fast for the bounds of two inputs")
        far = flint.arb(0)
        for size, c in tail.jet[k].terms:
            # A size rises or falls throughout [start, end], or is bounded by the product of its ends' largest factors.
            far = far + c.ball.abs_upper() * _largest_on(size, start, end)
        most = most.max(far)
        most = most.max(largest(function.pieces, lambda jet, x: jet[k], k, -start, start))
    return Side(pieces, k, -1 if turned and k == 1 else 1, q, kappa, most.upper())


def _largest_on(size: Any, start: Ball, end: Ball) -> Ball:
    total = flint.arb(1)
    for factor in (Size(power=size.power), Size(logs=size.logs), *(Size(((j, c),)) for j, c in size.exponent)):
        total = total * factor.at(start).max(factor.at(end))  # each factor is monotone
    return total


def beyond(rate: Ball, reach: Ball) -> Ball:
    """E[exp(rate·|Z|); |Z| > reach]."""
    return (rate * rate / 2).exp() * ((reach - rate) / flint.arb(2).sqrt()).erfc()


def complex_bound(side: Side, piece: Piece, low: Ball, high: Ball, up: Ball, cells: int = 256) -> Ball | None:
    """A bound of |f| on [low, high] × [−up, up] i; None where f is not shown to be analytic there."""
    most, field = flint.arb(0), Complexes(True)
    todo, count = [(low, high)], 0
    while todo:
        a, b = todo.pop()
        count += 1
        if count > cells:
            return None
        box = flint.acb(a.union(b), up.union(-up))
        value = side.value(piece, box, field)
        if value.is_finite() and value.abs_upper() < _LARGEST * (1 + side.most):
            most = most.max(value.abs_upper())
            continue
        if (b - a) < up / 4:
            return None
        middle = ((a + b) / 2).mid()
        todo += [(middle, b), (a, middle)]
    return most.upper()
