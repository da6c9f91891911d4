"""The same expectations by the means that are commonly used: a few lines of NumPy or SciPy each.

`phi` takes an array (for SciPy's routines a float) and gives φ⁽ᵏ⁾. All compute E[φ⁽ᵏ⁾(√q Z)²] or E[φ⁽ᵏ⁾(u)φ⁽ᵏ⁾(v)].
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Function = Callable[[Any], Any]


class Exhausted(Exception):
    """A peer asked for more values of φ than it was given."""


@lru_cache(maxsize=8)
def gauss_hermite(n: int) -> tuple[Array, Array]:
    """Nodes and weights of E[g(Z)]."""
    from scipy.special import roots_hermitenorm

    nodes, weights = roots_hermitenorm(n)
    return nodes, weights / weights.sum()


def hermite_moment(phi: Function, q: Any, n: int = 100) -> Any:
    """E[φ²] by Gauss–Hermite, for an array of q at once."""
    z, w = gauss_hermite(n)
    return phi(np.multiply.outer(np.sqrt(q), z)) ** 2 @ w


def hermite_covariance(phi: Function, q1: float, q2: float, c: float, n: int = 100) -> float:
    """E[φ(u)φ(v)] on the product grid."""
    z, w = gauss_hermite(n)
    u = np.sqrt(q1) * z
    v = np.sqrt(q2) * (c * z[:, None] + np.sqrt(1 - c * c) * z)
    return float((w * phi(u)) @ (phi(v) @ w))


def hermite_decorrelation(phi: Function, q: float, epsilon: float, n: int = 100) -> float:
    """½E[(φ(u) − φ(v))²] on the product grid."""
    z, w = gauss_hermite(n)
    c = 1 - epsilon
    u = np.sqrt(q) * z
    v = np.sqrt(q) * (c * z[:, None] + np.sqrt(epsilon * (2 - epsilon)) * z)
    return float(0.5 * w @ ((phi(u)[:, None] - phi(v)) ** 2 @ w))


def trapezoidal_moment(phi: Function, q: float, n: int, reach: float = 12.0) -> float:
    """E[φ²] by the trapezoidal rule in z."""
    z = np.linspace(-reach, reach, n)
    return float(np.sum(phi(math.sqrt(q) * z) ** 2 * np.exp(-0.5 * z * z)) * (z[1] - z[0]) / math.sqrt(2 * math.pi))


@lru_cache(maxsize=8)
def tanh_sinh(n: int) -> tuple[Array, Array]:
    """Nodes and weights on [−1, 1]."""
    t = np.linspace(-3.2, 3.2, n)
    inner = 0.5 * math.pi * np.sinh(t)
    return np.tanh(inner), (t[1] - t[0]) * 0.5 * math.pi * np.cosh(t) / np.cosh(inner) ** 2


def tanh_sinh_moment(phi: Function, q: float, breaks: tuple[float, ...], n: int, reach: float = 12.0) -> float:
    """E[φ²] by tanh–sinh between the kinks."""
    unit, weights = tanh_sinh(n)
    inside = [b / math.sqrt(q) for b in breaks if abs(b) < reach * math.sqrt(q)]
    ends = np.unique([-reach, 0.0, reach, *inside])
    half = 0.5 * np.diff(ends)[:, None]
    z = 0.5 * (ends[1:] + ends[:-1])[:, None] + half * unit
    return float(np.sum(half * weights * phi(math.sqrt(q) * z) ** 2 * np.exp(-0.5 * z * z)) / math.sqrt(2 * math.pi))


def quad_moment(phi: Function, q: float, tolerance: float | None = None) -> float:
    """E[φ²] by scipy.integrate.quad over the line; its default tolerance is 1.5e-8."""
    from scipy.integrate import quad

    root = math.sqrt(q)

    def integrand(z: float) -> float:
        value = phi(root * z)
        return float(value * value) * math.exp(-0.5 * z * z)

    options: dict[str, Any] = {} if tolerance is None else {"epsabs": 0.0, "epsrel": tolerance, "limit": 400}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says so where it does not reach the tolerance; the error table shows it
        value = quad(integrand, -math.inf, math.inf, **options)[0]
    return float(value) / math.sqrt(2 * math.pi)


def dblquad_covariance(phi: Function, q1: float, q2: float, c: float, tolerance: float | None = None, budget: int = 2_000_000) -> float:
    """E[φ(u)φ(v)] by scipy.integrate.dblquad over the square of 10 standard deviations.

    Raises
    ------
    Exhausted
        After `budget` values of φ(v).
    """
    from scipy.integrate import dblquad

    s, r1, r2 = math.sqrt((1 - c) * (1 + c)), math.sqrt(q1), math.sqrt(q2)
    used = 0

    def integrand(y: float, x: float) -> float:
        nonlocal used
        used += 1
        if used > budget:
            raise Exhausted
        return float(phi(r1 * x) * phi(r2 * (c * x + s * y))) * math.exp(-0.5 * (x * x + y * y))

    options: dict[str, Any] = {} if tolerance is None else {"epsabs": 1e-300, "epsrel": tolerance}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = dblquad(integrand, -10, 10, -10, 10, **options)[0]
    return float(value) / (2 * math.pi)


def hermite_edge_of_chaos(phi: Function, slope: Function, sigma_b: Array, n: int = 100) -> tuple[Array, Array]:
    """q and σ_w of the edge of chaos by Gauss–Hermite and bisection in log q, for all σ_b at once."""
    low, high = np.full(sigma_b.shape, math.log(1e-8)), np.full(sigma_b.shape, math.log(1e4))
    for _ in range(50):
        middle = 0.5 * (low + high)
        q = np.exp(middle)
        above = q - hermite_moment(phi, q, n) / hermite_moment(slope, q, n) > sigma_b**2
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return q, 1 / np.sqrt(hermite_moment(slope, q, n))
