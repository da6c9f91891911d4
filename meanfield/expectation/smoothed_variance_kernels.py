"""Compiled loops of smoothed_variance.py: where Var_T φ(x + τT) is wanted, where that asks for φ, and the sums.

All τ of a panel are done together. Exponentials are left to NumPy, whose vectorised ones are several times faster.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array


WIDEST = 3.0


@kernel("int64(float64, float64, float64, float64[::1], float64, float64[::1], float64[::1], float64[::1])")
def outer_ends(tau: float, narrowest: float, limit: float, edges: Array, uneven: float, kinks: Array, grades: Array, ends: Array) -> int:
    """Fill `ends` with panel ends in x for ∫ W(x, τ) N(x; 0, v) dx, √v ≥ narrowest; their number, or −1 where they do not fit.

    The Gaussian's own steps, the edges of φ, and steps graded by τ beside its kinks and where narrow panels meet others
    `uneven` times as wide; then all that makes panels narrower than 3τ (or 3√v) is dropped: W is smooth on the scale τ.
    """
    count = 0
    step = 0.0
    ends[0] = 0.0
    count = 1
    while step < limit:
        step = min(step + max(2.0 * narrowest, 0.5 * step), limit)
        if count + 2 > ends.size:
            return -1
        ends[count], ends[count + 1] = -step, step
        count += 2
    for i in range(edges.size):
        if abs(edges[i]) < limit:
            if count + 1 > ends.size:
                return -1
            ends[count] = edges[i]
            count += 1
            if i == 0 or i == edges.size - 1:
                continue
            left, right = edges[i] - edges[i - 1], edges[i + 1] - edges[i]
            if min(left, right) < 8.0 * tau and max(left, right) > uneven * min(left, right):
                if count + 2 * grades.size > ends.size:
                    return -1
                for g in grades:
                    ends[count], ends[count + 1] = edges[i] - tau * g, edges[i] + tau * g
                    count += 2
    for i in range(kinks.size):
        if count + 2 * grades.size + 1 > ends.size:
            return -1
        ends[count] = kinks[i]
        count += 1
        for g in grades:
            ends[count], ends[count + 1] = kinks[i] - tau * g, kinks[i] + tau * g
            count += 2
    found = np.sort(ends[:count])
    inside = 0
    for i in range(count):
        if -limit <= found[i] <= limit:
            found[inside] = found[i]
            inside += 1
    ends[0] = found[0]
    last = 0
    for i in range(1, inside - 1):
        here = found[i]
        if found[i + 1] - ends[last] > WIDEST * min(tau, narrowest) and here - ends[last] > 1e-13 * max(1.0, abs(here)):
            last += 1
            ends[last] = here
    ends[last + 1] = found[inside - 1]
    return last + 2


@kernel("int64(float64, float64, float64[::1], float64, float64[::1])")
def shared_ends(tau: float, furthest: float, edges: Array, step: float, ends: Array) -> int:
    """Ends of panels no wider than step·τ, cut at the edges of φ, that cover |x| ≤ furthest; −1 where they do not fit."""
    count = 1
    ends[0] = -furthest
    for i in range(edges.size + 1):
        stop = edges[i] if i < edges.size else furthest
        if stop <= ends[count - 1]:
            continue
        stop = min(stop, furthest)
        start = ends[count - 1]
        pieces = max(1, math.ceil((stop - start) / (step * tau)))
        if count + pieces > ends.size:
            return -1
        for k in range(1, pieces + 1):
            ends[count] = stop if k == pieces else start + (stop - start) * k / pieces
            count += 1
        if stop >= furthest:
            break
    return count
