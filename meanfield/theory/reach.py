"""How far out the fixed points of the variance map can lie."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import MeanFieldError

if TYPE_CHECKING:
    from meanfield.activations import Activation

_FURTHEST = 60  # log₂ q
_SAMPLES = 800  # of the Gaussian: some per cent of accuracy, oscillating φ included
_CLEAR = 0.3  # |F(q)/q − 1| that such samples can't mistake


def reach(act: Activation, weight: float, bias: float) -> float:
    """A variance from which on, up to 2⁶⁰, F(q) is clearly above q or clearly below it; 2⁶⁰ where samples can't tell.

    It ends the search for fixed points early, which saves resolving φ far out: sin at q = 2²⁰ has 10⁴ periods.
    """
    # Irregular steps, so that no period of φ falls in with them.
    jitter = np.modf(0.618033988749895 * np.arange(_SAMPLES))[0]
    z = 20.0 * ((np.arange(_SAMPLES) + jitter) / _SAMPLES - 0.5)
    density = np.exp(-0.5 * z * z) * (20.0 / _SAMPLES / math.sqrt(2 * math.pi))
    q = np.exp2(np.arange(0.0, _FURTHEST + 1, 2.0))
    try:
        values = act.values(np.multiply.outer(np.sqrt(q), z).ravel(), 0).reshape(q.size, z.size)
    except MeanFieldError:
        return float(q[-1])
    with np.errstate(over="ignore"):
        excess = (bias + weight * (values**2 @ density)) / q - 1.0
    clear = np.where(np.abs(excess) > _CLEAR, np.sign(excess), 0.0)  # infinite is clear too
    doubtful = np.flatnonzero((clear != clear[-1]) | (clear == 0))
    return float(q[min(doubtful[-1] + 1, q.size - 1)]) if doubtful.size else 1.0
