"""Piecewise Chebyshev series of a function of the angle θ, on panels bisected until each has decayed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import chebyshev

if TYPE_CHECKING:
    from collections.abc import Callable

    from meanfield.arrays import Array

TERMS = 24
DEEPEST = 24
TOLERANCE = 3e-14


@dataclass(frozen=True)
class AngleSeries:
    """A function on [edges[0], edges[-1]] as one Chebyshev series for each panel."""

    edges: Array
    coefficients: Array  # (panels, TERMS)

    @staticmethod
    def fit(function: Callable[[float], float], low: float, high: float, scale: float | None) -> AngleSeries:
        """Sample a function of θ at Chebyshev nodes; errors relative to `scale`, or to the panel's smallest |value|."""
        nodes = np.cos((2 * np.arange(TERMS) + 1) * np.pi / (2 * TERMS))
        pieces: list[tuple[float, float, Array]] = []
        waiting = [(low, high, 0)]
        while waiting:
            a, b, depth = waiting.pop()
            values = np.array([function(0.5 * (a + b) + 0.5 * (b - a) * t) for t in nodes])
            series = 2.0 / TERMS * np.cos(np.outer(np.arange(TERMS), np.arccos(nodes))) @ values
            series[0] *= 0.5
            size = scale if scale is not None else float(np.min(np.abs(values)))
            if np.max(np.abs(series[-3:])) <= TOLERANCE * size or depth == DEEPEST or b - a <= 1e-12 * b:
                pieces.append((a, b, series))
            else:
                middle = 0.5 * (a + b)
                waiting += [(middle, b, depth + 1), (a, middle, depth + 1)]
        pieces.sort(key=lambda piece: piece[0])
        return AngleSeries(np.array([p[0] for p in pieces] + [high]), np.array([p[2] for p in pieces]))

    def __call__(self, theta: Array) -> Array:
        """The function at an array of θ."""
        panel = np.clip(np.searchsorted(self.edges, theta, side="right") - 1, 0, len(self.coefficients) - 1)
        low, high = self.edges[panel], self.edges[panel + 1]
        t = np.where(high > low, (2 * theta - low - high) / np.where(high > low, high - low, 1.0), 0.0)
        out = np.empty_like(theta)
        for i in np.unique(panel):
            mine = panel == i
            out[mine] = chebyshev.chebval(t[mine], self.coefficients[i])
        return out
