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
    raw = {statement: paired_p(better, worse) for statement, (better, worse) in groups.items()}
    found, largest = {}, 0.0
    for rank, (statement, p) in enumerate(sorted(raw.items(), key=lambda item: item[1])):
        better, worse = groups[statement]
        largest = max(largest, min(1.0, p * (len(raw) - rank)))
        reach = detectable(better, worse, LEVEL / len(raw))
        found[statement] = Claim(statement, float(np.mean(better)), float(np.mean(worse)), largest, reach)
    return [found[statement] for statement in groups]


def claim_rows(found: Sequence[Claim]) -> list[dict[str, str | float]]:
    """For a table."""
    return [
        {"claim": item.statement, "better": item.better, "worse": item.worse, "p_holm": item.p, "detectable": item.detectable}
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
