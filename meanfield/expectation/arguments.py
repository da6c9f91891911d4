"""Checks of the arguments that every expectation takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError

if TYPE_CHECKING:
    from meanfield.arrays import Array

SMALLEST, LARGEST = 1e-280, 1e280  # positive variances that are served
ROUNDED = 2.0**-45  # 2.8e-14: x·y/(|x||y|), summed number by number, exceeded 1 by half of that for vectors of a million numbers


def real_array(name: str, value: Any) -> Array:
    """The argument as float64; complex numbers, text and NaN are errors that name it."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError
        array = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DomainError(f"{name} must be a real number or an array of them, not {type(value).__name__} {value!r}"[:300]) from None
    if np.isnan(array).any():
        raise DomainError(f"{name} must not be NaN")
    return array


def variance(name: str, value: Any) -> Array:
    """A variance: 0 or in [SMALLEST, LARGEST]."""
    if isinstance(value, float):
        if SMALLEST <= value <= LARGEST:
            return np.array(value)
    elif isinstance(value, np.ndarray) and value.dtype == np.float64 and value.size and value.min() >= SMALLEST and value.max() <= LARGEST:
        return value  # the usual array needs no further pass
    array = real_array(name, value)
    bad = ~((array == 0) | ((array >= SMALLEST) & (array <= LARGEST)))
    if bad.any():
        raise DomainError(f"{name} = {float(array[bad].flat[0])!r} is out of range: a variance is 0 or in [{SMALLEST:g}, {LARGEST:g}]")
    return array


def within(name: str, value: Any, low: float, high: float) -> Array:
    """A number in [low, high]."""
    array = real_array(name, value)
    bad = ~((array >= low) & (array <= high))
    if bad.any():
        raise DomainError(f"{name} = {float(array[bad].flat[0])!r} is out of range: it must lie in [{low:g}, {high:g}]")
    return array


def correlation_argument(name: str, value: Any) -> Array:
    """A correlation in [−1, 1]; what rounding has carried past an end, as it does in normalised dot products, is taken for the end."""
    if isinstance(value, float):
        if -1.0 <= value <= 1.0:
            return np.array(value)
    elif isinstance(value, np.ndarray) and value.dtype == np.float64 and value.size and value.min() >= -1.0 and value.max() <= 1.0:
        return value
    array = real_array(name, value)
    return within(name, np.where(np.abs(array) <= 1.0 + ROUNDED, np.clip(array, -1.0, 1.0), array), -1.0, 1.0)


def broadcast(**arrays: Array) -> tuple[Array, ...]:
    """The arguments at their common shape; shapes without one are an error that names them."""
    try:
        return tuple(np.broadcast_arrays(*arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise DomainError(f"the shapes of {shapes} don't broadcast; give arrays of one shape, or numbers") from None


def derivative_order(value: Any) -> int:
    """k in 0, 1, 2."""
    if isinstance(value, (bool, np.bool_)) or value not in (0, 1, 2):
        raise DomainError(f"derivative = {value!r} is out of range: it must be 0, 1 or 2")
    return int(value)


def unwrap(array: Array) -> Any:
    """A Python float for a 0-d array, the array otherwise."""
    return float(array) if array.ndim == 0 else array
