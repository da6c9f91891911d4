"""Two rows of a softmax over Gaussian logits: E Σ w_t² and E Σ w_t w'_t, by integrals, not by samples.

With w_t = e^(a_t)/S and S^−k = ∫ e^(ku) exp(−e^u S) du for k = 1, 2, the T independent logits come apart:
E Σ w_t² = T ∫ E[h₂(u + a)] E[h₀(u + a)]^(T−1) du with h_k(x) = e^(kx) exp(−e^x), and for two rows whose logits have correlation c
E Σ w_t w'_t = T ∬ E[h₁(u + a) h₁(v + a')] E[h₀(u + a) h₀(v + a')]^(T−1) du dv. A pair of logits is a common Gaussian variable plus one of
each row's own, so that the inner means are products of matrices. h_k is analytic up to |Im x| < π/2 and the trapezoidal rule's error
exp(−π²/step): below rounding.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from meanfield.arrays import Array

STEP = 0.25  # of u and v
REACH = 8.5  # where a Gaussian density is nothing
COARSE = 0.6  # step of a Gaussian variable that is fine enough by itself: exp(−2π²/0.6²) is nothing
FAINTEST = 38.0  # e^-38 is nothing
WIDEST = 30.0  # standard deviation of the logits up to which the grids are small


def attended(tokens: int, spread: float, c: float) -> tuple[float, float]:
    """(E Σ w_t², E Σ w_t w'_t) of T = `tokens` logits of standard deviation `spread`, for rows of correlation c.

    Examples
    --------
    >>> attended(4, 0.0, 0.3)
    (0.25, 0.25)
    """
    if spread == 0.0:
        return 1.0 / tokens, 1.0 / tokens
    alike = _diagonal(tokens, spread)
    return alike, alike if c == 1.0 else _off_diagonal(tokens, spread, c)


def _grid(tokens: int, spread: float) -> Array:
    low = -FAINTEST - math.log(tokens) - min(0.5 * spread * spread, REACH * spread)
    return STEP * np.arange(math.floor(low / STEP), math.ceil((REACH * spread + 4.0) / STEP) + 1.0)


def _gaussian(spread: float) -> tuple[Array, Array, bool]:
    """Nodes spread·z and weights of the trapezoidal rule; whether their step is STEP itself."""
    fine = spread * COARSE > STEP
    step = STEP / spread if fine else COARSE
    count = math.ceil(REACH / step)
    z = step * np.arange(-count, count + 1.0)
    return spread * z, step * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi), fine


def _missing(x: Array) -> Array:
    """1 − h₀."""
    result: Array = -np.expm1(-np.exp(x))
    return result


def _first(x: Array) -> Array:
    result: Array = np.exp(x - np.exp(x))
    return result


def _second(x: Array) -> Array:
    result: Array = np.exp(2.0 * x - np.exp(x))
    return result


def _smoothed(function: Callable[[Array], Array], points: Array, spread: float) -> Array:
    """E f(x + spread Z)."""
    nodes, weights, _ = _gaussian(spread)
    result: Array = function(points[:, None] + nodes) @ weights
    return result


def _log_of_rest(missing: Array) -> Array:
    result: Array = np.log1p(-np.minimum(missing, 1.0 - 1e-16))
    return result


@lru_cache(maxsize=1024)
def _diagonal(tokens: int, spread: float) -> float:
    u = _grid(tokens, spread)
    log_rest = _log_of_rest(_smoothed(_missing, u, spread))
    return float(tokens * STEP * np.sum(_smoothed(_second, u, spread) * np.exp((tokens - 1) * log_rest)))


@lru_cache(maxsize=1024)
def _off_diagonal(tokens: int, spread: float, c: float) -> float:
    u = _grid(tokens, spread)
    common, own = spread * math.sqrt(abs(c)), spread * math.sqrt(1.0 - abs(c))
    weights = _gaussian(common)[1]
    gone, first = (_over_common(function, u, common, own) for function in (_missing, _first))
    # c < 0: the common variable enters the other row with the other sign.
    gone_other, first_other = (gone, first) if c >= 0.0 else (gone[:, ::-1], first[:, ::-1])
    alone = gone @ weights
    small = alone[:, None] + alone[None, :] - (gone * weights) @ gone_other.T  # 1 − (1 − x)(1 − y) = x + y − xy
    log_rest = _log_of_rest(small)
    return float(tokens * STEP**2 * np.sum((first * weights) @ first_other.T * np.exp((tokens - 1) * log_rest)))


def _over_common(function: Callable[[Array], Array], u: Array, common: float, own: float) -> Array:
    """E f(u_i + z_j + own Z) for the nodes z_j of the common variable."""
    nodes, _, aligned = _gaussian(common)
    if aligned:  # u + z lies on one line of steps
        line = u[0] + nodes[0] + STEP * np.arange(u.size + nodes.size - 1.0)
        return np.lib.stride_tricks.sliding_window_view(_smoothed(function, line, own), nodes.size)
    return np.stack([_smoothed(function, u + z, own) for z in nodes], axis=1)
