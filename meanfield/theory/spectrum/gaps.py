"""Where equal layers leave gaps: the values of |ζ| at which z(ζ) is real nowhere in the upper half plane.

On a stretch of the real axis where h and 1 + m are positive, D = ∂log z/∂log ζ = 1 − Σ ∫ ζ dκ(t)/(ζ − t)² is concave (increasing
beyond the support of d), and |ζ| belongs to a gap where D > 0. So a stretch holds one gap at most, between two zeros of D.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from meanfield.arrays import Array
    from meanfield.theory.spectrum.slope_law import SlopeLaw

NEAREST = 34.0  # e-folds: how near to an end of a stretch is looked
FARTHEST = 80.0
UNSEEN = 1e-3  # of the mean of d

Gap = tuple[float, float]
_Slope = Callable[[float], tuple[float, float, float]]  # ζ ↦ D, m, 1 + m


def find_gaps(law: SlopeLaw, depth: int, gaussian: bool) -> list[Gap]:
    """The gaps in |ζ|, ascending; the last one goes to infinity, a first one may begin at 0."""
    from meanfield.theory.spectrum.kernels import on_the_axis

    rows = np.empty((1, 4))

    def slope(zeta: float) -> tuple[float, float, float]:
        on_the_axis(np.array([zeta]), float(depth), float(gaussian), law.packed, rows)
        return float(rows[0, 1]), float(rows[0, 2]), float(rows[0, 3])

    supports = law.supports
    gaps: list[Gap] = []
    low = 0.0
    for start, stop in supports.tolist():
        # Far below the mean, where φ' comes as near to 0 as one likes, the end is but that of the reach: it is not looked for.
        endless = low == 0.0 and start < UNSEEN and law.reaches_zero and law.zero_mass == 0.0
        if start > low and not endless:
            gaps += _within(slope, low, start, depth, gaussian)
        low = stop
    gaps.append((_beyond(slope, low), math.inf))
    return gaps


def _beyond(slope: _Slope, top: float) -> float:
    """The upper edge: the zero of D beyond the largest d, or that d where D > 0 all the way down to it."""
    return top + top * math.exp(_zero(lambda u: slope(top + top * math.exp(u))[0], -NEAREST, FARTHEST))


def _within(slope: _Slope, low: float, high: float, depth: int, gaussian: bool) -> Iterator[Gap]:
    def at(u: float) -> float:
        # Near either end by its distance from it.
        return low + (high - low) / (1.0 + math.exp(-u)) if u < 0.0 else high - (high - low) / (1.0 + math.exp(u))

    def crossing(which: int) -> float:
        """Where m (1) or 1 + m (2), which fall from end to end, pass 0."""
        return _zero(lambda u: -slope(at(u))[which], -NEAREST, NEAREST)

    if low > 0.0 or depth == 1:  # h > 0 and 1 + m > 0: up to m = 0; one Gaussian layer has no h, and goes on to m = −1
        which = 2 if depth == 1 else 1
        last = crossing(which)
        if last > -NEAREST:
            yield from _positive(slope, which, 1.0, at, (-NEAREST, last), (low, high))
    if not gaussian:  # m < −1: h > 0, and 1 + m has no part in z
        first = crossing(2)
        if first < NEAREST:
            yield from _positive(slope, 2, -1.0, at, (first, NEAREST), (low, high))


def _positive(
    slope: _Slope, which: int, sign: float, at: Callable[[float], float], between: tuple[float, float], stretch: Gap
) -> Iterator[Gap]:
    """Where the concave D is positive between two places of a stretch; there m (1) or 1 + m (2) has this sign."""
    (first, last), (low, high) = between, stretch

    def value(u: float) -> float:
        found = slope(at(u))
        return found[0] if math.isfinite(found[0]) and sign * found[which] > 0.0 else -math.inf

    begins, ends = value(first) > 0.0, value(last) > 0.0
    if begins and ends:
        middle = 0.5 * (first + last)
    elif begins or ends:  # one end is in the gap and the other not: one zero
        middle = first if begins else last
    else:
        middle = _top(value, first, last)
        if not value(middle) > 0.0:
            return
    start = low if begins and first == -NEAREST else at(_zero(value, first, middle))
    stop = high if ends and last == NEAREST else at(-_zero(lambda u: value(-u), -last, -middle))
    yield start, stop


def _top(value: Callable[[float], float], first: float, last: float) -> float:
    """Where a concave function of a place is largest: the best of a grid, and between its neighbours by golden section."""
    grid = np.linspace(first, last, 41)
    seen = np.array([value(u) for u in grid.tolist()])
    best = int(np.argmax(seen))
    if seen[best] > 0.0:
        return float(grid[best])
    a, b = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, grid.size - 1)])
    golden = 0.5 * (math.sqrt(5.0) - 1.0)
    for _ in range(60):
        left, right = b - golden * (b - a), a + golden * (b - a)
        if value(left) > value(right):
            b = right
        else:
            a = left
    return 0.5 * (a + b)


def _zero(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function goes from negative to positive; the lower end where it is positive there, the upper one where it never is."""
    from scipy.optimize import brentq

    if high <= low or function(low) >= 0.0:
        return low
    if not function(high) > 0.0:
        return high
    return float(brentq(lambda u: min(max(function(u), -10.0), 10.0), low, high, xtol=1e-13, rtol=9e-16, maxiter=1000))


def edge_levels(law: SlopeLaw, depth: int, gaussian: bool, zeta: Array) -> Array:
    """log|z| at real ζ."""
    from meanfield.theory.spectrum.kernels import on_the_axis

    rows = np.empty((zeta.size, 4))
    on_the_axis(zeta, float(depth), float(gaussian), law.packed, rows)
    levels = rows[:, 0].copy()
    if not gaussian:  # at an atom of d, m is infinite and h = ζ
        for i, at in enumerate(zeta.tolist()):
            if np.any(np.abs(law.atoms - at) <= 1e-14 * at):
                levels[i] = depth * math.log(at)
    return np.asarray(levels)
