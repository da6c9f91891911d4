"""q, F(q), F(F(q)), … layer by layer, and the layer from which on it stands still."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.arguments import LARGEST, SMALLEST
from meanfield.expectation.moments import V, moment_table
from meanfield.expectation.second_moment import second_moments
from meanfield.layers import limits

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

NEAREST, FURTHEST = 2.0**-40, 2.0**40  # beyond these φ is looked at for being linear
STILL = 4e-15  # a relative step that the tables can't tell from none


def variance_path(
    act: Activation, weight: float, bias: float, q0: float, depth: int, ceiling: float = LARGEST, carry: float = 0.0
) -> tuple[Array, int]:
    """q_0 … q_depth of F(q) = carry q + bias + weight V(q), and the first l with q_l = q_{l+1} = … (depth where there is none).

    Variances below 1e-280 become 0 where F(0) = 0, and above the ceiling inf.
    """
    from meanfield.solve.variance_path_kernels import SETTLED, iterate_variance

    table = moment_table(act)
    usual = weight > 0.0 and NEAREST <= q0 <= min(FURTHEST, ceiling) and table.has_octave(q0)
    if usual and abs(bias + weight * table.at(V, q0) + carry * q0 - q0) <= STILL * q0:  # most questions begin at a fixed point
        return np.full(depth + 1, q0), 0
    q = np.empty(depth + 1)
    q[0] = q0
    layer = 0
    linear: dict[bool, float] = {}  # V/q at the far ends (False: near 0, True: near inf) once it is seen to be constant
    while layer < depth:
        now = float(q[layer])
        if not NEAREST <= now <= FURTHEST and SMALLEST <= now <= LARGEST and weight > 0:
            end = now > 1.0
            if end not in linear:
                octave = math.frexp(now)[1] - 1
                table.ensure(octave, octave)
                slope = _end_slope(act, end)
                moment = float(table(V, np.array([now]))[0])
                if 0 < slope < math.inf and abs(moment / (slope * now) - 1.0) <= STILL:
                    linear[end] = slope
            if end in linear:
                after = bias + weight * linear[end] * now + carry * now
                if abs(after - now) <= STILL * now:
                    break
                layer += 1
                q[layer] = math.inf if after > LARGEST else 0.0 if after < SMALLEST else after
                continue
        if SMALLEST <= now <= LARGEST and weight > 0:
            octave = math.frexp(now)[1] - 1
            table.ensure(octave, octave)
            reached = layer
            status, layer = iterate_variance(q, layer, weight, bias, carry, STILL, *table.packed(V))
            if q[layer] > ceiling:
                layer = int(np.argmax(q[: layer + 1] > ceiling))
                q[layer] = math.inf
                break
            if status == SETTLED:
                break
            if layer == depth:
                return q, depth
            if layer > reached:
                continue
        if weight == 0.0:
            after = bias + carry * now
        elif math.isinf(now) or now > LARGEST:
            after = math.inf
        else:
            inside = now if now >= SMALLEST else 0.0
            moment = float(second_moments(act, np.zeros(1), 0)[0]) if inside == 0.0 else float(table(V, np.array([inside]))[0])
            after = bias + weight * moment + carry * inside
        after = math.inf if after > ceiling else 0.0 if after < SMALLEST else after
        if after == now or abs(after - now) <= STILL * now:
            break
        layer += 1
        q[layer] = after
    q[layer:] = q[layer]
    inner = q[1:]
    inner[inner < SMALLEST] = 0.0
    inner[inner > LARGEST] = math.inf
    return q, int(layer)


def _end_slope(act: Activation, far: bool) -> float:
    """V/q for φ linear on both sides, with its slopes at 0± or at ∓∞."""
    left, right = limits.slopes(act, math.inf if far else 0.0)
    return 0.5 * (left * left + right * right)
