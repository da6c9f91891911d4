"""Derivatives of a function known by its values alone.

Around each x the function is interpolated at Chebyshev points of an interval that crosses no breakpoint and is halved
until the interpolant has converged; the interpolant is then differentiated. A series whose last coefficients are not small
against its others, or which misses φ(x) itself, says nothing yet: such intervals are halved on, down to the scale of the
function. Measured on smooth functions whose scale is not far below 1: φ' to about 1e-12 and φ'' to about 1e-9 of the size
of φ nearby, when φ is evaluated in double precision.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from meanfield.activations.activation import Array

DEGREE = 24
_HALVINGS = 40
_BATCH = 4_000
_UNRESOLVED = 1e-3  # of a series: last coefficients larger than that are a step or a peak that it has not seen yet


@functools.cache
def _rules() -> tuple[Array, Array]:
    """The Chebyshev points on (−1, 1) and the matrix from values there to coefficients."""
    angles = np.pi * (np.arange(DEGREE) + 0.5) / DEGREE
    matrix = np.cos(np.outer(np.arange(DEGREE), angles)) * (2.0 / DEGREE)
    matrix[0] *= 0.5
    return np.cos(angles), matrix


def interpolant(f: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """The Chebyshev coefficients of f on each interval: one row each."""
    nodes, matrix = _rules()
    points = 0.5 * (low + high)[:, None] + 0.5 * (high - low)[:, None] * nodes
    # Rounding must not carry a point over the end of its interval, where a breakpoint may be.
    inside = np.clip(points, np.nextafter(low, high)[:, None], np.nextafter(high, low)[:, None])
    values = f(np.ascontiguousarray(inside.ravel())).reshape(points.shape)
    with np.errstate(all="ignore"):
        return np.asarray(values @ matrix.T)


def tail(coefficients: Array) -> tuple[Array, Array]:
    """The size of the last coefficients of each row, and of the largest."""
    size = np.abs(coefficients)
    return size[:, -5:].max(axis=1), size.max(axis=1)


def differentiate(f: Callable[[Array], Array], x: Array, k: int, left: Array, right: Array, noise: float) -> Array:
    """The k-th derivative of f at each x, from values between left ≤ x ≤ right (±inf where there is no breakpoint)."""
    parts = [
        _differentiate(f, x[start : start + _BATCH], k, left[start : start + _BATCH], right[start : start + _BATCH], noise)
        for start in range(0, len(x), _BATCH)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _differentiate(f: Callable[[Array], Array], x: Array, k: int, left: Array, right: Array, noise: float) -> Array:
    result = np.full(x.shape, np.nan)
    best = np.full(x.shape, np.inf)
    # At the ends of its interval φ(x) may be the value from the other side.
    known = np.where((x > left) & (x < right), np.asarray(f(np.ascontiguousarray(x)), dtype=float), np.nan)
    settled = np.zeros(len(x), dtype=np.bool_)
    width = np.minimum(1.0 + 0.5 * np.abs(x), right - left)
    active = np.arange(len(x))
    stalled = np.zeros(len(x), dtype=np.int64)
    for _ in range(_HALVINGS):
        low = np.clip(x[active] - 0.5 * width[active], left[active], right[active] - width[active])
        high = low + width[active]
        coefficients = interpolant(f, low, high)
        last, largest = tail(coefficients)
        # Predicted error: what is missing from the series plus the noise, magnified as by a derivative in mid-interval.
        error = (10.0 * last + noise * largest) * (2.0 * DEGREE / width[active]) ** k
        error[~np.isfinite(error)] = np.inf
        position = (2.0 * x[active] - low - high) / (high - low)
        resolved = _resolved(coefficients, position, known[active], noise)
        # The first series that can be believed replaces those that could not, however small their errors seemed.
        better = (error < best[active]) | (resolved & ~settled[active] & (error < np.inf))
        settled[active] |= resolved
        chosen = active[better]
        best[chosen] = error[better]
        local = position[better]
        result[chosen] = _derivative(coefficients[better], local, k) * (2.0 / width[chosen]) ** k
        stalled[active] = np.where(better | ~resolved & ~settled[active], 0, stalled[active] + 1)
        going = (
            ~(resolved & (last <= 16.0 * noise * largest)) & (stalled[active] < 3) & (width[active] > 1e-13 * (np.abs(x[active]) + 1e-3))
        )
        active = active[going]
        if not len(active):
            break
        width[active] *= 0.5
    return result


def _resolved(coefficients: Array, position: Array, known: Array, noise: float) -> Any:
    """Whether the last coefficients are small against those that vary, and the series meets φ(x) where that is known."""
    last, largest = tail(coefficients)
    varying = np.abs(coefficients[:, 1:]).max(axis=1)
    with np.errstate(all="ignore"):
        missed = np.abs(_derivative(coefficients, position, 0) - known)
        floor = 16.0 * noise * largest
        return np.asarray((last <= np.maximum(_UNRESOLVED * varying, floor)) & ~(missed > _UNRESOLVED * varying + 10.0 * floor))


def _derivative(coefficients: Array, at: Array, k: int) -> Array:
    from numpy.polynomial import chebyshev

    c: Any = coefficients.T
    if k:
        c = chebyshev.chebder(c, k, axis=0)
    return np.asarray(chebyshev.chebval(np.clip(at, -1.0, 1.0), c, tensor=False))
