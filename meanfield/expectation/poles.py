"""How strong the poles of φ and φ' are: |φ| ~ |x − t|^(−p)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import ActivationError

if TYPE_CHECKING:
    from meanfield.activations import Activation

MOST = 100  # poles, those nearest to 0, that are looked at
INTEGRABLE = 0.995  # |x − t|^(−p) has an integral for p < 1; the rest is the accuracy to which p is measured


def pole_strength(activation: Activation, location: float, order: int = 0) -> float:
    """p of φ⁽ᵏ⁾ at one point, the larger of both sides; 0 where it does not grow like a power (a logarithm)."""
    return max(_one_side(activation, location, side, order)[0] for side in (-1.0, 1.0))


def _one_side(activation: Activation, location: float, side: float, order: int = 0) -> tuple[float, float]:
    """p on one side of a point, and the sign of φ⁽ᵏ⁾ there."""
    distances = 1e-9 * max(abs(location), 1e-3) * np.array([1.0, 2.0**5, 2.0**10])
    values = activation.values(location + side * distances, order)
    size, sign = np.abs(values), float(np.sign(values[0]))
    if np.isinf(size[0]):
        return math.inf, sign
    if size[0] > size[1] > size[2] > 0:
        return max(0.0, float(np.min(np.log2(size[:2] / size[1:]))) / 5), sign
    return 0.0, sign


def divergent_sides(activation: Activation) -> tuple[tuple[float, float], ...]:
    """(location, sign of φ) for each side of each pole on which φ itself has no integral."""
    sides = []
    for point in _poles(activation):
        for side in (-1.0, 1.0):
            strength, sign = _one_side(activation, point, side)
            if strength > INTEGRABLE:
                sides.append((point, sign))
    return tuple(sides)


def _poles(activation: Activation) -> list[float]:
    return sorted((b.location for b in activation.breakpoints if math.isinf(b.value_jump)), key=abs)[:MOST]


def strongest_pole(activation: Activation) -> tuple[float, float]:
    """(p, location) of the strongest pole among the breakpoints of φ; (0, nan) where φ has none."""
    return max(((pole_strength(activation, t), t) for t in _poles(activation)), key=lambda pole: round(pole[0], 2), default=(0.0, math.nan))


def unbounded_slope(activation: Activation) -> float | None:
    """The point nearest to 0 beside which φ'² has no integral though φ is finite there, or None: √|x − 1|, but not |x − 1|^0.6."""
    steep = (b.location for b in activation.breakpoints if math.isfinite(b.value_jump) and math.isinf(b.slope_jump))
    for point in sorted(steep, key=abs)[:MOST]:
        try:
            if 2 * pole_strength(activation, point, 1) > INTEGRABLE:
                return point
        except ActivationError:  # φ has values on one side only: a quadrature that meets the other says so
            continue
    return None
