"""D at many correlations of one variance: its profile as short polynomials on equal panels in x = sin(θ/2), so that none needs an angle."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.chebyshev import chebyshev_nodes, chebyshev_series

if TYPE_CHECKING:
    from meanfield.arrays import Array

    Decorrelation = Callable[[Array], Array]  # D at angles

TERMS = 12  # a constant of the kernels too
FURTHEST = 64.0  # variances whose panels are few enough to be equal; for larger ones they have to be graded towards x = 0
ACUTE = math.sqrt(0.5)  # x at θ = π/2


def panels_of(q: float) -> int:
    """How many panels [0, 1] has: their width follows 1/√q."""
    return 1 << (3 + max(2, math.ceil(math.log2(4.0 * math.sqrt(q) + 4.0))))


def near_rows(decorrelation: Decorrelation, panels: int, jumping: bool) -> Array:
    """Monomial coefficients of D/(2x²), or D/x where φ jumps, on the panels in x up to θ = π/2; one row a panel."""
    x = _nodes(panels)
    losses = decorrelation(2.0 * np.arcsin(x).ravel()).reshape(x.shape)
    return monomials(losses / (x if jumping else 2.0 * x * x))


def far_rows(decorrelation: Decorrelation, panels: int) -> Array:
    """Those of D on panels in y = cos(θ/2), from θ = π down to π/2."""
    y = _nodes(panels)
    return monomials(decorrelation(math.pi - 2.0 * np.arcsin(y).ravel()).reshape(y.shape))


def _nodes(panels: int) -> Array:
    left = np.arange(math.ceil(ACUTE * panels)) / panels
    result: Array = left[:, None] + 0.5 / panels * (1.0 + chebyshev_nodes(TERMS))
    return result


@lru_cache(maxsize=1)
def _to_monomials() -> Array:
    matrix = np.zeros((TERMS, TERMS))
    for i in range(TERMS):
        matrix[: i + 1, i] = np.polynomial.chebyshev.cheb2poly([0.0] * i + [1.0])
    return matrix


def monomials(values: Array) -> Array:
    """Coefficients of powers of t ∈ [−1, 1] from values at `TERMS` Chebyshev nodes, row by row."""
    result: Array = np.ascontiguousarray(chebyshev_series(values) @ _to_monomials().T)
    return result
