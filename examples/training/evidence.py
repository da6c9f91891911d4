"""Is one group of trained networks better than another? Exact permutation tests, and Holm's correction for several of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.01
DEALS = 100_000


@dataclass(frozen=True)
class Claim:
    """A claim and what the runs say about it.

    Attributes
    ----------
    statement : str
    better, worse : float
        Means of the two groups.
    p : float
        One-sided, corrected for the number of claims that were tested together.
    """

    statement: str
    better: float
    worse: float
    p: float

    @property
    def holds(self) -> bool:
        """Whether p < 0.01."""
        return self.p < LEVEL

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "does not hold here"
        return f"{self.statement}: {self.better:.3f} against {self.worse:.3f}, p = {self.p:.2g}: {verdict}"


def permutation_p(better: Sequence[float], worse: Sequence[float]) -> float:
    """One-sided p of mean(better) > mean(worse): the share of all ways to deal the numbers out that do at least as well.

    With n numbers in each group it can't be below 1/C(2n, n): 1/924 for n = 6. Beyond n = 9 a random 10⁵ of the ways stand for all.
    """
    from scipy.stats import permutation_test

    def difference(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        # Rounded, so that two ways of summing equal numbers tie.
        found: np.ndarray = np.round(np.mean(x, axis=axis) - np.mean(y, axis=axis), 10)
        return found

    if min(len(better), len(worse)) < 2:
        return 0.5 if len(better) == len(worse) == 1 and better[0] > worse[0] else 1.0
    test = permutation_test(
        (better, worse), difference, vectorized=True, n_resamples=DEALS, alternative="greater", random_state=np.random.default_rng(0)
    )
    return float(test.pvalue)


def claims(groups: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> list[Claim]:
    """Test all of them together, corrected after Holm (1979): sorted, the i-th smallest p is multiplied by how many are left."""
    raw = {statement: permutation_p(better, worse) for statement, (better, worse) in groups.items()}
    found, largest = {}, 0.0
    for rank, (statement, p) in enumerate(sorted(raw.items(), key=lambda item: item[1])):
        largest = max(largest, min(1.0, p * (len(raw) - rank)))
        found[statement] = Claim(statement, float(np.mean(groups[statement][0])), float(np.mean(groups[statement][1])), largest)
    return [found[statement] for statement in groups]


def stratified_p(numbers: Sequence[np.ndarray], marked: Sequence[np.ndarray], resamples: int = 20_000) -> float:
    """One-sided p of "the marked numbers are larger", compared within each stratum only.

    The statistic is the sum over strata of mean(marked) − mean(others); the marks are dealt out anew within each stratum.
    """
    stream = np.random.default_rng(0)
    total, dealt = 0.0, np.zeros(resamples)
    for values, marks in zip(numbers, marked, strict=True):
        weight = np.where(marks, 1 / marks.sum(), -1 / (~marks).sum())
        total += float(weight @ values)
        dealt += stream.permuted(np.tile(weight, (resamples, 1)), axis=1) @ values
    return float((1 + np.sum(dealt >= total - 1e-12)) / (resamples + 1))
