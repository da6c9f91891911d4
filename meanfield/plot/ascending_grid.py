"""The grid that a curve or a plane is drawn over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.errors import DomainError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


def ascending_grid(name: str, values: ArrayLike, what: str = "numbers", *, least: int = 2, drawn_as: str = "curve") -> NDArray[np.float64]:
    """The values as an array, one-dimensional and ascending; ``name`` and ``what`` are for the message.

    Raises
    ------
    DomainError
        If there are fewer than ``least`` of them, or they do not ascend.

    Examples
    --------
    >>> ascending_grid("sigma_w", [1, 1.5, 2])
    array([1. , 1.5, 2. ])
    """
    import numpy as np

    grid = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if grid.ndim != 1 or grid.size < least or not np.all(np.diff(grid) > 0):
        number = {1: "one or more", 2: "two or more"}[least]
        raise DomainError(f"{name} of shape {grid.shape} can't be drawn as a {drawn_as}; give {number} ascending {what}")
    return grid
