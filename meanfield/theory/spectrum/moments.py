"""Moments of the squared singular values, exact at any depth: S-transforms multiply, and moments are coefficients of their inverse.

With ψ(w) = Σ E[d^k] w^k the S-transform of d is S_d(m) = (1 + m)/m ψ⁻¹(m); that of s² is Π S_d/(σ_w²(1 + m)^g), and by Lagrange
inversion E s^{2k} = (1/k)[m^{k−1}] ((1 + m)/S)^k. For k = 2: Var s²/(E s²)² = Σ_l (μ₂/μ₁² − 1 + g)  [Pennington, Schoenholz, Ganguli 2018].
"""

from __future__ import annotations

import math
from collections.abc import Sequence

HIGHEST = 32  # moments that are given


def log_s_transform(moments: Sequence[float]) -> list[float]:
    """Coefficients of m¹, m², … in log S_d, from E d², E d³, … where E d = 1.

    Examples
    --------
    >>> log_s_transform([2.0])  # one Gaussian matrix, E d² = 2: log S = −log(1 + m)
    [-1.0]
    """
    order = len(moments)
    psi = [1.0, *moments]  # ψ(w)/w
    inverse = []  # ψ⁻¹(m)/m: [m^n] ψ⁻¹ = (1/n)[w^{n−1}] (w/ψ)^n
    log_psi = _logarithm(psi)
    for n in range(1, order + 2):
        inverse.append(_exponential([-n * c for c in log_psi], n)[n - 1] / n)
    logs = _logarithm(inverse)
    # log(1 + m) = Σ (−1)^{j+1} m^j/j
    return [c - (-1.0) ** j / j for j, c in enumerate(logs, start=1)]


def moments_of_product(log_s: Sequence[float], k: int) -> float:
    """E λ^k/(Eλ)^k from the coefficients of log S of λ, k − 1 of them at least.

    Examples
    --------
    >>> moments_of_product([-1.0, 0.5], 3)  # S = 1/(1 + m), the squares of a Gaussian matrix: Catalan's numbers 1, 2, 5
    5.0
    """
    exponent = [k * (-((-1.0) ** j) / j - log_s[j - 1]) for j in range(1, k)]
    return _exponential(exponent, k)[k - 1] / k


def _logarithm(series: Sequence[float]) -> list[float]:
    """Coefficients of m¹, m², … in log Σ c_j m^j, c_0 = 1."""
    logs: list[float] = []
    for n in range(1, len(series)):
        logs.append(series[n] - math.fsum(j * logs[j - 1] * series[n - j] for j in range(1, n)) / n)
    return logs


def _exponential(logs: Sequence[float], terms: int) -> list[float]:
    """The first coefficients of exp Σ c_j m^j, from m⁰ on."""
    result = [1.0]
    for n in range(1, terms):
        result.append(math.fsum(j * logs[j - 1] * result[n - j] for j in range(1, n + 1) if j <= len(logs)) / n)
    return result
