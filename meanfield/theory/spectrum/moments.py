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


def log_s_of_block(log_s: Sequence[float], strength: float) -> list[float]:
    """Coefficients of log S of |1 + X|² from those of |X|², E|X|² = strength, X R-diagonal.

    The law of ±|1 + X| is the free convolution of those of ±|X| and ±1. In a = γ², γ its Cauchy transform at s, free cumulants add:
    m = m_X(a) + b(a), where a = m_X(1 + m_X) S_X(m_X) and a = b(1 + b); and S = a/(m(1 + m)).

    Examples
    --------
    >>> x, spread = 0.3, 1.0  # Var/mean² is (2x + x² spread)/(1 + x)²
    >>> abs(log_s_of_block([-spread], x)[0] + (2 * x + x * x * spread) / (1 + x) ** 2) < 1e-15
    True
    """
    order = len(log_s)
    e = [c - (-1.0) ** j / j for j, c in enumerate(log_s, start=1)]  # log of a·strength/m_X
    ahead = [_exponential([-n * c for c in e], n)[n - 1] / n * strength**n for n in range(1, order + 2)]  # m_X by a (Lagrange)
    of_signs = [(-1.0) ** (n - 1) * math.comb(2 * n - 2, n - 1) / n for n in range(1, order + 2)]  # b by a: Catalan's numbers
    whole = [p + c for p, c in zip(ahead, of_signs, strict=True)]
    first = whole[0]
    logs = _logarithm([c / first for c in whole])
    back = [_exponential([-n * c for c in logs], n)[n - 1] / n for n in range(1, order + 2)]  # a by m/first
    return [c / first**j + (-1.0) ** j / j for j, c in enumerate(_logarithm(back), start=1)]


def log_s_of_product(factors: Sequence[tuple[Sequence[float], int, float]], over: Sequence[tuple[float, float]], order: int) -> list[float]:
    """Coefficients of log S of a product, from those of its factors, (log S, how many, ρ), and the terms c log(1 + ρm) of log z.

    log z = Σ [log(1 + ρm) − log S_l(ρm)] + Σ c log(1 + ρm) − log m, and S = (1 + m)/(m z).
    """
    found = []
    for j in range(1, order + 1):
        shared = 1.0 - math.fsum(count * ratio**j for _, count, ratio in factors) - math.fsum(times * ratio**j for ratio, times in over)
        own = math.fsum(count * log_s[j - 1] * ratio**j for log_s, count, ratio in factors)
        found.append(own - (-1.0) ** j / j * shared)
    return found


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
