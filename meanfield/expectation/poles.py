"""How strong the poles of φ are: |φ| ~ |x − t|^(−p)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from meanfield.activations import Activation

INTEGRABLE = 0.995  # |x − t|^(−p) has an integral for p < 1; the rest is the accuracy to which p is measured


def pole_strength(activation: Activation, location: float) -> float:
    """p at one point, the larger of both sides; 0 where φ does not grow like a power (a logarithm)."""
    distances = 1e-9 * max(abs(location), 1e-3) * np.array([1.0, 2.0**5, 2.0**10])
    steepest = 0.0
    for side in (-1.0, 1.0):
        values = np.abs(activation.values(location + side * distances, 0))
        if np.isinf(values[0]):
            return math.inf
        if values[0] > values[1] > values[2] > 0:
            steepest = max(steepest, float(np.min(np.log2(values[:2] / values[1:]))) / 5)
    return steepest


def strongest_pole(activation: Activation) -> tuple[float, float]:
    """(p, location) of the strongest pole among the breakpoints of φ; (0, nan) where φ has none."""
    poles = sorted((b.location for b in activation.breakpoints if math.isinf(b.value_jump)), key=abs)
    return max(((pole_strength(activation, t), t) for t in poles[:100]), key=lambda pole: round(pole[0], 2), default=(0.0, math.nan))
