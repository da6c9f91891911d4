"""Compiled projection onto Hermite functions, and Mehler's sums."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array


@kernel("void(float64[::1], float64[::1], float64[::1], float64[::1])")
def project(z: Array, weighted: Array, half: Array, coefficients: Array) -> None:
    """coefficients[n] += Σ_j weighted_j · (h_n √N)(z_j), with √(n+1) h_{n+1} = z h_n − √n h_{n−1} and half = √N(z)."""
    terms = coefficients.size
    before = np.zeros(z.size)
    now = half.copy()
    for n in range(terms):
        total = 0.0
        for j in range(z.size):
            total += weighted[j] * now[j]
        coefficients[n] += total
        up, down = 1.0 / math.sqrt(n + 1.0), math.sqrt(n / (n + 1.0))
        for j in range(z.size):
            after = up * z[j] * now[j] - down * before[j]
            before[j] = now[j]
            now[j] = after


BLOCK = 64  # correlations that are summed side by side: each operation serves several of them in one vector register


@kernel("void(float64[::1], float64[::1], float64[::1])")
def power_series(c: Array, coefficients: Array, out: Array) -> None:
    """out = Σ coefficients[k] cᵏ by Horner's rule, four powers a pass: what a pass reads and writes costs more than its sums."""
    last = coefficients.size - 1
    single = last - last % 4  # powers from here on are taken one by one
    for start in range(0, c.size, BLOCK):
        here = c[start : start + BLOCK]
        total = out[start : start + BLOCK]
        for i in range(here.size):
            total[i] = coefficients[last]
        for k in range(last - 1, single - 1, -1):
            for i in range(here.size):
                total[i] = total[i] * here[i] + coefficients[k]
        for k in range(single - 4, -1, -4):
            one, two, three, four = coefficients[k + 3], coefficients[k + 2], coefficients[k + 1], coefficients[k]
            for i in range(here.size):
                total[i] = (((total[i] * here[i] + one) * here[i] + two) * here[i] + three) * here[i] + four
