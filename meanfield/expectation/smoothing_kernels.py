"""Compiled loops of conditional smoothing: where to ask φ for its values, and what to make of them.

For each centre X the rule integrates over T ~ N(0, 1) at x = X + τT. If |T| ≤ reach stays on one panel of φ, where φ is
a polynomial of degree 15, 16 Gauss–Hermite nodes are exact. Otherwise T is cut at the panels' edges and into steps on
which the Gaussian is resolved, with Gauss–Legendre nodes on each.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array, Integers

ROUNDS = 6755399441055744.0  # 1.5 · 2⁵²: a sum with it is rounded to a whole number
C3, C4, C5, C6, C7, C8, C9, C10, C11, C12 = (1.0 / math.factorial(k) for k in range(3, 13))
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # k · LN2_HIGH is exact


@kernel("i8(f8, f8, f8, f8)")
def pieces_of(start: float, stop: float, centre: float, tau: float) -> int:
    """Steps of 2 in T near 0, and such that exp(−T²/2) falls by at most e^−12 further out."""
    widest = max(abs(start - centre), abs(stop - centre)) / tau
    return max(1, math.ceil((stop - start) / tau / min(2.0, 12.0 / max(widest, 1e-3))))


@kernel("void(float64[::1], float64, float64, float64[::1], int64, int64, int64[::1])")
def count_nodes(centres: Array, tau: float, reach: float, edges: Array, hermite_nodes: int, legendre_nodes: int, counts: Integers) -> None:
    """How many nodes each centre needs."""
    for i in range(centres.size):
        low, high = centres[i] - reach * tau, centres[i] + reach * tau
        first = np.searchsorted(edges, low, side="right")
        last = np.searchsorted(edges, high, side="left")
        if first >= last:
            counts[i] = hermite_nodes
            continue
        pieces = 0
        start = low
        for k in range(first, last + 1):
            stop = edges[k] if k < last else high
            if stop > start:
                pieces += pieces_of(start, stop, centres[i], tau)
                start = stop
        counts[i] = pieces * legendre_nodes


@kernel("i8(f8, f8, f8, f8, f8, f8, f8[::1], f8[::1], i8, f8[::1], f8[::1])")
def fill_panel(
    centre: float,
    tau: float,
    start: float,
    stop: float,
    least: float,
    most: float,
    legendre: Array,
    legendre_weights: Array,
    at: int,
    x: Array,
    weights: Array,
) -> int:
    """Nodes on [start, stop], none below `least` or above `most`, from place `at` on; the place behind them."""
    norm = 1.0 / math.sqrt(2.0 * math.pi)
    pieces = pieces_of(start, stop, centre, tau)
    half = 0.5 * (stop - start) / pieces
    for p in range(pieces):
        for j in range(legendre.size):
            # From the panel's end and not from X: beside a pole at 0 all digits of x count.
            value = max(min(start + half * (2 * p + 1 + legendre[j]), most), least)
            t = (value - centre) / tau
            x[at] = value
            weights[at] = half / tau * legendre_weights[j] * norm * math.exp(-0.5 * t * t)
            at += 1
    return at


@kernel(
    "void(float64[::1], float64, float64, float64[::1], float64[::1], float64[::1], float64[::1], float64[::1], int64[::1], "
    "float64[::1], float64[::1])"
)
def place_nodes(
    centres: Array,
    tau: float,
    reach: float,
    edges: Array,
    hermite: Array,
    hermite_weights: Array,
    legendre: Array,
    legendre_weights: Array,
    offsets: Integers,
    x: Array,
    weights: Array,
) -> None:
    """Fill x = X + τT and the weights (the Gaussian included); centre i owns offsets[i] … offsets[i + 1]."""
    for i in range(centres.size):
        low, high = centres[i] - reach * tau, centres[i] + reach * tau
        first = np.searchsorted(edges, low, side="right")
        last = np.searchsorted(edges, high, side="left")
        at = offsets[i]
        if first >= last:
            for j in range(hermite.size):
                x[at + j] = centres[i] + tau * hermite[j]
                weights[at + j] = hermite_weights[j]
            continue
        start = low
        for k in range(first, last + 1):
            stop = edges[k] if k < last else high
            if stop > start:
                # Rounding must not carry a node across the edges that its panel ends at.
                least = np.nextafter(edges[k - 1], math.inf) if k > first else -math.inf
                most = np.nextafter(edges[k], -math.inf) if k < last else math.inf
                at = fill_panel(centres[i], tau, start, stop, least, most, legendre, legendre_weights, at, x, weights)
                start = stop


@kernel("void(float64[::1], float64[::1], int64[::1], float64[::1])")
def means(values: Array, weights: Array, offsets: Integers, out: Array) -> None:
    """out[i] = Σ w φ over the nodes of centre i: E_T φ(X + τT)."""
    for i in range(out.size):
        total = 0.0
        for j in range(offsets[i], offsets[i + 1]):
            total += weights[j] * values[j]
        out[i] = total


@kernel("void(float64[::1], float64[::1], int64[::1], float64[::1], float64[::1])")
def variances(values: Array, weights: Array, offsets: Integers, reference: Array, out: Array) -> None:
    """out[i] = Var_T φ(X + τT), from differences to a reference value so that small variances keep their digits."""
    for i in range(out.size):
        total = 0.0
        mean = 0.0
        for j in range(offsets[i], offsets[i + 1]):
            mean += weights[j] * (values[j] - reference[i])
            total += weights[j]
        mean /= total
        square = 0.0
        for j in range(offsets[i], offsets[i + 1]):
            difference = (values[j] - reference[i]) - mean
            square += weights[j] * difference * difference
        out[i] = square


@kernel("int64(float64[::1], float64)")
def thin(points: Array, widest: float) -> int:
    """Drop, in place, sorted points that only make panels narrower than `widest`, or as narrow as rounding; their new number."""
    last = 0
    for i in range(1, points.size - 1):
        here = points[i]
        if points[i + 1] - points[last] > widest and here - points[last] > 1e-13 * max(1.0, abs(here)):
            last += 1
            points[last] = here
    points[last + 1] = points[points.size - 1]
    return last + 2


@kernel("void(float64[::1], float64, float64, float64[::1], float64[::1], float64[::1])", allow=("contract",))
def gaussian_window(x: Array, centre: float, tau: float, weights: Array, out: Array, powers: Array) -> None:
    """out[j] = weights[j] exp(−(x[j] − X)²/(2τ²)), by loops that the compiler can do several at a time.

    exp(y) = 2ᵏ exp(r) with y = k ln 2 + r and |r| ≤ ½ ln 2, where twelve terms of the exponential series are exact to
    rounding. `powers` is scratch of the size of `out`: adding ROUNDS leaves k in the last bits there, from where it is
    shifted into the exponent.
    """
    bits = powers.view(np.int64)
    scale = math.sqrt(0.5) / tau
    for j in range(x.size):
        t = (x[j] - centre) * scale
        y = max(-t * t, -700.0)
        shifted = y * (1.0 / math.log(2.0)) + ROUNDS
        k = shifted - ROUNDS
        r = (y - k * LN2_HIGH) - k * LN2_LOW
        high = ((C12 * r + C11) * r + C10) * r + C9
        high = (((high * r + C8) * r + C7) * r + C6) * r + C5
        out[j] = weights[j] * (((((high * r + C4) * r + C3) * r + 0.5) * r + 1.0) * r + 1.0)
        powers[j] = shifted
    for j in range(x.size):
        bits[j] = (bits[j] + 1023) << 52
    for j in range(x.size):
        out[j] *= powers[j]


@kernel("float64(float64[::1], float64[::1], float64)", allow=("contract", "reassoc"))
def weighted_variance(weights: Array, values: Array, reference: float) -> float:
    """Σ w (φ − m)²/Σ w with m the mean, from differences to a reference so that small variances keep their digits."""
    total = 0.0
    mean = 0.0
    for j in range(weights.size):
        total += weights[j]
        mean += weights[j] * (values[j] - reference)
    mean /= total
    square = 0.0
    for j in range(weights.size):
        difference = (values[j] - reference) - mean
        square += weights[j] * difference * difference
    return square / total


@kernel("float64(float64[::1], float64[::1])", allow=("contract", "reassoc"))
def weighted_sum(weights: Array, values: Array) -> float:
    """Σ w φ."""
    total = 0.0
    for j in range(weights.size):
        total += weights[j] * values[j]
    return total


@kernel("int64(float64[::1], float64, float64, float64[::1], int64[::1], int64[::1])")
def windows(centres: Array, tau: float, reach: float, x: Array, first: Integers, last: Integers) -> int:
    """The sorted nodes x within reach·τ of each centre: first[i] ≤ j < last[i]; returns how many the fullest window holds."""
    most = 0
    for i in range(centres.size):
        first[i] = np.searchsorted(x, centres[i] - reach * tau)
        last[i] = np.searchsorted(x, centres[i] + reach * tau)
        most = max(most, last[i] - first[i])
    return most


@kernel("void(float64[::1], float64, float64, float64[::1], float64[::1], float64[::1], float64[::1])")
def window_means(centres: Array, tau: float, reach: float, x: Array, weights: Array, values: Array, out: Array) -> None:
    """out[i] = ∫ φ(x) N(x; X_i, τ²) dx over sorted nodes x that all centres share."""
    norm = 1.0 / (math.sqrt(2.0 * math.pi) * tau)
    first, last = np.empty(centres.size, dtype=np.int64), np.empty(centres.size, dtype=np.int64)
    most = windows(centres, tau, reach, x, first, last)
    gaussian, powers = np.empty(most), np.empty(most)
    for i in range(centres.size):
        a, b = first[i], last[i]
        gaussian_window(x[a:b], centres[i], tau, weights[a:b], gaussian, powers)
        out[i] = weighted_sum(gaussian[: b - a], values[a:b]) * norm


@kernel("void(float64[::1], float64, float64, float64[::1], float64[::1], float64[::1], float64[::1], float64[::1])")
def window_variances(
    centres: Array, tau: float, reach: float, x: Array, weights: Array, values: Array, reference: Array, out: Array
) -> None:
    """out[i] = Var_T φ(X_i + τT) over shared nodes, from differences to reference[i]."""
    first, last = np.empty(centres.size, dtype=np.int64), np.empty(centres.size, dtype=np.int64)
    most = windows(centres, tau, reach, x, first, last)
    gaussian, powers = np.empty(most), np.empty(most)
    for i in range(centres.size):
        a, b = first[i], last[i]
        gaussian_window(x[a:b], centres[i], tau, weights[a:b], gaussian, powers)
        out[i] = weighted_variance(gaussian[: b - a], values[a:b], reference[i])


@kernel("void(float64[:,::1], float64[::1], int64, float64[:,::1])", allow=("contract", "reassoc"))
def convolve(values: Array, weights: Array, stride: int, out: Array) -> None:
    """out[i, k] = Σⱼ values[i, k · stride + j] weights[j]."""
    for i in range(out.shape[0]):
        for k in range(out.shape[1]):
            total = 0.0
            for j in range(weights.size):
                total += values[i, k * stride + j] * weights[j]
            out[i, k] = total
