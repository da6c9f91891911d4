"""Closed forms of E[φ(u)φ(v)] for every piecewise linear φ, jumps and any number of kinks included.

ReLU, leaky ReLU, hard tanh, hard sigmoid, ReLU6, hard shrink, soft shrink, step functions, and formulas that are made like them: a φ is
recognised by its breakpoints, its values and its E[φ²], not by its name. The formulas are Stein's lemma, truncated moments of two Gaussians
[Rosenbaum 1961] and the bivariate normal orthant (piecewise_linear_kernels.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from meanfield.activations.kept import Kept
from meanfield.expectation.moments import V1, V, moment_table
from meanfield.expectation.panels import gauss_legendre

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

MOST_KINKS = 6  # each pair of kinks costs an integral: more are a matter for tables and quadrature
CANCELLING = 60.0  # terms of the sum over √(V1 V2): beyond, where φ saturates and q is large, digits are lost
SAME = 4e-15  # relative
OCTAVES = (-24, -12, -4, -2, 0, 2, 4, 8, 16)  # log₂ of |x| around which φ is compared
_held: Kept[PiecewiseLinear | None] = Kept("piecewise linear functions")


@dataclass(frozen=True)
class PiecewiseLinear:
    """φ(x) = base + slope x + Σ [jump 1{side x > location} + bend (side x − location)₊]."""

    base: float
    slope: float
    side: Array
    location: Array
    jump: Array
    bend: Array

    def at(self, x: Array) -> Array:
        """φ."""
        beyond = self.side * x[:, None] - self.location
        result: Array = self.base + self.slope * x + np.sum(np.where(beyond > 0.0, self.jump + self.bend * beyond, 0.0), axis=1)
        return result

    @property
    def steepness(self) -> float:
        """The sum of the squares of the slopes that are added up."""
        return self.slope**2 + float(np.sum(self.bend**2))

    def covariances(self, q1: Array, q2: Array, theta: Array, order: int) -> Array:
        """E[φ⁽ᵏ⁾(u)φ⁽ᵏ⁾(v)] at flat arrays, order 0 or 1."""
        from meanfield.expectation.piecewise_linear_kernels import piecewise_linear

        out = np.empty(q1.size)
        one, two, angle = (np.ascontiguousarray(a) for a in (q1, q2, theta))
        piecewise_linear(one, two, angle, order, self.base, self.slope, self.side, self.location, self.jump, self.bend, *_rules(), out)
        return out

    def means(self, centres: Array, tau: float, order: int) -> Array:
        """E_T φ⁽ᵏ⁾(X + τT), T ~ N(0, 1), at flat centres X, order 0 or 1."""
        from meanfield.expectation.piecewise_linear_kernels import means

        out = np.empty(centres.size)
        means(np.ascontiguousarray(centres), tau, order, self.base, self.slope, self.side, self.location, self.jump, self.bend, out)
        return out


@lru_cache(maxsize=1)
def _rules() -> tuple[Array, Array]:
    nodes, weights = np.zeros((3, 20)), np.zeros((3, 20))
    for row, count in enumerate((6, 12, 20)):
        nodes[row, :count], weights[row, :count] = gauss_legendre(count)
    return nodes, weights


def piecewise_linear(activation: Activation) -> PiecewiseLinear | None:
    """φ taken apart; None where it is not piecewise linear, or has too many kinks."""
    if activation not in _held:
        _held[activation] = _found(activation)
    return _held[activation]


def _found(activation: Activation) -> PiecewiseLinear | None:
    points = activation.breakpoints
    if len(points) > MOST_KINKS or any(math.isinf(p.value_jump) or math.isinf(p.slope_jump) for p in points):
        return None
    # The piece that 0 lies on, or ends.
    base = activation.one_sided(0.0, -1, 0)
    slope = activation.one_sided(0.0, -1, 1)
    side = np.array([1.0 if p.location >= 0.0 else -1.0 for p in points])
    made = PiecewiseLinear(
        float(base),
        float(slope),
        side,
        np.abs(np.array([p.location for p in points], dtype=float)),
        np.array([p.value_jump for p in points], dtype=float) * side,
        np.array([p.slope_jump for p in points], dtype=float),
    )
    if not (math.isfinite(made.base) and math.isfinite(made.slope)):
        return None
    partition = moment_table(activation).partition
    if partition.has_unresolved:
        return None
    rng = np.random.default_rng(5)
    x = np.concatenate([np.ldexp(rng.uniform(0.5, 2.0, 40), octave) for octave in OCTAVES])
    x = np.concatenate([-x, x])
    with np.errstate(all="ignore"):
        values, curvature = activation.values(x, 0), activation.values(x, 2)
        size = abs(made.base) + (abs(made.slope) + np.sum(np.abs(made.bend))) * np.abs(x) + np.sum(np.abs(made.jump))
        same = np.abs(values - made.at(x)) <= SAME * size
    if not (np.all(curvature == 0.0) and np.all(same)):
        return None
    # E[φ²] of what was found against the engine's own, which sees what is narrow too.
    q = np.ldexp(1.0, np.arange(-12, 13, 3))
    exact = made.covariances(q, q, np.zeros(q.size), 0)
    scale = made.steepness * q + made.base**2 + float(np.sum(made.jump**2))
    return made if np.all(np.abs(exact - moment_table(activation)(V, q)) <= 1e-12 * scale) else None


def arccosines(c: Array) -> Array:
    """θ = arccos c, with the same bits for one c and for many."""
    from meanfield.expectation.pair_table_kernels import angles

    out = np.empty(c.size)
    angles(np.ascontiguousarray(c), out)
    return out


def closed_covariances(activation: Activation, q1: Array, q2: Array, theta: Array, order: int) -> Array:
    """E[φ⁽ᵏ⁾(u)φ⁽ᵏ⁾(v)] at flat arrays with q1, q2 > 0; nan where there is no closed form, or it loses digits."""
    out = np.full(q1.size, math.nan)
    found = piecewise_linear(activation) if order < 2 else None
    if found is None or (order == 1 and np.any(found.jump != 0.0)):
        return out
    table = moment_table(activation)
    column = V1 if order else V
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.sqrt(table(column, q1)) * np.sqrt(table(column, q2))
        terms = found.steepness * (np.sqrt(q1) * np.sqrt(q2) if order == 0 else 1.0)
        terms = terms + (found.base**2 + float(np.sum(found.jump**2)) if order == 0 else 0.0)
        kept = terms <= CANCELLING * size
    if kept.all():
        return found.covariances(q1, q2, theta, order)
    if kept.any():
        out[kept] = found.covariances(q1[kept], q2[kept], theta[kept], order)
    return out
