"""Root search of the edge-of-chaos curve by NumPy alone: the operations of edge_of_chaos_kernels.py, so the same bits.

For the first small question of a process, which need not wait for numba.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.octaves import locate, polynomial

if TYPE_CHECKING:
    from meanfield.arrays import Array, Integers, Mask


def crossed(before: Array, after: Array) -> Mask:
    """Whether 0 lies between two samples, of which a 0 at the second alone counts as such."""
    result: Mask = ((before <= 0) & (after > 0)) | ((before >= 0) & (after < 0)) | ((before != 0) & (after == 0))
    return result


def first_brackets(targets: Array, begin: Integers, q: Array, values: Array, found: Integers) -> int:
    """As edge_of_chaos_kernels.first_brackets."""
    excess = values[None, :] - targets[:, None]
    here = crossed(excess[:, :-1], excess[:, 1:]) & (np.arange(q.size - 1) >= begin[:, None])
    any_crossed = here.any(axis=1)
    found[:] = np.where(any_crossed, np.argmax(here, axis=1), -1)
    return int(np.sum(~any_crossed))


def solve(
    targets: Array, found: Integers, grid: Array, first: int, start: Integers, pieces: Integers, coefficients: Array, roots: Array
) -> None:
    """As edge_of_chaos_kernels.solve, all targets at once."""

    def excess(q: Array, target: Array) -> Array:
        rows, t = locate(q, first, start, pieces)
        result: Array = polynomial(coefficients[0][rows], t) - target * polynomial(coefficients[1][rows], t)
        return result

    roots[:] = np.nan
    at = np.flatnonzero(found >= 0)
    goal = targets[at]
    a, b = grid[found[at]], grid[found[at] + 1]
    fa, fb = excess(a, goal), excess(b, goal)
    # A root on a grid point: rounding may give both ends the same sign, and the nearer one is the root.
    settled = (fa == 0) | (fb == 0) | ((fa > 0) == (fb > 0))
    roots[at[settled]] = np.where(np.abs(fa) < np.abs(fb), a, b)[settled]
    at, goal, a, b, fa, fb = (v[~settled] for v in (at, goal, a, b, fa, fb))
    for step in range(100):
        if at.size == 0:
            break
        c = (a * fb - b * fa) / (fb - fa)
        inside = (np.minimum(a, b) < c) & (c < np.maximum(a, b))
        c = np.where(inside & (step % 4 != 3), c, 0.5 * (a + b))
        fc = excess(c, goal)
        same = (fc > 0) == (fb > 0)
        fa = np.where(same, 0.5 * fa, fb)
        a = np.where(same, a, b)
        b, fb = c, fc
        done = (fc == 0) | (np.abs(b - a) <= 4e-16 * np.abs(b))
        roots[at] = b
        at, goal, a, b, fa, fb = (v[~done] for v in (at, goal, a, b, fa, fb))
