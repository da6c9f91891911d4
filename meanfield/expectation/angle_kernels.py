"""Compiled evaluation of angle profiles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array


LOG_4 = math.log(4.0)


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


@kernel("void(float64[::1], float64[:,:,::1], int64, float64[::1])")
def row_at(weights: Array, coefficients: Array, panel: int, out: Array) -> None:
    """The series in s of one variance on a panel of a `Piece`, from the Chebyshev polynomials of its log q."""
    nodes, terms = coefficients.shape[1], out.size
    for j in range(terms):
        out[j] = 0.0
    size = 0.0
    for k in range(nodes):
        for j in range(terms):
            out[j] += weights[k] * coefficients[panel, k, j]
        size += weights[k] * coefficients[panel, k, terms]
    if size != 0.0:
        size = math.exp(size)
        for j in range(terms):
            out[j] *= size


@kernel("void(float64, float64, float64[::1])")
def fill_weights(q: float, middle: float, out: Array) -> None:
    """Chebyshev polynomials of log₄ q within ½ of `middle`."""
    t = min(max(2.0 * (math.log(q) / LOG_4 - middle), -1.0), 1.0)
    out[0], out[1] = 1.0, t
    for k in range(2, out.size):
        out[k] = 2.0 * t * out[k - 1] - out[k - 2]


@kernel("void(float64, float64, float64[:,:,::1], float64[:,::1])")
def row_of_piece(q: float, middle: float, coefficients: Array, out: Array) -> None:
    """The series in s of one variance on all panels of a `Piece`."""
    weights = np.empty(coefficients.shape[1])
    fill_weights(q, middle, weights)
    for panel in range(out.shape[0]):
        row_at(weights, coefficients, panel, out[panel])


@kernel("void(float64[::1], float64[::1], float64, boolean, float64[::1], float64[:,:,::1], float64[::1])")
def evaluate_piece(theta: Array, q: Array, middle: float, jumping: bool, edges: Array, coefficients: Array, out: Array) -> None:
    """D(q, θ) on a piece of a `CorrelationTable`, log₄ q within ½ of `middle`.

    The series at one q is made once for neighbours that share it.
    """
    panels, nodes, terms = coefficients.shape[0], coefficients.shape[1], coefficients.shape[2] - 1
    rows = np.empty((panels, terms))
    made = np.zeros(panels, dtype=np.bool_)
    weights = np.empty(nodes)
    before, root, scale = -1.0, 0.0, 0.0
    for i in range(theta.size):
        if q[i] != before:
            before = q[i]
            root = math.sqrt(before)
            scale = math.asinh(math.pi * root)
            fill_weights(before, middle, weights)
            for panel in range(panels):
                made[panel] = False
        s = math.asinh(2.0 * root * theta[i]) / scale
        panel = 0
        while panel < panels - 1 and s >= edges[panel + 1]:
            panel += 1
        if not made[panel]:
            made[panel] = True
            row_at(weights, coefficients, panel, rows[panel])
        low, high = edges[panel], edges[panel + 1]
        t = (2.0 * s - low - high) / (high - low)
        b1, b2 = 0.0, 0.0
        for j in range(terms - 1, 0, -1):
            b1, b2 = 2.0 * t * b1 - b2 + rows[panel, j], b1
        value = t * b1 - b2 + rows[panel, 0]
        half = math.sin(0.5 * theta[i])
        out[i] = value * half if jumping else value * 2.0 * half * half
