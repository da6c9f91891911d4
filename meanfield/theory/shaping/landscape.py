"""Where the solutions of a shaping method are looked for: C'(1), C''(1) and Q'(1) over a grid of (α, β), once for each φ.

The contours size = target and Q'(1) = 1 cross where a solution is. The grid does not know the target, so it serves every depth; below its
smallest α, where α is small against the scale of φ, size ~ α² at fixed β, and Q'(1) = 1 stands at the roots of

    DKS   φ''² + 2φ'φ''',        TAT   φ'φ''' ± φ''|φ''|/√2        [the inflection points of |φ'|^{3/2}, for DKS]

which are the sign changes along the grid's first row. A second grid, β = t + bα, goes with each kink t.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield.activations.kept import Kept
from meanfield.errors import ActivationError
from meanfield.expectation.moments import moment_table
from meanfield.expectation.shifted import ShiftedMoments, _from_rests, _trapezoid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meanfield.activations import Activation
    from meanfield.arrays import Array, Mask
    from meanfield.theory.shaping.equations import Equations

ALPHAS = np.exp2(np.arange(-8.0, 5.01, 0.5))  # in units of φ's scale
NEAR, FAR = np.arange(0.0, 6.01, 0.1), 6.0 * np.geomspace(1.1, 8.0, 16)
OFF = 0.0031  # so that no node falls on a breakpoint, where derivatives may be undefined
BETAS = np.concatenate([-FAR[::-1], -NEAR[:0:-1], NEAR, FAR]) + OFF
KINK_BETAS = np.arange(-7.0, 7.01, 0.2) + OFF  # in units of α
KINKS = 6  # breakpoints that get a grid of their own, those nearest to 0
NOISE = 1e-11  # of size: below it the grid's own rounding speaks


@dataclass(frozen=True)
class Grid:
    """Moments over α (rows) and a coordinate along the columns: β itself, or b where β = t + bα.

    Attributes
    ----------
    alpha : array (rows,)
    column : array (columns,)
    kink : t, or nan
    moments : ShiftedMoments of arrays (rows, columns)
    """

    alpha: Array
    column: Array
    kink: float
    moments: ShiftedMoments

    def beta(self, alpha: float, column: float) -> float:
        """β at a place of the grid."""
        return column if math.isnan(self.kink) else self.kink + column * alpha


@dataclass(frozen=True)
class Landscape:
    """The scale of φ and its grids."""

    scale: float
    grids: tuple[Grid, ...]

    def starts(self, equations: Equations) -> list[tuple[float, float]]:
        """(α, β) close to where the two contours cross, inner ones first."""
        found: list[tuple[float, float]] = []
        for grid in self.grids:
            found.extend(_below(grid, equations))
            found.extend(_crossings(grid, equations))
        apart: list[tuple[float, float]] = []
        for alpha, beta in found:  # neighbouring cells tell of one crossing
            if not any(abs(math.log(alpha / a)) < 0.05 and abs(beta - b) < 0.05 * min(alpha, self.scale) for a, b in apart):
                apart.append((alpha, beta))
        return apart

    def balances(self, equations: Equations) -> tuple[float, float]:
        """The least and the largest (Q'(1) − 1)/(size) along the contour size = target; nan where there is no such contour."""
        seen: list[Array] = []
        for grid in self.grids:
            height, ratio = _fields(grid, equations)
            with np.errstate(all="ignore"):
                crossing = height[:-1] * height[1:] <= 0.0
            seen.append(ratio[:-1][crossing])
            seen.append(ratio[1:][crossing])
        values = np.concatenate(seen) if seen else np.empty(0)
        values = values[np.isfinite(values)]
        return (float(values.min()), float(values.max())) if values.size else (math.nan, math.nan)


_kept: Kept[Landscape] = Kept("landscape of shapes")


def landscape(act: Activation) -> Landscape:
    """That of φ, made once."""
    if act not in _kept:
        scale = own_scale(act)
        alpha = ALPHAS * scale
        grids = [_grid(act, alpha, BETAS * scale, math.nan)]
        centre = _far_centre(act, scale)
        if centre is not None:
            narrow = own_scale(act, centre)
            grids.append(_grid(act, ALPHAS * narrow, centre + BETAS * narrow, math.nan))
            scale = min(scale, narrow)
        nearest = sorted(act.breakpoints, key=lambda b: abs(b.location))[:KINKS]
        grids += [_grid(act, alpha, KINK_BETAS, b.location) for b in nearest]
        _kept[act] = Landscape(scale, tuple(grids))
    return _kept[act]


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
            ahead = np.array([np.max(changes[: i + 5], initial=0.0) for i in range(x.size)])  # as far as 4|x|
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
    try:
        panels = partition.within(math.floor(math.log2(scale)) - 6, min(math.ceil(math.log2(scale)) + 8, 20))
        with np.errstate(all="ignore"):
            slopes, bends = act.several(np.ascontiguousarray(panels.nodes.ravel()), (1, 2))
    except ActivationError:
        return None
    nodes, size = panels.nodes.ravel(), np.where(np.isfinite(bends), np.abs(bends), 0.0)
    if not size.any():
        return None
    near = np.flatnonzero(size >= 0.5 * size.max())
    place = near[np.argmin(np.abs(nodes[near]))]
    where, width = float(nodes[place]), float(np.max(np.abs(slopes[np.isfinite(slopes)])) / size[place])
    return where if abs(where) > 5.0 * scale or (abs(where) > 5.0 * width and width < 0.1 * scale) else None


def _grid(act: Activation, alpha: Array, column: Array, kink: float) -> Grid:
    z, weights, _ = _trapezoid(1)
    a = np.repeat(alpha, column.size)
    b = np.tile(column, alpha.size) if math.isnan(kink) else kink + a * np.tile(column, alpha.size)
    x = b[:, None] + a[:, None] * z
    with np.errstate(all="ignore"):
        values, slopes, bends = (v.reshape(x.shape) for v in _evaluated(act, x))
        rest = _from_rests(np.broadcast_to(z, x.shape), np.broadcast_to(weights, x.shape), values, a[:, None] * slopes)
        rest = rest._replace(bends=a**4 * np.sum(weights * bends * bends, axis=1))
    shape = (alpha.size, column.size)
    return Grid(alpha, column, kink, ShiftedMoments(*(m.reshape(shape) for m in rest)))


def _evaluated(act: Activation, x: Array) -> tuple[Array, ...]:
    """φ, φ', φ''; nan on rows that reach where φ can't be evaluated."""
    try:
        return act.several(x.ravel(), (0, 1, 2))
    except ActivationError:
        found = np.full((3, *x.shape), np.nan)
        for row, points in enumerate(x):
            with contextlib.suppress(ActivationError):
                found[:, row] = act.several(points, (0, 1, 2))
        return tuple(found)


def _fields(grid: Grid, equations: Equations) -> tuple[Array, Array]:
    """log(size/target) and (Q'(1) − 1)/size; nan where rounding speaks."""
    with np.errstate(all="ignore"):
        size = equations.size(grid.moments)
        rounding = 1e-16 * (grid.moments.mean**2 / grid.moments.slopes + 1.0)
        size = np.where(size > np.maximum(NOISE * 1e-3, 1e3 * rounding), size, np.nan)
        return np.log(size / equations.target), equations.balance(grid.moments) / size


def _below(grid: Grid, equations: Equations) -> Iterator[tuple[float, float]]:
    """Starts at smaller α than the grid's: sign changes of the balance along its first row, α by size ~ α²."""
    height, ratio = (field[0] for field in _fields(grid, equations))
    with np.errstate(invalid="ignore"):
        changes = np.flatnonzero(ratio[:-1] * ratio[1:] < 0.0)
    for i in changes:
        part = ratio[i] / (ratio[i] - ratio[i + 1])
        level = height[i] + part * (height[i + 1] - height[i])
        if level > 0.0:
            alpha = float(grid.alpha[0] * math.exp(-0.5 * level))
            yield alpha, grid.beta(alpha, float(grid.column[i] + part * (grid.column[i + 1] - grid.column[i])))


def _crossings(grid: Grid, equations: Equations) -> Iterator[tuple[float, float]]:
    """Zeros of both fields, each cell of the grid halved into triangles on which they are taken as linear."""
    height, ratio = _fields(grid, equations)
    u, v = np.log(grid.alpha), grid.column
    with np.errstate(all="ignore"):
        cells = _changes_sign(height) & _changes_sign(ratio)
    for i, j in np.argwhere(cells):
        for triangle in (((0, 0), (1, 0), (1, 1)), ((0, 0), (0, 1), (1, 1))):
            rows = [(i + p, j + q) for p, q in triangle]
            matrix = np.array([[1.0, 1.0, 1.0], [height[r] for r in rows], [ratio[r] for r in rows]])
            if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-300:
                continue
            part = np.linalg.solve(matrix, [1.0, 0.0, 0.0])
            if (part >= -0.1).all():  # a little beyond the triangle: the fields are not quite linear
                alpha = math.exp(float(sum(w * u[r[0]] for w, r in zip(part, rows, strict=True))))
                yield alpha, grid.beta(alpha, float(sum(w * v[r[1]] for w, r in zip(part, rows, strict=True))))


def _changes_sign(field: Array) -> Mask:
    """Whether a field is not of one sign at the corners of each cell."""
    corners = np.array([field[:-1, :-1], field[1:, :-1], field[:-1, 1:], field[1:, 1:]])
    found: Mask = (corners.min(axis=0) <= 0.0) & (corners.max(axis=0) >= 0.0)
    return found
