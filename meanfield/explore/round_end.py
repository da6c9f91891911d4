"""The end of an axis, as a round number: it stays while a point is dragged."""

from __future__ import annotations

import math

_ROUND = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


def round_end(value: float) -> float:
    """The least round number that is not below a positive one.

    Examples
    --------
    >>> [round_end(value) for value in (2.0, 2.1, 0.0013, 97.0)]
    [2.0, 2.5, 0.0015, 100.0]
    """
    power = 10.0 ** math.floor(math.log10(value))
    return next(float(f"{one * power:.6g}") for one in _ROUND if value <= one * power * (1.0 + 1e-12))
