"""Compiled statistics of one layer's pre-activations. Arrays are (networks, inputs, units)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array, Mask

ALIGNED = 0.9  # |c| above this: 1 − |c| comes from the difference of the two unit vectors


@kernel("float64(float64[::1], float64[::1])")
def inner(x: Array, y: Array) -> float:
    """x·y in four running sums, which the processor adds side by side; here again, as cached kernels and their helpers share a file."""
    a = b = c = d = 0.0
    size = x.size
    whole = size - size % 4
    for i in range(0, whole, 4):
        a += x[i] * y[i]
        b += x[i + 1] * y[i + 1]
        c += x[i + 2] * y[i + 2]
        d += x[i + 3] * y[i + 3]
    for i in range(whole, size):
        a += x[i] * y[i]
    return (a + b) + (c + d)


@kernel("void(float64[:,:,::1], boolean[::1], float64, float64[:,:,::1], float64[:,:,::1])")
def observe(layer: Array, lost: Mask, smallest: float, gram: Array, epsilon: Array) -> None:
    """gram[n, a, b] = h_a·h_b/N and epsilon[n, a, b] = 1 − h_a·h_b/(|h_a||h_b|).

    epsilon is NaN, to be left out, where a mean square is below `smallest`. Networks that are lost have gram = inf.
    """
    networks, inputs, units = layer.shape
    for n in range(networks):
        for b in range(inputs):
            for a in range(b + 1):
                value = math.inf if lost[n] else inner(layer[n, a], layer[n, b]) / units
                gram[n, a, b] = value
                gram[n, b, a] = value
            own = gram[n, b, b]
            defined = smallest <= own < math.inf
            epsilon[n, b, b] = 0.0 if defined else math.nan
            for a in range(b):
                other = gram[n, a, a]
                loss = math.nan
                if defined and smallest <= other < math.inf:
                    first, second = 1.0 / math.sqrt(other), 1.0 / math.sqrt(own)
                    loss = 1.0 - gram[n, a, b] * first * second
                    if abs(1.0 - loss) > ALIGNED:
                        # ½|x̂ − ŷ|² = 1 − x̂·ŷ, without the cancellation.
                        sign = 1.0 if loss < 1.0 else -1.0
                        total = 0.0
                        for i in range(units):
                            gap = layer[n, b, i] * second - sign * layer[n, a, i] * first
                            total += gap * gap
                        total *= 0.5 / units
                        loss = total if sign > 0.0 else 2.0 - total
                epsilon[n, a, b] = loss
                epsilon[n, b, a] = loss
