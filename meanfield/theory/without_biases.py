"""The σ_w to use at σ_b = 0: what keeps variances and gradients over a depth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.moments import V1, V, moment_table
from meanfield.theory.edge_of_chaos import edge_of_chaos
from meanfield.theory.signal_changes import SignalChanges

if TYPE_CHECKING:
    from collections.abc import Callable

    from meanfield.activations import Activation

WIDEST = 3.0  # how far beyond the σ_w that keep the variance, or the gradient, of one layer the best one is looked for
SAMPLES = 65


def best_weight(act: Activation, depth: int, start: float) -> tuple[float, float]:
    """(σ_w, J): the smallest J = max(|log q_L/q₀|, |log gradient|) at σ_b = 0 from q₀ = start; inf where every σ_w loses the signal.

    Both logarithms grow with σ_w wherever F and χ₁ do, so J is smallest where they are opposite: at the roots of their sum.
    """
    signals = SignalChanges(act, (start,), (depth,))

    def sizes(sigma_w: float) -> tuple[float, float]:
        return signals.sizes(depth, sigma_w, 0.0)[0]

    def total(sigma_w: float) -> float:
        variance, gradient = sizes(sigma_w)
        return variance + gradient if variance != -gradient else 0.0

    table = moment_table(act)
    at = np.array([start])
    scales = [float(start / table(V, at)[0])] + ([] if table.has_jumps else [float(1.0 / table(V1, at)[0])])
    origin = edge_of_chaos(act, 0.0)
    known = [] if origin.status == "none" else [float(origin.sigma_w)]
    seen = known + [math.sqrt(s) for s in scales if 0.0 < s < math.inf]
    if not seen:
        return math.nan, math.inf
    grid = np.geomspace(min(seen) / WIDEST, max(seen) * WIDEST, SAMPLES).tolist()
    sums = [total(sigma_w) for sigma_w in grid]
    candidates = seen + grid
    for low, high, at_low, at_high in zip(grid[:-1], grid[1:], sums[:-1], sums[1:], strict=True):
        if at_low * at_high < 0.0:
            candidates += _root(total, low, high, at_low > 0.0)
    best = min(candidates, key=lambda sigma_w: max(map(abs, sizes(sigma_w))))
    return best, max(map(abs, sizes(best)))


def _root(function: Callable[[float], float], low: float, high: float, falling: bool) -> list[float]:
    """Both numbers next to a change of sign. Where variances repel each other nothing but bisection comes as near."""
    while True:
        middle = 0.5 * (low + high)
        if not low < middle < high:
            return [low, high]
        if (function(middle) > 0.0) != falling:
            high = middle
        else:
            low = middle
