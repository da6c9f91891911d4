"""Chebyshev series on one panel, from values at the first-kind nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from meanfield.arrays import Array

TERMS = 24


def chebyshev_series(values: Array) -> Array:
    """Chebyshev coefficients along the last axis from values at the first-kind nodes (cos((2k+1)π/2n))."""
    n = values.shape[-1]
    k = np.arange(n)
    matrix = 2.0 / n * np.cos(np.outer(k, (2 * k + 1) * np.pi / (2 * n)))
    matrix[0] *= 0.5
    result: Array = values @ matrix.T
    return result


def chebyshev_nodes(n: int = TERMS) -> Array:
    """First-kind nodes on [−1, 1], descending."""
    result: Array = np.cos((2 * np.arange(n) + 1) * np.pi / (2 * n))
    return result
