"""How strong the poles of φ are, and the singular points of its derivatives: |φ⁽ᵏ⁾| ~ |x − t|^(−p)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import ActivationError

if TYPE_CHECKING:
    from meanfield.activations import Activation

MOST = 100  # poles, those nearest to 0, that are looked at
NOISE = 1e-5  # of |φ⁽ᵏ⁾|: smaller changes may be lost digits, which grow like powers too
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


def not_square_integrable(activation: Activation, k: int) -> float | None:
    """A point beside which (φ⁽ᵏ⁾)² has no integral, so that its mean is infinite at every variance; None where there is none.

    Deltas and poles of φ are left out. √|x − t| is the mildest that counts for k = 1, |x − t|^(3/2) for k = 2.
    """
    points = activation.breakpoints
    suspects = sorted((b.location for b in points if not b.value_jump and (k == 1 or not b.slope_jump)), key=abs)[:MOST]
    if not suspects:
        return None
    # 2⁰, 2⁵, 2¹⁰ and 2¹⁵ distances away on both sides, and clear of the next breakpoint.
    gaps = [min((abs(t - b.location) for b in points if b.location != t), default=math.inf) for t in suspects]
    distances = np.minimum(1e-9 * np.maximum(np.abs(suspects), 1e-3), np.divide(gaps, 150_000))
    steps = np.multiply.outer([-1.0, 1.0], 2.0 ** np.array([0, 5, 10, 15]))
    x = np.array(suspects)[:, None, None] + distances[:, None, None] * steps
    try:
        values = activation.values(x.ravel(), k).reshape(x.shape)
    except ActivationError:
        return None  # whoever integrates φ⁽ᵏ⁾ meets it again
    with np.errstate(all="ignore"):
        changes = np.abs(np.diff(values, axis=2))  # what stays finite beside the singular part is gone from them
        powers = np.log2(changes[..., :-1] / changes[..., 1:]) / 5
        # A power law shows the same p twice, noise does not.
        clear = (changes[..., -1] > NOISE * np.max(np.abs(values), axis=2)) & (np.ptp(powers, axis=2) < 0.05)
        singular = np.flatnonzero((clear & (2 * np.mean(powers, axis=2) > INTEGRABLE)).any(axis=1))
    return float(suspects[singular[0]]) if singular.size else None
