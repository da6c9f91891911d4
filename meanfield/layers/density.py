"""The density of one unit's value on a grid, and a step of its random walk: h = skip·z + s·G, z' = φ(h).

h has a smooth density, a Gaussian kernel over the law of z. On panels that end where φ breaks, Gauss-Legendre nodes carry it to rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

NODES = 16
REACH = 9.0  # standard deviations past which a Gaussian density is nothing
NOTHING = 1e-20  # probability of a panel at the end that is left away
MOST = 4000  # nodes: a kernel of 16 million numbers


@dataclass(frozen=True, eq=False)
class Density:
    """The law of h, and what φ makes of it.

    Attributes
    ----------
    nodes, weights : ndarray
        Values of h, and their probabilities: density times quadrature weight.
    rule : ndarray
        The quadrature weights themselves.
    values, slopes : ndarray
        φ and φ' at the nodes.
    """

    nodes: Array
    weights: Array
    rule: Array
    values: Array
    slopes: Array

    @property
    def mean(self) -> float:
        """E φ(h)."""
        return float(self.weights @ self.values)

    @property
    def mean_square(self) -> float:
        """E φ(h)²."""
        return float(self.weights @ self.values**2)

    @property
    def total(self) -> float:
        """All probability: 1 where the grid is fine enough."""
        return float(np.sum(self.weights))


def gaussian(q: float, act: Activation) -> Density:
    """h ~ N(0, q)."""
    size = math.sqrt(q)
    nodes, rule = _grid(-REACH * size, REACH * size, size, act)
    weights = rule * np.exp(-0.5 * (nodes / size) ** 2) / (size * math.sqrt(2.0 * math.pi))
    return _made(nodes, weights, rule, act)


def walked(before: Density, skip: float, deviation: float, act: Activation) -> Density | None:
    """One step further, with s = `deviation`; None where that would take too many nodes."""
    ends = skip * np.array([before.values.min(), before.values.max()])
    low, high = float(ends.min()) - REACH * deviation, float(ends.max()) + REACH * deviation
    if not (deviation > 0.0 and math.isfinite(high - low) and (high - low) / deviation * NODES <= MOST):
        return None
    nodes, rule = _grid(low, high, deviation, act)
    if nodes.size > MOST:
        return None
    weights = rule * (kernel(nodes, before, skip, deviation) @ before.weights)
    return _made(nodes, weights, rule, act)


def kernel(nodes: Array, before: Density, skip: float, deviation: float) -> Array:
    """Density of h at the nodes, given each value before."""
    gap = (nodes[:, None] - skip * before.values[None, :]) / deviation
    result: Array = np.exp(-0.5 * gap * gap) / (deviation * math.sqrt(2.0 * math.pi))
    return result


def _made(nodes: Array, weights: Array, rule: Array, act: Activation) -> Density:
    """Panels without probability at both ends are left away: the walk spreads like a root of the depth, not like the depth."""
    mass = weights.reshape(-1, NODES).sum(axis=1)
    (seen,) = np.nonzero(mass > NOTHING)
    kept = slice(int(seen[0]) * NODES, (int(seen[-1]) + 1) * NODES) if seen.size else slice(None)
    at = np.ascontiguousarray(nodes[kept])
    return Density(at, weights[kept], rule[kept], act.values(at, 0), act.values(at, 1))


def _grid(low: float, high: float, width: float, act: Activation) -> tuple[Array, Array]:
    """Nodes on panels of at most `width`, and near 0 no wider than φ's own scale, 1, might want."""
    ends = {low, high}
    for sign, far in ((1.0, high), (-1.0, -low)):
        x = 0.0
        while x < far:
            ends.add(sign * x)
            x += min(width, max(0.5, 0.5 * x))
    inner = [b.location for b in act.breakpoints if low < b.location < high]
    edges = np.unique([e for e in (*ends, *inner) if low <= e <= high])
    t, w = np.polynomial.legendre.leggauss(NODES)
    half = 0.5 * np.diff(edges)[:, None]
    return (edges[:-1, None] + half * (1.0 + t)).ravel(), (half * w).ravel()
