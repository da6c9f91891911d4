"""V[φ'] along a sequence of variances, as back-propagation meets it."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.moments import V1, moment_table
from meanfield.expectation.rule import build_rule
from meanfield.layers import limits
from meanfield.layers.limits import VISIBLE, is_two_lines

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

MANY = 64  # more variances than this are interpolated where each costs a quadrature


def mean_square_slopes(act: Activation, q: Array) -> Array:
    """V[φ'](q) with φ' almost everywhere (no deltas at jumps of φ); at 0 and inf that of the slopes there."""
    if q.size == 1 and VISIBLE < q[0] < 1.0 / VISIBLE and not (table := moment_table(act)).has_jumps:
        return np.array([table.at(V1, float(q[0]))])
    out = np.empty(q.size)
    todo = np.ones(q.size, dtype=bool)
    for end, mine in ((0.0, q <= VISIBLE), (math.inf, q >= 1.0 / VISIBLE)):
        if not mine.any():
            continue
        inside = q[mine & (q > 0.0) & (q < math.inf)]
        nearest = float(inside.max() if end == 0.0 else inside.min()) if inside.size else 0.0
        if nearest > 0.0 and not is_two_lines(act, nearest):
            mine = q == end
        out[mine] = limits.mean_square_slope(act, end)
        todo &= ~mine
    if todo.any():
        table = moment_table(act)
        at, where = np.unique(q[todo], return_inverse=True)
        values = _almost_everywhere(act, at) if table.has_jumps else table(V1, at)
        out[todo] = values[where]
    return out


def _almost_everywhere(act: Activation, q: Array) -> Array:
    """V[φ'] for φ that jumps, without the deltas: one quadrature for each q, or Chebyshev series in log q for many."""
    table = moment_table(act)

    def exact(log_q: Array) -> Array:
        values = [table.integrate(build_rule(table.partition, v, v), np.array([v]))[0][V1, 0] for v in np.exp(log_q)]
        return np.array(values)

    logs = np.log(q)
    if q.size <= MANY:
        return exact(logs)
    out = np.empty(q.size)
    pieces = max(1, math.ceil((logs[-1] - logs[0]) / 2.0))
    edges = np.linspace(logs[0], logs[-1], pieces + 1)
    for low, high in pairwise(edges):
        mine = (logs >= low) & (logs <= high)
        if mine.any():
            middle, half = 0.5 * (low + high), max(0.5 * (high - low), 1e-12)
            nodes = np.polynomial.chebyshev.chebpts1(24)
            series = np.polynomial.chebyshev.chebfit(nodes, exact(middle + half * nodes), 23)
            out[mine] = np.polynomial.chebyshev.chebval((logs[mine] - middle) / half, series)
    return out
