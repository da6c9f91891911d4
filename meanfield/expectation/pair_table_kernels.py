"""Compiled look-ups in a `PairTable` (pair_table.py). They know nothing of φ.

A node of the tree is a box in (x, y, θ), x and y being √q1 and √q2 over √2ᵉ of their octaves. A node with an axis is cut at `split`, its
children are `child` and `child` + 1; other nodes carry a state.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array, Integers

SERIES, UNKNOWN, DIRECT = 3, 4, 5  # states; 0, 1, 2 are axes that a node is cut along
LANES = 64  # pairs that are summed side by side: each operation serves several of them in one vector register


@kernel("void(float64[::1], float64[::1])")
def angles(c: Array, out: Array) -> None:
    """θ = arccos c."""
    for i in range(c.size):
        out[i] = math.acos(c[i])


@kernel(
    "int64(float64[::1], float64[::1], float64[::1], float64, int64, int64[:,:,:,::1], int64[::1], float64[::1], int64[::1], "
    "float64[:,:,::1], int64[::1], float64[:,::1])"
)
def locate(
    q1: Array,
    q2: Array,
    theta: Array,
    border: float,
    first: int,
    roots: Integers,
    state: Integers,
    split: Array,
    child: Integers,
    boxes: Array,
    found: Integers,
    place: Array,
) -> int:
    """The node that each pair with angle θ in [0, π] ends at, −1 where its octaves have no tree; its place on it, in [−1, 1]³ (lanes last).

    Returns how many end at nodes that are still unknown.
    """
    unknown = 0
    size = roots.shape[0]
    half = 0.5 * math.pi
    bits1, bits2 = q1.view(np.int64), q2.view(np.int64)
    for i in range(q1.size):
        # The larger variance first: C is symmetric. The exponent and the fraction of a float64 straight from its bits.
        b1, b2 = bits1[i], bits2[i]
        if b1 < b2:  # positive floats are in the order of their bits
            b1, b2 = b2, b1
        e1, e2 = (b1 >> 52) - 1023, (b2 >> 52) - 1023
        if e2 < first or e1 >= first + size:
            found[i] = -1
            continue
        x = math.sqrt(1.0 + (b1 & 0xFFFFFFFFFFFFF) * 2.0**-52)
        y = math.sqrt(1.0 + (b2 & 0xFFFFFFFFFFFFF) * 2.0**-52)
        obtuse = theta[i] > half
        z = math.pi - theta[i] if obtuse else theta[i]
        node = roots[e1 - first, e2 - first, int(obtuse), int(z >= border)]
        if node < 0:
            found[i] = -1
            unknown += 1
            continue
        axis = state[node]
        while axis < 3:
            at = x if axis == 0 else (y if axis == 1 else z)
            node = child[node] + int(at >= split[node])
            axis = state[node]
        found[i] = node
        if axis == UNKNOWN:
            unknown += 1
        place[0, i] = (x - boxes[node, 0, 0]) * boxes[node, 0, 1] - 1.0
        place[1, i] = (y - boxes[node, 1, 0]) * boxes[node, 1, 1] - 1.0
        place[2, i] = (z - boxes[node, 2, 0]) * boxes[node, 2, 1] - 1.0
    return unknown


@kernel("void(int64[::1], int64, int64[::1], int64[::1])")
def by_node(found: Integers, nodes: int, start: Integers, order: Integers) -> None:
    """The pairs in the order of their nodes: node n has order[start[n] … start[n + 1]]; a counting sort."""
    for n in range(nodes + 1):
        start[n] = 0
    for i in range(found.size):
        start[found[i] + 1] += 1
    for n in range(nodes):
        start[n + 1] += start[n]
    for i in range(found.size):
        n = found[i]
        order[start[n]] = i
        start[n] += 1
    for n in range(nodes, 0, -1):
        start[n] = start[n - 1]
    start[0] = 0


@kernel("void(float64[::1], int64, int64, float64[::1], float64[::1], float64[::1], float64[::1])", allow=("contract",))
def _next_row(coefficients: Array, first: int, groups: int, z: Array, y: Array, along_z: Array, along_y: Array) -> None:
    """along_y ← along_y · y + Σ c_k zᵏ in each lane, four k a pass: what a pass reads and writes costs more than its sums."""
    a, b, c, d = coefficients[first], coefficients[first + 1], coefficients[first + 2], coefficients[first + 3]
    if groups == 1:
        for p in range(LANES):
            along_y[p] = along_y[p] * y[p] + (((a * z[p] + b) * z[p] + c) * z[p] + d)
        return
    for p in range(LANES):
        along_z[p] = ((a * z[p] + b) * z[p] + c) * z[p] + d
    for k in range(first + 4, first + 4 * groups - 4, 4):
        a, b, c, d = coefficients[k], coefficients[k + 1], coefficients[k + 2], coefficients[k + 3]
        for p in range(LANES):
            along_z[p] = (((along_z[p] * z[p] + a) * z[p] + b) * z[p] + c) * z[p] + d
    k = first + 4 * groups - 4
    a, b, c, d = coefficients[k], coefficients[k + 1], coefficients[k + 2], coefficients[k + 3]
    for p in range(LANES):
        along_y[p] = along_y[p] * y[p] + ((((along_z[p] * z[p] + a) * z[p] + b) * z[p] + c) * z[p] + d)


@kernel(
    "void(int64[::1], int64[::1], float64[:,::1], int64[::1], int64[::1], int64[::1], int64[::1], float64[::1], float64[::1])",
    allow=("contract",),
)
def evaluate(
    start: Integers,
    order: Integers,
    place: Array,
    state: Integers,
    shape: Integers,
    counts: Integers,
    first: Integers,
    coefficients: Array,
    out: Array,
) -> None:
    """out = Σ c_ijk xⁱ yʲ zᵏ of the pair's node, nan where that has no series.

    The counts of node n begin at shape[n]: how many i; for each i, how many j; for each of these, how many groups of four k. Its
    coefficients begin at first[n].
    """
    x, y, z = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    along_x, along_y, along_z = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for node in range(state.size):
        for begin in range(start[node], start[node + 1], LANES):
            lanes = min(LANES, start[node + 1] - begin)
            if state[node] != SERIES:
                for p in range(lanes):
                    out[order[begin + p]] = math.nan
                continue
            for p in range(lanes):
                i = order[begin + p]
                x[p], y[p], z[p] = place[0, i], place[1, i], place[2, i]
            # All lanes are worked through even where some are idle: loops of a constant length are unrolled.
            for p in range(LANES):
                along_x[p] = 0.0
            # The counts and coefficients are kept in the order of use: the highest powers first.
            at, c = shape[node] + 1, first[node]
            for _ in range(counts[shape[node]]):
                for p in range(LANES):
                    along_y[p] = 0.0
                for groups in counts[at + 1 : at + 1 + counts[at]]:
                    _next_row(coefficients, c, groups, z, y, along_z, along_y)
                    c += 4 * groups
                at += 1 + counts[at]
                for p in range(LANES):
                    along_x[p] = along_x[p] * x[p] + along_y[p]
            for p in range(lanes):
                out[order[begin + p]] = along_x[p]
