"""One layer with orthogonal weights: s² = σ_w² d, and nothing is left to solve."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from meanfield.arrays import Array
    from meanfield.theory.spectrum.slope_law import SlopeLaw


class OneLayer:
    """The law of d/μ₁ itself, in logarithms."""

    def __init__(self, law: SlopeLaw) -> None:
        self.law = law

    @cached_property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """(log λ, mass), −inf for 0, ascending."""
        pairs = zip(self.law.atoms.tolist(), self.law.masses.tolist(), strict=True)
        return tuple((math.log(value) if value > 0.0 else -math.inf, mass) for value, mass in pairs)

    @cached_property
    def bands(self) -> tuple[tuple[float, float], ...]:
        """(log λ, log λ) of the ends of each band, ascending."""
        found = [(a, b) for a, b in self.law.supports.tolist() if b > a]
        return tuple((-math.inf if self.law.reaches_zero and i == 0 else math.log(a), math.log(b)) for i, (a, b) in enumerate(found))

    def _at(self, levels: Array) -> Array:
        """Density of log d and mass above, a row for each level."""
        from meanfield.theory.spectrum.kernels import slopes_at

        rows = np.empty((levels.size, 2))
        slopes_at(np.ascontiguousarray(levels.ravel()), self.law.packed, rows)
        return rows

    def density(self, levels: Array) -> Array:
        """The density of log d at values of it."""
        return self._at(levels)[:, 0].reshape(levels.shape)

    def above(self, levels: Array) -> Array:
        """P(log d > level)."""
        return np.minimum(self._at(levels)[:, 1], 1.0 - self.law.zero_mass).reshape(levels.shape)

    def _above(self, level: float) -> float:
        return float(self.above(np.array([level]))[0])

    def quantile(self, p: Array) -> Array:
        """The log d below which a part p lies."""
        result = np.empty(p.shape)
        places = [level for level, _ in self.atoms if level > -math.inf]
        ends = [math.log(float(e)) for e in self.law.supports.ravel() if e > 0.0] + places
        for i in np.ndindex(p.shape):
            above = 1.0 - float(p[i])
            if above >= 1.0 - self.law.zero_mass and self.law.zero_mass > 0.0:
                result[i] = -math.inf
                continue
            low, high = min(ends) - 1e-15, max(ends)
            for _ in range(200):
                middle = 0.5 * (low + high)
                if middle in (low, high):
                    break
                # The smallest level with at most this much above it.
                low, high = (low, middle) if self._above(middle) <= above else (middle, high)
            # An atom is found to rounding; its own value is meant.
            near = [level for level in places if abs(level - high) <= 1e-13 * max(1.0, abs(high))]
            result[i] = near[0] if near else high
        return result

    def top_edge(self) -> None:
        """None: the edge is no square root."""
