"""The distributions that weights and biases are drawn from."""

from __future__ import annotations

import math
from typing import Any

from meanfield.errors import DomainError

WEIGHTS = ("normal", "truncated_normal", "uniform", "orthogonal")
BIASES = WEIGHTS[:3]

# Standard deviation of a standard normal cut off at ±2: √(1 − 4 φ(2)/(2Φ(2) − 1)).
TRUNCATED = math.sqrt(1.0 - 4.0 * math.exp(-2.0) / math.sqrt(2.0 * math.pi) / math.erf(math.sqrt(2.0)))


def checked_distribution(value: Any, known: tuple[str, ...]) -> str:
    """One of the words in `known`."""
    if value not in known:
        raise DomainError(f"distribution = {value!r} is out of range: it must be one of {', '.join(map(repr, known))}")
    return str(value)


def orthogonal_scale(sigma_w: float, fan_in: int, units: int) -> float:
    """What orthonormal rows or columns are multiplied by, so that one weight has variance σ_w²/fan_in.

    The unit vectors of a fan_in × units matrix have max(fan_in, units) components: each has mean square 1/max.
    """
    return sigma_w * math.sqrt(max(fan_in, units) / fan_in)
