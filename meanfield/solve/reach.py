"""How far out the fixed points of the variance map can lie, and from where on only samples tell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import MeanFieldError

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array
    from meanfield.expectation.panels import Partition

_FURTHEST = 60  # log₂ q
_SAMPLES = 1200  # of the Gaussian: some per cent of accuracy, oscillating φ included
_GRADING = 18.0
_CLEAR = 0.3  # |F(q)/q − 1| that such samples can't mistake
DEAR = 20_000  # panels of φ: integrals that need more take seconds. sin(x) has as many at q = 3·10⁶
_STEPS = (5, 8, 10)  # log₂ |x| up to which the panels are counted, then one by one


class Cost:
    """From which variance on the integrals of an activation are too dear to scan with."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._seen = 0
        self._dear_from = math.inf

    def dear_from(self, highest: float) -> float:
        """That variance if it is below highest, else inf. Counts panels no further out than highest asks."""
        outermost = math.ceil(math.log2(10.0 * math.sqrt(max(highest, 1.0)))) - 1
        while math.isinf(self._dear_from):
            j = _STEPS[self._seen] if self._seen < len(_STEPS) else _STEPS[-1] + 1 + self._seen - len(_STEPS)
            if j >= outermost:
                break
            self._seen += 1
            if self._partition.count(j) > DEAR:
                self._dear_from = 4.0 ** (j + 1) / 100.0  # 10 √q = 2^(j + 1): further out than what was counted
        return self._dear_from


def sampled_moments(act: Activation, q: Array) -> tuple[Array, Array]:
    """V[φ](q) and q dV/dq = ½E[φ²(Z² − 1)] by samples, to some per cent; inf where φ overflows."""
    # Irregular steps, so that no period of φ falls in with them.
    jitter = np.modf(0.618033988749895 * np.arange(_SAMPLES))[0]
    t = 2.0 * (np.arange(_SAMPLES) + jitter) / _SAMPLES - 1.0
    # Even steps in asinh: what φ has near 0 is a small part of the Gaussian at large q, and may be all of V.
    z = 10.0 * np.sinh(_GRADING * t) / math.sinh(_GRADING)
    density = np.exp(-0.5 * z * z) * np.cosh(_GRADING * t)
    density /= np.sum(density)
    values = act.values(np.multiply.outer(np.sqrt(q), z).ravel(), 0).reshape(q.size, z.size)
    with np.errstate(over="ignore", invalid="ignore"):
        squares = values**2
        slope = 0.5 * (squares @ (density * (z * z - 1.0)))
        return squares @ density, np.where(np.isfinite(slope), slope, math.inf)


def reach(act: Activation, weight: float, bias: float) -> float:
    """A variance from which on, up to 2⁶⁰, F(q) is clearly above q or clearly below it; 2⁶⁰ where samples can't tell.

    It ends the search for fixed points early, which saves resolving φ far out: sin at q = 2²⁰ has 10⁴ periods.
    """
    q = np.exp2(np.arange(0.0, _FURTHEST + 1, 2.0))
    try:
        moments, _ = sampled_moments(act, q)
    except MeanFieldError:
        return float(q[-1])
    if weight == 0.0:
        return 1.0 if bias < 1.0 else float(min(4.0 * bias, q[-1]))  # F is σ_b² everywhere
    with np.errstate(over="ignore"):
        excess = (bias + weight * moments) / q - 1.0
    clear = np.where(np.abs(excess) > _CLEAR, np.sign(excess), 0.0)  # infinite is clear too
    doubtful = np.flatnonzero((clear != clear[-1]) | (clear == 0))
    return float(q[min(doubtful[-1] + 1, q.size - 1)]) if doubtful.size else 1.0
