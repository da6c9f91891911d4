"""Checks of the numbers that layers take."""

from __future__ import annotations

from typing import Any

import numpy as np

from meanfield.errors import DomainError
from meanfield.expectation.arguments import real_array

LARGEST_SIGMA = 1e100


def number(name: str, value: Any, low: float, high: float, what: str = "") -> float:
    """One number in [low, high]."""
    if isinstance(value, float) and low <= value <= high:  # a diagram makes thousands of layers
        return float(value)
    array = real_array(name, value)
    if array.ndim:
        raise DomainError(f"{name} must be one number, not an array of shape {array.shape}")
    if not low <= float(array) <= high:
        raise DomainError(f"{name} = {float(array)!r} is out of range: {what or 'it'} must lie in [{low:g}, {high:g}]")
    return float(array)


def sigma(name: str, value: Any) -> float:
    """A standard deviation in [0, 1e100]."""
    return number(name, value, 0.0, LARGEST_SIGMA, "a standard deviation (σ, not σ²)")


def whole(name: str, value: Any, low: int, high: int) -> int:
    """A whole number in [low, high]."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise DomainError(f"{name} = {value!r} is out of range: it must be a whole number in [{low}, {high}]")
    return int(value)


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """One of a few words."""
    if value not in allowed:
        raise DomainError(f"{name} = {value!r} is out of range: one of {', '.join(map(repr, allowed))}")
    return str(value)
