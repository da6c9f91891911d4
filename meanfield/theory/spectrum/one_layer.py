"""One layer with orthogonal weights: s² = σ_w² d, and nothing is left to solve."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import legendre

from meanfield.expectation.panels import ORDER

if TYPE_CHECKING:
    from meanfield.arrays import Array, Indices
    from meanfield.theory.spectrum.slope_law import SlopeLaw

HALVINGS = 52  # of a panel, on which d is monotone


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

    def _places(self, level: float) -> tuple[Indices, Array]:
        """The panels on which d passes e^level, and where, in t ∈ [−1, 1]."""
        wanted = math.exp(level)
        panels = np.flatnonzero((self.law.least < wanted) & (self.law.largest > wanted))
        series = self.law.series[panels].T
        low, high = np.full(panels.size, -1.0), np.ones(panels.size)
        rising = np.square(legendre.legval(1.0, series)) > np.square(legendre.legval(-1.0, series))
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            over = np.square(legendre.legval(middle, series, tensor=False)) > wanted
            low, high = np.where(over == rising, low, middle), np.where(over == rising, middle, high)
        return panels, 0.5 * (low + high)

    def density(self, levels: Array) -> Array:
        """The density of log d: Σ N(z) d/|∂d/∂z| over the z where d has that value."""
        result = np.zeros(levels.shape)
        for i in np.ndindex(levels.shape):
            panels, t = self._places(float(levels[i]))
            series = self.law.series[panels].T
            half = 0.5 * (self.law.upper - self.law.lower)[panels]
            z = 0.5 * (self.law.upper + self.law.lower)[panels] + half * t
            slope = np.abs(legendre.legval(t, legendre.legder(series), tensor=False)) / half
            size = np.abs(legendre.legval(t, series, tensor=False))
            # Where panels meet, rounding may find one place on both.
            order = np.argsort(z)
            once = order[np.concatenate([[True], np.diff(z[order]) > 1e-9])] if z.size else order
            with np.errstate(divide="ignore"):
                parts = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) * 0.5 * size / slope
            result[i] = self.law.scale * float(np.sum(parts[once]))
        return result

    def above(self, levels: Array) -> Array:
        """P(log d > level)."""
        result = np.zeros(levels.shape)
        for i in np.ndindex(levels.shape):
            result[i] = self._above(float(levels[i]))
        return result

    def _above(self, level: float) -> float:
        law = self.law
        if level == -math.inf:
            return 1.0 - law.zero_mass
        wanted = math.exp(level)
        total = float(np.sum(law.masses[law.atoms > wanted]))
        masses = law.weights.reshape(law.lower.size, ORDER).sum(axis=1)
        total += float(np.sum(masses[law.least >= wanted]))
        panels, t = self._places(level)
        for panel, place in zip(panels.tolist(), t.tolist(), strict=True):
            low, high = float(law.lower[panel]), float(law.upper[panel])
            z = 0.5 * (low + high) + 0.5 * (high - low) * place
            series = law.series[panel]
            rising = float(legendre.legval(1.0, series)) ** 2 > float(legendre.legval(-1.0, series)) ** 2
            a, b = (z, high) if rising else (low, z)
            total += law.scale * 0.5 * (math.erf(b / math.sqrt(2.0)) - math.erf(a / math.sqrt(2.0)))
        return min(total, 1.0 - law.zero_mass)

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
