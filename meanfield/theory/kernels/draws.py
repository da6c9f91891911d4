"""Draws of the output function of an infinitely wide network: a Gaussian process with its kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from meanfield.arrays import Array

NEGLIGIBLE = 1e-13  # of the largest eigenvalue, per input: below it is rounding


def draws(q: Array, epsilon: Array, samples: int, rng: np.random.Generator) -> Array:
    """(samples, N): Gaussian, of variances q and correlations 1 − ε.

    Deep in the ordered phase all outputs are nearly one number, and K = q 11ᵀ less something tiny: so the mean over the inputs and the
    departures from it are drawn apart. With Δ_ij = E(f_i − f_j)² = (√q_i − √q_j)² + 2√(q_i q_j) ε_ij, from which nothing is subtracted, and
    H = 1 − 11ᵀ/N, the departures have covariance −½ HΔH, and with the mean −½ (Δ 1/N − 1ᵀΔ1/N²) + ½ (q − 1ᵀq/N).
    """
    root = np.sqrt(q)
    count = q.size
    apart = (root[:, None] - root[None, :]) ** 2 + 2.0 * root[:, None] * root[None, :] * epsilon
    rows = apart.mean(axis=1)
    whole = float(rows.mean())
    within = -0.5 * (apart - rows[:, None] - rows[None, :] + whole)
    with_mean = 0.5 * (q - q.mean()) - 0.5 * (rows - whole)
    mean_variance = float(q.mean()) - 0.5 * whole
    values, vectors = np.linalg.eigh(within)
    kept = values > NEGLIGIBLE * max(float(values[-1]), 0.0) * count
    normal = rng.standard_normal((samples, count + 1))
    scaled = vectors[:, kept] * np.sqrt(values[kept])
    draw = normal[:, :-1][:, kept]
    # The mean given the departures: its regression on them, and what is left of its variance.
    slope = (vectors[:, kept].T @ with_mean) / np.sqrt(values[kept])
    left = max(mean_variance - float(slope @ slope), 0.0)
    mean = draw @ slope + np.sqrt(left) * normal[:, -1]
    result: Array = draw @ scaled.T + mean[:, None]
    return result
