"""The variance map F(q) = σ_b² + σ_w² V[φ](q), all its fixed points, and where its recursion goes."""

from __future__ import annotations

import functools
import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import AccuracyWarning
from meanfield.expectation.moments import Q_DV, MomentTable, V
from meanfield.expectation.second_moment import second_moments
from meanfield.result import Result
from meanfield.solve.reach import Cost, reach, sampled_moments
from meanfield.solve.scan import PER_OCTAVE, octave_grid, polish, with_extrema

if TYPE_CHECKING:
    from collections.abc import Callable

    from meanfield.activations import Activation
    from meanfield.arrays import Array

TANGENT = 1e-12  # relative distance of F(q) to q at which a touching extremum counts as a fixed point
NOISE = 6e-14  # relative distance of F(q) to q that the tables can't tell from 0
LARGEST_Q = 2.0**20  # of the grid that serves many networks at once
STILL = 8e-15  # relative change of q by one layer that is rounding of the tables
STEPS = 10_000
SAMPLED_STILL = 0.05  # the same where V comes from samples
SAMPLED_APART = 1.5  # crossings of samples that are nearer to each other, as a ratio, are one


@dataclass(frozen=True, eq=False, repr=False)
class FixedPoint(Result):
    """A solution of F(q) = q.

    Attributes
    ----------
    value : float
        q.
    slope : float
        F'(q), one-sided (q → 0⁺) at 0.
    stable : bool
        Whether variances on both sides (at 0: above) return to it. A tangent point, slope 1, is half-stable: False.
    """

    value: float
    slope: float
    stable: bool

    def __str__(self) -> str:
        return f"q = {self.value:.9g}, F'(q) = {self.slope:.6g}, {'stable' if self.stable else 'not stable'}"


def variance_map(act: Activation, table: MomentTable, weight: float, bias: float, q: Array) -> Array:
    """F(q) for variances weight = σ_w² and bias = σ_b²."""
    if weight == 0.0:
        return np.full(q.shape, bias)
    return bias + weight * second_moments(act, q, 0)


def variance_slope(act: Activation, table: MomentTable, weight: float, q: Array) -> Array:
    """F'(q) = σ_w² dV/dq; at q = 0 the limit q → 0⁺."""
    if weight == 0.0:
        return np.zeros(q.shape)
    out = np.empty(q.shape)
    positive = q > 0
    if positive.any():
        out[positive] = weight * table(Q_DV, q[positive]) / q[positive]
    if not positive.all():
        out[~positive] = weight * _slope_at_zero(act)
    return out


def _slope_at_zero(act: Activation) -> float:
    """dV/dq at 0⁺: ½E[(φ²)''], with φ² expanded on both sides of 0."""
    sides = []
    for side in (-1, 1):
        phi, first, second = (act.one_sided(0.0, side, k) for k in (0, 1, 2))
        sides.append((2 * phi * first, 2 * first * first + (2 * phi * second if phi != 0 else 0.0)))
    (left, left2), (right, right2) = sides
    if left != right and abs(left - right) > 1e-14 * max(abs(left), abs(right)):
        return math.copysign(math.inf, right - left)  # V grows like √q
    return 0.25 * (left2 + right2)


def fixed_points(act: Activation, table: MomentTable, weight: float, bias: float) -> tuple[FixedPoint, ...]:
    """All solutions of F(q) = q, ascending, 0 included where F(0) = 0."""

    cost = Cost(table.partition)

    def excess(q: Array) -> Array:  # (F(q) − q)/q
        return (bias + weight * _moments(act, table, cost, q)) / q - 1.0

    def slope(q: float) -> float:
        if q >= cost.dear_from(q):
            return weight * float(sampled_moments(act, np.array([q]))[1][0]) / q
        return float(variance_slope(act, table, weight, np.array([q]))[0])

    points: list[FixedPoint] = []
    if weight == 0.0:
        return (FixedPoint(bias, 0.0, True),)
    at_zero = float(second_moments(act, np.zeros(1), 0)[0])
    zero = bias == 0.0 and at_zero == 0.0
    # F ≥ σ_b², and where φ(0) ≠ 0 F stays near σ_w² φ(0)² for small q: no fixed point lies lower.
    low = bias * (1 - 1e-9) if bias > 0 else (2.0**-60 if at_zero == 0.0 else weight * at_zero * 1e-6)
    low = min(max(low, 1e-250), 1e250)
    grid, values = _scan(act, table, cost, excess, weight, low, reach(act, weight, bias))
    dear = cost.dear_from(float(grid[-1]))
    if zero:
        points.append(FixedPoint(0.0, slope(0.0), _attracts(grid, values)))
    exact = int(np.searchsorted(grid, dear))  # the extrema of samples are their noise
    if exact > 2:
        more, at_more = with_extrema(grid[:exact], values[:exact], excess)
        grid, values = np.concatenate([more, grid[exact:]]), np.concatenate([at_more, values[exact:]])
    # Samples that are 0 to rounding decide nothing: a root lies between their neighbours if those differ in sign; if
    # they agree, a lone such sample is a tangent point and a stretch of them a continuum, which is not listed.
    clear = np.flatnonzero(np.abs(values) > NOISE)
    side = np.sign(values)
    left, right = clear[:-1], clear[1:]
    crossing = side[left] != side[right]
    low, high = left[crossing], right[crossing]
    found = list(polish(lambda q, _: excess(q), grid[low], grid[high], values[low], values[high])) if low.size else []
    touching = ~crossing & (right - left == 2)
    found += [float(q) for q in grid[left[touching] + 1]]
    size = np.abs(values)
    extreme = (size[1:-1] < size[:-2]) & (size[1:-1] < size[2:]) & (size[1:-1] > NOISE) & (size[1:-1] <= TANGENT)
    extreme &= (side[1:-1] == side[:-2]) & (side[1:-1] == side[2:])
    found += [float(q) for q in grid[1:-1][extreme]]
    for q in _settled(act, sorted(found), dear):
        if points and points[-1].value > 0 and q - points[-1].value <= 1e-12 * q:
            continue
        at = slope(q)
        points.append(FixedPoint(float(q), at, abs(at) < 1 - TANGENT or (abs(at) < 1 and _crosses_down(excess, q))))
    return tuple(points)


def _moments(act: Activation, table: MomentTable, cost: Cost, q: Array) -> Array:
    """V[φ](q): from the table, or from samples where the table would take too long."""
    dear = q >= cost.dear_from(float(q.max()))
    if not dear.any():
        return table(V, q)
    out = np.empty(q.shape)
    out[dear] = sampled_moments(act, q[dear])[0]
    out[~dear] = table(V, q[~dear])
    return out


def _settled(act: Activation, found: list[float], dear: float) -> list[float]:
    """The solutions; of those that samples gave each odd cluster as one, and a warning that says so."""
    exact, sampled = [q for q in found if q < dear], [q for q in found if q >= dear]
    if not sampled:
        return exact
    clusters: list[list[float]] = [[]]
    for q in sampled:
        if clusters[-1] and q > SAMPLED_APART * clusters[-1][-1]:
            clusters.append([])
        clusters[-1].append(q)
    warnings.warn(
        f"{act.name} has too many features for exact integrals at q > {dear:.3g}: the fixed points there come from samples, "
        "with a relative error of some per cent",
        AccuracyWarning,
        stacklevel=4,
    )
    return exact + [cluster[len(cluster) // 2] for cluster in clusters if len(cluster) % 2]


def _crosses_down(excess: Callable[[Array], Array], q: float) -> bool:
    around = excess(np.array([q * (1 - 1e-5), q * (1 + 1e-5)]))
    return bool(around[0] > 0 > around[1])


def _attracts(grid: Array, values: Array) -> bool:
    """Whether F(q) < q just above 0, as far as it can be told from F(q) = q."""
    seen = np.flatnonzero(np.abs(values) > 1e-13)
    return bool(seen.size and values[seen[0]] < 0)


def _scan(
    act: Activation,
    table: MomentTable,
    cost: Cost,
    excess: Callable[[Array], Array],
    weight: float,
    low: float,
    enough: float,
) -> tuple[Array, Array]:
    """Samples of (F(q) − q)/q from low to where its tail leaves no further crossing."""
    high = max(min(2.0**20, enough), low * 2.0**10)
    grids, samples = [], []
    while True:
        dear = cost.dear_from(high)
        if low < dear:
            table.ensure(math.frexp(low)[1] - 1, math.frexp(min(high, dear))[1] - 1)
        grid = octave_grid(low, high)
        value = excess(grid)
        finite = np.isfinite(value)
        if not finite.all():
            stop = int(np.argmin(finite))
            grids.append(grid[: stop + 1])
            samples.append(np.append(value[:stop], np.inf))
            break
        grids.append(grid)
        samples.append(value)
        last = np.array([grid[-1]])
        if high >= dear:
            moment, rise = (float(column[0]) for column in sampled_moments(act, last))
        else:
            moment, rise = float(table(V, last)[0]), float(table(Q_DV, last)[0])
        growth = rise / moment if moment > 0 else 0.0  # d log V/d log q
        above = value[-1] > 0
        # Above q and not coming back: F steeper than q, and φ² growing no more slowly than x².
        leaving = growth >= 1 - 1e-6 and weight * growth * moment / grid[-1] >= 1.0
        if (above and leaving) or (not above and growth <= 1 + 1e-6) or high > 1e240 or 2.0**60 > high >= enough:
            break
        low, high = high, high * 2.0**10
    joined = np.concatenate(grids)
    values = np.concatenate(samples)
    keep = np.concatenate([[True], np.diff(joined) > 0])
    return joined[keep], values[keep]


def scan_range(act: Activation, table: MomentTable, weights: Array, biases: Array) -> Array:
    """A grid of q up to 2²⁰, powers of two among it, for the limits of the recursion at σ_w² in weights and σ_b² in biases.

    It ends earlier where F(q) is clearly below q, or clearly above, from some q on for each of those networks.
    """
    positive = biases[biases > 0]
    low = min(max(float(positive.min()) * (1 - 1e-9), 2.0**-200), 0.25) if positive.size else 0.25
    if positive.size < biases.size:
        low = min(low, 2.0**-60)
    low = math.ldexp(1.0, math.floor(math.log2(low)))
    ladder = np.quantile(weights, np.linspace(0.0, 1.0, 12), method="nearest")
    far = max(reach(act, float(w), float(b)) for w in ladder for b in (biases.min(), biases.max()))
    # Past the reach F stays on its side of q; a factor of 4 for the weights between those that were tried.
    top = min(max(4.0 * far, 4.0 * float(biases.max()), 16.0), LARGEST_Q)
    first, last = math.floor(math.log2(low)), math.ceil(math.log2(top))
    # The same numbers whatever the range.
    octaves, parts = np.divmod(np.arange(first * PER_OCTAVE, last * PER_OCTAVE + 1), PER_OCTAVE)
    grid: Array = np.ldexp(np.exp2(np.arange(PER_OCTAVE) / PER_OCTAVE)[parts], octaves)
    table.ensure(first, last)
    return grid


def limit(act: Activation, table: MomentTable, weight: float, bias: float, points: tuple[FixedPoint, ...], q0: float) -> float:
    """Where q, F(q), F(F(q)), … goes: 0, a fixed point, or inf. There are no 2-cycles, so every orbit converges or grows (Coppel 1955)."""

    cost = Cost(table.partition)

    def is_dear(q: float) -> bool:
        return weight != 0.0 and q > 1.0 and q >= cost.dear_from(q)

    def step(q: float) -> float:
        if is_dear(q):
            return bias + weight * float(sampled_moments(act, np.array([q]))[0][0])
        return float(variance_map(act, table, weight, bias, np.array([q]))[0])

    @functools.cache
    def farthest() -> float:
        return reach(act, weight, bias)

    q = q0
    seen = set()
    for _ in range(STEPS):
        if q in seen:  # samples, which know q to some per cent, may go round in a circle about a fixed point
            warnings.warn(
                f"{act.name} has too many features for exact integrals at some of the variances on the way from q = {q0:.3g}; "
                "by samples their recursion does not settle",
                AccuracyWarning,
                stacklevel=4,
            )
            break
        seen.add(q)
        if q != 0 and not 1e-280 <= q <= 1e280:
            return 0.0 if q < 1 else math.inf
        following = step(q)
        if math.isinf(following):
            return math.inf
        if is_dear(q) and abs(following - q) <= SAMPLED_STILL * q:
            return min((p.value for p in points if max(p.value, q) <= SAMPLED_APART * min(p.value, q)), key=lambda p: abs(p - q), default=q)
        if abs(following - q) <= STILL * q:
            nearest = min((p.value for p in points), key=lambda p: abs(p - q), default=q)
            return nearest if abs(nearest - q) <= 1e-6 * max(q, nearest) or (nearest == 0.0 and q < 1e-12) else q
        upwards = following > q
        ahead = [p.value for p in points if (p.value > q if upwards else p.value < q)]
        if not ahead and not upwards:
            q = following
            continue
        target = (min(ahead) if upwards else max(ahead)) if ahead else math.inf
        if _increasing(table, cost, q, target if ahead else min(max(farthest(), q), 2.0**20)):
            return target
        q = following
    return q


def _increasing(table: MomentTable, cost: Cost, q: float, target: float) -> bool:
    """Whether F is non-decreasing between q and a fixed point, so that the recursion from q ends exactly there.

    Where only samples tell there is no slope to trust; the samples between q and the fixed point all lie on one side.
    """
    low, high = min(q, target), max(q, target)
    low = max(low, 2.0**-60 if high > 2.0**-58 else high * 2.0**-10)
    if math.isinf(high):
        high = max(2.0**20, low * 2.0**4)
    high = min(high, cost.dear_from(high) * 0.99)
    if low >= high:
        return True
    slopes = table(Q_DV, octave_grid(low, high))
    return bool(np.all(slopes >= 0))
