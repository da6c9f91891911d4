"""ε = 1 − c layer by layer while the variance moves: many networks of one activation, on its correlation table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.angle_ratios import jumps
from meanfield.expectation.correlation_table import correlation_table
from meanfield.expectation.held_profiles import has_profile

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array, Integers

NEAREST, FURTHEST = 2.0**-40, 2.0**40  # variances that pieces of the table are built for


def decorrelation_path(act: Activation, weight: float, q: Array, epsilon: float, layers: int) -> Array | None:
    """ε_0 = epsilon … ε_layers for variances q_0, q_1, … that stand still where the array ends.

    As `MeanField.propagate`, to about 1e-10, at the price of a look-up for each layer. None where the table can't say: φ jumps or has
    poles or too many features, or the variances pass far out.
    """
    if layers == 0:
        return np.array([epsilon])
    asked = q[:layers]
    after = q[np.minimum(np.arange(1, asked.size + 1), q.size - 1)]
    nothing = np.zeros(asked.size)
    return along_table(act, asked, weight / after, nothing, nothing, epsilon, layers)


def pieces_of(q: Array) -> Integers:
    """The number of the table's piece that each variance is looked up on.

    Where nothing lies on the highest of them but its lower end, it is the upper end of the one below: most paths begin at q = 1.
    """
    found: Integers = np.floor(np.log(q) / math.log(4.0)).astype(np.int64)
    top = int(found.max(initial=0))
    ends = found == top
    if np.any(found == top - 1) and np.all(q[ends] == 4.0**top):
        found[ends] = top - 1
    return found


def has_table(act: Activation) -> bool:
    """Whether a correlation table follows 1 − f at all: not where φ jumps or has poles."""
    return not jumps(act) and has_profile(act)


def along_table(
    act: Activation, q: Array, gain: Array, carry: Array, loss: Array, epsilon: float, layers: int | None = None
) -> Array | None:
    """ε_0 = epsilon ≤ 1, ε_1, … with ε' = loss + carry ε + gain D(q, ε), arrays of one entry a layer; the last stands for all after it."""
    from meanfield.solve.decorrelation_path_kernels import iterate_decorrelation

    if not has_table(act) or not NEAREST <= q.min() <= q.max() <= FURTHEST:
        return None
    pieces = np.unique(pieces_of(q)).tolist()
    table = correlation_table(act)
    packed = table.packed(pieces)
    if table.refused(pieces):
        return None
    out = np.empty((q.size if layers is None else layers) + 1)
    out[0] = epsilon
    path, gains, carries, losses = (np.ascontiguousarray(part) for part in (q, gain, carry, loss))
    tables = (packed.first, packed.start, packed.count, packed.low, packed.high, packed.coefficients)
    iterate_decorrelation(path, gains, carries, losses, out, *tables)
    return out
