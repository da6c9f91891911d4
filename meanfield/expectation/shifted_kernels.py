"""Compiled sums of shifted.py. They know nothing of φ.

Each fills columns of `out` with the moments of `ShiftedMoments`, in their order.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array, Integers, Mask


@kernel(
    "void(float64[::1], float64[::1], float64[::1], int64[::1], int64, float64[:,::1], float64[:,::1], float64[::1], float64[:,::1])",
)
def moments_by_rests(
    values: Array, slopes: Array, bends: Array, start: Integers, stride: int, z: Array, weights: Array, alpha: Array, out: Array
) -> None:
    """From e = ψ − a₀ − a₁Z and e' = ψ' − a₁ node by node; ψ'' by Stein: E[gψ''] = E[Zgψ'] − E[g'ψ'].

    Node i of column j is entry start[j] + i·stride of the tables of φ, φ', φ''; z and weights have a row for each column, or
    one for all; alpha has an entry for each.
    """
    for j in range(start.size):
        row = j % z.shape[0]
        mean = slope = 0.0
        for i in range(z.shape[1]):
            x = start[j] + i * stride
            mean += weights[row, i] * values[x]
            slope += weights[row, i] * alpha[j] * slopes[x]
        rests = steeps = radial = curve = tilt = bend_square = 0.0
        for i in range(z.shape[1]):
            x = start[j] + i * stride
            rest = values[x] - mean - slope * z[row, i]
            steep = alpha[j] * slopes[x] - slope
            rests += weights[row, i] * rest * rest
            steeps += weights[row, i] * steep * steep
            radial += weights[row, i] * rest * steep * z[row, i]
            curve += weights[row, i] * (z[row, i] * z[row, i] - 1.0) * steep
            tilt += weights[row, i] * z[row, i] * steep
            bend_square += weights[row, i] * bends[x] * bends[x]
        out[0, j] = mean
        out[1, j] = slope
        out[2, j] = slope * slope + rests
        out[3, j] = slope * slope + steeps
        out[4, j] = steeps - rests
        out[5, j] = slope * curve + radial - steeps
        out[6, j] = tilt
        out[7, j] = alpha[j] ** 4 * bend_square


@kernel(
    "void(float64[::1], float64[::1], float64[::1], float64[::1], float64[:,::1], float64[::1], float64, boolean[::1], float64[:,::1])",
)
def moments_by_series(
    values: Array, slopes: Array, bends: Array, weights: Array, rows: Array, alpha: Array, tail: float, short: Mask, out: Array
) -> None:
    """From a₀, a₁ and the Hermite coefficients cₙ of ψ'', aₙ₊₂ = cₙ/√((n+1)(n+2)); `short` says where the last four are below the tail.

    Values of φ, φ', φ'' column after column; `rows` take values at the nodes to Hermite coefficients.
    """
    nodes, terms = weights.size, rows.shape[0]
    c = np.empty(terms)
    for j in range(alpha.size):
        first = j * nodes
        mean = slope = 0.0
        for i in range(nodes):
            mean += weights[i] * values[first + i]
            slope += weights[i] * slopes[first + i]
        slope *= alpha[j]
        largest = last = 0.0
        for n in range(terms):
            total = 0.0
            for i in range(nodes):
                total += rows[n, i] * bends[first + i]
            c[n] = alpha[j] * alpha[j] * total
            largest = max(largest, abs(c[n]))
            if n >= terms - 4:
                last = max(last, abs(c[n]))
        short[j] = last <= tail * largest and math.isfinite(largest)
        rests = steeps = excess = bend_square = 0.0
        coupling = slope * c[1]
        for n in range(terms):
            square = c[n] * c[n]
            rests += square / ((n + 1.0) * (n + 2.0))
            steeps += square / (n + 1.0)
            excess += square / (n + 2.0)
            bend_square += square
            if n >= 2:  # Σ aₙcₙ, n ≥ 1
                coupling += c[n - 2] * c[n] / math.sqrt(n * (n - 1.0))
        out[0, j] = mean
        out[1, j] = slope
        out[2, j] = slope * slope + rests
        out[3, j] = slope * slope + steeps
        out[4, j] = excess
        out[5, j] = coupling
        out[6, j] = c[0]
        out[7, j] = bend_square
