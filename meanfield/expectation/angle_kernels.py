"""Compiled evaluation of angle profiles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array


@kernel("UniTuple(float64, 2)(float64, float64[::1], float64[:,::1])")
def series_and_slope(s: float, edges: Array, coefficients: Array) -> tuple[float, float]:
    """A piecewise Chebyshev series at s and its derivative in s, by Clenshaw's recurrence."""
    panel = 0
    while panel < coefficients.shape[0] - 1 and s >= edges[panel + 1]:
        panel += 1
    low, high = edges[panel], edges[panel + 1]
    t = (2.0 * s - low - high) / (high - low)
    b1, b2, d1, d2 = 0.0, 0.0, 0.0, 0.0
    for k in range(coefficients.shape[1] - 1, 0, -1):
        d1, d2 = 2.0 * t * d1 - d2 + 2.0 * b1, d1
        b1, b2 = 2.0 * t * b1 - b2 + coefficients[panel, k], b1
    value = t * b1 - b2 + coefficients[panel, 0]
    slope = b1 + t * d1 - d2
    return value, slope * 2.0 / (high - low)


@kernel("void(float64[::1], float64, boolean, float64[::1], float64[:,::1], float64[::1], float64[:,::1], float64[::1])")
def evaluate_profile(
    theta: Array, q: float, jumping: bool, near_edges: Array, near: Array, far_edges: Array, far: Array, out: Array
) -> None:
    """D at each θ."""
    root = math.sqrt(q)
    scale = math.asinh(math.pi * root)
    for i in range(theta.size):
        if theta[i] <= 0.5 * math.pi:
            value, _ = series_and_slope(math.asinh(2.0 * root * theta[i]) / scale, near_edges, near)
            half = math.sin(0.5 * theta[i])
            out[i] = value * half if jumping else value * 2.0 * half * half
        else:
            value, _ = series_and_slope(math.asinh(2.0 * root * (math.pi - theta[i])) / scale, far_edges, far)
            out[i] = value
