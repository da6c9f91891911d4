"""Vectors F(q, θ) with E[φ⁽ᵏ⁾(u)φ⁽ᵏ⁾(v)] = F(q1, θ)·F(q2, θ): what each variance brings to a covariance, made once for all partners.

Mehler:     F_n = aₙ(q) c^(n/2), 128 terms, where cⁿ has died out or φ's series has ended; the sign of c is (−1)ⁿ.
Smoothing:  u = √q(√c A + σT), σ = √(1−c), with a common A and T of its own: F_j = √w_j M(A_j), M(A) = E_T φ⁽ᵏ⁾(u).

The nodes A_j must be the same for all variances. Three rules:
even        steps of the trapezoidal rule at which it integrates φ itself: smooth φ, whatever θ is.
graded      panels that grow away from 0 where nothing happens to φ but around 0: ReLU, SELU, steps, and tanh at large q.
fine        the trapezoidal rule with steps of δ/2, δ = σ/√c: M is smooth on the scale δ of A whatever φ is, kinks and jumps included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.hermite import hermite_rows
from meanfield.expectation.panels import gauss_legendre
from meanfield.expectation.piecewise_linear import piecewise_linear
from meanfield.expectation.smoothing import Smoother, gauss_hermite

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array
    from meanfield.expectation.panels import Partition

REACH = 9.0  # of A, in standard deviations
FINE = 0.5  # steps in units of δ: M₁M₂N has died out at the frequency 2π/(δ/2), by exp(−(12.6)²/4) = 6e-18
WIDEST = 0.5  # step: the Gaussian itself
EVEN_STEPS = tuple(0.5 * 0.7**k for k in range(11))  # tried for the rule of even steps
SHIFTS = (0.2137, 0.7137)  # of the nodes, in steps: not even about 0, where half of an x² H(x) would not be seen
EVEN_TRUE = 3e-14  # how well such a rule must do E[φ²]; the next finer one is taken
FAR = 36.0  # of 0, in units of σ: panels there are so wide that 8 nodes have an error below 18⁻¹⁶ 8!, 3·10⁻¹⁶
GROWTH = 1.5  # of the panels away from 0
FIRST = 1.5  # width of the first, in units of δ
NEAR = 9.0  # of 0, in units of σ: where E_T feels a break there
MOST_PARTS = 16  # of a step; beyond, σ is so small that the fastest wave that even steps resolve turns by 0.28 within it: 8 nodes will do
UNEVEN = 1.19  # of two edges of panels of φ, away from 0, that are graded
MOST_NODES = 40_000  # of A
MOST_WORK = 300_000_000  # values of φ against a Gaussian for one block of vectors
MOST_ROWS = 128  # of a product of matrices
MOST_PRODUCTS = 250_000  # OpenBLAS starts threads from 64³ on
MOST_EDGES = 1000  # panels of φ within reach that are nothing to worry about


@dataclass(frozen=True)
class Features:
    """Vectors at some variances (rows), for each of some angles; `mirrored` those of −A, or with (−1)ⁿ, for a negative correlation."""

    plain: list[Array]
    mirrored: list[Array]


@dataclass(frozen=True)
class Rule:
    """How A is sampled: `step` of even steps, or `finest` panel of graded ones in A; both 0 for fine steps."""

    step: float = 0.0
    finest: float = 0.0
    breaks: bool = False

    @property
    def is_fine(self) -> bool:
        return not self.step and not self.finest

    def nodes(self, delta: float) -> tuple[Array, Array]:
        """Sorted nodes A, as many on both sides of 0, and their weights with the Gaussian."""
        if self.finest:
            first = FIRST * delta if self.breaks else max(FIRST * delta, self.finest)
            nodes, weights = _both_sides(_graded(first, REACH, GROWTH, 1.0))
        else:
            step = max(min(FINE * delta, WIDEST), self.step)
            count = math.ceil(REACH / step)
            nodes = step * np.arange(-count, count + 1.0)
            weights = np.full(nodes.size, step)
        return nodes, weights * np.exp(-0.5 * nodes * nodes) / math.sqrt(2.0 * math.pi)


class FeatureMaker:
    """The vectors of φ⁽ᵏ⁾ at variances within one octave."""

    def __init__(self, activation: Activation, partition: Partition, order: int, octave: int) -> None:
        self.activation, self.order, self.partition = activation, order, partition
        self.high = math.ldexp(1.0, octave + 1)
        self.smoother = Smoother(activation, partition, order, self.high)
        self.usable = self.smoother.central and not self.smoother.infinite and self.smoother.edges.size <= MOST_EDGES
        self.linear = piecewise_linear(activation) if order == 0 or not any(b.value_jump for b in activation.breakpoints) else None
        self._shared: dict[int, tuple[Array, Array, Array] | None] = {}  # nodes, weights and values, by 2 log₂ τ
        self.breaks = [b.location for b in activation.breakpoints]
        edges = np.unique(np.abs(self.smoother.edges))
        edges = edges[edges > 0]
        self.around_zero = not any(self.breaks) and edges.size > 0 and bool(np.all(edges[1:] >= UNEVEN * edges[:-1]))
        self._core = float(edges[0]) if edges.size else 1.0

    def rule(self, top: float) -> Rule:
        """The rule for all variances up to `top`, in whose octave this one is."""
        step = 0.0 if self.breaks else self._even_step(top)
        if step:
            return Rule(step=step)
        return Rule(finest=self._core / math.sqrt(top), breaks=bool(self.breaks)) if self.around_zero else Rule()

    def _even_step(self, top: float) -> float:
        """Steps of A with which the trapezoidal rule integrates φ⁽ᵏ⁾² up to a variance; 0 where there are none."""
        found = 0
        before = None
        for k, step in enumerate(EVEN_STEPS):
            sums = []
            for shift in SHIFTS:
                nodes = step * (np.arange(-math.ceil(REACH / step), math.ceil(REACH / step) + 1.0) + shift)
                values = self.activation.values(math.sqrt(top) * nodes, self.order)
                with np.errstate(over="ignore", invalid="ignore"):
                    sums.append(step * float(np.sum(values * values * np.exp(-0.5 * nodes * nodes))))
            good = math.isfinite(sum(sums)) and abs(sums[0] - sums[1]) <= EVEN_TRUE * sums[0]
            good = good and (before is None or abs(sums[0] - before) <= EVEN_TRUE * sums[0])
            found = found + 1 if good else 0
            before = sums[0] if math.isfinite(sum(sums)) else None
            if found == 3:  # two finer rules agree
                return EVEN_STEPS[k - 1]
        return 0.0

    def mehler(self, variances: Array) -> tuple[Array, bool] | None:
        """The Hermite coefficients at the variances, and whether they have ended by the 128th."""
        return hermite_rows(self.activation, self.partition, self.order, variances)

    @staticmethod
    def by_series(rows: Array, angles: Array) -> Features:
        """From Hermite coefficients."""
        n = np.arange(rows.shape[1])
        signs = np.where(n % 2 == 0, 1.0, -1.0)
        plain = [rows * np.cos(theta) ** (0.5 * n) for theta in angles.tolist()]
        return Features(plain, [row * signs for row in plain])

    def by_smoothing(self, variances: Array, angles: Array, rule: Rule) -> Features | None:
        """From the smoothed φ⁽ᵏ⁾; None where that takes too long."""
        plain, mirrored = [], []
        work = 0.0
        roots = np.sqrt(variances)
        for theta in angles.tolist():
            # √c and √(1 − c) without the cancellation of 1 − c
            sigma, root = math.sqrt(2.0) * math.sin(0.5 * theta), math.sqrt(math.cos(theta))
            nodes, weights = rule.nodes(sigma / root)
            work += nodes.size * variances.size * (150.0 if rule.is_fine and self.linear is None else 20.0)
            if nodes.size > MOST_NODES or work > MOST_WORK:
                return None
            if self.linear is not None:
                rows = np.stack([self.linear.means(q * root * nodes, q * sigma, self.order) for q in roots.tolist()])
            elif rule.step:
                rows = self._smooth(roots, root * nodes, sigma, rule.step)
            elif rule.finest:
                rows = self._around(roots, root * nodes, sigma, rule)
            else:
                rows = np.stack([self._anywhere(q * root * nodes, q * sigma) for q in roots.tolist()])
            rows *= np.sqrt(weights)
            plain.append(rows)
            mirrored.append(np.ascontiguousarray(rows[:, ::-1]))  # the nodes lie evenly about 0
        return Features(plain, mirrored)

    def _anywhere(self, centres: Array, tau: float) -> Array:
        """E_T φ(X + τT) by nodes that all centres share, and all τ within a factor of √2: few values of φ for many sums."""
        from meanfield.expectation.smoothing_kernels import window_means

        step = math.floor(2.0 * math.log2(tau))
        if step not in self._shared:
            nodes = self.smoother.shared_nodes(2.0 ** (0.5 * step))
            self._shared[step] = None if nodes is None else (*nodes, self.activation.values(nodes[0], self.order))
        shared = self._shared[step]
        if shared is None:
            return self.smoother.apply(centres, tau, "mean")
        out = np.empty(centres.size)
        window_means(centres, tau, self.smoother.reach, *shared, out)
        return out

    def _hermite(self, roots: Array, centres: Array, sigma: float, rule: tuple[Array, Array]) -> Array:
        """E_T φ(√q(a + σT)) by a few nodes T."""
        unit, weights = rule
        x = np.multiply.outer(roots, centres[:, None] + sigma * unit)
        values = self.activation.values(x.ravel(), self.order).reshape(x.shape)
        result: Array = values @ weights
        return result

    def _smooth(self, roots: Array, centres: Array, sigma: float, step: float) -> Array:
        """At even steps of `centres`, for a φ that steps of `step` resolve."""
        from meanfield.expectation.smoothing_kernels import convolve

        spacing = float(centres[-1] - centres[0]) / (centres.size - 1)  # not of neighbours, whose difference has lost digits
        parts = math.ceil(spacing * (1.0 / step + 1.35 / sigma))  # frequencies of φ and of the Gaussian add up
        if parts > MOST_PARTS:
            return self._hermite(roots, centres, sigma, _few_hermite())
        width = spacing / parts
        around = math.ceil(NEAR * sigma / width)
        t = (width / sigma) * np.arange(-around, around + 1.0)
        gaussian = (width / (math.sqrt(2.0 * math.pi) * sigma)) * np.exp(-0.5 * t * t)
        reach = parts * (centres.size // 2) + around
        x = np.multiply.outer(roots, width * np.arange(-reach, reach + 1.0))
        values = self.activation.values(x.ravel(), self.order).reshape(x.shape)
        out = np.empty((roots.size, centres.size))
        convolve(values, gaussian, parts, out)
        return out

    def _around(self, roots: Array, centres: Array, sigma: float, rule: Rule) -> Array:
        """Where the window of E_T reaches 0, panels that grow away from there; elsewhere 16 nodes do, and 8 farther out."""
        size = np.abs(centres)
        near, far = size <= NEAR * sigma, size > FAR * sigma
        out = np.empty((roots.size, centres.size))
        for these, nodes in ((far, _few_hermite()), (~near & ~far, gauss_hermite())):
            if these.any():
                out[:, these] = self._hermite(roots, centres[these], sigma, nodes)
        y, weights, gaussians = _window(tuple(centres[near].tolist()), sigma, min(rule.finest, FIRST * sigma))
        x = np.multiply.outer(roots, y)
        out[:, near] = product(self.activation.values(x.ravel(), self.order).reshape(x.shape) * weights, gaussians)
        return out


@lru_cache(maxsize=24)
def _window(centres: tuple[float, ...], sigma: float, first: float) -> tuple[Array, Array, Array]:
    """Nodes y, weights, and exp(−(y − a)²/2σ²) at each centre a and node: of ∫ f(y) N(y; a, σ²) dy. All variances share them."""
    y, weights = _both_sides(_graded(first, 2.0 * NEAR * sigma, GROWTH, FIRST * sigma))
    t = np.subtract.outer(np.array(centres), y) / sigma
    return y, weights / (math.sqrt(2.0 * math.pi) * sigma), np.exp(-0.5 * t * t)


@lru_cache(maxsize=1)
def _few_hermite() -> tuple[Array, Array]:
    """8 nodes and weights of E_T, right to 3·10⁻¹⁸ for cos(ωT), ω ≤ 0.28."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    return nodes, weights / np.sum(weights)


def product(first: Array, second: Array) -> Array:
    """first @ second.T in blocks so small that no BLAS starts threads for them, which on a busy machine wait for each other."""
    rows = min(second.shape[0], MOST_ROWS)
    columns = MOST_PRODUCTS // (first.shape[0] * rows)
    out = np.zeros((first.shape[0], second.shape[0]))
    for j in range(0, second.shape[0], rows):
        for i in range(0, first.shape[1], columns):
            out[:, j : j + rows] += first[:, i : i + columns] @ second[j : j + rows, i : i + columns].T
    return out


def _graded(first: float, last: float, growth: float, widest: float) -> Array:
    """0 and ends of panels that grow away from it, no wider than `widest`."""
    ends = [0.0, min(first, widest)]
    while ends[-1] < last:
        ends.append(ends[-1] + min(max((growth - 1.0) * ends[-1], first), widest))
    return np.array(ends)


def _both_sides(ends: Array) -> tuple[Array, Array]:
    """Gauss–Legendre nodes and weights on panels and their mirror images, ascending."""
    unit, unit_weights = gauss_legendre()
    half = 0.5 * np.diff(ends)
    nodes = (0.5 * (ends[1:] + ends[:-1])[:, None] + half[:, None] * unit).ravel()
    weights = (half[:, None] * unit_weights).ravel()
    return np.concatenate([-nodes[::-1], nodes]), np.concatenate([weights[::-1], weights])
