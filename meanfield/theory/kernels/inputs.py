"""Rows of data as the inputs of a network: mean squares, means, and how far any two are from being parallel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError
from meanfield.expectation.arguments import LARGEST, SMALLEST, real_array

if TYPE_CHECKING:
    from meanfield.arrays import Array


@dataclass(frozen=True)
class Inputs:
    """N inputs of d components.

    Attributes
    ----------
    q : ndarray (N,)
        Mean squares of the components, x·x/d.
    mean : ndarray (N,)
        Means of the components.
    units : ndarray (N, d)
        Rows over their lengths; 0 for a row of zeros.
    """

    q: Array
    mean: Array
    units: Array

    @staticmethod
    def of(name: str, rows: Any) -> Inputs:
        """Checked rows."""
        array = real_array(name, rows)
        if array.ndim != 2 or array.size == 0:
            raise DomainError(f"{name} has shape {array.shape}: it must be an array of inputs, (N, d) with N, d ≥ 1")
        if not np.all(np.isfinite(array)):
            raise DomainError(f"{name} must be finite: row {int(np.argmax(~np.isfinite(array).all(axis=1)))} holds an infinite number")
        largest = np.max(np.abs(array), axis=1)
        scale = np.where(largest > 0.0, largest, 1.0)  # squares of numbers beyond 1e154 overflow
        scaled = array / scale[:, None]
        mean_square = np.mean(scaled * scaled, axis=1)
        with np.errstate(over="ignore", under="ignore"):
            q = mean_square * scale * scale
        bad = (largest > 0.0) & ~((q >= SMALLEST) & (q <= LARGEST))
        if bad.any():
            row = int(np.argmax(bad))
            raise DomainError(f"the mean square of row {row} of {name}, {q[row]:.3g}, is out of range: it must be 0 or in [1e-280, 1e280]")
        lengths = np.sqrt(np.sum(scaled * scaled, axis=1))
        units = scaled / np.where(lengths > 0.0, lengths, 1.0)[:, None]
        return Inputs(q, np.mean(array, axis=1), np.ascontiguousarray(units))

    @property
    def count(self) -> int:
        """N."""
        return int(self.q.size)

    @property
    def components(self) -> int:
        """d."""
        return int(self.units.shape[1])


def losses(first: Array, second: Array) -> Array:
    """ε = 1 − u·v for rows u and v of length 1: ½|u − v|² where they are near, so that identical rows give 0 and near ones keep digits."""
    from meanfield.theory.kernels.pair_kernels import losses_of_products

    products = first @ second.T
    losses_of_products(products, first, second)
    return products
