"""Compiled loops over the pairs of inputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array, Integers

    Row: TypeAlias = "tuple[Array, Integers, Integers, Array, Integers]"

ACUTE = math.sqrt(0.5)  # x at ε = 1
TERMS = 14  # of a series in ε, as one_variance.TERMS
ABREAST = 32  # entries that are summed side by side: each operation serves several of them in one vector register
NEAR = 1e-3  # below this ε = 1 − u·v has lost three digits and more
_ROW = "Tuple((f8[::1], i8[::1], i8[::1], f8[::1], i8[::1]))"


@kernel("void(float64[:,::1], float64[:,::1], float64[:,::1])")
def losses_of_products(products: Array, first: Array, second: Array) -> None:
    """u·v ↦ 1 − u·v in place: ½|u − v|², or 2 − ½|u + v|², where u and v are all but parallel."""
    rows, columns = products.shape
    for i in range(rows):
        for j in range(columns):
            product = products[i, j]
            if abs(product) < 1.0 - NEAR:
                products[i, j] = 1.0 - product
                continue
            sign = 1.0 if product > 0.0 else -1.0
            total = 0.0
            for k in range(first.shape[1]):
                apart = first[i, k] - sign * second[j, k]
                total += apart * apart
            products[i, j] = 0.5 * total if product > 0.0 else 2.0 - 0.5 * total


@kernel("float64(float64[::1], float64)", allow=("contract",))
def series(row: Array, t: float) -> float:
    """Σ row[k] T_k(t), by Clenshaw's recurrence."""
    twice = 2.0 * t
    one, two = 0.0, 0.0
    for k in range(row.size - 1, 0, -1):
        one, two = row[k] + twice * one - two, one
    value: float = row[0] + t * one - two
    return value


@kernel("void(float64[:,::1], int64, float64, float64, float64[:,::1], float64[:,::1], float64[:,::1])")
def look_up(losses: Array, parts: int, at_zero: float, at_two: float, near: Array, far: Array, out: Array) -> None:
    """A function of ε: `near` in x = √(ε/2) for ε ≤ 1, `far` in √(1 − ε/2) beyond.

    Row 0 of a table belongs to the first panel below √½; each octave has `parts` panels of equal width, the last octave reaches down to 0.
    """
    columns = losses.shape[1]
    half = np.empty(columns)
    bits = half.view(np.int64)
    last = near.shape[0] // parts, far.shape[0] // parts  # octaves
    deepest = max(last[0], last[1])
    scale = np.empty(deepest)  # 2ᵒ
    for octave in range(deepest):
        scale[octave] = math.ldexp(1.0, octave)
    for i in range(losses.shape[0]):
        for j in range(columns):
            half[j] = 0.5 * losses[i, j] if losses[i, j] <= 1.0 else 1.0 - 0.5 * losses[i, j]
        for j in range(columns):
            loss = losses[i, j]
            if loss == 0.0 or loss == 2.0:
                out[i, j] = at_zero if loss == 0.0 else at_two
                continue
            # The octave of the root from the exponent of its square: ½ ≤ x < 1 is 0.
            octave = -(((bits[j] >> 52) - 1023) >> 1) - 1
            ahead = loss <= 1.0
            table = near if ahead else far
            if octave >= (last[0] if ahead else last[1]):
                out[i, j] = series(table[table.shape[0] - 1], -1.0)
                continue
            top, wide = (ACUTE, ACUTE - 0.5) if octave == 0 else (1.0, 0.5)
            position = parts * max(top - math.sqrt(half[j]) * scale[octave], 0.0) / wide
            inner = min(int(position), parts - 1)
            out[i, j] = series(table[octave * parts + inner], 1.0 - 2.0 * (position - inner))


@kernel("void(float64[:,::1], int64, int64, int64[::1])")
def count_octaves(losses: Array, octaves: int, opposite: int, seen: Integers) -> None:
    """How many ε lie in each octave of √(ε/2), or behind these of √(1 − ε/2): those of a `NormsTable`."""
    half = np.empty(losses.shape[1])
    bits = half.view(np.int64)
    for i in range(losses.shape[0]):
        for j in range(losses.shape[1]):
            half[j] = 0.5 * losses[i, j] if losses[i, j] <= 1.0 else 1.0 - 0.5 * losses[i, j]
        for j in range(losses.shape[1]):
            # h in [2ᵉ, 2ᵉ⁺¹) has its root in octave −⌊e/2⌋ − 1, that of ½ ≤ √h < 1 being 0.
            octave = -(((bits[j] >> 52) - 1023) >> 1) - 1
            if losses[i, j] <= 1.0:
                if octave < octaves:
                    seen[octave] += 1
            elif octave < opposite and half[j] > 0.0:
                seen[octaves + octave] += 1


@kernel(f"void(f8[::1], i8, i8, i8[::1], i8[::1], f8[::1], {_ROW})", allow=("contract",))
def sort_row(losses: Array, octaves: int, opposite: int, parts: Integers, place: Integers, scale: Array, row: Row) -> None:
    """The entries of a row by the panel that they fall in, those of none last, and where on it: begin, listed and where of `row`."""
    half, mine, listed, where, begin = row
    bits = half.view(np.int64)
    panels = place[parts.size]
    begin[:] = 0
    for j in range(losses.size):
        half[j] = 0.5 * losses[j] if losses[j] <= 1.0 else 1.0 - 0.5 * losses[j]
    for j in range(losses.size):
        ahead = losses[j] <= 1.0
        depth = -(((bits[j] >> 52) - 1023) >> 1) - 1  # as in count_octaves; 0 and subnormal numbers come to 511 and more
        octave = depth if ahead else octaves + depth
        count = parts[octave] if depth < (octaves if ahead else opposite) else 0
        panel = panels
        if count > 0:
            x = math.sqrt(half[j])
            top, wide = (ACUTE, ACUTE - 0.5) if depth == 0 else (1.0, 0.5)
            position = count * max(top - x * scale[depth], 0.0) / wide
            inner = min(int(position), count - 1)
            where[j] = 1.0 - 2.0 * (position - inner)
            panel = place[octave] + inner
        mine[j] = panel
        begin[panel + 1] += 1
    for panel in range(panels + 1):
        begin[panel + 1] += begin[panel]
    for j in range(losses.size):
        listed[begin[mine[j]]] = j
        begin[mine[j]] += 1


@kernel("void(f8[::1], f8[::1], i8, i8, i8, f8[:,::1])", allow=("contract",))
def sum_over_first(first: Array, coefficients: Array, at: int, order: int, length: int, summed: Array) -> None:
    """Σ T_a(x_i) S_ab of one panel, for each function."""
    for f in range(summed.shape[0]):
        summed[f, :length] = 0.0
        for a in range(order):
            weight = first[a]
            for each in range(length):
                summed[f, each] += weight * coefficients[at + each]
            at += length


@kernel("void(i8[::1], f8[::1], f8[:,::1], i8, i8, f8[:,::1], f8[:,::1], f8[:,::1], f8[:,::1])", allow=("contract",))
def evaluate_abreast(
    listed: Integers, where: Array, second: Array, order: int, padded: int, summed: Array, weights: Array, lane: Array, out: Array
) -> None:
    """Σ T_b(x_j) T_k(t_j) Σ_a … of up to ABREAST entries of a row, side by side, for each function: Clenshaw's recurrence in t."""
    twice, once, before, total = lane[0], lane[1], lane[2], lane[3]
    lanes = listed.size
    for p in range(lanes):
        twice[p] = 2.0 * where[listed[p]]
        for b in range(order):
            weights[b, p] = second[listed[p], b]
    for b in range(order, padded):
        for p in range(ABREAST):
            weights[b, p] = 0.0
    for f in range(out.shape[0]):
        once[:] = 0.0
        before[:] = 0.0
        for k in range(TERMS - 1, -1, -1):
            for p in range(ABREAST):
                total[p] = 0.0
            for b in range(0, padded, 4):
                at = k * padded + b
                s0, s1, s2, s3 = summed[f, at], summed[f, at + 1], summed[f, at + 2], summed[f, at + 3]
                for p in range(ABREAST):
                    total[p] += (s0 * weights[b, p] + s1 * weights[b + 1, p]) + (s2 * weights[b + 2, p] + s3 * weights[b + 3, p])
            if k > 0:
                for p in range(ABREAST):
                    after = total[p] + twice[p] * once[p] - before[p]
                    before[p] = once[p]
                    once[p] = after
            else:
                for p in range(ABREAST):
                    total[p] += 0.5 * twice[p] * once[p] - before[p]
        for p in range(lanes):
            out[f, listed[p]] = total[p]


@kernel(
    "void(float64[:,::1], float64[:,::1], float64[:,::1], int64, int64, int64, int64[::1], int64[::1], int64[::1], float64[::1], "
    "float64[:,:,::1])",
    allow=("contract",),
)
def look_up_norms(
    losses: Array,
    first: Array,
    second: Array,
    diagonal: int,
    octaves: int,
    opposite: int,
    parts: Integers,
    orders: Integers,
    start: Integers,
    coefficients: Array,
    out: Array,
) -> None:
    """Σ T_a(x_i) T_b(x_j) S_ab(ε_ij) of each function; nan where there is no panel. `first` holds T_a(x_i), `second` T_b(x_j).

    Row by row, and in a row panel by panel: the sum over a is made once, then entries are summed side by side.
    """
    functions, rows, columns = out.shape
    place = np.zeros(parts.size + 1, dtype=np.int64)  # the first panel of an octave
    place[1:] = np.cumsum(parts)
    widest = 4
    for octave in range(parts.size):
        widest = max(widest, 4 * ((orders[octave] + 3) // 4))
    panels = place[parts.size]
    summed, weights, lane = np.zeros((functions, TERMS * widest)), np.zeros((widest, ABREAST)), np.zeros((4, ABREAST))
    scale = np.empty(octaves + 2)  # 2ᵒ
    for octave in range(octaves + 2):
        scale[octave] = math.ldexp(1.0, octave)
    half, where = np.empty(columns), np.empty(columns)
    mine, listed = np.empty(columns, dtype=np.int64), np.empty(columns, dtype=np.int64)
    begin = np.empty(panels + 2, dtype=np.int64)
    values = np.empty((functions, columns))
    for i in range(rows):
        sort_row(losses[i], octaves, opposite, parts, place, scale, (half, mine, listed, where, begin))
        values[:] = math.nan
        for octave in range(parts.size):
            order, padded = orders[octave], 4 * ((orders[octave] + 3) // 4)
            for inner in range(parts[octave]):
                panel = place[octave] + inner
                low, high = begin[panel - 1] if panel > 0 else 0, begin[panel]
                if low < high:
                    at = start[octave] + inner * functions * order * TERMS * padded
                    sum_over_first(first[i], coefficients, at, order, TERMS * padded, summed)
                for chunk in range(low, high, ABREAST):
                    abreast = listed[chunk : min(high, chunk + ABREAST)]
                    evaluate_abreast(abreast, where, second, order, padded, summed, weights, lane, values)
        out[:, i, :] = values
        if diagonal >= 0 and 0 <= i + diagonal < columns:
            out[:, i, i + diagonal] = 0.0
