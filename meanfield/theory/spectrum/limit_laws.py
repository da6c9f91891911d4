"""The two limits of deep nearly isometric networks, L → ∞ at fixed σ₀² = L(μ₂/μ₁² − 1) and χ = 1 [Pennington, Schoenholz, Ganguli 2018].

To first order in 1/L, log S of a layer is −(σ₀²/L)m for a law that narrows about its mean ("smooth"), and log((1 + m)/(1 + m + …)) for one
that is 0 with probability σ₀²/L and constant otherwise ("Bernoulli"). Both are references to compare with: finite depths are exact here.
"""

from __future__ import annotations

import math


def smooth_limit_edges(variance: float) -> tuple[float, float]:
    """(s_min, s_max) of z = ((1 + m)/m) e^{σ₀² m}: at m = (−1 ± √(1 + 4/σ₀²))/2.

    Examples
    --------
    >>> [round(s * s, 6) for s in smooth_limit_edges(0.25)]
    [0.321319, 2.423763]
    """
    root = math.sqrt(1.0 + 4.0 / variance)
    ends = [(1.0 + m) / m * math.exp(variance * m) for m in (0.5 * (-1.0 - root), 0.5 * (-1.0 + root))]
    return math.sqrt(ends[0]), math.sqrt(ends[1])


def bernoulli_limit(variance: float) -> tuple[float, tuple[float, float]]:
    """The upper edge s of the band of z = ((1 + m)/m) e^{σ₀² m/(1 + m)}, and the atom (s, mass); mass 0 where σ₀² ≥ 1.

    Examples
    --------
    >>> edge, (value, mass) = bernoulli_limit(0.25)
    >>> round(edge**2, 6), round(value**2, 6), mass
    (0.67957, 1.284025, 0.75)
    """
    return math.sqrt(variance * math.e), (math.exp(0.5 * variance), max(0.0, 1.0 - variance))
