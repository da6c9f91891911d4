"""Compiled look-up of decorrelations by half sines."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array


@kernel("float64(float64[::1], float64)", allow=("contract",))
def polynomial(row: Array, t: float) -> float:
    """Σ row[k] t^k of `half_sines.TERMS` terms. Even and odd powers apart: two chains that the processor runs side by side."""
    square = t * t
    even, odd = row[10], row[11]
    even, odd = even * square + row[8], odd * square + row[9]
    even, odd = even * square + row[6], odd * square + row[7]
    even, odd = even * square + row[4], odd * square + row[5]
    even, odd = even * square + row[2], odd * square + row[3]
    even, odd = even * square + row[0], odd * square + row[1]
    value: float = even + t * odd
    return value


@kernel("void(float64[::1], float64, boolean, float64[:,::1], float64[:,::1], float64[::1])", allow=("contract",))
def fill(c: Array, panels: float, jumping: bool, near: Array, far: Array, out: Array) -> None:
    """D at each c: 2x² ratio(x), or x ratio(x) where φ jumps, x² = (1 − c)/2; for c < 0 a table in y, y² = (1 + c)/2."""
    last = near.shape[0] - 1
    for i in range(c.size):
        obtuse = c[i] < 0.0
        square = 0.5 * (1.0 - abs(c[i]))
        x = math.sqrt(square)
        position = panels * x
        panel = min(int(position), last)
        t = 2.0 * (position - panel) - 1.0
        value = polynomial(far[panel] if obtuse else near[panel], t)
        if not obtuse:
            value *= x if jumping else 2.0 * square
        out[i] = value


@kernel("Tuple((boolean, int64, boolean))(float64[::1], float64)")
def survey(c: Array, reach: float) -> tuple[bool, int, bool]:
    """Whether all c lie in (−1, 1) and none is 0, how many |c| are beyond reach, and whether some are negative: in one pass."""
    inner, beyond, obtuse = True, 0, False
    for i in range(c.size):
        size = abs(c[i])
        inner &= 0.0 < size < 1.0
        beyond += size > reach
        obtuse |= c[i] < 0.0
    return inner, beyond, obtuse
