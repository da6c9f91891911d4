"""Compiled loops over piecewise polynomials. They know nothing of φ."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array, Integers


TERMS = 12  # of a row: a constant, so that the compiler unrolls the loop


@kernel("int64(float64[::1], int64, int64[::1], int64[::1], int64[::1], float64[:,::1], float64[::1])")
def evaluate_octaves(q: Array, first: int, state: Integers, start: Integers, pieces: Integers, coefficients: Array, out: Array) -> int:
    """Evaluate a piecewise polynomial in q (octaves.py does the same without numba); octave i holds 2^(first + i) ≤ q < 2^(first + i + 1).

    Each octave is cut into `pieces` equal parts, each with a polynomial in t ∈ [−1, 1] whose monomial coefficients
    are a row of `coefficients`. Returns how many elements could not be done (octave missing or marked DIRECT); those
    are NaN in `out` for the caller to fill.
    """
    missed = 0
    # The exponent and the fraction of a float64, straight from its bits: frexp is a call, and dearer than the polynomial.
    bits = q.view(np.int64)
    for i in range(q.size):
        octave = (bits[i] >> 52) - 1023 - first
        if octave < 0 or octave >= state.size or state[octave] == 1 or state[octave] == 2:
            out[i] = math.nan
            missed += 1
            continue
        if state[octave] == 3:
            out[i] = math.inf
            continue
        count = pieces[octave]
        position = (bits[i] & 0xFFFFFFFFFFFFF) * 2.0**-52 * count
        piece = min(int(position), count - 1)
        t = 2.0 * (position - piece) - 1.0
        row = start[octave] + piece
        # Even and odd powers apart: two chains that the processor runs side by side. The number of terms is even.
        square = t * t
        a = coefficients[row]
        even, odd = a[TERMS - 2], a[TERMS - 1]
        for k in range(TERMS - 4, -1, -2):
            even = even * square + a[k]
            odd = odd * square + a[k + 1]
        out[i] = even + t * odd
    return missed
