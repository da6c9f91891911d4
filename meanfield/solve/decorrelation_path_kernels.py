"""The compiled recursion of ε = 1 − c along a moving variance, on the correlation table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.angle_kernels import row_at
from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array, Integers

SAME = 1e-12  # log q that moves less than this keeps its series: h(θ) changes by as little, relative to itself


@kernel(
    "void(float64[::1], float64[::1], float64[::1], float64[::1], float64[::1], "
    "int64, int64[::1], int64[::1], float64[::1], float64[::1], float64[:,:,::1])"
)
def iterate_decorrelation(
    q: Array,
    gain: Array,
    carry: Array,
    loss: Array,
    epsilon: Array,
    first: int,
    start: Integers,
    count: Integers,
    low: Array,
    high: Array,
    series: Array,
) -> None:
    """Fill epsilon[1 …] from epsilon[0] ≤ 1: ε' = loss + carry ε + gain h(θ; q) ε, with arrays of one entry a layer.

    The pieces are those of `PackedPieces`; every q lies on one of them. Where the arrays end, they stand still.
    """
    nodes, terms = series.shape[1], series.shape[2] - 1
    chebyshev = np.empty(nodes)
    row = np.empty(terms)
    held, panel, number = math.nan, -1, 0  # log q and panel that `row` was made for
    log_q, root, stretch = 0.0, 0.0, 1.0
    for layer in range(epsilon.size - 1):
        here = q[min(layer, q.size - 1)]
        at = min(layer, q.size - 1)
        moved = layer == 0 or (layer < q.size and here != q[layer - 1])
        if moved:
            log_q = math.log(here)
            root = math.sqrt(here)
            stretch = math.asinh(math.pi * root)
        theta = 2.0 * math.asin(math.sqrt(min(0.5 * epsilon[layer], 0.5)))
        s = math.asinh(2.0 * root * theta) / stretch
        if not abs(log_q - held) <= SAME:
            panel = -1
            number = min(max(math.floor(log_q / math.log(4.0)) - first, 0), count.size - 1)
        if panel < 0 or not low[panel] <= s <= high[panel]:
            panel = start[number]
            while panel < start[number] + count[number] - 1 and s > high[panel]:
                panel += 1
            held = log_q
            u = 2.0 * (log_q / math.log(4.0) - (number + first)) - 1.0
            chebyshev[0], chebyshev[1] = 1.0, u
            for k in range(2, nodes):
                chebyshev[k] = 2.0 * u * chebyshev[k - 1] - chebyshev[k - 2]
            row_at(chebyshev, series, panel, row)
        t = (2.0 * s - low[panel] - high[panel]) / (high[panel] - low[panel])
        b1, b2 = 0.0, 0.0
        for k in range(terms - 1, 0, -1):
            b1, b2 = 2.0 * t * b1 - b2 + row[k], b1
        h = t * b1 - b2 + row[0]
        epsilon[layer + 1] = min(max(loss[at] + (carry[at] + gain[at] * h) * epsilon[layer], 0.0), 1.0)
