"""Compiled root search of the edge-of-chaos curve on the moment tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array, Integers


@kernel("int64(float64[::1], int64[::1], float64[::1], float64[::1], int64[::1])")
def first_brackets(targets: Array, begin: Integers, q: Array, values: Array, found: Integers) -> int:
    """found[i]: the first k ≥ begin[i] with targets[i] between values[k] and values[k + 1], −1 where there is none."""
    missing = 0
    for i in range(targets.size):
        found[i] = -1
        before = values[min(begin[i], q.size - 1)] - targets[i]
        for k in range(begin[i], q.size - 1):
            after = values[k + 1] - targets[i]
            if (
                (before <= 0.0 and after > 0.0)
                or (before >= 0.0 and after < 0.0)
                or (before < 0.0 and after == 0.0)
                or (before > 0.0 and after == 0.0)
            ):
                found[i] = k
                break
            before = after
        if found[i] < 0:
            missing += 1
    return missing


@kernel("f8(f8, f8, i8, i8[::1], i8[::1], f8[:,:,::1])")
def excess(q: float, target: float, first: int, start: Integers, pieces: Integers, coefficients: Array) -> float:
    """DEFICIT(q) − target · V1(q)."""
    degree = coefficients.shape[2] - 1
    mantissa, exponent = math.frexp(q)
    octave = exponent - 1 - first
    count = pieces[octave]
    position = (2.0 * mantissa - 1.0) * count
    piece = min(int(position), count - 1)
    t = 2.0 * (position - piece) - 1.0
    row = start[octave] + piece
    square = t * t
    deficit, odd_deficit = coefficients[0, row, degree - 1], coefficients[0, row, degree]
    slope, odd_slope = coefficients[1, row, degree - 1], coefficients[1, row, degree]
    for k in range(degree - 3, -1, -2):
        deficit = deficit * square + coefficients[0, row, k]
        odd_deficit = odd_deficit * square + coefficients[0, row, k + 1]
        slope = slope * square + coefficients[1, row, k]
        odd_slope = odd_slope * square + coefficients[1, row, k + 1]
    deficit += t * odd_deficit
    slope += t * odd_slope
    return float(deficit - target * slope)


@kernel("void(float64[::1], int64[::1], float64[::1], int64, int64[::1], int64[::1], float64[:,:,::1], float64[::1])")
def solve(
    targets: Array, found: Integers, grid: Array, first: int, start: Integers, pieces: Integers, coefficients: Array, roots: Array
) -> None:
    """The q in [grid[k], grid[k + 1]] with DEFICIT(q) = target · V1(q), by bisection-safeguarded regula falsi.

    coefficients[0] and [1] are the tables of DEFICIT and V1 (kernels.evaluate_octaves has their layout).
    """
    for i in range(targets.size):
        if found[i] < 0:
            roots[i] = math.nan
            continue
        a, b = grid[found[i]], grid[found[i] + 1]
        fa = excess(a, targets[i], first, start, pieces, coefficients)
        fb = excess(b, targets[i], first, start, pieces, coefficients)
        # A root on a grid point: rounding may give both ends the same sign, and the nearer one is the root.
        if fa == 0.0 or fb == 0.0 or (fa > 0.0) == (fb > 0.0):
            roots[i] = a if abs(fa) < abs(fb) else b
            continue
        c, fc = b, fb
        for step in range(100):
            c = (a * fb - b * fa) / (fb - fa)
            low, high = min(a, b), max(a, b)
            if not (low < c < high) or step % 4 == 3:
                c = 0.5 * (a + b)
            fc = excess(c, targets[i], first, start, pieces, coefficients)
            if (fc > 0) == (fb > 0):
                fa *= 0.5
            else:
                a, fa = b, fb
            b, fb = c, fc
            if fc == 0.0 or abs(b - a) <= 4e-16 * abs(b):
                break
        roots[i] = b if fc == fb else c
