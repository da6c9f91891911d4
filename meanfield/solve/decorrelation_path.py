"""ε = 1 − c layer by layer while the variance moves: many networks of one activation, on its correlation table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.angle_profile import jumps
from meanfield.expectation.correlation_table import correlation_table
from meanfield.expectation.held_profiles import has_profile

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

NEAREST, FURTHEST = 2.0**-40, 2.0**40  # variances that pieces of the table are built for


def decorrelation_path(act: Activation, weight: float, q: Array, epsilon: float, layers: int) -> Array | None:
    """ε_0 = epsilon … ε_layers for variances q_0, q_1, … that stand still where the array ends.

    As `MeanField.propagate`, to about 1e-10, at the price of a look-up for each layer. None where the table can't say: φ jumps or has
    poles or too many features, or the variances pass far out.
    """
    from meanfield.solve.decorrelation_path_kernels import iterate_decorrelation

    out = np.empty(layers + 1)
    out[0] = epsilon
    if layers == 0:
        return out
    asked = q[:layers]
    if jumps(act) or not has_profile(act) or not NEAREST <= asked.min() <= asked.max() <= FURTHEST:
        return None
    pieces = np.unique(np.floor(np.log(asked) / math.log(4.0)).astype(int)).tolist()
    table = correlation_table(act)
    packed = table.packed(pieces)
    if table.refused(pieces):
        return None
    path = np.ascontiguousarray(q[: layers + 1])
    iterate_decorrelation(path, weight, out, packed.first, packed.start, packed.count, packed.low, packed.high, packed.coefficients)
    return out
