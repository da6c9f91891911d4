"""Checks of σ_w and σ_b."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError
from meanfield.expectation.arguments import real_array
from meanfield.layers.arguments import LARGEST_SIGMA

if TYPE_CHECKING:
    from meanfield.arrays import Array


def standard_deviation(name: str, value: Any) -> Array:
    """A standard deviation in [0, 1e100]."""
    array = real_array(name, value)
    bad = ~((array >= 0) & (array <= LARGEST_SIGMA))
    if bad.any():
        raise DomainError(
            f"{name} = {float(array[bad].flat[0])!r} is out of range: a standard deviation (σ, not σ²) must lie in [0, {LARGEST_SIGMA:g}]"
        )
    return array


def one_standard_deviation(name: str, value: Any) -> float:
    """A scalar standard deviation."""
    array = standard_deviation(name, value)
    if array.ndim:
        raise DomainError(f"{name} must be one number, not an array of shape {array.shape}")
    return float(array)
