"""Two-input expectations by conditional independence.

With s = |c|, u = √q1 (√s A + √(1−s) T₁) and v = ±√q2 (√s A + √(1−s) T₂) have correlation c and are independent given A.
So C = E_A[m₁(A) m₂(A)] with m = E_T φ, and D = ½E(φ(u) − φ(v))² = E_A[Var_T φ]: no difference of nearly equal numbers.
Inner integrals are split at the breakpoints; the outer integrand is analytic, with layers of width √((1−s)/s).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import flint
import jets
from jets import Jet
from piecewise import Piecewise

Arb = flint.arb


@dataclass(frozen=True)
class Resolution:
    """How fine the rules are: Gauss–Legendre nodes a panel, trapezoidal step, reach in standard deviations."""

    nodes: int
    step: str
    reach: float


FINE = Resolution(22, "0.42", 12.2)
COARSE = Resolution(18, "0.48", 11.4)


@cache
def _legendre(n: int) -> tuple[tuple[Arb, Arb], ...]:
    return tuple(Arb.legendre_p_root(n, k, weight=True) for k in range(n))


def _panels(a: Arb, b: Arb, allowed: Callable[[float, float], float]) -> list[tuple[Arb, Arb]]:
    """Bisect [a, b] until each panel is no wider than allowed(its ends)."""
    done, todo = [], [(a, b)]
    while todo:
        a, b = todo.pop()
        low, high = float(a), float(b)
        if high <= low:
            continue
        if high - low <= allowed(low, high):
            done.append((a, b))
        else:
            middle = (a + b) / 2
            todo += [(a, middle), (middle, b)]
    return done


def _distance(low: float, high: float, left: float, right: float) -> float:
    return max(0.0, left - high, low - right)


def _feature_width(scale: float, left: float, right: float) -> float:
    """A panel of φ itself: `scale` near 0, where φ's poles come close to the axis, and wider away from there."""
    return scale * (1.2 + 0.6 * _distance(left, right, -8.0, 8.0))


def _nodes(a: Arb, b: Arb, n: int) -> list[tuple[Arb, Arb]]:
    middle, half = (a + b) / 2, (b - a) / 2
    return [(middle + half * t, half * w) for t, w in _legendre(n)]


class Conditional:
    """E_T and Var_T of φ⁽ᵏ⁾(x + τT) as functions of x."""

    def __init__(self, phi: Piecewise, order: int, variance: Arb, s: Arb, rule: Resolution) -> None:
        self.phi, self.order, self.rule = phi, order, rule
        self.spread = (variance * s).sqrt()  # of x
        self.tau = (variance * (1 - s)).sqrt()
        self.width = float(self.tau)
        self.cuts = phi.points()
        self.float_cuts = [float(c) for c in self.cuts]
        self.breaks = [float(b) for b in phi.true_breaks]
        self.norm = 1 / (self.tau * (2 * Arb.pi()).sqrt())
        self.grid: list[tuple[float, float, list[tuple[Arb, Arb, Arb]]]] = []
        if self.width > 0.05 * math.sqrt(float(variance)):
            reach = Arb(rule.reach) * (self.spread + self.tau)
            for p in self._split(-reach, reach):
                self.grid.append((float(p[0]), float(p[1]), [(y, w, self.value(y)) for y, w in _nodes(*p, rule.nodes)]))

    def value(self, y: Arb) -> Arb:
        """φ or φ' at y."""
        at = float(y)
        index = sum(at > c for c in self.float_cuts)
        jet: Jet = self.phi.pieces[index](jets.variable(y))
        value: Arb = jet.first if self.order else jet.value
        return value

    def _split(self, a: Arb, b: Arb) -> list[tuple[Arb, Arb]]:
        low, high = float(a), float(b)
        edges = [a, *(c for c, at in zip(self.cuts, self.float_cuts, strict=True) if low < at < high), b]

        def allowed(left: float, right: float) -> float:
            return min(2 * self.width, _feature_width(self.phi.scale, left, right))

        panels = []
        for left, right in pairwise(edges):
            panels += _panels(left, right, allowed)
        return panels

    def _weighted(self, x: Arb) -> list[tuple[Arb, Arb]]:
        """(weight, φ) pairs of the rule at x; weights sum to 1."""
        at, reach, twice = float(x), self.rule.reach * self.width, 2 * self.tau * self.tau
        if self.grid:
            near = [nodes for low, high, nodes in self.grid if low < at + reach and high > at - reach]
            return [(w * (-(y - x) * (y - x) / twice).exp() * self.norm, f) for nodes in near for y, w, f in nodes]
        if any(abs(at - b) < reach for b in self.breaks):
            ends = Arb(self.rule.reach) * self.tau
            out = []
            for p in self._split(x - ends, x + ends):
                out += [(w * (-(y - x) * (y - x) / twice).exp() * self.norm, self.value(y)) for y, w in _nodes(*p, self.rule.nodes)]
            return out
        return [(w, self.value(x + self.tau * t)) for t, w in _trapezoid(self.rule.step, self.rule.reach)]

    def mean(self, x: Arb) -> Arb:
        """E_T φ."""
        total = Arb(0)
        for w, f in self._weighted(x):
            total += w * f
        return total

    def variance(self, x: Arb) -> Arb:
        """Var_T φ; φ(x) is taken off first, so nothing is lost where φ hardly varies."""
        base = self.value(x)
        one, two = Arb(0), Arb(0)
        for w, f in self._weighted(x):
            d = f - base
            one += w * d
            two += w * d * d
        return two - one * one


@cache
def _trapezoid(step: str, reach: float) -> tuple[tuple[Arb, Arb], ...]:
    h = Arb(step)
    n = int(reach / float(step))
    return tuple((h * k, h * (-(h * k) * (h * k) / 2).exp() / (2 * Arb.pi()).sqrt()) for k in range(-n, n + 1))


def _outer(phi: Piecewise, variances: list[Arb], s: Arb, rule: Resolution) -> list[tuple[Arb, Arb]]:
    """Nodes and weights in A, the Gaussian included."""
    layer = 1.5 * math.sqrt(float((1 - s) / s))
    roots = [math.sqrt(float(q * s)) for q in variances]
    images = [sign * float(b) / r for b in phi.true_breaks for r in roots for sign in (-1, 1)]

    def allowed(left: float, right: float) -> float:
        width = 1.2
        for at in images:
            width = min(width, layer + 0.6 * _distance(left, right, at, at))
        for r in roots:
            width = min(width, max(layer, _feature_width(phi.scale, left * r, right * r) / r))
        return width

    reach = Arb(rule.reach)
    norm = 1 / (2 * Arb.pi()).sqrt()
    nodes = [n for p in _panels(-reach, Arb(0), allowed) + _panels(Arb(0), reach, allowed) for n in _nodes(*p, rule.nodes)]
    return [(a, w * norm * (-a * a / 2).exp()) for a, w in nodes]


def covariance(phi: Piecewise, order: int, q1: str, q2: str, c: str, rule: Resolution) -> Arb:
    """E[φ⁽ᵏ⁾(u) φ⁽ᵏ⁾(v)] for 0 < |c| < 1."""
    s = abs(Arb(c))
    sign = -1 if c.startswith("-") else 1
    first = Conditional(phi, order, Arb(q1), s, rule)
    second = first if q1 == q2 else Conditional(phi, order, Arb(q2), s, rule)
    total = Arb(0)
    for a, w in _outer(phi, [Arb(q1), Arb(q2)], s, rule):
        m1 = first.mean(first.spread * a)
        m2 = m1 if second is first and sign > 0 else second.mean(sign * second.spread * a)
        total += w * m1 * m2
    return total


def decorrelation(phi: Piecewise, order: int, q: str, epsilon: str, rule: Resolution) -> Arb:
    """½E[(φ⁽ᵏ⁾(u) − φ⁽ᵏ⁾(v))²] at c = 1 − ε."""
    s = 1 - Arb(epsilon)
    inner = Conditional(phi, order, Arb(q), s, rule)
    total = Arb(0)
    for a, w in _outer(phi, [Arb(q)], s, rule):
        total += w * inner.variance(inner.spread * a)
    return total
