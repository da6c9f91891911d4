"""Real numbers known exactly: sums of rationals times square roots times powers of π and e.

Zero is recognised by its form: √s for different squarefree s, with different powers of π and of e, are linearly independent over the
rationals as far as anyone knows; nothing here relies on it, since only a sum without terms counts as zero, and other signs come from balls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from meanfield.proof.balls import Ball, ball, flint, sign

_Key = tuple[int, Fraction, Fraction]  # squarefree s, power of π, power of e
_ONE: _Key = (1, Fraction(0), Fraction(0))
_LARGEST_ROOT = 10**9


@dataclass(frozen=True, slots=True)
class Exact:
    """Σ r·√s·π^k·e^m, as sorted (key, r) pairs without zeros."""

    terms: tuple[tuple[_Key, Fraction], ...] = ()

    @staticmethod
    def of(value: Fraction | int) -> Exact:
        """A rational number."""
        return Exact(((_ONE, Fraction(value)),)) if value else Exact()

    @property
    def rational(self) -> Fraction | None:
        """The number as a fraction, or None where it is none by its form."""
        if not self.terms:
            return Fraction(0)
        return self.terms[0][1] if len(self.terms) == 1 and self.terms[0][0] == _ONE else None

    def __add__(self, other: Exact) -> Exact:
        return _collected([*self.terms, *other.terms])

    def __neg__(self) -> Exact:
        return Exact(tuple((key, -r) for key, r in self.terms))

    def __sub__(self, other: Exact) -> Exact:
        return self + (-other)

    def __mul__(self, other: Exact) -> Exact:
        found = []
        for (s, k, m), r in self.terms:
            for (t, n, p), u in other.terms:
                g = math.gcd(s, t)  # √s √t = g √(s t/g²), squarefree again
                found.append((((s // g) * (t // g), k + n, m + p), r * u * g))
        return _collected(found)

    def inverse(self) -> Exact | None:
        """1/self for a single term."""
        if len(self.terms) != 1:
            return None
        ((s, k, m), r) = self.terms[0]
        return Exact((((s, -k, -m), 1 / (r * s)),))

    def root(self) -> Exact | None:
        """√self for a single positive term whose root has this form."""
        if not self.terms:
            return self
        if len(self.terms) != 1:
            return None
        ((s, k, m), r) = self.terms[0]
        if s != 1 or r < 0:
            return None
        found = _square_part(r.numerator * r.denominator)
        if found is None:
            return None
        square, rest = found
        return Exact((((rest, k / 2, m / 2), Fraction(square, r.denominator)),))

    def ball(self) -> Ball:
        """The ball of the number at the current precision."""
        total = flint.arb(0)
        for (s, k, m), r in self.terms:
            term = ball(r)
            if s != 1:
                term = term * flint.arb(s).sqrt()
            if k:
                term = term * flint.arb.pi() ** ball(k)
            if m:
                term = term * ball(m).exp()
            total = total + term
        return total

    def sign(self) -> int | None:
        """The sign; None where the ball can't tell."""
        return sign(self.ball()) if self.terms else 0


PI = Exact((((1, Fraction(1), Fraction(0)), Fraction(1)),))
E = Exact((((1, Fraction(0), Fraction(1)), Fraction(1)),))
ZERO = Exact()
ONE = Exact.of(1)


def _collected(pairs: list[tuple[_Key, Fraction]]) -> Exact:
    total: dict[_Key, Fraction] = {}
    for key, r in pairs:
        total[key] = total.get(key, Fraction(0)) + r
    return Exact(tuple(sorted((key, r) for key, r in total.items() if r)))


def _square_part(n: int) -> tuple[int, int] | None:
    """n = a² b with b squarefree; None where n is too large to factor by trial."""
    root = math.isqrt(n)
    if root * root == n:
        return root, 1
    if n > _LARGEST_ROOT:
        return None
    a, b, d = 1, n, 2
    while d * d <= b:
        while b % (d * d) == 0:
            b //= d * d
            a *= d
        d += 1
    return a, b
