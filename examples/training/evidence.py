"""Is one group of trained networks better than another? Exact tests of pairs, Holm's correction, and what they could have found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.01
DEALS = 100_000
EXACT_PAIRS = 14


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
    detectable : float
        The true difference of the means that would have been found in nine of ten such experiments, at the spread of these.
    """

    statement: str
    better: float
    worse: float
    p: float
    detectable: float

    @property
    def holds(self) -> bool:
        """Whether p < 0.01."""
        return self.p < LEVEL

    def __str__(self) -> str:
        verdict = "holds" if self.holds else f"does not hold here; nine of ten tests find {self.detectable:.3f}"
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


def paired_p(better: Sequence[float], worse: Sequence[float]) -> float:
    """One-sided p of "better is larger" for pairs: the share of all ways to swap within the pairs that do at least as well.

    The i-th numbers of both groups belong to networks that started from the same normal numbers and saw the same examples.
    With n pairs it can't be below 2⁻ⁿ: 1/1024 for n = 10. Beyond n = 14 a random 10⁵ of the ways stand for all.
    Accuracies are counts divided by a count, so that ways often tie; what their rounding can make of a tie still counts as one.
    """
    pair = np.asarray(better), np.asarray(worse)
    rounding = max(np.finfo(side.dtype if side.dtype.kind == "f" else float).eps for side in pair)
    margin = 2 * rounding * sum(np.abs(side).sum(dtype=float) for side in pair)
    return float(_paired_p(np.subtract(*pair, dtype=float)[None], margin)[0])


def _paired_p(differences: np.ndarray, margin: float = 0.0) -> np.ndarray:
    """One p for each row of differences. Ways count that come within the margin of the one that was seen."""
    pairs = differences.shape[1]
    if pairs <= EXACT_PAIRS:
        signs = 1 - 2.0 * (np.arange(2**pairs)[:, None] >> np.arange(pairs) & 1)
        spare = 0
    else:
        signs = np.random.default_rng(0).choice((-1.0, 1.0), size=(DEALS, pairs))
        spare = 1  # the way that was seen is one of them
    # Equal numbers summed in two ways differ by rounding of their own.
    least = differences.sum(axis=1) - margin - 1e-10 * np.abs(differences).sum(axis=1)
    as_good = (signs @ differences.T >= least).sum(axis=0)
    found: np.ndarray = (as_good + spare) / (len(signs) + spare)
    return found


def detectable(better: Sequence[float], worse: Sequence[float], level: float, power: float = 0.9) -> float:
    """The difference of means that ``paired_p`` puts below the level with this probability.

    The pairs' differences are taken as normal with the spread that they have; 400 experiments are drawn.
    ∞ where so few pairs never get there.
    """
    differences = np.subtract(better, worse, dtype=float)
    pairs = len(differences)
    if pairs < 2 or 2.0**-pairs > level:
        return float("inf")
    noise = np.random.default_rng(1).standard_normal((400, pairs)) * differences.std(ddof=1)
    low, high = 0.0, 20.0 * differences.std(ddof=1)
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if np.mean(_paired_p(noise + middle) < level) >= power else (middle, high)
    return float(high)


def claims(groups: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> list[Claim]:
    """Test pairs for all claims together, corrected after Holm (1979): sorted, the i-th smallest p is multiplied by how many are left."""
    corrected = _holm({statement: paired_p(better, worse) for statement, (better, worse) in groups.items()})
    found = []
    for statement, (better, worse) in groups.items():
        reach = detectable(better, worse, LEVEL / len(groups))
        found.append(Claim(statement, float(np.mean(better)), float(np.mean(worse)), corrected[statement], reach))
    return found


def _holm(raw: Mapping[str, float]) -> dict[str, float]:
    corrected, largest = {}, 0.0
    for rank, (statement, p) in enumerate(sorted(raw.items(), key=lambda item: item[1])):
        largest = max(largest, min(1.0, p * (len(raw) - rank)))
        corrected[statement] = largest
    return corrected


@dataclass(frozen=True)
class Comparison:
    """Two groups of which either may be the better one.

    Attributes
    ----------
    statement : str
    first, second : float
        Means of the two groups.
    p : float
        Two-sided, corrected for the number of comparisons that were made together.
    detectable : float
        The true difference of the means, of either sign, that would have been found in nine of ten such experiments.
    """

    statement: str
    first: float
    second: float
    p: float
    detectable: float

    @property
    def ahead(self) -> str:
        """ "first" or "second" where p < 0.01, else "neither"."""
        if self.p >= LEVEL:
            return "neither"
        return "first" if self.first > self.second else "second"

    def __str__(self) -> str:
        verdict = f"undecided; nine of ten tests find {self.detectable:.3f}" if self.ahead == "neither" else f"{self.ahead} ahead"
        return f"{self.statement}: {self.first:.3f} against {self.second:.3f}, p = {self.p:.2g}: {verdict}"


def comparisons(groups: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> list[Comparison]:
    """As ``claims``, for pairs of which either side may be ahead: p is twice the smaller of the two one-sided ones.

    Made for dozens of pairs: what would have been found is that of the z-test.
    """
    from statistics import NormalDist

    raw = {name: min(1.0, 2 * min(paired_p(first, second), paired_p(second, first))) for name, (first, second) in groups.items()}
    corrected = _holm(raw)
    reach = NormalDist().inv_cdf(1 - LEVEL / len(groups) / 2) + NormalDist().inv_cdf(0.9)
    found = []
    for statement, (first, second) in groups.items():
        differences = np.subtract(first, second, dtype=float)
        error = differences.std(ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else np.inf
        found.append(Comparison(statement, float(np.mean(first)), float(np.mean(second)), corrected[statement], float(reach * error)))
    return found


def claim_rows(found: Sequence[Claim]) -> list[dict[str, str | float]]:
    """For a table."""
    return [
        {"claim": item.statement, "better": item.better, "worse": item.worse, "p_holm": item.p, "detectable": item.detectable}
        for item in found
    ]


def comparison_rows(found: Sequence[Comparison]) -> list[dict[str, str | float]]:
    """For a table."""
    return [
        {"comparison": item.statement, "first": item.first, "second": item.second, "p_holm": item.p, "detectable": item.detectable}
        for item in found
    ]


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
