"""How the correlation map bends away from the identity at c = 1, where its slope is 1: what the laws on the edge of chaos follow from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meanfield.errors import DomainError
from meanfield.expectation.second_moment import second_moment
from meanfield.layers import limits

if TYPE_CHECKING:
    from meanfield.activations import Activation


def law_at(act: Activation, weight: float, q: float) -> tuple[float, float, str]:
    """(exponent, constant, kind) at an edge point with σ_w² = weight and variance q."""
    kappa = kinkedness(act, weight, q)
    if kappa > 0.0:
        return 2.0, 4.0 / kappa**2, "kinked"
    bend = curvature(act, weight, q)
    return (1.0, 1.0 / bend, "smooth") if bend > 0.0 else (0.0, 1.0, "linear")


def kinkedness(act: Activation, weight: float, q: float) -> float:
    """κ of 1 − f = ε − κ ε^(3/2) + …: 0 where φ' is continuous."""
    factor = math.sqrt(2.0) / (3.0 * math.pi) * weight
    if q == 0.0:
        left, right = limits.slopes(act, 0.0)
        return factor * (right - left) ** 2
    total = 0.0
    for point in act.breakpoints:
        if math.isinf(point.slope_jump) or point.value_jump != 0.0:
            raise DomainError(f"φ' of {act.name} is infinite at x = {point.location:g}: 1 - c falls by another law than 1/l or 1/l²")
        total += point.slope_jump**2 * math.exp(-0.5 * point.location**2 / q)
    return factor * total


def curvature(act: Activation, weight: float, q: float) -> float:
    """1/β of 1 − f = ε − ε²/β + … for continuous φ'; 0 at q = 0, where the map is the identity."""
    return 0.0 if q == 0.0 else 0.5 * weight * q * float(second_moment(act, q, derivative=2))
