"""Compiled sums of shifted.py. They know nothing of φ.

`moments_…` fill columns of `out` with the moments of `ShiftedMoments`, in their order; `rates_…` fill out[0] with their derivatives by
log α, out[1] with those by β/α. The derivatives ask for no more of φ than the moments do: for g a function of x = αZ + β

    ∂E g/∂log α = E[Z ∂g/∂Z] = E[(Z² − 1)g],        α ∂E g/∂β = E[∂g/∂Z] = E[Zg].
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
    "void(float64[::1], float64[::1], float64[::1], float64[::1], float64[:,::1], float64[::1], float64, boolean[::1], float64[:,::1],"
    " float64[:,::1])",
)
def moments_by_series(
    values: Array,
    slopes: Array,
    bends: Array,
    weights: Array,
    basis: Array,
    alpha: Array,
    tail: float,
    short: Mask,
    series: Array,
    out: Array,
) -> None:
    """From a₀, a₁ and the Hermite coefficients cₙ of ψ'', aₙ₊₂ = cₙ/√((n+1)(n+2)); `short` says where the last four are below the tail.

    Values of φ, φ', φ'' column after column; `basis`, a row for each node, takes them to Hermite coefficients: the rows of `series`.
    """
    nodes, terms = basis.shape
    for j in range(alpha.size):
        c = series[j]
        first = j * nodes
        mean = slope = 0.0
        for i in range(nodes):
            mean += weights[i] * values[first + i]
            slope += weights[i] * slopes[first + i]
        slope *= alpha[j]
        c[:] = 0.0
        for i in range(nodes):
            for n in range(terms):  # inside: several at a time, each summed in the same order
                c[n] += basis[i, n] * bends[first + i]
        largest = last = 0.0
        for n in range(terms):
            c[n] *= alpha[j] * alpha[j]
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


@kernel("void(float64[:,::1], float64[:,::1], float64[:,:,::1])")
def rates_by_series(series: Array, moments: Array, out: Array) -> None:
    """By ∂cₙ/∂log α = (n + 2)cₙ + √((n+1)(n+2)) cₙ₊₂ and α ∂cₙ/∂β = √(n+1) cₙ₊₁; a₁ moves by a₁ + c₁ and c₀, a₀ by c₀ and a₁."""
    terms = series.shape[1]
    d = np.empty(terms)
    for j in range(series.shape[0]):
        c, slope = series[j], moments[1, j]
        for along in range(2):
            for n in range(terms):
                further = c[n + 2 - along] if n + 2 - along < terms else 0.0
                d[n] = (n + 2.0) * c[n] + math.sqrt((n + 1.0) * (n + 2.0)) * further if along == 0 else math.sqrt(n + 1.0) * further
            tilt = slope + c[1] if along == 0 else c[0]
            rests = steeps = excess = bend_square = 0.0
            coupling = tilt * c[1] + slope * d[1]
            for n in range(terms):
                both = 2.0 * c[n] * d[n]
                rests += both / ((n + 1.0) * (n + 2.0))
                steeps += both / (n + 1.0)
                excess += both / (n + 2.0)
                bend_square += both
                if n >= 2:
                    coupling += (d[n - 2] * c[n] + c[n - 2] * d[n]) / math.sqrt(n * (n - 1.0))
            out[along, 0, j] = c[0] if along == 0 else slope
            out[along, 1, j] = tilt
            out[along, 2, j] = 2.0 * slope * tilt + rests
            out[along, 3, j] = 2.0 * slope * tilt + steeps
            out[along, 4, j] = excess
            out[along, 5, j] = coupling
            out[along, 6, j] = d[0]
            out[along, 7, j] = bend_square


@kernel(
    "void(float64[::1], float64[::1], float64[::1], int64[::1], float64[:,::1], float64[:,::1], float64[::1], float64[:,::1],"
    " float64[:,:,::1])",
)
def rates_by_rests(
    values: Array, slopes: Array, bends: Array, start: Integers, z: Array, weights: Array, alpha: Array, moments: Array, out: Array
) -> None:
    """From the same nodes as `moments_by_rests`, whose moments these are; every derivative by Stein, E[g'] = E[Zg].

    With a₁ = E ψ', t = E ψ'', k = E ψ''' = E[(Z² − 1)e'] and E[e] = E[Ze] = E[e'] = 0, as ∂ψ/∂log α = Zψ' and α ∂ψ/∂β = ψ':

        E e²: E[(Z² − 1)e²], E[Ze²]        E e'²: 2E e'² + E[(Z² − 1)e'²], E[Ze'²]        E ψ''²: 4E ψ''² + E[(Z² − 1)ψ''²], E[Zψ''²]
        t: 2t + E[(Z³ − 3Z)e'], k           k: k + E[(Z⁴ − 4Z² + 1)e'], E[(Z³ − 3Z)e']
        E[ee'Z]: ½E[(Z⁴ − 4Z² + 1)e²] − t² − k², ½E[(Z³ − 3Z)e²] − tk
    """
    for j in range(start.size):
        row = j % z.shape[0]
        mean, slope, tilt = moments[0, j], moments[1, j], moments[6, j]
        steeps = curve = third = fourth = 0.0
        rest_2 = rest_1 = rest_4 = rest_3 = steep_2 = steep_1 = bend_0 = bend_1 = bend_2 = 0.0
        for i in range(z.shape[1]):
            x, node = start[j] + i, z[row, i]
            rest = values[x] - mean - slope * node
            steep = alpha[j] * slopes[x] - slope
            weight, square = weights[row, i], node * node
            two, three, four = square - 1.0, node * (square - 3.0), square * (square - 4.0) + 1.0
            steeps += weight * steep * steep
            curve += weight * two * steep
            third += weight * three * steep
            fourth += weight * four * steep
            rest_2 += weight * two * rest * rest
            rest_1 += weight * node * rest * rest
            rest_4 += weight * four * rest * rest
            rest_3 += weight * three * rest * rest
            steep_2 += weight * two * steep * steep
            steep_1 += weight * node * steep * steep
            bend = weight * bends[x] * bends[x]
            bend_0 += bend
            bend_1 += node * bend
            bend_2 += two * bend
        for along in range(2):
            tilted = slope + curve if along == 0 else tilt
            curved = curve + fourth if along == 0 else third
            rests = rest_2 if along == 0 else rest_1
            steeper = 2.0 * steeps + steep_2 if along == 0 else steep_1
            radial = 0.5 * rest_4 - tilt * tilt - curve * curve if along == 0 else 0.5 * rest_3 - tilt * curve
            out[along, 0, j] = tilt if along == 0 else slope
            out[along, 1, j] = tilted
            out[along, 2, j] = 2.0 * slope * tilted + rests
            out[along, 3, j] = 2.0 * slope * tilted + steeper
            out[along, 4, j] = steeper - rests
            out[along, 5, j] = tilted * curve + slope * curved + radial - steeper
            out[along, 6, j] = 2.0 * tilt + third if along == 0 else curve
            out[along, 7, j] = alpha[j] ** 4 * (4.0 * bend_0 + bend_2 if along == 0 else bend_1)
