"""φ beyond the x at which it overflows, where the Gaussian makes up for it: exp(x²/8) at q = 1.95 has mass at |x| > 75.

log|φ| is continued by a + bx + cx², or with n log x beside, through values inside: exact for |x|ⁿ exp(a + bx + cx²). One value more
tells how far off that may be. Where the continued φ outgrows the Gaussian the expectation is infinite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import legendre

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

STEPS = 0.2, 0.1, 0.025  # between the values, in units of the x at which φ overflows
ENOUGH = 60.0  # e-folds below the largest at which the integrand ends
PANELS, NODES = 8, 16  # of the continued integrand, a Gaussian
ROUNDINGS = 4.0  # times the rounding of log|φ|: what differs by less agrees


@dataclass(frozen=True)
class Tail:
    """φ on |x| > start, on one side of 0, with u = |x|/start.

    Attributes
    ----------
    start : where it begins, |x|
    side : +1 or −1
    sign : of φ there; 0 where it changes
    values : log|φ| at u = 1, 1 − h, 1 − 2h …
    solution : matrix that takes `values` to the coefficients of 1, u, u² and, if there are four, log u
    cubic : coefficients of what is 0 at these u and 1 at the next, with u³ times the last; times `off`, the doubt
    off : log|φ| at the next u, less what is continued there; 0 where it is rounding
    rounding : of log|φ|
    """

    start: float
    side: float
    sign: float
    values: Array
    solution: Array
    cubic: Array
    off: float
    rounding: float

    def exponent(self, q: float, power: int) -> tuple[float, float]:
        """a and b of |φ|^power exp(−x²/2q) ~ exp(a t² + b t), t = u − 1; a = 0 where the integral diverges."""
        coefficients = power * (self.solution @ self.values)
        gaussian = 0.5 * self.start * self.start / q
        a = float(coefficients[2]) - gaussian
        if a >= -ROUNDINGS * power * self.rounding * float(np.sum(np.abs(self.solution[2]))):
            return 0.0, math.inf
        return a, float(coefficients[1:] @ np.array([1.0, 2.0, 1.0])[: coefficients.size - 1]) - 2 * gaussian

    def converges(self, q: float, power: int) -> bool:
        """Whether the Gaussian outgrows the continued φ, and the doubt about that is none that it may not."""
        if self.exponent(q, power)[0] == 0.0:
            return False
        _, mass, off, *_ = self.masses(q, power)
        total, doubt = float(np.sum(mass)), float(np.sum(off))
        faster = self.off * float(self.cubic[-1]) > 0 and self.sign != 0
        return math.isfinite(total) and not (faster and doubt > total)

    def masses(self, q: float, power: int) -> tuple[Array, Array, Array, Array, Array]:
        """At nodes |x|: the nodes, |φ|^power N(x; 0, q) dx, how far off that may be, φ'/φ to |x| and φ''/φ."""
        a, b = self.exponent(q, power)
        if b > 0:
            peak, width = -0.5 * b / a, math.sqrt(-ENOUGH / a)
            low, high = max(peak - width, 0.0), peak + width
        else:
            low, high = 0.0, 2 * ENOUGH / (-b + math.sqrt(b * b - 4 * a * ENOUGH))
        unit, unit_weights = legendre.leggauss(NODES)
        half = 0.5 * (high - low) / PANELS
        u = 1.0 + low + (half * (2 * np.arange(PANELS)[:, None] + 1 + unit)).ravel()
        x = self.start * u
        terms = _terms(u, self.values.size)
        weights = terms @ self.solution
        coefficients = self.solution @ self.values
        last = float(coefficients[3]) if coefficients.size > 3 else 0.0
        slope = (coefficients[1] + 2 * coefficients[2] * u + last / u) / self.start
        bend = (2 * coefficients[2] - last / (u * u)) / self.start**2
        doubt = abs(self.off) * np.abs(terms @ self.cubic[:-1] + self.cubic[-1] * u**3) + self.rounding * np.sum(np.abs(weights), axis=1)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            log = power * (weights @ self.values) - x * x / (2 * q) - 0.5 * math.log(2 * math.pi * q)
            mass = np.exp(log) * np.tile(half * self.start * unit_weights, PANELS)
            off = np.where(mass > 0, mass * np.expm1(np.minimum(power * doubt, 700.0)), 0.0)
        return x, mass, mass if self.sign == 0 else off, slope, slope * slope + bend


def _terms(u: Array, count: int) -> Array:
    """1, u, u² and log u."""
    return np.stack([np.ones_like(u), u, u * u, np.log(u)][:count], axis=1)


def tail_beyond(activation: Activation, start: float, side: float) -> Tail | None:
    """φ beyond side·start; None where it is not finite, or 0, at one of the values that would tell."""
    made = []
    for step in STEPS:
        u = 1.0 - step * np.arange(5.0)
        values = activation.values(side * start * u, 0)
        if not np.isfinite(values).all() or np.any(values == 0):
            continue
        logs = np.log(np.abs(values))
        rounding = np.finfo(float).eps / 2 * float(np.max(np.abs(logs)))
        sign = float(np.sign(values[0])) if (np.sign(values) == np.sign(values[0])).all() else 0.0
        for count in (3, 4):
            solution = np.asarray(np.linalg.inv(_terms(u[:count], count)), dtype=np.float64)
            through, cube = solution @ logs[:count], solution @ u[:count] ** 3
            following = _terms(u[count : count + 1], count)[0]
            off = float(logs[count] - following @ through)
            if abs(off) <= ROUNDINGS * rounding * (1.0 + float(np.sum(np.abs(following @ solution)))):
                off = 0.0
            cubic = np.append(-cube, 1.0) / (u[count] ** 3 - following @ cube)
            made.append(Tail(start, side, sign, logs[:count], solution, cubic, off, rounding))
    # The one that is off least half as far out again.
    return min(made, key=lambda tail: _doubt_at(tail, 1.5), default=None)


def _doubt_at(tail: Tail, u: float) -> float:
    terms = _terms(np.array([u]), tail.values.size)[0]
    return float(abs(tail.off * (terms @ tail.cubic[:-1] + tail.cubic[-1] * u**3)) + tail.rounding * np.sum(np.abs(terms @ tail.solution)))
