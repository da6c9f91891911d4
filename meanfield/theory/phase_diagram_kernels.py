"""Compiled loops over the cells of a phase diagram.

What many cells share goes through as tuples: a moment table (the first octave, where each begins, its pieces, the columns); a scan (V(0),
grid, V and dV/dq on it, the place of q = 1, the first and last sample to which F rises, d log V/d log q at the end); and the series of the
correlation map (the first piece, where each begins, its panels, their ends in s, the coefficients).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from meanfield.expectation.angle_kernels import row_at
from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array, Integers

    Table: TypeAlias = "tuple[int, Integers, Integers, Array]"
    Scan: TypeAlias = "tuple[float, Array, Array, Array, int, int, int, float]"
    Series: TypeAlias = "tuple[int, Integers, Integers, Array, Array, Array]"

_TABLE = "Tuple((i8, i8[::1], i8[::1], f8[:,:,::1]))"
_SCAN = "Tuple((f8, f8[::1], f8[::1], f8[::1], i8, i8, i8, f8))"
_SERIES = "Tuple((i8, i8[::1], i8[::1], f8[::1], f8[::1], f8[:,:,::1]))"
V, Q_DV, V1, MEAN = range(4)  # columns of the table
ALMOST = 8e-15  # |F(q) − q|/q up to which rounding decides
NONE = -1.0  # no fixed point seen


@kernel(f"f8(f8, {_TABLE}, i8)")
def moment(q: float, table: Table, column: int) -> float:
    """One column of a moment table at q (kernels.evaluate_octaves has the layout); all octaves of the grid are ready."""
    first, start, pieces, columns = table
    mantissa, exponent = math.frexp(q)
    octave = min(max(exponent - 1 - first, 0), start.size - 1)
    count = pieces[octave]
    position = (2.0 * mantissa - 1.0) * count
    piece = min(int(position), count - 1)
    t = 2.0 * (position - piece) - 1.0
    row = start[octave] + piece
    square = t * t
    last = columns.shape[2] - 1
    even, odd = columns[column, row, last - 1], columns[column, row, last]
    for k in range(last - 3, -1, -2):
        even = even * square + columns[column, row, k]
        odd = odd * square + columns[column, row, k + 1]
    return float(even + t * odd)


@kernel(f"f8(f8, f8, f8, f8, f8, f8, {_TABLE})")
def fixed_point_between(weight: float, bias: float, low: float, high: float, side: float, guess: float, table: Table) -> float:
    """The root of F(q) − q in [low, high], side being the sign of F − q at low: Newton kept inside the bracket."""
    q = guess if low < guess < high else 0.5 * (low + high)
    for _ in range(200):
        value = bias + weight * moment(q, table, V) - q
        if value == 0.0:
            return q
        if value * side > 0.0:
            low = q
        else:
            high = q
        slope = weight * moment(q, table, Q_DV) / q - 1.0
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


@kernel(f"f8(f8, f8, {_SCAN}, {_TABLE})")
def followed(weight: float, bias: float, scan: Scan, table: Table) -> float:
    """Where the recursion from q = 1 is after 400 steps, or where it settles or leaves the grid; nan where no more is known there."""
    origin, grid, _, _, _, _, _, growth = scan
    q = 1.0
    for _ in range(400):
        after = bias + weight * moment(q, table, V)
        if (after <= grid[0] and math.isnan(origin)) or (after >= grid[-1] and math.isnan(growth)):
            return math.nan
        if abs(after - q) <= 1e-15 * q or after <= grid[0] or after >= grid[-1]:
            return after
        q = after
    return q


@kernel(f"f8(f8, f8, {_SCAN}, b1)")
def beyond(weight: float, bias: float, scan: Scan, above: bool) -> float:
    """Where the recursion goes that passes an end of the grid."""
    origin, _, _, slopes, _, _, _, growth = scan
    if not above:
        return 0.0 if bias == 0.0 and origin == 0.0 else bias + weight * origin
    # F > q at the end of the grid: divergence, unless φ² grows no faster than x² and F more slowly than q.
    if math.isnan(growth):
        return math.nan
    return math.inf if growth > 1.0 + 1e-6 or weight * slopes[-1] >= 1.0 else math.nan


@kernel(f"f8(f8, f8, f8, f8, f8, {_TABLE})")
def hidden_between(weight: float, bias: float, here: float, there: float, side: float, table: Table) -> float:
    """The first of two roots between samples, from F − q at its extremum between them; NONE where that has the sign of both ends."""
    a, b = here, there
    direction = 1 if there > here else -1
    for _ in range(60):
        middle = 0.5 * (a + b)
        value = (bias + weight * moment(middle, table, V) - middle) * side
        if value <= 0.0:
            low, high = min(here, middle), max(here, middle)
            return fixed_point_between(weight, bias, low, high, side if direction > 0 else -side, 0.5 * (here + middle), table)
        if direction * (weight * moment(middle, table, Q_DV) / middle - 1.0) * side < 0.0:
            a = middle
        else:
            b = middle
        if abs(b - a) <= 1e-12 * b:
            break
    return NONE


@kernel(f"f8(f8, f8, {_SCAN}, i8, b1, {_TABLE})")
def recursion_limit(weight: float, bias: float, scan: Scan, begin: int, follow: bool, table: Table) -> float:
    """Where the variance recursion from q = 1 goes: 0, a fixed point, or inf; NaN for one beyond the grid.

    V(0) is NaN where the grid begins too late, the growth where it ends too early. Where F increases, the limit is the next fixed point in
    the direction of the first step, and none lies between q = 1 and `begin` on that side. Where that leads further (NONE) the map itself
    is to be followed first (follow).
    """
    _, grid, values, slopes, one, lowest_rise, highest_rise, _ = scan
    i = one
    if follow:
        q = followed(weight, bias, scan, table)
        if math.isnan(q):
            return q
        i = min(max(int(np.searchsorted(grid, q)), 1), grid.size - 2)
        if abs(bias + weight * moment(q, table, V) - q) <= ALMOST * q:
            return q
    here = bias + weight * values[i] - grid[i]
    if not follow and abs(here) <= ALMOST * grid[i]:
        return float(grid[i])
    side = 1.0 if here > 0.0 else -1.0
    direction = 1 if here > 0.0 else -1
    if not follow and (begin - i) * direction > 0:
        there = bias + weight * values[begin] - grid[begin]
        if there * side > ALMOST * grid[begin]:
            i, here = begin, there
    j = i
    while True:
        j += direction
        if j < 0 or j >= grid.size:
            return beyond(weight, bias, scan, j > 0)
        if not follow and not lowest_rise <= j <= highest_rise:
            return NONE
        there = bias + weight * values[j] - grid[j]
        if abs(there) <= ALMOST * grid[j]:  # rounding decides nothing: the sample after it does
            continue
        if there * side < 0.0:
            secant = grid[i] - here * (grid[j] - grid[i]) / (there - here)
            low, high = min(grid[i], grid[j]), max(grid[i], grid[j])
            return fixed_point_between(weight, bias, low, high, side if direction > 0 else -side, secant, table)
        # Two roots may hide between samples: where F − q turns back towards 0, look at its extremum.
        if direction * (weight * slopes[i] - 1.0) * side < 0.0 < direction * (weight * slopes[j] - 1.0) * side:
            found = hidden_between(weight, bias, grid[i], grid[j], side, table)
            if found != NONE:
                return found
        i, here = j, there


@kernel(f"i8(f8, i8, {_SCAN}, b1)")
def nearest_sample(q: float, begin: int, scan: Scan, upwards: bool) -> int:
    """The last sample before q, seen from 1."""
    _, grid, _, _, _, lowest_rise, highest_rise, _ = scan
    if upwards:
        while begin < highest_rise and grid[begin + 1] < q:
            begin += 1
    else:
        while begin > lowest_rise and grid[begin - 1] > q:
            begin -= 1
    return begin


@kernel(f"void(f8[::1], f8, {_SCAN}, {_TABLE}, b1, b1, f8[::1])")
def fill_row(sigma_w: Array, bias: float, scan: Scan, table: Table, upwards: bool, rising: bool, out: Array) -> None:
    """q* at one σ_b for those σ_w at which the first step goes up, or for the others."""
    _, grid, values, _, one, _, _, _ = scan
    begin = one
    for k in range(sigma_w.size):
        w = k if upwards else sigma_w.size - 1 - k
        weight = sigma_w[w] ** 2
        if (bias + weight * values[one] - grid[one] > 0.0) != upwards:
            continue
        q = recursion_limit(weight, bias, scan, begin, False, table)
        if q < 0.0:
            q = recursion_limit(weight, bias, scan, begin, True, table)
        out[w] = q
        if rising and 0.0 < q < math.inf:
            begin = nearest_sample(q, begin, scan, upwards)


@kernel(f"void(f8[::1], f8[::1], {_SCAN}, {_TABLE}, f8[:,::1])")
def fill_variances(sigma_w: Array, sigma_b: Array, scan: Scan, table: Table, out: Array) -> None:
    """out[b, w] = q*."""
    # F grows with σ_w. So where F increases in q, a larger σ_w ends no lower: what lies between 1 and the last limit above 1
    # need not be searched again, and going down in σ_w the same holds below 1.
    rising = True
    for w in range(1, sigma_w.size):
        rising = rising and sigma_w[w] >= sigma_w[w - 1]
    for b in range(sigma_b.size):
        for upwards in (True, False):
            fill_row(sigma_w, sigma_b[b] ** 2, scan, table, upwards, rising, out[b])


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


@kernel(f"i8(f8, {_SERIES}, f8[::1])")
def piece_of(q: float, series: Series, weights: Array) -> int:
    """The piece of the correlation table that holds q, and the Chebyshev polynomials there."""
    first, _, count, _, _, _ = series
    exponent = math.log(q) / math.log(4.0)
    number = min(max(math.floor(exponent) - first, 0), count.size - 1)
    u = 2.0 * (exponent - (number + first)) - 1.0
    weights[0], weights[1] = 1.0, u
    for k in range(2, weights.size):
        weights[k] = 2.0 * u * weights[k - 1] - weights[k - 2]
    return int(number)


@kernel(f"f8({_SERIES}, i8, f8[::1], f8[::1])")
def lower_end(series: Series, row: int, weights: Array, c: Array) -> float:
    """A panel's series c in t at one q, and its value at t = −1."""
    coefficients = series[5]
    row_at(weights, coefficients, row, c)
    left = 0.0
    for k in range(c.size - 1, -1, -1):
        left += c[k] if k % 2 == 0 else -c[k]
    return left


@kernel("f8(f8, f8, f8, f8, f8)")
def angle_at(t: float, a: float, z: float, stretch: float, root: float) -> float:
    """θ on the panel of s in [a, z], t in [−1, 1]."""
    return math.sinh(stretch * (0.5 * (a + z) + 0.5 * (z - a) * t)) / (2.0 * root)


@kernel("f8(f8, f8, f8, f8, f8, f8)")
def stride_at(theta: float, a: float, z: float, stretch: float, root: float, q: float) -> float:
    """dθ/dt there."""
    return 0.5 * (z - a) * stretch * math.sqrt(1.0 + 4.0 * q * theta * theta) / (2.0 * root)


@kernel("UniTuple(f8, 3)(f8, f8[::1], f8, f8, b1, f8, f8, f8, f8, f8)")
def crossing(
    t: float, c: Array, gain: float, offset: float, jumping: bool, a: float, z: float, stretch: float, root: float, q: float
) -> tuple[float, float, float]:
    """t, h and dh/dt where gain·h = 1, or where ½ gain·g = sin(θ/2), on a panel: Newton kept inside the bracket."""
    t0, t1, last = -1.0, 1.0, False
    value, slope = 0.0, 0.0
    for _ in range(80):
        b1, b2, d1, d2 = 0.0, 0.0, 0.0, 0.0
        for k in range(c.size - 1, 0, -1):
            d1, d2 = 2.0 * t * d1 - d2 + 2.0 * b1, d1
            b1, b2 = 2.0 * t * b1 - b2 + c[k], b1
        value = t * b1 - b2 + c[0] + offset * 0.5 * (1.0 - t)
        slope = b1 + t * d1 - d2 - 0.5 * offset
        if last:
            break
        if jumping:
            theta = angle_at(t, a, z, stretch, root)
            excess = 0.5 * gain * value - math.sin(0.5 * theta)
            change = 0.5 * gain * slope - 0.5 * math.cos(0.5 * theta) * stride_at(theta, a, z, stretch, root, q)
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
    return t, value, slope


@kernel(f"UniTuple(f8, 3)(f8, f8, f8, b1, {_TABLE}, {_SERIES}, f8[::1], f8[::1])")
def chaotic_point(
    q: float, weight: float, bias: float, jumping: bool, table: Table, series: Series, weights: Array, c: Array
) -> tuple[float, float, float]:
    """ε*, c* and f'(c*) where χ₁ > 1."""
    _, start, count, low, high, _ = series
    gain = weight / q
    number = piece_of(q, series, weights)
    root = math.sqrt(q)
    stretch = math.asinh(math.pi * root)
    mean = moment(q, table, MEAN)
    at_zero = (bias + weight * mean * mean) / q
    # f(0) = 0 and f convex: c* = 0, and no rounding of h may move it.
    orthogonal = at_zero <= 1e-28
    # Panels from θ = π/2 down, until h at the panel's lower end is above the target.
    row = start[number] + count[number] - 1
    left = lower_end(series, row, weights, c)
    while row != start[number] and not orthogonal:
        half = math.sin(0.5 * math.sinh(stretch * low[row]) / (2.0 * root))
        if (0.5 * gain * left - half if jumping else gain * left - 1.0) >= 0.0:
            break
        row -= 1
        left = lower_end(series, row, weights, c)
    a, z = low[row], high[row]
    offset = 0.0
    if row == start[number] and not jumping:
        offset = q * moment(q, table, V1) - left
    value, slope = 0.0, 0.0
    # The upper end of the panel, where every Tₖ is 1.
    for k in range(c.size - 1, -1, -1):
        value += c[k]
        slope += k * k * c[k]
    slope -= 0.5 * offset
    end = math.sin(0.5 * math.sinh(stretch * z) / (2.0 * root)) if jumping else 1.0
    at_end = orthogonal or (0.5 * gain * value if jumping else gain * value) - end >= 0.0
    # Start where the line between the ends leads: a start from the neighbouring cells would end in other bits.
    below, above = gain * (left + offset) - 1.0, gain * value - 1.0
    if jumping:
        below, above = 0.5 * gain * left - math.sin(0.5 * math.sinh(stretch * a) / (2.0 * root)), 0.5 * gain * value - end
    t = 1.0
    if not at_end:
        t = min(2.0 * below / (below - above) - 1.0 if below > 0.0 > above else -0.9, 0.9)
        t, value, slope = crossing(t, c, gain, offset, jumping, a, z, stretch, root, q)
    theta = 0.5 * math.pi if at_end and z >= 1.0 else angle_at(t, a, z, stretch, root)
    loss = -math.tan(0.5 * theta) * slope / stride_at(theta, a, z, stretch, root, q) / value + (0.5 if jumping else 0.0)
    if at_end and z >= 1.0:
        correlation = at_zero / loss if not orthogonal and loss > 0.0 else 0.0
        return 1.0 - correlation, correlation, 1.0 - loss
    return 2.0 * math.sin(0.5 * theta) ** 2, math.cos(theta), 1.0 - loss


@kernel(f"void(f8[::1], f8[::1], f8[:,::1], b1, f8, f8, {_TABLE}, {_SERIES}, f8[:,:,::1], i1[:,::1])")
def fill_correlations(
    sigma_w: Array,
    sigma_b: Array,
    q_star: Array,
    jumping: bool,
    slope_zero: float,
    slope_far: float,
    table: Table,
    series: Series,
    out: Array,
    phase: Integers,
) -> None:
    """From q*: out[0 … 6] = F', ε*, c*, χ₁, ξ_q, ξ_c, ξ_∇, and the phase.

    slope_zero and slope_far: ½(φ'(0−)² + φ'(0+)²), and the same of the tails.
    """
    weights, c = np.empty(series[5].shape[1]), np.empty(series[5].shape[2] - 1)
    for b in range(sigma_b.size):
        for w in range(sigma_w.size):
            weight, q = sigma_w[w] ** 2, q_star[b, w]
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
                slope_q = weight * moment(q, table, Q_DV) / q
                chi = math.inf if jumping else weight * moment(q, table, V1)
                slope_c = chi
                if chi > 1.0 + 1e-12:
                    epsilon, correlation, slope_c = chaotic_point(q, weight, sigma_b[b] ** 2, jumping, table, series, weights, c)
            out[0, b, w] = slope_q
            out[1, b, w] = epsilon
            out[2, b, w] = correlation
            out[3, b, w] = chi
            out[4, b, w] = scale_of(slope_q)
            out[5, b, w] = scale_of(slope_c)
            out[6, b, w] = math.inf if abs(chi - 1.0) <= 1e-12 else scale_of(chi)
            phase[b, w] = 0 if abs(chi - 1.0) <= 1e-12 else (1 if chi > 1.0 else -1)
