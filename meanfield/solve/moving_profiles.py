"""The correlation map along a slowly moving variance: a few angle profiles, interpolated in log q."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.chebyshev import chebyshev_nodes, chebyshev_series
from meanfield.expectation.held_profiles import profile_at
from meanfield.expectation.moments import V1, V, moment_table
from meanfield.layers.slopes import mean_square_slopes
from meanfield.solve.angle_recursion import AngleRecursion, recursion_of_slopes

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

WIDEST = 2.0  # log q covered by one set of profiles
# Profiles needed for a range of log q: errors fall like (range/8)ⁿ for functions that change on the scale of e.
_NODES = ((1e-6, 3), (1e-4, 4), (3e-3, 5), (0.05, 7), (0.3, 10), (1.0, 13), (math.inf, 17))
TOLERANCE = 1e-11
SMALLEST_RANGE = 0.2


def profiles_needed(span: float) -> int:
    """How many profiles cover a span of log q."""
    return next(count for limit, count in _NODES if span <= limit)


def iterate_moving(activation: Activation, q: Array, gain: Array, start: float, carry: Array, loss: Array) -> Array:
    """x_0 … x_n through n layers with variances q_l (close to each other in log q): ε' = loss + carry ε + gain D(q_l, ε)."""
    from meanfield.solve.angle_recursion_kernels import iterate_moving as iterate

    low, high = math.log(float(q.min())), math.log(float(q.max()))
    middle, half = 0.5 * (low + high), max(0.5 * (high - low), 1e-12)
    nodes = np.exp(middle + half * chebyshev_nodes(profiles_needed(high - low)))
    widest = float(np.max(nodes))
    maps = []
    for node in nodes:
        profile = profile_at(activation, float(node))
        maps.append(AngleRecursion.of(profile, 1.0 / _scale(activation, profile.jumping, np.array([node]))[0], widest))
    near, far = _series(np.stack([m.near for m in maps])), _series(np.stack([m.far_from(start) for m in maps]))
    tail = max(float(np.max(np.abs(s[-1, :, 0]))) / max(float(np.max(np.abs(s[0, :, 0]))), 1e-300) for s in (near, far))
    if tail > TOLERANCE and high - low > SMALLEST_RANGE:
        # The variance moves one way, but for its first layers: halve the layers at the middle of their range.
        cut = int(np.argmin(np.abs(np.log(q) - middle)))
        cut = min(max(cut, 1), q.size - 1)
        first = iterate_moving(activation, q[:cut], gain[:cut], start, carry[:cut], loss[:cut])
        return np.concatenate([first[:-1], iterate_moving(activation, q[cut:], gain[cut:], float(first[-1]), carry[cut:], loss[cut:])])
    x = np.empty(q.size + 1)
    x[0] = start
    jumping = maps[0].profile.jumping
    position = np.clip((np.log(q) - middle) / half, -1.0, 1.0)
    factor = gain * _scale(activation, jumping, q)
    if not jumping:
        factor[np.abs(factor - 1.0) <= 1e-15] = 1.0
    iterate(x, position, factor, carry, loss, maps[0].base, maps[0].exponent, jumping, near, far)
    return x


def iterate_two_lines(activation: Activation, q: Array, gain: Array, start: float, carry: Array, loss: Array) -> Array:
    """The same where φ is linear on both sides of 0 as seen from those variances, however far apart they are."""
    recursion = recursion_of_slopes(activation, 0.0 if q[0] < 1.0 else math.inf)
    factor = gain * q * mean_square_slopes(activation, q)
    return through(recursion, factor, carry, loss, start)


def through(recursion: AngleRecursion, factor: Array, carry: Array, loss: Array, start: float) -> Array:
    """x_0 … x_n by one table: ε' = loss + carry ε + factor · (what the table makes of ε)."""
    from meanfield.solve.angle_recursion_kernels import iterate_moving as iterate

    x = np.empty(factor.size + 1)
    x[0] = start
    jumping = recursion.profile.jumping
    still = np.zeros(factor.size)
    near, far = recursion.near[None], recursion.far_from(start)[None]
    iterate(x, still, factor, carry, loss, recursion.base, recursion.exponent, jumping, near, far)
    return x


def evenly(recursion: AngleRecursion, layers: int, start: float, factor: float, carry: float, loss: float) -> Array:
    """The same through layers that are all alike."""
    return through(recursion, np.full(layers, factor), np.full(layers, carry), np.full(layers, loss), start)


def _scale(activation: Activation, jumping: bool, q: Array) -> Array:
    """What the tables are divided by: h(0) = q V[φ'](q), or V[φ](q) where φ jumps."""
    table = moment_table(activation)
    result: Array = table(V, q) if jumping else q * table(V1, q)
    return result


def _series(values: Array) -> Array:
    """Chebyshev coefficients along the first axis."""
    moved = np.moveaxis(values, 0, -1)
    result: Array = np.ascontiguousarray(np.moveaxis(chebyshev_series(moved), -1, 0))
    return result
