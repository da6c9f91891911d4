"""Where the solutions of a shaping method are looked for: C'(1), C''(1) and Q'(1) over a grid of (α, β), once for each φ.

The contours size = target and Q'(1) = 1 cross where a solution is. The grid does not know the target, so it serves every depth; below its
smallest α, where α is small against the scale of φ, size ~ α² at fixed β, and Q'(1) = 1 stands at the roots of

    DKS   φ''² + 2φ'φ''',        TAT   φ'φ''' ± φ''|φ''|/√2        [the inflection points of |φ'|^{3/2}, for DKS]

which are the sign changes along the grid's first row. A second grid, β = t + bα, goes with each kink t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.polynomial import hermite_e

from meanfield.activations.kept import Kept
from meanfield.errors import ActivationError
from meanfield.expectation import shifted_kernels
from meanfield.expectation.moments import moment_table
from meanfield.expectation.shifted import ShiftedMoments, shifted_moments, slope_noise
from meanfield.theory.shaping.equations import Places

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array, Integers, Mask
    from meanfield.theory.shaping.equations import Equations

SPACING = 0.1  # of β, in units of φ's scale; φ is tabled at that
SMALL = np.exp2([-8.0, -7.0, -6.0, -5.0, -4.0, -3.5, -3.0, -2.5])  # α in those units: φ has a few nodes for each β
LARGE = np.exp2(np.arange(-2.0, 5.01, 0.5))  # all β share one table, of which each α takes every so many entries
STEP = 0.25  # between nodes, in standard deviations, for LARGE
REACH = 8.0
OFF = 0.47  # of the spacing: no node falls on a breakpoint, where derivatives may be undefined, and a kink at 0 stands midway
NEAR, FAR = np.arange(61), np.rint(60.0 * np.geomspace(1.1, 8.0, 16)).astype(np.int64)
PLACES = np.concatenate([-FAR[::-1], -NEAR[:0:-1], NEAR, FAR])  # β in units of SPACING
KINK_PLACES, KINK_SPACING = np.arange(-35, 36), 0.2  # (β − t)/α
KINK_ALPHAS = np.arange(-8.0, 5.01)
FAR_ALPHAS = np.exp2(np.arange(3.0, 27.0, 2.0))  # of the grid that is asked last
FAR_PLACES = np.arange(-5.0, 5.01, 0.25) + 0.01  # β/α there
KINKS = 6  # breakpoints that get a grid of their own, those nearest to 0
_ROWS, _COLUMNS = np.array([[0, 0], [1, 0], [1, 1]]), np.array([[0, 0], [0, 1], [1, 1]])  # corners of the two triangles of a cell
BLOCK = 16  # entries of a table that are given up together where φ can't be evaluated
NOISE = 1e-14  # of size: below it the grid's own rounding speaks


@dataclass(frozen=True)
class Grid:
    """Moments over α (rows) and a coordinate along the columns: β itself, or b where β = t + bα.

    Attributes
    ----------
    alpha : array (rows,)
    column : array (columns,)
    kink : t, or nan
    moments : ShiftedMoments of arrays (rows, columns)
    noise : array (columns,), of φ', relative, where derivatives are numerical; 0 else
    """

    alpha: Array
    column: Array
    kink: float
    moments: ShiftedMoments
    noise: Array

    def beta(self, alpha: Any, column: Any) -> Any:
        """β at a place of the grid."""
        return column if math.isnan(self.kink) else self.kink + column * alpha


@dataclass(frozen=True)
class Landscape:
    """The scale of φ and its grids."""

    scale: float
    grids: tuple[Grid, ...]

    def starts(self, equations: Equations) -> Places:
        """Close to where the two contours cross."""
        rows: list[tuple[float, float, float]] = []
        for grid in self.grids:
            for sign in equations.signs:
                height, ratio = _fields(grid, equations, sign)
                rows += _below(grid, height[0], ratio[0], sign) + _crossings(grid, height, ratio, sign)
        return Places(*np.array(rows).reshape(-1, 3).T.copy())

    @property
    def reach(self) -> tuple[float, float]:
        """The largest α and |β| looked at."""
        alpha = max(float(grid.alpha[-1]) for grid in self.grids)
        return alpha, max(float(np.max(np.abs(grid.beta(grid.alpha[-1], grid.column)))) for grid in self.grids)

    def balances(self, equations: Equations, sign: float) -> Array:
        """(Q'(1) − 1)/(size) along the contour size = target, ascending; empty where there is no such contour.

        Where the contour is below the grid, it is that of the grid's smallest α: the ratio does not depend on a small α.
        """
        seen: list[Array] = []
        for grid in self.grids:
            height, ratio = _fields(grid, equations, sign)
            with np.errstate(all="ignore"):
                crossing = height[:-1] * height[1:] <= 0.0
                below = (height[0] > 0.0) & (height[1] > height[0])
            seen += [ratio[:-1][crossing], ratio[1:][crossing], ratio[0][below]]
        values = np.concatenate(seen) if seen else np.empty(0)
        return np.sort(values[np.isfinite(values)])


_kept: Kept[Landscape] = Kept("landscape of shapes")


def landscape(act: Activation) -> Landscape:
    """That of φ, made once."""
    if act not in _kept:
        scale = own_scale(act)
        grids = [_grid(act, scale, 0.0)]
        centre = _far_centre(act, scale)
        if centre is not None:
            narrow = own_scale(act, centre)
            grids.append(_grid(act, narrow, centre))
            scale = min(scale, narrow)
        nearest = sorted(act.breakpoints, key=lambda b: abs(b.location))[:KINKS]
        grids += [_grid_of_kink(act, np.exp2(KINK_ALPHAS) * scale, b.location) for b in nearest]
        _kept[act] = Landscape(scale, tuple(grids))
    return _kept[act]


def far_landscape(act: Activation, scale: float) -> tuple[Landscape, Array]:
    """Where α is large against φ's scale and φ' does not grow, and the points of x to cut at there; no grids elsewhere.

    Such φ are nearly a line once more, or two, or a step, or a logarithm; what is small beside α needs panels of its own.
    """
    nothing = Landscape(scale, ()), np.empty(0)
    sides = scale * np.exp2(np.arange(-1.0, 33.0))
    cuts = np.concatenate([-sides[::-1], [0.0], sides])
    alphas, columns = FAR_ALPHAS * scale, FAR_PLACES
    a = np.repeat(alphas, columns.size)
    try:
        with np.errstate(all="ignore"):
            middle, ends = (np.abs(act.values(scale * np.array(x), 1)) for x in ([-1.0, -0.3, 0.3, 1.0], [-(2.0**30), 2.0**30]))
            if not np.max(ends) <= 10.0 * np.max(middle):
                return nothing
            found = shifted_moments(act, a, a * np.tile(columns, alphas.size), 0, True, cuts)
    except ActivationError:
        return nothing
    moments = ShiftedMoments(*(m.reshape(alphas.size, columns.size) for m in found))
    return Landscape(scale, (Grid(alphas, columns, 0.0, moments, slope_noise(act, scale * columns)),)), cuts


def own_scale(act: Activation, centre: float = 0.0) -> float:
    """The distance from a centre over which φ' makes a good part of its change, on the side where that is shorter; 1 where φ tells of none.

    Examples
    --------
    >>> from meanfield import activation
    >>> own_scale(activation("tanh")), own_scale(activation("tanh(x/64)")), own_scale(activation("x**2"))
    (0.7071067811865476, 45.254833995939045, 1.0)
    """
    scales = []
    for side in (-1.0, 1.0):
        x, slopes = _outwards(act, centre, side)
        with np.errstate(all="ignore"):
            changes = np.abs(slopes - act.one_sided(centre, int(side), 1))
            furthest = np.maximum.accumulate(changes)
            ahead = np.concatenate([furthest[4:], np.repeat(furthest[-1:], 4)])  # the largest as far out as 4|x|
            told = np.isfinite(ahead) & (ahead > 1e-9 * np.abs(slopes[:1]) + 1e-300) & (np.arange(x.size) < x.size - 4)
            good = told & (changes >= 0.3 * ahead)
        if good.any() and not good[0]:
            scales.append(float(x[int(np.argmax(good))]))
    if not scales:
        scales = [abs(b.location) for b in act.breakpoints if b.location != 0.0][:1]
    return min(scales, default=1.0)


def _outwards(act: Activation, centre: float, side: float) -> tuple[Array, Array]:
    """Distances in half octaves and φ' there, as far out as φ can be evaluated."""
    for far in (30.0, 8.0, 4.0):
        x = np.exp2(np.arange(-30.0, far + 0.5, 0.5))
        try:
            with np.errstate(all="ignore"):
                return x, act.values(centre + side * x, 1)
        except ActivationError:  # a function of the user's that overflows into nan far out
            continue
    return np.ones(0), np.ones(0)


def _far_centre(act: Activation, scale: float) -> float | None:
    """Where φ bends most, if that is so far out and so narrow that the grid about 0 has no point there: tanh(x − 50)."""
    partition = moment_table(act).partition
    lowest = math.floor(math.log2(scale))
    for highest in (min(lowest + 9, 20), 20):  # to where φ does something
        try:
            panels = partition.within(lowest - 6, highest)
            nodes = np.ascontiguousarray(panels.nodes.ravel())
            with np.errstate(all="ignore"):
                slopes, bends = act.several(nodes, (1, 2))
        except ActivationError:
            return None
        size = np.where(np.isfinite(bends), np.abs(bends), 0.0)
        if size.any():
            break
    else:
        return None
    near = np.flatnonzero(size >= 0.5 * size.max())
    place = near[np.argmin(np.abs(nodes[near]))]
    where, width = float(nodes[place]), float(np.max(np.abs(slopes[np.isfinite(slopes)])) / size[place])
    return where if abs(where) > 5.0 * scale or (abs(where) > 5.0 * width and width < 0.1 * scale) else None


def _grid(act: Activation, scale: float, centre: float) -> Grid:
    column = centre + SPACING * (PLACES + OFF) * scale
    moments = _small_rows(act, SMALL * scale, column)
    # β + αz of every row falls on one table of x, every `stride` entries of it.
    strides = [max(1, round(STEP * alpha / SPACING)) for alpha in LARGE]
    halves = [math.ceil(REACH * alpha / SPACING / stride) for alpha, stride in zip(LARGE, strides, strict=True)]
    edge = int(PLACES[-1]) + max(half * stride for half, stride in zip(halves, strides, strict=True))
    table = _evaluated(act, centre + SPACING * (np.arange(-edge, edge + 1) + OFF) * scale)
    for alpha, stride, half in zip(LARGE, strides, halves, strict=True):
        z, weights = _trapezoid(SPACING * stride / alpha, half)
        moments.append(_windows(table, PLACES + edge - half * stride, stride, z, weights, alpha * scale))
    alphas = np.concatenate([SMALL, LARGE]) * scale
    return Grid(alphas, column, math.nan, ShiftedMoments(*np.stack(moments, axis=1)), slope_noise(act, column))


def _small_rows(act: Activation, alphas: Array, column: Array) -> list[Array]:
    z, weights = _gauss_hermite()
    table = _evaluated(act, (column[:, None] + alphas[:, None, None] * z).ravel())
    first = z.size * np.arange(column.size)
    return [_windows(table, first + z.size * column.size * row, 1, z, weights, alpha) for row, alpha in enumerate(alphas)]


def _grid_of_kink(act: Activation, alphas: Array, kink: float) -> Grid:
    half = math.ceil(REACH / KINK_SPACING)
    edge = int(KINK_PLACES[-1]) + half + 1
    unit = KINK_SPACING * (np.arange(-edge, edge) + 0.5)  # the kink midway between nodes: each side has the midpoint rule
    table = _evaluated(act, (kink + alphas[:, None] * unit).ravel())
    first, rule = KINK_PLACES + edge - half, _trapezoid(KINK_SPACING, half)
    moments = [_windows(table, first + unit.size * row, 1, *rule, alpha) for row, alpha in enumerate(alphas)]
    column = np.asarray(KINK_SPACING * (KINK_PLACES + 0.5), dtype=np.float64)
    noise = slope_noise(act, kink + alphas[alphas.size // 2] * column)
    return Grid(alphas, column, kink, ShiftedMoments(*np.stack(moments, axis=1)), noise)


def _windows(table: tuple[Array, Array, Array], start: Integers, stride: int, z: Array, weights: Array, alpha: float) -> Array:
    """Moments of φ(αZ + β), a column for each window of the table."""
    found = np.empty((len(ShiftedMoments._fields), start.size))
    shifted_kernels.moments_by_rests(*table, start, stride, z[None], weights[None], np.full(start.size, alpha), found)
    return found


def _trapezoid(step: float, half: int) -> tuple[Array, Array]:
    z = step * np.arange(-half, half + 1, dtype=np.float64)
    return z, np.exp(-0.5 * z * z) * (step / math.sqrt(2.0 * math.pi))


@lru_cache(maxsize=1)
def _gauss_hermite() -> tuple[Array, Array]:
    z, weights = hermite_e.hermegauss(9)
    return z, weights / math.sqrt(2.0 * math.pi)


def _evaluated(act: Activation, x: Array) -> tuple[Array, Array, Array]:
    """φ, φ', φ''; nan about places where φ can't be evaluated."""
    try:
        with np.errstate(all="ignore"):
            values, slopes, bends = act.several(x, (0, 1, 2))
    except ActivationError:
        if x.size <= BLOCK:
            return np.full(x.size, np.nan), np.full(x.size, np.nan), np.full(x.size, np.nan)
        left, right = (_evaluated(act, np.ascontiguousarray(part)) for part in np.array_split(x, 2))
        values, slopes, bends = (np.concatenate(parts) for parts in zip(left, right, strict=True))
    return values, slopes, bends


def _fields(grid: Grid, equations: Equations, sign: float) -> tuple[Array, Array]:
    """log(size/target) and (Q'(1) − 1)/size; nan where rounding speaks."""
    with np.errstate(all="ignore"):
        size = equations.size(grid.moments)
        # e is known to ε|E ψ|, which is to be a hundredth of √(E e²) at most; ψ' − a₁ to ε|a₁|.
        rounding = 1e-27 * grid.moments.mean**2 / grid.moments.slopes
        size = np.where(size > np.maximum(np.maximum(NOISE, 100.0 * grid.noise), rounding), size, np.nan)
        return np.log(size / equations.target), equations.balance(grid.moments, sign) / size


def _below(grid: Grid, height: Array, ratio: Array, sign: float) -> list[tuple[float, float, float]]:
    """Starts at smaller α than the grid's: sign changes of the balance along its first row, α by size ~ α²."""
    found = []
    with np.errstate(invalid="ignore"):
        changes = np.flatnonzero(ratio[:-1] * ratio[1:] < 0.0)
    for i in changes:
        part = ratio[i] / (ratio[i] - ratio[i + 1])
        level = height[i] + part * (height[i + 1] - height[i])
        if level > 0.0:
            alpha = float(grid.alpha[0] * math.exp(-0.5 * level))
            found.append((alpha, float(grid.beta(alpha, grid.column[i] + part * (grid.column[i + 1] - grid.column[i]))), sign))
    return found


def _crossings(grid: Grid, height: Array, ratio: Array, sign: float) -> list[tuple[float, float, float]]:
    """Zeros of both fields, each cell of the grid halved into triangles on which they are taken as linear."""
    with np.errstate(all="ignore"):
        i, j = np.nonzero(_changes_sign(height) & _changes_sign(ratio))
        rows, columns = (np.add.outer(corner, cells).reshape(3, -1) for corner, cells in ((_ROWS, i), (_COLUMNS, j)))
        h, r = height[rows, columns], ratio[rows, columns]
        # Barycentric coordinates of the common zero, up to their sum: the cross product of (h₀, h₁, h₂) and (r₀, r₁, r₂).
        parts = np.stack([h[1] * r[2] - h[2] * r[1], h[2] * r[0] - h[0] * r[2], h[0] * r[1] - h[1] * r[0]])
        parts /= parts.sum(axis=0)
        inside = (parts >= -0.1).all(axis=0)  # a little beyond the triangle: the fields are not quite linear
    parts, rows, columns = parts[:, inside], rows[:, inside], columns[:, inside]
    alpha = np.exp(np.sum(parts * np.log(grid.alpha)[rows], axis=0))
    beta = grid.beta(alpha, np.sum(parts * grid.column[columns], axis=0))
    return [(float(a), float(b), sign) for a, b in zip(alpha, beta, strict=True)]


def _changes_sign(field: Array) -> Mask:
    """Whether a field is not of one sign at the corners of each cell."""
    corners = np.array([field[:-1, :-1], field[1:, :-1], field[:-1, 1:], field[1:, 1:]])
    found: Mask = (corners.min(axis=0) <= 0.0) & (corners.max(axis=0) >= 0.0)
    return found
