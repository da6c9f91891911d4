"""h(θ; q) (or g, see angle_profile.py) at many variances and angles at once.

W(x, τ) = Var_T φ(x + τT) knows nothing of q, and D = ½E[(φ(u) − φ(v))²] = ∫ W(x, τ) N(x; 0, q − τ²) dx with τ² = q(1 − c).
So W is made once for each τ and serves every q, and D/τ² (D/τ where φ jumps) is a short Chebyshev series in τ on a few
panels. They reach to c ≥ ¾ for the largest q; where c < ¾ the first 128 terms of Mehler's series are exact to rounding.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from meanfield.activations.activation import shortened
from meanfield.activations.kept import Kept
from meanfield.errors import ActivationError
from meanfield.expectation.chebyshev import TERMS, chebyshev_nodes, chebyshev_series
from meanfield.expectation.hermite import SIZES, projections
from meanfield.expectation.moments import moment_table
from meanfield.expectation.panels import gauss_legendre
from meanfield.expectation.smoothing import GRADES, SHARED_STEP, UNEVEN, Smoother, gauss_hermite

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

WIDEST_CORE = 1.0  # the panel [0, τ] that is tried first; from there on panels double in width
MOST_RATIO = 128.0  # the largest τ over that of the first panel: what happens below it is little of D at a large q
DEEPEST = 12
FEW = 1000  # panels of φ within reach that are nothing to worry about
PER_QUADRATURE = 4000  # evaluations that D at one angle is worth, for each panel of φ
MOST_WORK = 2_000_000_000  # evaluations for one object: some seconds
NOISE = 3e-12  # what rounding of φ leaves of h near θ = 0 at large q: no bisection lessens it
RESOLVED = 1e-13  # last coefficients in τ, relative to the largest value at the same q
MOST_ENDS = 200_000  # panel ends before those are dropped that make narrow panels only


def jumps(activation: Activation) -> bool:
    """Whether φ itself jumps, so that D ~ √ε."""
    return any(b.value_jump != 0.0 for b in activation.breakpoints)


# The smallest q that was refused, for each kind of table: what is past it would be refused too, seconds later.
_too_rich: Kept[dict[str, float]] = Kept("too rich")


class TooManyFeatures(ActivationError):
    """φ oscillates so often within reach of the Gaussian that its correlation map would take minutes."""


class AngleRatios:
    """h(θ; q) at given variances, the largest at most 4 times the smallest; angles in (0, π/2]."""

    def __init__(self, activation: Activation, variances: Array) -> None:
        self.activation = activation
        self.variances = variances
        self.jumping = jumps(activation)
        self._low, self._high = float(np.min(variances)), float(np.max(variances))
        self._require_moderate()
        self._work = 0  # evaluations of φ against the Gaussian
        partition = moment_table(activation).partition
        self._smoother = Smoother(activation, partition, 0, self._high)
        # A mass far out in the tail, a pole, overflow: left to the method that looks at each q and angle on its own.
        self.usable = self._smoother.central and not self._smoother.infinite
        self.usable &= not any(math.isinf(b.value_jump) for b in activation.breakpoints)
        if not self.usable:
            return
        self._edges = self._smoother.edges
        self._kinks = np.array([b.location for b in activation.breakpoints], dtype=float)
        self._limit = self._smoother.reach * math.sqrt(self._high)
        self._top = self._core = 0.5 * math.sqrt(self._high) * (1 + 1e-9)
        while self._core > max(WIDEST_CORE, self._top / MOST_RATIO):
            self._core *= 0.5
        self._foresee()
        found = projections(activation, partition, variances)
        if found is None:
            self.usable = False
            return
        coefficients, self._totals = found
        self._mean, self._squares = coefficients[:, 0], coefficients[:, 1:] ** 2
        rest = self._totals - np.sum(self._squares, axis=1)
        self._rest = np.where(rest > 1e-15 * self._totals, rest, 0.0)
        self._panels: list[tuple[float, float, Array]] = []
        self._fit()

    def _fit(self) -> None:
        """Panels of τ from the top down, halved where the series has not decayed."""
        high = self._top
        waiting: list[tuple[float, float, int, float]] = []
        saturated = True
        while high > self._core:
            low = 0.5 * high
            saturated = saturated and self._saturated(low)
            if saturated:
                taus = 0.5 * (low + high) + 0.5 * (high - low) * chebyshev_nodes()
                self._panels.append((low, high, chebyshev_series(self._beyond(taus))))
            else:
                waiting.append((low, high, 0, math.inf))
            high = low
        waiting.append((0.0, high, 0, math.inf))
        while waiting:
            a, b, depth, parent = waiting.pop()
            values = self._sample(0.5 * (a + b) + 0.5 * (b - a) * chebyshev_nodes())
            if values is None or not np.isfinite(values).all():
                self.usable = False
                return
            series = chebyshev_series(values)
            tail = float(np.max(np.max(np.abs(series[:, -2:]), axis=1) / self._size(values)))
            if tail <= RESOLVED or (tail <= NOISE and tail > 0.3 * parent):
                self._panels.append((a, b, series))
            elif depth == DEEPEST:
                self.usable = False
                return
            else:
                middle = 0.5 * (a + b)
                waiting += [(middle, b, depth + 1, tail), (a, middle, depth + 1, tail)]
        self._panels.sort(key=lambda panel: panel[0])

    def _size(self, values: Array) -> Array:
        """What the series of each variance is to be accurate against."""
        largest = np.max(np.abs(values), axis=1)
        return np.where(largest > 0, largest, 1.0)

    def _beyond(self, taus: Array) -> Array:
        """What _sample gives where D is Var φ."""
        result: Array = self._totals[:, None] / (taus if self.jumping else taus * taus)
        return result

    def _saturated(self, tau: float) -> bool:
        """Whether D(τ) is Var φ already, so that D, which never falls as τ grows to √q, is constant from there on."""
        loss = self._losses(tau)
        return loss is not None and bool(np.all(np.abs(self._totals - loss) <= RESOLVED * self._totals))

    def _sample(self, taus: Array) -> Array | None:
        """D/τ² (D/τ where φ jumps) at every variance and the given τ; None where that takes too many nodes."""
        out = np.empty((self.variances.size, taus.size))
        for j, tau in enumerate(taus.tolist()):
            loss = self._losses(tau)
            if loss is None:
                return None
            out[:, j] = loss / (tau if self.jumping else tau * tau)
        return out

    def _losses(self, tau: float) -> Array | None:
        """D at every variance."""
        nodes = self._outer(tau)
        if nodes is None:
            return None
        x, weights = nodes
        return self._integral(x, weights * self._inner(x, tau, "variance"), tau)

    def _integral(self, x: Array, weighted: Array, tau: float) -> Array:
        """∫ f(x) N(x; 0, q − τ²) dx at every variance q."""
        rest = self.variances - tau * tau
        gaussian = np.exp(np.multiply.outer(-0.5 / rest, x * x))
        result: Array = np.einsum("ij,j->i", gaussian, weighted) / np.sqrt(2 * math.pi * rest)  # no threads for so short a sum
        return result

    def _outer(self, tau: float) -> tuple[Array, Array] | None:
        """Nodes x and weights for ∫ dx of what is smooth on the scale τ."""
        from meanfield.expectation.smoothed_variance_kernels import outer_ends

        ends = np.empty(min(MOST_ENDS, 20_000 + 16 * (self._edges.size + self._kinks.size)))
        narrowest = math.sqrt(self._low - tau * tau)
        count = outer_ends(tau, narrowest, self._limit, self._edges, UNEVEN, self._kinks, GRADES[1:], ends)
        return None if count < 0 else _nodes(ends[:count])

    def _inner(self, centres: Array, tau: float, what: Literal["mean", "variance"]) -> Array:
        """E or Var of φ(X + τT) at sorted X, by nodes that all X share or, where these are fewer, nodes of their own."""

        smoother = self._smoother
        shared, evaluations = self._plan(centres, tau)
        self._account(evaluations)
        if shared is not None:
            return smoother.by_shared_nodes(centres, tau, what, *_nodes(shared))
        return smoother.by_own_nodes(centres, tau, what)

    def _plan(self, centres: Array, tau: float) -> tuple[Array | None, int]:
        """Ends of the panels of the shared nodes, None where own nodes are fewer; and how many evaluations it takes."""
        from meanfield.expectation.smoothed_variance_kernels import shared_ends
        from meanfield.expectation.smoothing_kernels import count_nodes

        smoother = self._smoother
        per_panel = gauss_legendre()[0].size
        counts = np.empty(centres.size, dtype=np.int64)
        count_nodes(centres, tau, smoother.reach, smoother.edges, gauss_hermite()[0].size, per_panel, counts)
        furthest = self._limit + smoother.reach * tau
        most = 2 * furthest / (SHARED_STEP * tau) + smoother.edges.size + 4
        ends = np.empty(int(min(MOST_ENDS, most)))
        count = shared_ends(tau, furthest, smoother.edges, SHARED_STEP, ends)
        own = int(counts.sum())
        if 0 < count * per_panel < own:
            return ends[:count], int(centres.size * count * per_panel * min(smoother.reach * tau / furthest, 1.0))
        return None, own

    def _account(self, evaluations: int) -> None:
        """Refuse what would take many seconds."""
        self._work += evaluations
        if self._work > MOST_WORK:
            self._refuse()

    def quadratures(self, count: int) -> None:
        """Account for so many values of D by quadrature at each angle on its own, where the object itself is not usable."""
        self._work += count * PER_QUADRATURE * self._smoother.edges.size
        if self._work > MOST_WORK:  # not remembered: at one variance there are fewer of them than at many
            raise self._too_many()

    def _foresee(self) -> None:
        """Refuse it before the first evaluation where a look at the first panel tells: there are four at least."""
        if self._edges.size < FEW:
            return
        taus = 0.5 * self._core * (1.0 + chebyshev_nodes())[:: TERMS // 2 - 1]
        nodes = [self._outer(tau) for tau in taus.tolist()]
        asked = [self._plan(found[0], tau)[1] for found, tau in zip(nodes, taus.tolist(), strict=True) if found is not None]
        if asked and 4 * TERMS * float(np.mean(asked)) > MOST_WORK:
            self._refuse()

    def _refuse(self) -> None:
        held = _too_rich.setdefault(self.activation, {})
        held[type(self).__name__] = min(self._high, held.get(type(self).__name__, math.inf))
        raise self._too_many()

    def _require_moderate(self) -> None:
        if self._high >= _too_rich.get(self.activation, {}).get(type(self).__name__, math.inf):
            raise self._too_many()

    def _too_many(self) -> TooManyFeatures:
        return TooManyFeatures(
            f"{shortened(self.activation.name)} has too many features within reach of N(0, q) at q = {self._high:.6g}: "
            f"its correlation map would take over {MOST_WORK:.0e} evaluations"
        )

    def __call__(self, theta: Array) -> Array:
        """h (or g) at angles of shape (variances, n)."""
        half = np.sin(0.5 * theta)
        # Σ aₙ² (1 − cⁿ) + what the 128 terms leave of E[φ²], where cⁿ has died out
        loss = np.sum(self._squares, axis=1)[:, None] - self._powers(np.cos(theta)) + self._rest[:, None]
        scale = np.sqrt(2 * self.variances)[:, None] if self.jumping else self.variances[:, None]
        return self._placed(theta, loss / (half if self.jumping else 2 * half * half), scale)

    def _powers(self, c: Array) -> Array:
        """Σ aₙ² cⁿ, n ≥ 1, where |c| is small enough for the terms there are."""
        powers = np.zeros_like(c)
        near = np.clip(c, -0.76, 0.76)
        for n in range(SIZES[0][0] - 2, -1, -1):
            powers = (powers + self._squares[:, n : n + 1]) * near
        return powers

    def _placed(self, theta: Array, otherwise: Array, scale: Array | float) -> Array:
        """The series in τ = √(2q) sin(θ/2), times scale; `otherwise` past the last panel."""
        tau = np.sqrt(2 * self.variances)[:, None] * np.sin(0.5 * theta)
        result = otherwise
        for a, b, series in self._panels:
            inside = (tau > a) & (tau <= b)
            if inside.any():
                t = (2 * tau - a - b) / (b - a)
                before, now = np.zeros_like(t), np.zeros_like(t)
                for k in range(TERMS - 1, 0, -1):  # Clenshaw
                    before, now = now, 2 * t * now - before + series[:, k : k + 1]
                result = np.where(inside, scale * (t * now - before + series[:, :1]), result)
        return result


class OppositeLosses(AngleRatios):
    """D at one variance for inputs near opposite to each other, by the angle θ' = π − θ in (0, π/2] between them and that.

    With m(x) = E_T φ(x + τT) it is Var φ − ∫ (m(x) − E φ)(m(−x) − E φ) N(x; 0, q − τ²) dx, τ² = q(1 − cos θ').
    """

    def __init__(self, activation: Activation, q: float) -> None:
        super().__init__(activation, np.array([q]))

    def _fit(self) -> None:
        self._edges = np.union1d(self._edges, -self._edges)  # m(−x) has the edges of φ mirrored
        self._kinks = np.union1d(self._kinks, -self._kinks)
        super()._fit()

    def _size(self, values: Array) -> Array:
        return np.where(self._totals > 0, self._totals, 1.0)

    def _beyond(self, taus: Array) -> Array:
        return np.repeat(self._totals[:, None], taus.size, axis=1)  # |Σ aₙ² (−c)ⁿ| ≤ Σ aₙ² cⁿ, which is nothing there

    def _sample(self, taus: Array) -> Array | None:
        out = np.empty((1, taus.size))
        for j, tau in enumerate(taus.tolist()):
            nodes = self._outer(tau)
            if nodes is None:
                return None
            x, weights = nodes
            here = self._inner(x, tau, "mean") - self._mean[0]
            there = self._inner(-x[::-1], tau, "mean")[::-1] - self._mean[0]
            out[:, j] = self._totals - self._integral(x, weights * here * there, tau)
        return out

    def __call__(self, theta: Array) -> Array:
        """D at angles θ' of shape (1, n)."""
        return self._placed(theta, self._totals[:, None] - self._powers(-np.cos(theta)), 1.0)


def _nodes(ends: Array) -> tuple[Array, Array]:
    """Gauss–Legendre nodes and weights on the panels between sorted ends."""
    unit, weights = gauss_legendre()
    half = 0.5 * np.diff(ends)
    return (0.5 * (ends[1:] + ends[:-1])[:, None] + half[:, None] * unit).ravel(), (half[:, None] * weights).ravel()
