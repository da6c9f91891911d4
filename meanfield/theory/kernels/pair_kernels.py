"""Compiled loops over the pairs of inputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array

ACUTE = math.sqrt(0.5)  # x at ε = 1
NEAR = 1e-3  # below this ε = 1 − u·v has lost three digits and more


@kernel("void(float64[:,::1], float64[:,::1], float64[:,::1])")
def losses_of_products(products: Array, first: Array, second: Array) -> None:
    """u·v ↦ 1 − u·v in place: ½|u − v|², or 2 − ½|u + v|², where u and v are all but parallel."""
    rows, columns = products.shape
    for i in range(rows):
        for j in range(columns):
            product = products[i, j]
            if abs(product) < 1.0 - NEAR:
                products[i, j] = 1.0 - product
                continue
            sign = 1.0 if product > 0.0 else -1.0
            total = 0.0
            for k in range(first.shape[1]):
                apart = first[i, k] - sign * second[j, k]
                total += apart * apart
            products[i, j] = 0.5 * total if product > 0.0 else 2.0 - 0.5 * total


@kernel("float64(float64[::1], float64)")
def series(row: Array, t: float) -> float:
    """Σ row[k] T_k(t), by Clenshaw's recurrence."""
    twice = 2.0 * t
    one, two = 0.0, 0.0
    for k in range(row.size - 1, 0, -1):
        one, two = row[k] + twice * one - two, one
    value: float = row[0] + t * one - two
    return value


@kernel("void(float64[:,::1], int64, float64, float64, float64[:,::1], float64[:,::1], float64[:,::1])")
def look_up(losses: Array, parts: int, at_zero: float, at_two: float, near: Array, far: Array, out: Array) -> None:
    """A function of ε: `near` in x = √(ε/2) for ε ≤ 1, `far` in √(1 − ε/2) beyond.

    Row 0 of a table belongs to the first panel below √½; each octave has `parts` panels of equal width, the last octave reaches down to 0.
    """
    for i in range(losses.shape[0]):
        for j in range(losses.shape[1]):
            loss = losses[i, j]
            if loss == 0.0 or loss == 2.0:
                out[i, j] = at_zero if loss == 0.0 else at_two
                continue
            ahead = loss <= 1.0
            x = math.sqrt(0.5 * loss) if ahead else math.sqrt(max(1.0 - 0.5 * loss, 0.0))
            mantissa, power = math.frexp(x)  # x = mantissa · 2^power, mantissa in [½, 1)
            # 0 at the upper end of the octave; that of the first is √½.
            position = parts * 2.0 * (1.0 - mantissa) if power < 0 else parts * max(ACUTE - x, 0.0) / (ACUTE - 0.5)
            inner = min(int(position), parts - 1)
            t = 1.0 - 2.0 * (position - inner)
            panel = -power * parts + inner
            table = near if ahead else far
            last = table.shape[0] - 1
            if panel > last or x == 0.0:
                panel, t = last, -1.0
            out[i, j] = series(table[panel], t)
