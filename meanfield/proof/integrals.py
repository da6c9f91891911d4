"""Gaussian expectations E[h(√q Z)] as balls: Johansson's rigorous integration on each analytic piece, and bounds of the tails."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from meanfield.proof.balls import Ball, ProofError, ball, flint, precision
from meanfield.proof.function import BITS, Function, Tail, decaying_bound
from meanfield.proof.jets import Complexes, Jet, program, real
from meanfield.proof.piece import Piece
from meanfield.proof.pieces import Pieces

Combination = Callable[[Jet, Any], Any]  # of a jet and x, by sums and products: the same for numbers and for expansions
_EVALUATIONS = 1_500_000
_HALVINGS = 60  # of a cell
_FOLLOWED = 8  # stretches on which a function is not seen to be finite
_LONGEST = 12  # times the reach is widened, for functions that live far out


class Expectations:
    """E[h(√q Z)] for combinations h of one function's jet."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self._tails: dict[int, tuple[Tail, Tail]] = {}
        self._mirrored = function.pieces.mirrored()

    def tails(self, order: int) -> tuple[Tail, Tail]:
        if order not in self._tails:
            self._tails[order] = self.function.tails(order)
        return self._tails[order]

    def mean(self, h: Combination, order: int, q: Ball, digits: int) -> Ball:
        """E[h] to about so many digits; the ball is rigorous whatever they are."""
        bits = int((digits + 12) * 3.33) + 10
        with precision(bits):
            spread = q.sqrt()
            reach = float(2.0 * 2.303 * (digits + 8)) ** 0.5
            value = flint.arb(0)
            for _ in range(_LONGEST):
                end = spread.upper() * ball(Fraction(reach))
                rest = self.beyond(h, order, q, end)
                value = self.inside(h, order, q, end)
                if not value.is_finite():
                    break
                if rest <= value.abs_lower() * flint.arb(10) ** (-digits - 2) or (value.is_zero() and rest.is_zero()):
                    break
                reach *= 1.5 if value.abs_lower() > 0 else 2.0
            return value + rest.union(-rest)

    def inside(self, h: Combination, order: int, q: Ball, end: Ball) -> Ball:
        """The part with |x| < end."""
        total = flint.arb(0)
        scale = 1 / (2 * flint.arb.pi() * q).sqrt()
        for piece in self.function.pieces.pieces:
            low = -end if piece.low is None else piece.low.ball()
            high = end if piece.high is None else piece.high.ball()
            if low > end or high < -end:
                continue
            low, high = (-end if low < -end else low), (end if high > end else high)
            total = total + integral(piece, h, order, low, high, lambda x: (-(x * x) / (2 * q)).exp())
            if not total.is_finite():
                break
        return total * scale

    def beyond(self, h: Combination, order: int, q: Ball, end: Ball) -> Ball:
        """A bound of the part with |x| > end."""
        from meanfield.proof.expansions import Expansions

        total = flint.arb(0)
        for side, pieces, tail in zip((1, -1), (self.function.pieces, self._mirrored), self.tails(order), strict=True):
            start = flint.arb(tail.start)
            field = Expansions(tail.start)
            jet = [-value if side < 0 and k == 1 else value for k, value in enumerate(tail.jet)]
            variable = field.x if side > 0 else -field.x
            begin = end if end > start else start
            with precision(max(BITS, flint.ctx.prec)):
                total = total + decaying_bound(h(jet, variable), q, begin)
            if end < start:
                turned = _turned(h) if side < 0 else h
                total = total + largest(pieces, turned, order, end, start) * (end / (2 * q).sqrt()).erfc() / 2
        return total


def _turned(h: Combination) -> Combination:
    """h for the mirrored function's jet."""
    return lambda jet, x: h([-value if k == 1 else value for k, value in enumerate(jet)], -x)


def largest(pieces: Pieces, h: Combination, order: int, low: Ball, high: Ball) -> Ball:
    """A bound of |h| on [low, high]."""
    most = flint.arb(0)
    parts = 64
    for i in range(parts):
        cell = (low + (high - low) * i / parts).union(low + (high - low) * (i + 1) / parts)
        for piece in pieces.pieces:
            if (piece.low is not None and piece.low.ball() > cell) or (piece.high is not None and piece.high.ball() < cell):
                continue
            inside = _clipped(piece, cell)  # beyond its ends a piece may have a pole
            most = most.max(_bound(piece, h, order, inside.lower(), inside.upper()))
    return most


def _bound(piece: Piece, h: Combination, order: int, low: Ball, high: Ball) -> Ball:
    """A bound of |h| on one cell, halved where a ball so wide says nothing: 1/(1 + x²) on one around 0."""
    most, cells = flint.arb(0), [(low, high)]
    for _ in range(_HALVINGS):
        found = [(a, b, h(real(piece.tree, a.union(b), order), a.union(b))) for a, b in cells]
        for _, _, ball_of in found:
            if ball_of.is_finite():
                most = most.max(ball_of.abs_upper())
        cells = [half for a, b, ball_of in found if not ball_of.is_finite() for half in _halves(a, b)]
        if not cells:
            return most
        if len(cells) > 2 * _FOLLOWED:
            break
    raise ProofError("φ has no bound on a part of the line")


def _clipped(piece: Piece, cell: Ball) -> Ball:
    low, high = cell.lower(), cell.upper()
    if piece.low is not None:
        low = low.max(piece.low.ball().lower())
    if piece.high is not None:
        high = high.min(piece.high.ball().upper())
    return low.union(high)


def integral(piece: Piece, h: Combination, order: int, low: Ball, high: Ball, weight: Callable[[Any], Any]) -> Ball:
    """∫ h·weight over a part of a piece."""
    run = program(piece.tree).run
    fields = (Complexes(False), Complexes(True))

    def integrand(x: Any, analytic: bool) -> Any:
        value = h(run(x, order, fields[bool(analytic)]), x)
        return value * weight(x)

    if _stuck(lambda x: integrand(flint.acb(x), False).real, low, high):
        return flint.arb.nan()
    tiny = flint.arb(2) ** (-40 * flint.ctx.prec)
    found = flint.acb.integral(integrand, low, high, abs_tol=tiny, eval_limit=_EVALUATIONS)
    return found.real


def _stuck(value: Callable[[Any], Any], low: Ball, high: Ball) -> bool:
    """Whether halving comes to an end at a point with no finite ball around it, as at a pole: the integration would halve in vain there.

    False where more than a few points would have to be followed.
    """
    cells = [(low, high)]
    for _ in range(2 * flint.ctx.prec + 20):
        cells = [(a, b) for cell in cells for a, b in _halves(*cell) if not value(a.union(b)).is_finite()]
        if not cells:
            return False
        if len(cells) > _FOLLOWED:
            return False
    return True


def _halves(low: Ball, high: Ball) -> tuple[tuple[Ball, Ball], ...]:
    middle = ((low + high) / 2).mid()
    return ((low, middle), (middle, high)) if low < middle < high else ((low, high),)  # no number of this precision is between
