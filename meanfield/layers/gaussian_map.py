"""What φ makes of two Gaussian inputs: second moments, means, decorrelation, and C[φ'] for what follows their covariance."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from meanfield.activations.kept import Kept
from meanfield.errors import AccuracyWarning
from meanfield.expectation.correlation_table import correlation_table
from meanfield.expectation.covariance import covariances, decorrelations
from meanfield.expectation.crowd import is_crowd
from meanfield.expectation.held_profiles import angle_profile, has_profile
from meanfield.expectation.many_pairs import MANY, MANY_PAIRS
from meanfield.expectation.moments import MEAN, moment_table
from meanfield.expectation.pair_table import pair_table
from meanfield.expectation.second_moment import second_moments
from meanfield.expectation.two_inputs import mean as mean_at
from meanfield.layers import limits

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array
    from meanfield.layers.law import Source

_lines: Kept[tuple[float, float] | None] = Kept("slopes of two lines")
MERGED = 2e-8  # variances this close act as one: what their difference does to ε is of second order, 1e-16
SMALLEST, LARGEST = 1e-280, 1e280
LEAST, MOST = 1e-12, 1e12  # variances that the tables serve


def second_moment(act: Activation, q: Array) -> Array:
    """V[φ](q); below 1e-280 that at 0, and past 1e280 infinite."""
    flat = np.ravel(q)
    inside = flat <= LARGEST
    out = np.full(flat.shape, np.inf)
    if inside.any():
        out[inside] = second_moments(act, np.where(flat[inside] < SMALLEST, 0.0, flat[inside]), 0)
    return out.reshape(np.shape(q))


def mean(act: Activation, q: Array) -> Array:
    """E[φ(√q Z)]."""
    flat = np.ravel(q)
    out = np.empty(flat.shape)
    inside = (flat >= SMALLEST) & (flat <= LARGEST)
    if inside.any():
        out[inside] = moment_table(act)(MEAN, flat[inside])
    out[flat < SMALLEST] = mean_at(act, 0, 0.0)
    if (flat > LARGEST).any():
        left, right = limits.slopes(act, np.inf)
        out[flat > LARGEST] = np.inf * (right - left) if right != left else 0.0
    return out.reshape(np.shape(q))


def decorrelation(act: Activation, source: Source, v1: Array, v2: Array) -> Array:
    """1 − C[φ](q1, q2, c)/√(V(q1)V(q2)), to relative accuracy where the variances are equal.

    Where V is 0 or infinite it is the limit: the map of φ's slopes at 0± or ±∞.
    """
    q1, q2, epsilon, first, second = np.broadcast_arrays(source.q1, source.q2, source.epsilon, v1, v2)
    shape = epsilon.shape
    lines = _two_lines(act)
    if lines is not None:  # at any variances, equal or not
        return np.clip(limits.loss_of_slopes(*lines, epsilon), 0.0, 2.0)
    q1, q2, epsilon, first, second = (np.ravel(a) for a in (q1, q2, epsilon, first, second))
    epsilon = _defined(q1, q2, epsilon)
    out = np.empty(epsilon.shape)
    end = ~((first > 0.0) & (second > 0.0) & np.isfinite(first) & np.isfinite(second))
    same = (epsilon == 0.0) & (q1 == q2)
    out[same] = 0.0
    end &= ~same
    for mine, at in ((end & (np.minimum(q1, q2) < 1.0), 0.0), (end & (np.minimum(q1, q2) >= 1.0), np.inf)):
        if mine.any() and at > 0.0 and not limits.has_tail(act):
            out[mine] = np.nan
            warnings.warn(
                f"the variance passes 1e280 and {act.name} is steeper than linear: the correlation has no limit there, nan",
                AccuracyWarning,
                stacklevel=2,
            )
        elif mine.any():
            left, right = limits.slopes(act, at)
            # Nothing comes through, or, far out, all moments are infinite at any variance: no correlation is defined.
            out[mine] = np.nan if left == right == 0.0 else limits.loss_of_slopes(left, right, epsilon[mine])
    merged = ~end & ~same & (np.abs(q1 - q2) <= MERGED * np.maximum(q1, q2))
    if merged.any():
        # Variances that have all but merged act as their geometric mean.
        at = np.where(q1[merged] == q2[merged], q1[merged], np.sqrt(q1[merged]) * np.sqrt(q2[merged]))
        norm = np.sqrt(first[merged]) * np.sqrt(second[merged])
        at[at < SMALLEST] = 0.0
        out[merged] = _losses(act, at, epsilon[merged]) / norm
    apart = ~end & ~merged & ~same
    if apart.any():
        values = _covariances(act, _floored(q1[apart]), _floored(q2[apart]), epsilon[apart], 0)
        out[apart] = 1.0 - values / (np.sqrt(first[apart]) * np.sqrt(second[apart]))
    return np.clip(out, 0.0, 2.0).reshape(shape)


def _losses(act: Activation, q: Array, epsilon: Array) -> Array:
    """D(q, ε); of many ε at one variance by its profile, which costs 10⁻⁷ s each and is good to 2e-14; at many by the table of profiles."""
    if not is_crowd(q.size, MANY) or not has_profile(act) or not (q.min() > 0.0 and q.max() < np.inf):
        return decorrelations(act, q, epsilon)
    theta = _angles(epsilon)
    if q.size > MANY and np.all(q == q[0]):
        return angle_profile(act, float(q[0])).decorrelation(theta)
    out = np.full(q.size, np.nan)
    near = epsilon <= 1.0
    inside = near & (q >= LEAST) & (q <= MOST)
    if inside.any():
        out[inside] = correlation_table(act).decorrelation(q[inside], theta[inside])
    if not near.all():
        far = ~near
        out[far] = second_moment(act, q[far]) - pair_table(act).by_angles(q[far], q[far], theta[far])
    missing = np.isnan(out)
    if missing.any():
        out[missing] = decorrelations(act, q[missing], epsilon[missing])
    return out


def _covariances(act: Activation, q1: Array, q2: Array, epsilon: Array, order: int) -> Array:
    """C[φ⁽ᵏ⁾] at flat arrays; of many pairs by the table, in θ, that ε near 0 and 2 keep their digits."""
    if not is_crowd(epsilon.size, MANY_PAIRS) or not (table := pair_table(act, order)).usable:
        return covariances(act, q1, q2, 1.0 - epsilon, order)
    out = np.full(epsilon.size, np.nan)
    inside = (q1 >= LEAST) & (q1 <= MOST) & (q2 >= LEAST) & (q2 <= MOST) & ((epsilon > 0.0) | (q1 != q2))
    if inside.all():
        out = table.by_angles(*(np.ascontiguousarray(a) for a in (q1, q2, _angles(epsilon))))
    elif inside.any():
        out[inside] = table.by_angles(q1[inside], q2[inside], _angles(epsilon[inside]))
    missing = np.isnan(out)
    if missing.any():
        out[missing] = covariances(act, q1[missing], q2[missing], 1.0 - epsilon[missing], order)
    return out


def _angles(epsilon: Array) -> Array:
    """θ with 1 − cos θ = ε."""
    theta: Array = 2.0 * np.arcsin(np.sqrt(0.5 * epsilon))
    return theta


def covariance(act: Activation, source: Source) -> Array:
    """C[φ](q1, q2, c)."""
    q1, q2, epsilon = np.broadcast_arrays(source.q1, source.q2, source.epsilon)
    return covariances(act, _floored(q1), _floored(q2), 1.0 - _defined(q1, q2, epsilon), 0)


def slope_covariance(act: Activation, source: Source) -> Array:
    """C[φ'](q1, q2, c), the factor of dK12."""
    q1, q2, epsilon = np.broadcast_arrays(source.q1, source.q2, source.epsilon)
    epsilon = _defined(q1, q2, epsilon)
    lines = _two_lines(act)
    if lines is not None:
        return limits.slope_covariance_of_slopes(*lines, epsilon)
    first, second, loss = (np.ravel(a) for a in (_floored(q1), _floored(q2), epsilon))
    return _covariances(act, first, second, loss, 1).reshape(np.shape(epsilon))


def _defined(q1: Array, q2: Array, epsilon: Array) -> Array:
    """ε, and 1 where it is not defined because one of the two is 0: what φ makes of them does not depend on it."""
    missing = np.isnan(epsilon)
    return np.where(missing & ((q1 == 0.0) | (q2 == 0.0)), 1.0, epsilon) if missing.any() else epsilon


def _two_lines(act: Activation) -> tuple[float, float] | None:
    """(β, λ) of φ(x) = λx, x > 0, βx, x ≤ 0; None of any other φ."""
    if act not in _lines:
        _lines[act] = limits.slopes(act, 0.0) if limits.is_two_lines(act, 1.0) else None
    return _lines[act]


def _floored(q: Array) -> Array:
    return np.where(q < SMALLEST, 0.0, q)
