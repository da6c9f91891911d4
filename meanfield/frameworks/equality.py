"""Whether two activations are the same function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from meanfield.activations import Activation
    from meanfield.arrays import Array

POINTS = np.array([-7.3, -2.9, -1.1, -0.43, -0.011, 0.017, 0.37, 1.3, 3.1, 6.7, 23.0])
AGREE = 1e-6  # of the size of φ: single precision


def same(first: Activation, second: Callable[[Array], Array]) -> bool:
    """Whether two activations, or an activation and a function, have the same values at `POINTS`, to single precision.

    Examples
    --------
    >>> import meanfield as mf
    >>> same(mf.activation("silu"), mf.activation("x * sigmoid(x)"))
    True
    """
    if first is second:
        return True
    a, b = first(POINTS), second(POINTS)
    return bool(np.all(np.abs(a - b) <= AGREE * (np.abs(a) + np.abs(b) + 1e-3)))
