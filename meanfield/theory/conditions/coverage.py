"""Which σ_b the edge of chaos reaches: the largest [0, A] that a continuous σ_b²(q) covers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from meanfield.arrays import Mask


def runs(mask: Mask) -> list[tuple[int, int]]:
    """First and last index of each stretch of True.

    Examples
    --------
    >>> import numpy as np
    >>> runs(np.array([True, True, False, True]))
    [(0, 1), (3, 3)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def reached(low: list[float], high: list[float]) -> float:
    """The largest A with [0, A] inside the union of the intervals [low, high]; nan where 0 is in none.

    Examples
    --------
    >>> reached([0.0, 0.9, 3.0], [1.0, 2.0, 4.0]), reached([0.5], [1.0])
    (2.0, nan)
    """
    top = math.nan
    for a, b in sorted(zip(low, high, strict=True)):
        if a <= (0.0 if math.isnan(top) else top):
            top = max(b, top) if not math.isnan(top) else b
    return top
