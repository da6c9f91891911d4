"""The compiled variance recursion on the tables of V[φ]."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array, Integers

DONE, SETTLED, MISSING = 0, 1, 2


@kernel(
    "Tuple((int64, int64))(float64[::1], int64, float64, float64, float64, float64, "
    "int64, int64[::1], int64[::1], int64[::1], float64[:,::1])"
)
def iterate_variance(
    q: Array,
    layer: int,
    weight: float,
    bias: float,
    carry: float,
    still: float,
    first: int,
    state: Integers,
    start: Integers,
    pieces: Integers,
    coefficients: Array,
) -> tuple[int, int]:
    """Fill q[layer + 1 …] with carry q + bias + weight V(q); stop where that stands still or the table has no octave for q.

    Octaves are stored as in meanfield.expectation.kernels.evaluate_octaves. Returns (status, layer reached).
    """
    degree = coefficients.shape[1] - 1
    while layer < q.size - 1:
        mantissa, exponent = math.frexp(q[layer])
        octave = exponent - 1 - first
        if octave < 0 or octave >= state.size or state[octave] != 0:
            return MISSING, layer
        count = pieces[octave]
        position = (2.0 * mantissa - 1.0) * count
        piece = min(int(position), count - 1)
        t = 2.0 * (position - piece) - 1.0
        row = start[octave] + piece
        square = t * t
        even, odd = coefficients[row, degree - 1], coefficients[row, degree]
        for k in range(degree - 3, -1, -2):
            even = even * square + coefficients[row, k]
            odd = odd * square + coefficients[row, k + 1]
        after = bias + weight * (even + t * odd) + carry * q[layer]
        if abs(after - q[layer]) <= still * q[layer]:
            return SETTLED, layer
        layer += 1
        q[layer] = after
    return DONE, layer
