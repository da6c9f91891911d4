"""The correlation map of a leaky ReLU, followed through many layers."""

from __future__ import annotations

import math

from meanfield.jit import kernel

SERIES = 0.3  # radians below which sin θ − θ cos θ is summed


@kernel("float64(float64)")
def bend(theta: float) -> float:
    """sin θ − θ cos θ, to relative accuracy: 1 − f(c) = 1 − c − κ(sin θ − θ cos θ)/π.

    Examples
    --------
    >>> round(bend(1e-6) / (1e-18 / 3.0), 9)
    1.0
    """
    if theta >= SERIES:
        return math.sin(theta) - theta * math.cos(theta)
    t2 = theta * theta
    return theta * t2 * (1 / 3 - t2 * (1 / 30 - t2 * (1 / 840 - t2 * (1 / 45360 - t2 / 3991680))))


@kernel("float64(float64, float64, int64)")
def followed(kappa: float, epsilon: float, layers: int) -> float:
    """1 − c through so many layers, from 1 − c = ε."""
    for _ in range(layers):
        theta = 2.0 * math.asin(math.sqrt(min(0.5 * epsilon, 1.0)))
        epsilon -= kappa / math.pi * bend(theta)
    return epsilon
