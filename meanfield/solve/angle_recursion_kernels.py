"""Compiled recursion of the half sine x = sin(θ/2), ε = 2x², through layers of one variance.

x' = x √ratio(x) with ratio = (1 − f)/ε for x ≤ √½ and x'² = (1 − f)/2 beyond. Both, √ratio and (1 − f), are tables of short polynomials
on panels that follow x: eight equal ones below `base`, a power of two, and eight in each octave above it. Where φ jumps the first holds
ratio x. While the variance moves the first is the ratio itself, which the skip and dropout are added to.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meanfield.expectation.half_sines_kernels import polynomial
from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array

ACUTE = math.sqrt(0.5)  # x at θ = π/2


@kernel("float64(float64, float64, int64, float64[:,::1])")
def look_up(x: float, base: float, exponent: int, table: Array) -> float:
    """The table at x; `base` = 2**exponent."""
    if x < base:
        position = 8.0 * x / base
        panel = int(position)
        t = 2.0 * (position - panel) - 1.0
    else:
        mantissa, power = math.frexp(x)
        position = 16.0 * (mantissa - 0.5)
        inner = int(position)
        panel = 8 * (power - exponent) + inner
        t = 2.0 * (position - inner) - 1.0
    return polynomial(table[min(panel, table.shape[0] - 1)], t)


@kernel("float64(float64, float64, int64, boolean, float64[:,::1], float64[:,::1])")
def step(x: float, base: float, exponent: int, jumping: bool, near: Array, far: Array) -> float:
    """x one layer on."""
    if x <= ACUTE:
        found = look_up(x, base, exponent, near)
        after = math.sqrt(max(0.5 * found * x, 0.0)) if jumping else x * found
    else:  # seen from the other end, y = cos(θ/2)
        y = math.sqrt(max((1.0 - x) * (1.0 + x), 0.0))
        after = math.sqrt(max(0.5 * look_up(y, base, exponent, far), 0.0))
    return max(min(after, 1.0), 0.0)


@kernel("Tuple((int64, float64, float64))(float64, float64, int64, int64)")
def panel_of(x: float, base: float, exponent: int, panels: int) -> tuple[int, float, float]:
    """The panel that x lies in: its index, lower end and width."""
    if x < base:
        width = 0.125 * base
        panel = int(x / width)
        low = panel * width
    else:
        mantissa, power = math.frexp(x)
        inner = int(16.0 * (mantissa - 0.5))
        panel = 8 * (power - exponent) + inner
        width = math.ldexp(0.0625, power)
        low = math.ldexp(0.5, power) + inner * width
    if panel >= panels:  # the rounding of √½
        low, panel = low - (panel - panels + 1) * width, panels - 1
    return panel, low, width


@kernel("void(float64, float64, int64, boolean, float64[:,::1], float64[:,::1], float64[::1])")
def iterate(start: float, base: float, exponent: int, jumping: bool, near: Array, far: Array, out: Array) -> None:
    """out[l] = x_l from out[0] = start. x moves slowly, so the panel is kept for as long as x stays in it."""
    x = start
    out[0] = x
    layer = 1
    while layer < out.size:
        if jumping or x > ACUTE:
            x = step(x, base, exponent, jumping, near, far)
            out[layer] = x
            layer += 1
            continue
        panel, low, width = panel_of(x, base, exponent, near.shape[0])
        high = min(low + width, ACUTE)
        scale = 2.0 / width
        row = near[panel]
        once = True
        while once or (low <= x < high and layer < out.size):
            once = False
            x = max(min(x * polynomial(row, (x - low) * scale - 1.0), 1.0), 0.0)
            out[layer] = x
            layer += 1


@kernel("Tuple((int64, float64, boolean))(float64, float64, float64, int64, float64, int64, boolean, float64[:,::1], float64[:,::1])")
def first_within(
    start: float, target: float, threshold: float, most: int, base: float, exponent: int, jumping: bool, near: Array, far: Array
) -> tuple[int, float, bool]:
    """The first l with |ε_l − target| < threshold, or −1 past `most` layers; the last x; whether x stands still."""
    x = start
    layer = 0
    while True:
        if abs(2.0 * x * x - target) < threshold:
            return layer, x, False
        if layer >= most:
            return -1, x, False
        if jumping or x > ACUTE:
            after = step(x, base, exponent, jumping, near, far)
            if after == x:
                return -1, x, True
            x = after
            layer += 1
            continue
        panel, low, width = panel_of(x, base, exponent, near.shape[0])
        high = min(low + width, ACUTE)
        scale = 2.0 / width
        row = near[panel]
        once = True
        while once or (low <= x < high and layer < most and abs(2.0 * x * x - target) >= threshold):
            once = False
            after = max(min(x * polynomial(row, (x - low) * scale - 1.0), 1.0), 0.0)
            if after == x:
                return -1, x, True
            x = after
            layer += 1


@kernel(
    "void(float64[::1], float64[::1], float64[::1], float64[::1], float64[::1], "
    "float64, int64, boolean, float64[:,:,::1], float64[:,:,::1])"
)
def iterate_moving(
    x: Array,
    position: Array,
    factor: Array,
    carry: Array,
    loss: Array,
    base: float,
    exponent: int,
    jumping: bool,
    near: Array,
    far: Array,
) -> None:
    """x[l + 1] from x[l] while the variance moves: ε' = loss + carry ε + factor · table, with factor, carry and loss exact for each layer.

    The tables are Chebyshev series (first axis) at `position` in log q.
    """
    orders, panels, terms = near.shape
    weights = [0.0] * orders
    row = [0.0] * terms
    for layer in range(position.size):
        t = position[layer]
        weights[0] = 1.0
        if orders > 1:
            weights[1] = t
        for k in range(2, orders):
            weights[k] = 2.0 * t * weights[k - 1] - weights[k - 2]
        acute = x[layer] <= ACUTE
        table = near if acute else far
        at = x[layer] if acute else math.sqrt(max((1.0 - x[layer]) * (1.0 + x[layer]), 0.0))
        if at < base:
            place = 8.0 * at / base
            inner = int(place)
            panel = inner
        else:
            mantissa, power = math.frexp(at)
            place = 16.0 * (mantissa - 0.5)
            inner = int(place)
            panel = 8 * (power - exponent) + inner
        panel = min(panel, panels - 1)
        u = 2.0 * (place - inner) - 1.0
        for j in range(terms):
            total = 0.0
            for k in range(orders):
                total += weights[k] * table[k, panel, j]
            row[j] = total
        value = row[terms - 1]
        for j in range(terms - 2, -1, -1):
            value = value * u + row[j]
        value = value * factor[layer]
        if not acute:
            square = 0.5 * max(value + carry[layer] * 2.0 * x[layer] * x[layer], 0.0)
        elif jumping:
            square = 0.5 * max(value * at + carry[layer] * 2.0 * at * at, 0.0)
        else:
            ratio = max(value + carry[layer], 0.0)
            if loss[layer] == 0.0:
                x[layer + 1] = min(at * math.sqrt(ratio), 1.0)
                continue
            square = at * at * ratio
        x[layer + 1] = min(math.sqrt(square + 0.5 * loss[layer]), 1.0)
