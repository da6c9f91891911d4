"""Fixed points, points on the edge of chaos and half-stable points: roots found without proof, then enclosed by a change of sign."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from meanfield.proof.balls import Ball, ProofError, ball, flint, fraction, precision, square
from meanfield.proof.function import one_sided
from meanfield.proof.search import DoubleMoments, first_change, tightened

_STEPS = 9
_LOST = 1e-6  # where F(q) − q of an odd φ on the edge of chaos is as small as rounding, or nearly
_ROUNDING = 1e-14  # of sums of doubles
_GRID = 2.0 ** np.arange(-60.0, 60.5, 0.25)


class Moments:
    """V, V[φ'] and E[xφφ'] at one q."""

    def __init__(self, subject: Any) -> None:
        self.mean = subject.expectations.mean

    def v(self, q: Ball, digits: int) -> Ball:
        """V[φ]."""
        return self.mean(lambda jet, x: jet[0] * jet[0], 0, q, digits)

    def v1(self, q: Ball, digits: int) -> Ball:
        """V[φ']."""
        return self.mean(lambda jet, x: jet[1] * jet[1], 1, q, digits)

    def rise(self, q: Ball, digits: int) -> Ball:
        """E[xφφ'] = q dV/dq."""
        return self.mean(lambda jet, x: x * jet[0] * jet[1], 1, q, digits)


def _continuous(subject: Any) -> None:
    if subject.jumps(1):
        raise ProofError(f"{subject.act.name} jumps, so χ₁ = ∞ at every q")


def enclosed_root(f: Callable[[Ball, int], Ball], near: float, digits: int) -> Ball:
    """A ball around the zero of f near a double, to so many digits.

    The signs at the ends of the ball returned are certain and differ: that is the proof.
    """
    with precision(int((digits + 20) * 3.4) + 60):
        n = digits + 14
        x0, x1 = (flint.arb(near) * (1 + flint.arb(2) ** -30)).mid(), flint.arb(near)
        f0 = f(x0, n).mid()
        goal = flint.arb(10) ** (-digits - 4)
        for _ in range(_STEPS):
            f1 = f(x1, n).mid()
            if f1.is_zero() or (f1 - f0).is_zero():
                break
            step = (f1 * (x1 - x0) / (f1 - f0)).mid()
            x0, x1, f0 = x1, (x1 - step).mid(), f1
            # The next step of the secant would be of the size of this one times the last.
            if abs(step) * abs(step) < goal * x1 * x1 and abs(step) < x1 / 1000 and (step * step / x1).abs_upper() < goal * abs(x1):
                break
        for widening in (3, 2, 1, -1, -3, -6):
            radius = abs(x1).mid() * flint.arb(10) ** (-digits - widening)
            ends = [(x1 - radius).mid(), (x1 + radius).mid()]
            left, right = (f(end, n) for end in ends)
            if (left > 0 and right < 0) or (left < 0 and right > 0):
                return ends[0].union(ends[1])
        raise ProofError("a root was found, but no change of sign can be shown around it")


def edge_of_chaos(subject: Any, sigma_b: Fraction, digits: int) -> dict[str, Ball]:
    """The point with the smallest q."""
    _continuous(subject)
    m = Moments(subject)
    offset = sigma_b**2
    with precision(int((digits + 20) * 3.4) + 60):
        right, left = one_sided(subject.function, 1)
        if sigma_b == 0 and right[0].is_zero() and left[0].is_zero():
            weight = 2 / (square(right[1]) + square(left[1]))
            if not weight.is_finite():
                raise ProofError("there is no point at σ_b = 0: the slopes of φ at 0 vanish")
            return {"sigma_w": weight.sqrt(), "q": flint.arb(0), "variance_slope": flint.arb(1)}

    def rest(q: Ball, n: int) -> Ball:
        return (q - ball(offset)) * m.v1(q, n) - m.v(q, n)

    doubles = DoubleMoments(subject.act)
    bias = float(offset)

    def roughly(q: float) -> float:
        return (q - bias) * doubles("v1", q) - doubles("v", q) * (1.0 + _ROUNDING)  # ReLU's is 0 but for σ_b²: no root at 2^50

    found = first_change(roughly, _GRID[bias / 2 < _GRID] if bias else _GRID, lambda a, b: a < 0 < b)
    if found is None:
        raise ProofError(f"no point on the edge of chaos was found at σ_b = {float(sigma_b):.6g}")
    q = enclosed_root(rest, tightened(roughly, *found), digits + 5)
    with precision(int((digits + 20) * 3.4) + 60):
        slope = m.v1(q, digits + 8)
        return {"sigma_w": 1 / slope.sqrt(), "q": q, "variance_slope": m.rise(q, digits + 8) / (q * slope)}


def fixed_point(subject: Any, sigma_w: Fraction, sigma_b: Fraction, digits: int) -> dict[str, Ball]:
    """The fixed point that the recursion from q = 1 comes to."""
    m = Moments(subject)
    bias, weight = sigma_b**2, sigma_w**2

    def rest(q: Ball, n: int) -> Ball:
        return ball(bias) + ball(weight) * m.v(q, n) - q

    doubles = DoubleMoments(subject.act)

    def roughly(q: float) -> float:
        return float(bias) + float(weight) * doubles("v", q) - q

    if roughly(1.0) > 0:
        grid, wanted = 2.0 ** np.arange(0.0, 60.0, 0.125), (lambda a, b: a > 0 >= b)
    else:
        grid, wanted = 2.0 ** np.arange(0.0, -60.0, -0.125), (lambda a, b: a <= 0 < b)
    found = first_change(roughly, grid, wanted)
    with precision(int((digits + 20) * 3.4) + 60):
        right, left = one_sided(subject.function, 1)
        still = bool(right[0].is_zero() and left[0].is_zero())
        chi = ball(weight) * (square(right[1]) + square(left[1])) / 2
        at_zero = {"q": flint.arb(0), "variance_slope": chi, "chi_1": chi}
        if found is None:
            if bias == 0 and still and grid[1] < 1:
                return at_zero
            raise ProofError("no fixed point was found where the recursion from q = 1 goes, up to 2^60")
    near = grid[0] if roughly(1.0) == 0.0 else tightened(roughly, *found)
    try:
        q = enclosed_root(rest, float(near), digits + 5)
    except ProofError:
        if bias or near > _LOST or not still:
            raise
        return at_zero  # F(q) < q down to where doubles no longer tell
    with precision(int((digits + 20) * 3.4) + 60):
        slope = ball(weight) * m.rise(q, digits + 8) / q
        chi = flint.arb("inf") if subject.jumps(1) else ball(weight) * m.v1(q, digits + 8)
        return {"q": q, "variance_slope": slope, "chi_1": chi}


def c_star(subject: Any, sigma_w: Fraction, sigma_b: Fraction, digits: int) -> Ball:
    """The correlation that any two inputs with c ≥ 0 come to, at the fixed point of F that the recursion from q = 1 comes to.

    f is convex on [0, 1], f(1) = 1 and f'(1) = χ₁: where χ₁ < 1 there is f(c) > c below 1, where χ₁ > 1 one root of f(c) = c in [0, 1).
    """
    from meanfield.proof.covariances import correlated, mean
    from meanfield.proof.sides import side_of

    point = fixed_point(subject, sigma_w, sigma_b, digits + 20)
    q, chi = point["q"], point["chi_1"]
    if not q > 0:
        raise ProofError("at q* = 0 there is no correlation")
    if chi < 1:
        return flint.arb(1)
    if not chi > 1:
        raise ProofError("whether χ₁ is above 1 can't be told: the point is on the edge of chaos, or nearly")

    def rest(c: Ball, n: int) -> Ball:
        """q(f(c) − c): σ_b² + σ_w² C(q, q, c) − q c, at an exact c in [0, 1)."""
        with precision(int((n + 14) * 3.33) + 20):
            side = side_of(subject.function, 0, q, False)
            found = square(mean(side, n)) if c.is_zero() else correlated(side, side, fraction(c), True, n)
            return ball(sigma_b**2) + ball(sigma_w**2) * found - q * c

    with precision(int((digits + 20) * 3.4) + 60):
        if not rest(flint.arb(0), digits + 14) > 0:
            least = (flint.arb(10) ** (-digits)).mid()
            if rest(least, 2 * digits + 14) < 0:
                return flint.arb(0).union(least)
            raise ProofError("c* is 0, or too close to it to be told apart")

    def roughly(c: float) -> float:
        return float(rest(flint.arb(c), 14).mid())

    low, high = 0.0, 0.5
    while roughly(high) >= 0.0:
        low, high = high, (1.0 + high) / 2
        if high == 1.0:
            raise ProofError("c* is too close to 1 to be told apart")
    return enclosed_root(rest, tightened(roughly, low, high), digits + 5)


def half_stable(subject: Any, digits: int) -> dict[str, Ball]:
    """The smallest q on the edge of chaos where F' passes through 1."""
    _continuous(subject)
    m = Moments(subject)

    def rest(q: Ball, n: int) -> Ball:
        """q V[φ'](F' − 1)."""
        return m.rise(q, n + 3) - q * m.v1(q, n + 3)

    doubles = DoubleMoments(subject.act)

    def roughly(q: float) -> float:
        """F' − 1, and 0 where it is within the rounding of doubles."""
        slope = q * doubles("v1", q)
        difference = doubles("rise", q) - slope
        return difference if abs(difference) > 1e-11 * slope else 0.0

    found = first_change(roughly, 2.0 ** np.arange(-16.0, 26.0, 0.25), lambda a, b: a * b < 0)
    if found is None:
        raise ProofError(f"{subject.act.name} has no half-stable point with q between 2^-16 and 2^26: F' − 1 keeps its sign on the edge")
    q = enclosed_root(rest, tightened(roughly, *found), digits + 5)
    with precision(int((digits + 20) * 3.4) + 60):
        value, slope = m.v(q, digits + 10), m.v1(q, digits + 10)
        weight = 1 / slope
        bias = q - value / slope
        if not bias > 0:
            raise ProofError("the half-stable point has no σ_b² > 0")
        return {"q": q, "sigma_w": weight.sqrt(), "sigma_b": bias.sqrt(), "sigma_w2": weight, "sigma_b2": bias}
