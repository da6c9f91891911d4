"""Means and spreads of many networks without keeping any of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.result import Result

if TYPE_CHECKING:
    from meanfield.arrays import Array


@dataclass(frozen=True, eq=False, repr=False)
class Estimate(Result):
    """A mean over networks.

    Attributes
    ----------
    mean : ndarray
    standard_error : ndarray
        Sample standard deviation over the networks divided by the root of their number; inf for a single network.
    count : ndarray
        Networks that entered each mean: those whose ratio was 0/0 are left out.
    """

    mean: Array
    standard_error: Array
    count: Array

    @property
    def standard_deviation(self) -> Array:
        """Spread over networks (the root of the unbiased sample variance)."""
        return self.standard_error * np.sqrt(self.count)

    def _columns(self) -> dict[str, Any]:
        index = np.indices(self.mean.shape).reshape(self.mean.ndim, -1)
        places = {f"axis_{axis}": place for axis, place in enumerate(index)} if self.mean.ndim > 1 else {}
        return places | {name: np.ravel(getattr(self, name)) for name in ("mean", "standard_error", "count")}

    def __getitem__(self, index: Any) -> Estimate:
        """The estimate of some of the entries."""
        return Estimate(*(np.asarray(part[index]) for part in (self.mean, self.standard_error, self.count)))

    def __str__(self) -> str:
        if self.mean.ndim > 1:
            return f"Estimate of shape {self.mean.shape}"
        return "\n".join(f"{mean:.6g} ± {error:.2g}" for mean, error in zip(self.mean.ravel(), self.standard_error.ravel(), strict=True))


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations, entry by entry; NaN in the samples is left out.

    References
    ----------
    Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance.
    """

    count: Array
    mean: Array
    squares: Array

    @classmethod
    def of(cls, samples: Array) -> Moments:
        """Of one block: index 0 is the network."""
        present = ~np.isnan(samples)
        count = present.sum(axis=0).astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            mean = np.where(present, samples, 0.0).sum(axis=0) / np.maximum(count, 1.0)
            gaps = np.where(present, samples - mean, 0.0)
            squares = (gaps * gaps).sum(axis=0)
        return cls(count, mean, np.where(np.isfinite(mean), squares, np.inf))

    def merged(self, other: Moments) -> Moments:
        """Both together: n = n₁ + n₂, mean₁ + δ n₂/n, M₁ + M₂ + δ² n₁ n₂/n with δ = mean₂ − mean₁."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1.0)
        with np.errstate(invalid="ignore", over="ignore"):
            gap = other.mean - self.mean
            mean = self.mean + gap * share
            squares = self.squares + other.squares + gap * gap * self.count * share
        infinite = np.isinf(self.mean) | np.isinf(other.mean)
        mean = np.where(infinite, np.where(np.isinf(self.mean), self.mean, other.mean), mean)
        mean = np.where(self.count == 0, other.mean, np.where(other.count == 0, self.mean, mean))
        squares = np.where(self.count == 0, other.squares, np.where(other.count == 0, self.squares, squares))
        return Moments(count, mean, np.where(np.isfinite(mean), squares, np.inf))

    def estimate(self) -> Estimate:
        """Mean and standard error √(M/(n (n − 1))); NaN where no network entered."""
        several = self.count > 1
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.where(several, np.sqrt(self.squares / np.maximum(self.count, 2.0) / np.maximum(self.count - 1.0, 1.0)), np.inf)
        nothing = self.count == 0
        return Estimate(np.where(nothing, np.nan, self.mean), np.where(nothing, np.nan, error), self.count.astype(np.int64))
