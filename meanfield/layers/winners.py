"""The largest of k Gaussian variables, for one input and for two.

With P(θ) the probability that the same of the k is the largest for two inputs at an angle θ = arccos c, the covariance C of the two maxima
has dC/dc = P (Price's theorem; a maximum has slope 1 at the winner). So C(1) − C(cos θ) = ∫₀^θ P(τ) sin τ dτ, of which no
term is negative: small decorrelations keep their digits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from meanfield.arrays import Array

REACH = 9.0  # where a Gaussian density is nothing
DEGREE = 47  # of the series in θ: what is left is below 1e-15 for every k that is allowed
NODES = 32


@dataclass(frozen=True)
class Winners:
    """Of k independent standard Gaussian variables.

    Attributes
    ----------
    mean, mean_square : float
        E M and E M² of the largest, M.
    same : ndarray
        Chebyshev series of P on θ in [0, π].
    lost : ndarray
        The same for (C(1) − C(cos θ))/(1 − cos θ).
    """

    mean: float
    mean_square: float
    same: Array
    lost: Array


def series(coefficients: Array, theta: Array) -> Array:
    """The value of a Chebyshev series at θ in [0, π]."""
    return np.asarray(np.polynomial.chebyshev.chebval(2.0 / math.pi * theta - 1.0, coefficients), dtype=np.float64)


@lru_cache(maxsize=32)
def winners(pieces: int) -> Winners:
    """For k pieces.

    Examples
    --------
    >>> import math
    >>> math.isclose(winners(4).mean_square, 1 + math.sqrt(3) / math.pi, rel_tol=1e-14)
    True
    """
    from scipy.special import ndtr

    step = _step(pieces)
    x = _grid(step)
    density = step * pieces * _normal(x) * ndtr(x) ** (pieces - 1)
    x_nodes = np.polynomial.chebyshev.chebpts1(DEGREE + 1)
    theta = 0.5 * math.pi * (1.0 + x_nodes)
    same = _fitted(x_nodes, np.array([_same(pieces, float(t)) for t in theta]))
    # ∫₀^θ P sin τ dτ/(1 − cos θ), at nodes of [0, θ]; both sides are divided by θ² in effect.
    t, weight = np.polynomial.legendre.leggauss(NODES)
    inner = 0.5 * theta[:, None] * (1.0 + t)
    integrals = 0.5 * theta * ((series(same, inner) * np.sin(inner)) @ weight)
    lost = _fitted(x_nodes, integrals / (2.0 * np.sin(0.5 * theta) ** 2))
    return Winners(float(density @ x), float(density @ x**2), same, lost)


def _fitted(x: Array, values: Array) -> Array:
    return np.asarray(np.polynomial.chebyshev.chebfit(x, values, DEGREE), dtype=np.float64)


def _step(pieces: int) -> float:
    """Of the trapezoidal rule, whose error for φ Φ^(k−1) is exp(−2π²/(k h²)): 1e-17."""
    return 0.7 / math.sqrt(pieces)


def _grid(step: float) -> Array:
    count = math.ceil(REACH / step)
    return step * np.arange(-count, count + 1.0)


def _normal(x: Array) -> Array:
    result: Array = np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    return result


def _same(pieces: int, theta: float) -> float:
    """P(θ) = k E[Φ_c(x, y)^(k−1)] over a pair (x, y) of correlation c = cos θ: the first wins for both inputs.

    x, y = s cos(θ/2) ± t sin(θ/2) with independent s, t: the integrand is as smooth at small angles as at others.
    """
    step = _step(pieces)
    grid = _grid(step)
    s, t = np.meshgrid(math.cos(0.5 * theta) * grid, math.sin(0.5 * theta) * grid, indexing="ij")
    weight = np.outer(_normal(grid), _normal(grid)) * step**2
    return pieces * float(np.sum(weight * _both_below(s + t, s - t, theta) ** (pieces - 1)))


def _both_below(x: Array, y: Array, theta: float) -> Array:
    """P(X < x, Y < y) at correlation cos θ: Φ(x)/2 + Φ(y)/2 − T(x, a) − T(y, b), less ½ where x and y have opposite signs (Owen 1956)."""
    from scipy.special import ndtr, owens_t

    sine, cosine = math.sin(theta), math.cos(theta)
    below = 0.5 * ndtr(x) + 0.5 * ndtr(y)
    for here, there in ((x, y), (y, x)):
        # T(0, a) is the limit a → ±∞, arctan(a)/2π = ±¼; at the origin of both a is tan(θ/2).
        zero = here == 0.0
        slope = (there - here * cosine) / np.where(zero, 1.0, here * sine)
        at_zero = np.where(there == 0.0, theta / (4.0 * math.pi), 0.25 * np.sign(there))
        below = below - np.where(zero, at_zero, owens_t(here, slope))
    opposite = (x * y < 0.0) | ((x * y == 0.0) & (x + y < 0.0))
    result: Array = np.clip(below - 0.5 * opposite, 0.0, 1.0)
    return result
