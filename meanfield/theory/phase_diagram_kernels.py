"""Compiled loops over the cells of a phase diagram."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.angle_kernels import row_at
from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array, Integers


@kernel("float64(float64, int64, int64[::1], int64[::1], float64[:,::1])")
def moment(q: float, first: int, start: Integers, pieces: Integers, coefficients: Array) -> float:
    """One column of a moment table at q (kernels.evaluate_octaves has the layout); all octaves of the grid are ready."""
    mantissa, exponent = math.frexp(q)
    octave = min(max(exponent - 1 - first, 0), start.size - 1)
    count = pieces[octave]
    position = (2.0 * mantissa - 1.0) * count
    piece = min(int(position), count - 1)
    t = 2.0 * (position - piece) - 1.0
    row = start[octave] + piece
    square = t * t
    last = coefficients.shape[1] - 1
    even, odd = coefficients[row, last - 1], coefficients[row, last]
    for k in range(last - 3, -1, -2):
        even = even * square + coefficients[row, k]
        odd = odd * square + coefficients[row, k + 1]
    return float(even + t * odd)


@kernel("float64(float64, float64, float64, float64, float64, float64, int64, int64[::1], int64[::1], float64[:,:,::1])")
def fixed_point_between(
    weight: float,
    bias: float,
    low: float,
    high: float,
    side: float,
    guess: float,
    first: int,
    start: Integers,
    pieces: Integers,
    table: Array,
) -> float:
    """The root of F(q) − q in [low, high], side being the sign of F − q at low: Newton kept inside the bracket."""
    q = guess if low < guess < high else 0.5 * (low + high)
    for _ in range(200):
        value = bias + weight * moment(q, first, start, pieces, table[0]) - q
        if value == 0.0:
            return q
        if value * side > 0.0:
            low = q
        else:
            high = q
        slope = weight * moment(q, first, start, pieces, table[1]) / q - 1.0
        after = q - value / slope if slope != 0.0 else math.nan
        # Newton's step squares the error, so one so short is the last; a small F' − 1 makes it square less.
        if low < after < high:
            if abs(after - q) <= 1e-9 * q * min(slope * slope, 1.0):
                return after
        else:
            after = 0.5 * (low + high)
        if abs(after - q) <= 2e-16 * q:
            return after
        q = after
    return q


@kernel(
    "float64(float64, float64, float64, float64[::1], float64[::1], float64[::1], int64, int64, int64, int64, boolean, float64, "
    "int64, int64[::1], int64[::1], float64[:,:,::1])"
)
def recursion_limit(
    weight: float,
    bias: float,
    origin: float,
    grid: Array,
    values: Array,
    slopes: Array,
    one: int,
    begin: int,
    lowest_rise: int,
    highest_rise: int,
    follow: bool,
    growth: float,
    first: int,
    start: Integers,
    pieces: Integers,
    table: Array,
) -> float:
    """Where the variance recursion from q = 1 = grid[one] goes: 0, a fixed point, or inf; NaN for one beyond the grid.

    values = V and slopes = dV/dq on the grid; growth = d log V/d log q at its end, NaN where it ends too early; origin = V(0),
    NaN where the grid begins too late. Where F increases, from sample lowest_rise to highest_rise, the limit is the next fixed
    point in the direction of the first step, and none lies between `one` and `begin` on that side.
    Where that leads further the map itself is followed first (follow).
    """
    i = one
    if follow:
        q = 1.0
        for _ in range(400):
            after = bias + weight * moment(q, first, start, pieces, table[0])
            if (after <= grid[0] and math.isnan(origin)) or (after >= grid[-1] and math.isnan(growth)):
                return math.nan
            if abs(after - q) <= 1e-15 * q or after <= grid[0] or after >= grid[-1]:
                q = after
                break
            q = after
        i = min(max(int(np.searchsorted(grid, q)), 1), grid.size - 2)
        step = bias + weight * moment(q, first, start, pieces, table[0]) - q
        if abs(step) <= 8e-15 * q:
            return q
    here = bias + weight * values[i] - grid[i]
    if not follow and abs(here) <= 8e-15 * grid[i]:
        return float(grid[i])
    side = 1.0 if here > 0.0 else -1.0
    direction = 1 if here > 0.0 else -1
    if not follow and (begin - i) * direction > 0:
        there = bias + weight * values[begin] - grid[begin]
        if there * side > 8e-15 * grid[begin]:
            i, here = begin, there
    j = i
    while True:
        j += direction
        if j < 0:
            return 0.0 if bias == 0.0 and origin == 0.0 else bias + weight * origin
        if j >= grid.size:
            # F > q at the end of the grid: divergence, unless φ² grows no faster than x² and F more slowly than q.
            if math.isnan(growth):
                return math.nan
            return math.inf if growth > 1.0 + 1e-6 or weight * slopes[-1] >= 1.0 else math.nan
        if not follow and not lowest_rise <= j <= highest_rise:
            return -1.0
        there = bias + weight * values[j] - grid[j]
        if abs(there) <= 8e-15 * grid[j]:  # rounding decides nothing: the sample after it does
            continue
        if there * side < 0.0:
            secant = grid[i] - here * (grid[j] - grid[i]) / (there - here)
            return fixed_point_between(
                weight,
                bias,
                min(grid[i], grid[j]),
                max(grid[i], grid[j]),
                side if direction > 0 else -side,
                secant,
                first,
                start,
                pieces,
                table,
            )
        # Two roots may hide between samples: where F − q turns back towards 0, look at its extremum.
        slope_here = direction * (weight * slopes[i] - 1.0) * side
        slope_there = direction * (weight * slopes[j] - 1.0) * side
        if slope_here < 0.0 < slope_there:
            a, b = grid[i], grid[j]
            for _ in range(60):
                middle = 0.5 * (a + b)
                value = (bias + weight * moment(middle, first, start, pieces, table[0]) - middle) * side
                if value <= 0.0:
                    return fixed_point_between(
                        weight,
                        bias,
                        min(grid[i], middle),
                        max(grid[i], middle),
                        side if direction > 0 else -side,
                        0.5 * (grid[i] + middle),
                        first,
                        start,
                        pieces,
                        table,
                    )
                if direction * (weight * moment(middle, first, start, pieces, table[1]) / middle - 1.0) * side < 0.0:
                    a = middle
                else:
                    b = middle
                if abs(b - a) <= 1e-12 * b:
                    break
        i, here = j, there


@kernel(
    "void(float64[::1], float64[::1], float64, float64[::1], float64[::1], float64[::1], int64, int64, int64, float64, "
    "int64, int64[::1], int64[::1], float64[:,:,::1], float64[:,::1])"
)
def fill_variances(
    sigma_w: Array,
    sigma_b: Array,
    origin: float,
    grid: Array,
    values: Array,
    slopes: Array,
    one: int,
    lowest_rise: int,
    highest_rise: int,
    growth: float,
    first: int,
    start: Integers,
    pieces: Integers,
    table: Array,
    out: Array,
) -> None:
    """out[b, w] = q*."""
    # F grows with σ_w. So where F increases in q, a larger σ_w ends no lower: what lies between 1 and the last limit above 1
    # need not be searched again, and going down in σ_w the same holds below 1.
    rising = True
    for w in range(1, sigma_w.size):
        rising = rising and sigma_w[w] >= sigma_w[w - 1]
    for b in range(sigma_b.size):
        bias = sigma_b[b] ** 2
        for upwards in (True, False):
            begin = one
            for k in range(sigma_w.size):
                w = k if upwards else sigma_w.size - 1 - k
                weight = sigma_w[w] ** 2
                if (bias + weight * values[one] - grid[one] > 0.0) != upwards:
                    continue
                q = -1.0
                for follow in (False, True):
                    if q < 0.0:
                        q = recursion_limit(
                            weight,
                            bias,
                            origin,
                            grid,
                            values,
                            slopes,
                            one,
                            begin,
                            lowest_rise,
                            highest_rise,
                            follow,
                            growth,
                            first,
                            start,
                            pieces,
                            table,
                        )
                out[b, w] = q
                if rising and 0.0 < q < math.inf:
                    # The last sample before q, seen from 1.
                    if upwards:
                        while begin < highest_rise and grid[begin + 1] < q:
                            begin += 1
                    else:
                        while begin > lowest_rise and grid[begin - 1] > q:
                            begin -= 1


@kernel("float64(float64)")
def scale_of(slope: float) -> float:
    """−1/log|slope|, inf at 1, 0 at 0 and inf, nan at nan."""
    size = abs(slope)
    if math.isnan(size):
        return math.nan
    if size == 0.0 or math.isinf(size):
        return 0.0
    if abs(size - 1.0) <= 1e-14:
        return math.inf
    return -1.0 / math.log(size)


@kernel(
    "void(float64[::1], float64[::1], float64[:,::1], boolean, float64, float64, int64, int64[::1], int64[::1], float64[:,:,::1], "
    "int64, int64[::1], int64[::1], float64[::1], float64[::1], float64[:,:,::1], float64[:,:,::1], int8[:,::1])"
)
def fill_correlations(
    sigma_w: Array,
    sigma_b: Array,
    q_star: Array,
    jumping: bool,
    slope_zero: float,
    slope_far: float,
    first: int,
    start: Integers,
    pieces: Integers,
    table: Array,
    piece_first: int,
    piece_start: Integers,
    piece_count: Integers,
    low: Array,
    high: Array,
    series: Array,
    out: Array,
    phase: Integers,
) -> None:
    """From q*: out[0 … 6] = F', ε*, c*, χ₁, ξ_q, ξ_c, ξ_∇, and the phase.

    table: columns V, q dV/dq, V[φ'], E[φ]. slope_zero and slope_far: ½(φ'(0−)² + φ'(0+)²), and the same of the tails.
    """
    nodes, terms = series.shape[1], series.shape[2] - 1
    weights = np.empty(nodes)
    c = np.empty(terms)
    for b in range(sigma_b.size):
        bias = sigma_b[b] ** 2
        for w in range(sigma_w.size):
            weight = sigma_w[w] ** 2
            q = q_star[b, w]
            epsilon, correlation, slope_c = 0.0, 1.0, 1.0
            if math.isnan(q):
                continue
            if weight == 0.0:
                slope_q, chi, slope_c = 0.0, 0.0, 0.0
            elif q == 0.0 or math.isinf(q):
                slope_q = weight * (slope_zero if q == 0.0 else slope_far)
                chi = math.inf if jumping else slope_q
                if math.isinf(q) and math.isinf(slope_far):  # steeper than linear: the correlation map has no limit
                    epsilon, correlation, slope_c = math.nan, math.nan, math.nan
            else:
                slope_q = weight * moment(q, first, start, pieces, table[1]) / q
                chi = math.inf if jumping else weight * moment(q, first, start, pieces, table[2])
                slope_c = chi
                if chi > 1.0 + 1e-12:
                    gain = weight / q
                    exponent = math.log(q) / math.log(4.0)
                    piece = math.floor(exponent)
                    number = min(max(piece - piece_first, 0), piece_count.size - 1)
                    u = 2.0 * (exponent - (number + piece_first)) - 1.0
                    weights[0], weights[1] = 1.0, u
                    for k in range(2, nodes):
                        weights[k] = 2.0 * u * weights[k - 1] - weights[k - 2]
                    root = math.sqrt(q)
                    stretch = math.asinh(math.pi * root)
                    mean = moment(q, first, start, pieces, table[3])
                    at_zero = (bias + weight * mean * mean) / q
                    # f(0) = 0 and f convex: c* = 0, and no rounding of h may move it.
                    orthogonal = at_zero <= 1e-28
                    # Panels from θ = π/2 down, until h at the panel's lower end is above the target.
                    row = piece_start[number] + piece_count[number] - 1
                    a, z = low[row], high[row]
                    left = 0.0
                    while True:
                        a, z = low[row], high[row]
                        row_at(weights, series, row, c)
                        left = 0.0
                        for k in range(terms - 1, -1, -1):
                            left += c[k] if k % 2 == 0 else -c[k]
                        if row == piece_start[number] or orthogonal:
                            break
                        half = math.sin(0.5 * math.sinh(stretch * a) / (2.0 * root))
                        if (0.5 * gain * left - half if jumping else gain * left - 1.0) >= 0.0:
                            break
                        row -= 1
                    offset = 0.0
                    if row == piece_start[number] and not jumping:
                        offset = q * moment(q, first, start, pieces, table[2]) - left
                    t0, t1 = -1.0, 1.0
                    t = 0.0
                    value, slope, theta = 0.0, 0.0, 0.0
                    # The upper end of the panel, where every Tₖ is 1.
                    for k in range(terms - 1, -1, -1):
                        value += c[k]
                        slope += k * k * c[k]
                    slope -= 0.5 * offset
                    end = math.sin(0.5 * math.sinh(stretch * z) / (2.0 * root)) if jumping else 1.0
                    at_end = orthogonal or (0.5 * gain * value if jumping else gain * value) - end >= 0.0
                    last = False
                    # Start where the line between the ends leads: a start from the neighbouring cells would end in other bits.
                    below, above = gain * (left + offset) - 1.0, gain * value - 1.0
                    if jumping:
                        below, above = 0.5 * gain * left - math.sin(0.5 * math.sinh(stretch * a) / (2.0 * root)), 0.5 * gain * value - end
                    t = 1.0 if at_end else min(2.0 * below / (below - above) - 1.0 if below > 0.0 > above else -0.9, 0.9)
                    for _ in range(0 if at_end else 80):
                        b1, b2, d1, d2 = 0.0, 0.0, 0.0, 0.0
                        for k in range(terms - 1, 0, -1):
                            d1, d2 = 2.0 * t * d1 - d2 + 2.0 * b1, d1
                            b1, b2 = 2.0 * t * b1 - b2 + c[k], b1
                        value = t * b1 - b2 + c[0] + offset * 0.5 * (1.0 - t)
                        slope = b1 + t * d1 - d2 - 0.5 * offset
                        if last:
                            break
                        if jumping:
                            theta = math.sinh(stretch * (0.5 * (a + z) + 0.5 * (z - a) * t)) / (2.0 * root)
                            stride = 0.5 * (z - a) * stretch * math.sqrt(1.0 + 4.0 * q * theta * theta) / (2.0 * root)  # dθ/dt
                            excess = 0.5 * gain * value - math.sin(0.5 * theta)
                            change = 0.5 * gain * slope - 0.5 * math.cos(0.5 * theta) * stride
                        else:
                            excess = gain * value - 1.0
                            change = gain * slope
                        if excess > 0.0:
                            t0 = t
                        elif excess < 0.0:
                            t1 = t
                        else:
                            break
                        after = t - excess / change if change != 0.0 else math.nan
                        # Relative to the distance from the panel's lower end: ε* near criticality lies close to 0.
                        # Newton's step squares the error, so one so short is the last.
                        if t0 < after < t1:
                            last = abs(after - t) <= 1e-9 * (1.0 + t) + 1e-300
                        else:
                            after = 0.5 * (t0 + t1)
                            last = t1 - t0 <= 1e-16 * (1.0 + t)
                        t = after
                    theta = math.sinh(stretch * (0.5 * (a + z) + 0.5 * (z - a) * t)) / (2.0 * root)
                    if at_end and z >= 1.0:
                        theta = 0.5 * math.pi
                    stride = 0.5 * (z - a) * stretch * math.sqrt(1.0 + 4.0 * q * theta * theta) / (2.0 * root)
                    loss = -math.tan(0.5 * theta) * slope / stride / value + (0.5 if jumping else 0.0)
                    slope_c = 1.0 - loss
                    epsilon = 2.0 * math.sin(0.5 * theta) ** 2
                    correlation = math.cos(theta)
                    if at_end and z >= 1.0:
                        correlation = at_zero / loss if not orthogonal and loss > 0.0 else 0.0
                        epsilon = 1.0 - correlation
            out[0, b, w] = slope_q
            out[1, b, w] = epsilon
            out[2, b, w] = correlation
            out[3, b, w] = chi
            out[4, b, w] = scale_of(slope_q)
            out[5, b, w] = scale_of(slope_c)
            out[6, b, w] = math.inf if abs(chi - 1.0) <= 1e-12 else scale_of(chi)
            phase[b, w] = 0 if abs(chi - 1.0) <= 1e-12 else (1 if chi > 1.0 else -1)
