"""Compiled loops over piecewise polynomials. They know nothing of φ."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array, Integers

READY, MISSING, DIRECT, INFINITE = 0, 1, 2, 3  # the state of one octave of q


@kernel("int64(float64[::1], int64, int64[::1], int64[::1], int64[::1], float64[:,::1], float64[::1])")
def evaluate_octaves(q: Array, first: int, state: Integers, start: Integers, pieces: Integers, coefficients: Array, out: Array) -> int:
    """Evaluate a piecewise polynomial in q; octave i holds 2^(first + i) ≤ q < 2^(first + i + 1).

    Each octave is cut into `pieces` equal parts, each with a polynomial in t ∈ [−1, 1] whose monomial coefficients
    are a row of `coefficients`. Returns how many elements could not be done (octave missing or marked DIRECT); those
    are NaN in `out` for the caller to fill.
    """
    missed = 0
    degree = coefficients.shape[1] - 1
    for i in range(q.size):
        mantissa, exponent = math.frexp(q[i])
        octave = exponent - 1 - first
        if octave < 0 or octave >= state.size or state[octave] == 1 or state[octave] == 2:
            out[i] = math.nan
            missed += 1
            continue
        if state[octave] == 3:
            out[i] = math.inf
            continue
        count = pieces[octave]
        position = (2.0 * mantissa - 1.0) * count
        piece = min(int(position), count - 1)
        t = 2.0 * (position - piece) - 1.0
        row = start[octave] + piece
        value = coefficients[row, degree]
        for k in range(degree - 1, -1, -1):
            value = value * t + coefficients[row, k]
        out[i] = value
    return missed
