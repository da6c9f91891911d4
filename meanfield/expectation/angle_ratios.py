"""h(θ; q) (or g, see angle_profile.py) at many variances and angles at once.

W(x, τ) = Var_T φ(x + τT) knows nothing of q, and D = ½E[(φ(u) − φ(v))²] = ∫ W(x, τ) N(x; 0, q − τ²) dx with τ² = q(1 − c).
So W is made once for each τ and serves every q, and D/τ² (D/τ where φ jumps) is a short Chebyshev series in τ on a few
panels. They reach to c ≥ ¾ for the largest q; where c < ¾ the first 128 terms of Mehler's series are exact to rounding.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.angle_profile import NOISE, TERMS, chebyshev_nodes, chebyshev_series, jumps
from meanfield.expectation.hermite import SIZES, projections
from meanfield.expectation.moments import moment_table
from meanfield.expectation.panels import gauss_legendre
from meanfield.expectation.smoothing import GRADES, SHARED_STEP, Smoother, gauss_hermite

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

WIDEST_CORE = 1.0  # the panel [0, τ] that is tried first; from there on panels double in width
DEEPEST = 8
RESOLVED = 1e-13  # last coefficients in τ, relative to the largest value at the same q
MOST_ENDS = 200_000  # panel ends before those are dropped that make narrow panels only
MOST_ENTRIES = 4_000_000  # nodes in windows held at a time
MOST_WORK = 64_000_000  # nodes in windows for one τ: with more, D at each angle on its own is no dearer


class AngleRatios:
    """h(θ; q) at given variances, the largest at most 4 times the smallest; angles in (0, π/2]."""

    def __init__(self, activation: Activation, variances: Array) -> None:
        self.activation = activation
        self.variances = variances
        self.jumping = jumps(activation)
        self._low, self._high = float(np.min(variances)), float(np.max(variances))
        partition = moment_table(activation).partition
        self._smoother = Smoother(activation, partition, 0, self._high)
        # A mass far out in the tail, a pole, overflow: left to the method that looks at each q and angle on its own.
        self.usable = self._smoother.central and not self._smoother.infinite
        self.usable &= not any(math.isinf(b.value_jump) for b in activation.breakpoints)
        if not self.usable:
            return
        self._kinks = np.array([b.location for b in activation.breakpoints], dtype=float)
        self._limit = self._smoother.reach * math.sqrt(self._high)
        self._top = 0.5 * math.sqrt(self._high) * (1 + 1e-9)
        found = projections(activation, partition, variances)
        if found is None:
            self.usable = False
            return
        coefficients, totals = found
        self._squares = coefficients[:, 1:] ** 2
        rest = totals - np.sum(self._squares, axis=1)
        self._rest = np.where(rest > 1e-15 * totals, rest, 0.0)
        self._panels: list[tuple[float, float, Array]] = []
        self._fit()

    def _fit(self) -> None:
        """Panels of τ from the top down, halved where the series has not decayed."""
        high = self._top
        waiting: list[tuple[float, float, int, float]] = []
        while high > WIDEST_CORE:
            waiting.append((0.5 * high, high, 0, math.inf))
            high *= 0.5
        waiting.append((0.0, high, 0, math.inf))
        while waiting:
            a, b, depth, parent = waiting.pop()
            values = self._sample(0.5 * (a + b) + 0.5 * (b - a) * chebyshev_nodes())
            if values is None or not np.isfinite(values).all():
                self.usable = False
                return
            series = chebyshev_series(values)
            largest = np.max(np.abs(values), axis=1)
            tail = float(np.max(np.max(np.abs(series[:, -2:]), axis=1) / np.where(largest > 0, largest, 1.0)))
            if tail <= RESOLVED or (tail <= NOISE and tail > 0.3 * parent):
                self._panels.append((a, b, series))
            elif depth == DEEPEST:
                self.usable = False
                return
            else:
                middle = 0.5 * (a + b)
                waiting += [(middle, b, depth + 1, tail), (a, middle, depth + 1, tail)]
        self._panels.sort(key=lambda panel: panel[0])

    def _sample(self, taus: Array) -> Array | None:
        """D/τ² (D/τ where φ jumps) at every variance and the given τ; None where that takes too many nodes."""
        out = np.empty((self.variances.size, taus.size))
        for j, tau in enumerate(taus.tolist()):
            found = self._smoothed(tau)
            if found is None:
                return None
            x, weighted = found
            rest = self.variances - tau * tau
            gaussian = np.exp(np.multiply.outer(-0.5 / rest, x * x))
            loss = (gaussian @ weighted) / np.sqrt(2 * math.pi * rest)
            out[:, j] = loss / (tau if self.jumping else tau * tau)
        return out

    def _smoothed(self, tau: float) -> tuple[Array, Array] | None:
        """Nodes x for ∫ dx, and W(x, τ) there times their weights."""
        from meanfield.expectation.smoothed_variance_kernels import outer_ends, shared_ends
        from meanfield.expectation.smoothing_kernels import count_nodes, place_nodes, variances

        smoother = self._smoother
        ends = np.empty(min(MOST_ENDS, 20_000 + 16 * (smoother.edges.size + self._kinks.size)))
        count = outer_ends(tau, math.sqrt(self._low - tau * tau), self._limit, smoother.edges, self._kinks, GRADES[1:], ends)
        if count < 0:
            return None
        centres, outer_weights = _nodes(ends[:count])
        hermite, hermite_weights = gauss_hermite()
        legendre, legendre_weights = gauss_legendre()
        counts = np.empty(centres.size, dtype=np.int64)
        count_nodes(centres, tau, smoother.reach, smoother.edges, hermite.size, legendre.size, counts)
        own = int(counts.sum())
        most_shared = 2 * (self._limit + smoother.reach * tau) / (SHARED_STEP * tau) + smoother.edges.size + 4
        ends = np.empty(int(min(MOST_ENDS, most_shared)))
        count = shared_ends(tau, self._limit + smoother.reach * tau, smoother.edges, SHARED_STEP, ends)
        reference = self.activation.values(centres, 0)
        if 0 < count * legendre.size < own:
            x, weights = _nodes(ends[:count])
            result = self._by_windows(centres, tau, x, weights, reference)
            return None if result is None else (centres, outer_weights * result)
        if own > MOST_ENTRIES:
            return None
        offsets = np.concatenate([[0], np.cumsum(counts)])
        x, weights = np.empty(own), np.empty(own)
        place_nodes(centres, tau, smoother.reach, smoother.edges, hermite, hermite_weights, legendre, legendre_weights, offsets, x, weights)
        result = np.empty(centres.size)
        variances(self.activation.values(x, 0), weights, offsets, reference, result)
        return centres, outer_weights * result

    def _by_windows(self, centres: Array, tau: float, x: Array, weights: Array, reference: Array) -> Array | None:
        """Var_T φ(X + τT) from nodes x that all centres share."""
        from meanfield.expectation.smoothed_variance_kernels import exponents, window_variances, windows

        first, offsets = np.empty(centres.size, dtype=np.int64), np.empty(centres.size + 1, dtype=np.int64)
        entries = windows(centres, tau, self._smoother.reach, x, first, offsets)
        if entries > MOST_WORK:
            return None
        values = self.activation.values(x, 0)
        result = np.empty(centres.size)
        start = 0
        while start < centres.size:  # as many centres at a time as memory bears
            stop = max(start + 1, int(np.searchsorted(offsets, offsets[start] + MOST_ENTRIES, side="right")) - 1)
            block = slice(start, stop)
            begin, local = np.ascontiguousarray(first[block]), offsets[start : stop + 1] - offsets[start]
            gaussian = np.empty(int(local[-1]))
            exponents(np.ascontiguousarray(centres[block]), tau, x, begin, local, gaussian)
            np.exp(gaussian, out=gaussian)
            window_variances(gaussian, weights, values, np.ascontiguousarray(reference[block]), begin, local, result[block])
            start = stop
        return result

    def __call__(self, theta: Array) -> Array:
        """h (or g) at angles of shape (variances, n)."""
        half = np.sin(0.5 * theta)
        tau = np.sqrt(2 * self.variances)[:, None] * half
        c = np.cos(theta)
        # Σ aₙ² (1 − cⁿ) + what the 128 terms leave of E[φ²], where cⁿ has died out
        powers = np.zeros_like(c)
        near = np.minimum(c, 0.76)
        for n in range(SIZES[0][0] - 2, -1, -1):
            powers = (powers + self._squares[:, n : n + 1]) * near
        loss = np.sum(self._squares, axis=1)[:, None] - powers + self._rest[:, None]
        result: Array = loss / (half if self.jumping else 2 * half * half)
        scale = np.sqrt(2 * self.variances)[:, None] if self.jumping else self.variances[:, None]
        for a, b, series in self._panels:
            inside = (tau > a) & (tau <= b)
            if inside.any():
                t = (2 * tau - a - b) / (b - a)
                before, now = np.zeros_like(t), np.zeros_like(t)
                for k in range(TERMS - 1, 0, -1):  # Clenshaw
                    before, now = now, 2 * t * now - before + series[:, k : k + 1]
                result = np.where(inside, scale * (t * now - before + series[:, :1]), result)
        return result


def _nodes(ends: Array) -> tuple[Array, Array]:
    """Gauss–Legendre nodes and weights on the panels between sorted ends."""
    unit, weights = gauss_legendre()
    half = 0.5 * np.diff(ends)
    return (0.5 * (ends[1:] + ends[:-1])[:, None] + half[:, None] * unit).ravel(), (half[:, None] * weights).ravel()
