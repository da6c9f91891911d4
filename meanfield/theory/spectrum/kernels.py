"""Compiled transforms of a law of squared slopes at complex ζ, and the curve on which the spectrum of equal layers lies.

With d/μ₁ in the place of d everywhere (mean 1) and M(ζ) = E[d/(ζ − d)] = m, the curve is

    log z(ζ) = log ζ + (L − 1) log h(ζ) + gL log(1 + m(ζ)),   h = ζm/(1 + m) = 1 + E[(d − 1)d/(ζ − d)]/(1 + m),

where it is real; h and 1 + m map the upper half plane to the lower, so both logarithms have arguments in [−π, 0].
A law is the tuple `SlopeLaw.packed`: values of d and weights at the nodes of each panel, of its halves, quarters and so on in heap order,
the least and largest d on each of these pieces, Legendre series of φ'/√μ₁, ends of the panels, atoms, their masses, and a scale.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.polynomial import legendre

from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array

    Law: TypeAlias = "tuple[Array, ...]"

NODES, WEIGHTS = legendre.leggauss(16)
CLOSE = 0.5  # a panel is cut while ζ is nearer to its values of d than this part of their range: 16 nodes then leave 1e-12
DEEP = 50  # cuts of one panel
SQRT_2PI = math.sqrt(2.0 * math.pi)
STEPS = 90  # of a bracketed root
ATTEMPTS = 40  # steps of Newton's method: beside a pole of the density, where z is a square, each halves the distance only

_LAW = "Tuple((f8[:,::1], f8[:,::1], f8[:,::1], f8[:,::1], f8[:,::1], f8[::1], f8[::1], f8[::1], f8[::1], f8[::1]))"
M, N, C, S = 0, 2, 4, 6  # places of the real parts of m, 1 + m, E[(d − 1)d/(ζ − d)], E[dζ/(ζ − d)²]; then E arg(1 − d/ζ)
SIZE = 9


@kernel("f8(f8[:,::1], i8, f8)", allow=("contract",))
def series_at(series: Array, row: int, t: float) -> float:
    """A Legendre series at t, by Clenshaw's recursion."""
    b1, b2 = 0.0, 0.0
    for k in range(series.shape[1] - 1, 0, -1):
        b1, b2 = (2 * k + 1) / (k + 1.0) * t * b1 - (k + 1.0) / (k + 2.0) * b2 + series[row, k], b1
    value: float = t * b1 - 0.5 * b2 + series[row, 0]
    return value


@kernel("f8(f8[:,::1], i8, f8)", allow=("contract",))
def derivative_at(series: Array, row: int, t: float) -> float:
    """The slope of a Legendre series at t: P′_{k+1} = (2k + 1) P_k + P′_{k−1}."""
    total = 0.0
    before, here = 0.0, 1.0  # P_{k−1}, P_k
    slope_before, slope = 0.0, 0.0
    for k in range(series.shape[1] - 1):
        total += series[row, k] * slope
        slope_before, slope = slope, (2 * k + 1) * here + slope_before
        before, here = here, ((2 * k + 1) * t * here - k * before) / (k + 1.0)
    value: float = total + series[row, series.shape[1] - 1] * slope
    return value


@kernel("void(f8, f8, f8, f8, f8, b1, f8[::1])", allow=("contract",))
def add(r: float, versine: float, sine: float, d: float, w: float, angle: bool, out: Array) -> None:
    """What a value d of weight w adds to the transforms at ζ = r e^{iθ}, scaled so that nothing overflows."""
    big = max(r, d)
    t, rho, apart = d / big, r / big, (r - d) / big
    # ρ cos θ − t and ρ − t cos θ, which keep their digits where ζ is beside d.
    a, y, b = apart - rho * versine, rho * sine, apart + t * versine
    size = a * a + y * y
    if size == 0.0:
        size = 1e-300
    inverse = w / size
    m_re, m_im = t * a * inverse, -t * y * inverse
    n_re = rho * b * inverse
    out[0] += m_re
    out[1] += m_im
    out[2] += n_re
    out[3] += m_im
    # E[(d − 1)d/(ζ − d)] = E[(d − 1)ζ/(ζ − d)], as E d = 1: towards ζ = 0 the first would leave the rounding of E d over 1 + m.
    out[4] += (d - 1.0) * (n_re if r < 1.0 else m_re)
    out[5] += (d - 1.0) * m_im
    # E[dζ/(ζ − d)²] is the product of d/(ζ − d) and ζ/(ζ − d).
    out[6] += (m_re * n_re - m_im * m_im) / w
    out[7] += (m_re + n_re) * m_im / w
    if angle:
        out[8] += w * math.atan2(t * sine, b)


@kernel("b1(f8, f8, f8, f8, f8)", allow=("contract",))
def near(r: float, versine: float, sine: float, low: float, high: float) -> bool:
    """Whether ζ is so near to [low, high] that a panel with these values must be cut."""
    big = max(r, high)
    x, y, low, high = r / big * (1.0 - versine), r / big * sine, low / big, high / big
    gap = x - min(max(x, low), high)
    reach = CLOSE * (high - low)
    return gap * gap + y * y < reach * reach


@kernel("void(f8, f8, f8, f8[::1], f8[::1], f8[::1])", allow=("contract", "reassoc"))
def add_nodes(r: float, versine: float, sine: float, values: Array, weights: Array, out: Array) -> None:
    """`add` for the nodes of one piece of a panel, without the angle, in vector registers."""
    m_re, m_im, n_re, c_re, c_im, s_re, s_im = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    inside = r < 1.0  # see add
    for i in range(values.size):
        d, w = values[i], weights[i]
        big = 1.0 / max(r, d)
        t, rho, apart = d * big, r * big, (r - d) * big
        a, y = apart - rho * versine, rho * sine
        inverse = 1.0 / (a * a + y * y)
        mr, mi = t * a * inverse, -t * y * inverse
        nr = rho * (apart + t * versine) * inverse
        m_re += w * mr
        m_im += w * mi
        n_re += w * nr
        c_re += w * (d - 1.0) * (nr if inside else mr)
        c_im += w * (d - 1.0) * mi
        s_re += w * (mr * nr - mi * mi)
        s_im += w * (mr + nr) * mi
    out[0] += m_re
    out[1] += m_im
    out[2] += n_re
    out[3] += m_im
    out[4] += c_re
    out[5] += c_im
    out[6] += s_re
    out[7] += s_im


@kernel(f"void(f8, f8, f8, {_LAW}, i8, f8, f8, b1, f8[::1])")
def cut_piece(r: float, versine: float, sine: float, law: Law, panel: int, start: float, stop: float, angle: bool, out: Array) -> None:
    """A piece near ζ, finer than what is tabulated, by halves until none is near."""
    _, _, _, _, series, lower, upper, _, _, scale = law
    starts, stops = np.empty(DEEP + 2), np.empty(DEEP + 2)
    starts[0], stops[0] = start, stop
    waiting = 1
    middle, half = 0.5 * (lower[panel] + upper[panel]), 0.5 * (upper[panel] - lower[panel])
    while waiting > 0:
        waiting -= 1
        a, b = starts[waiting], stops[waiting]
        one, other = series_at(series, panel, a), series_at(series, panel, b)
        one, other = one * one, other * other
        if near(r, versine, sine, min(one, other), max(one, other)) and b - a > 4e-15 and waiting < DEEP:
            starts[waiting], stops[waiting] = a, 0.5 * (a + b)
            starts[waiting + 1], stops[waiting + 1] = 0.5 * (a + b), b
            waiting += 2
            continue
        centre, size = 0.5 * (a + b), 0.5 * (b - a)
        for i in range(16):
            t = centre + size * NODES[i]
            slope = series_at(series, panel, t)
            z = middle + half * t
            w = scale[0] * half * size * WEIGHTS[i] * math.exp(-0.5 * z * z) / SQRT_2PI
            if w > 0.0:
                add(r, versine, sine, slope * slope, w, angle, out)


@kernel("void(f8, f8, f8, f8[::1], f8[::1], b1, f8[::1])")
def add_each(r: float, versine: float, sine: float, d: Array, w: Array, angle: bool, out: Array) -> None:
    """`add` of those values that have a weight."""
    for i in range(d.size):
        if w[i] > 0.0:
            add(r, versine, sine, d[i], w[i], angle, out)


@kernel("UniTuple(f8, 2)(i8)")
def ends_of(piece: int) -> tuple[float, float]:
    """Where a piece lies on its panel [−1, 1]."""
    level = 0  # pieces of this length lie behind 2^level − 1 longer ones
    while (2 << level) - 1 <= piece:
        level += 1
    size = 2.0 / (1 << level)
    start = -1.0 + (piece - ((1 << level) - 1)) * size
    return start, start + size


@kernel(f"void(f8, f8, {_LAW}, b1, f8[::1])")
def transforms(r: float, theta: float, law: Law, angle: bool, out: Array) -> None:
    """m, 1 + m, E[(d − 1)d/(ζ − d)] and E[dζ/(ζ − d)²] at ζ = r e^{iθ}, and with angle E arg(1 − d/ζ)."""
    values, weights, least, largest, _, lower, _, atoms, masses, _ = law
    out[:] = 0.0
    versine, sine = 2.0 * math.sin(0.5 * theta) ** 2, math.sin(theta)
    pieces = least.shape[1]
    waiting = np.empty(16, dtype=np.int64)
    for panel in range(lower.size):
        waiting[0] = 0
        count = 1
        while count > 0:
            count -= 1
            piece = waiting[count]
            if near(r, versine, sine, least[panel, piece], largest[panel, piece]):
                if 2 * piece + 2 < pieces:
                    waiting[count], waiting[count + 1] = 2 * piece + 1, 2 * piece + 2
                    count += 2
                else:
                    start, stop = ends_of(piece)
                    cut_piece(r, versine, sine, law, panel, start, stop, angle, out)
            else:
                part = slice(16 * piece, 16 * piece + 16)
                if angle:
                    add_each(r, versine, sine, values[panel, part], weights[panel, part], True, out)
                else:
                    add_nodes(r, versine, sine, values[panel, part], weights[panel, part], out)
    add_each(r, versine, sine, atoms, masses, angle, out)


@kernel("void(f8[::1], f8[::1])")
def logarithms(t: Array, out: Array) -> None:
    """log|h|, arg h, log|1 + m|, arg(1 + m), arguments in [−π, 0]; then ∂log h/∂log ζ and ∂log(1 + m)/∂log ζ."""
    m_re, m_im, n_re, n_im = t[0], t[1], t[2], t[3]
    # Squares are taken of numbers scaled to about 1: n may be as small as ζ.
    m_scale, n_scale = max(abs(m_re), abs(m_im)), max(abs(n_re), abs(n_im))
    small = m_re * m_re + m_im * m_im
    m_re, m_im, n_re, n_im = m_re / m_scale, m_im / m_scale, n_re / n_scale, n_im / n_scale
    m_size, n_size = m_re * m_re + m_im * m_im, n_re * n_re + n_im * n_im
    out[2] = 0.5 * math.log1p(2.0 * t[0] + small) if small < 0.25 else 0.5 * math.log(n_size) + math.log(n_scale)
    out[3] = math.atan2(n_im, n_re)
    # δ = h − 1 = E[(d − 1)d/(ζ − d)]/(1 + m)
    c_re, c_im = t[4] / n_scale, t[5] / n_scale
    d_re, d_im = (c_re * n_re + c_im * n_im) / n_size, (c_im * n_re - c_re * n_im) / n_size
    d_size = d_re * d_re + d_im * d_im
    if d_size < 0.25:
        out[0] = 0.5 * math.log1p(2.0 * d_re + d_size)
        out[1] = math.atan2(d_im, 1.0 + d_re)
        out[8] = 0.0
    else:  # m/(1 + m): the caller adds log ζ
        out[0] = 0.5 * math.log(m_size / n_size) + math.log(m_scale / n_scale)
        out[1] = math.atan2(m_im * n_re - m_re * n_im, m_re * n_re + m_im * n_im)
        out[8] = 1.0
    s_re, s_im = t[6] / n_scale, t[7] / n_scale
    # ∂log(1 + m) = −s/(1 + m), and ∂log h = 1 − s/m + s/(1 + m) = 1 − s/(m(1 + m)), which keeps its digits beside an atom.
    v_re, v_im = (s_re * n_re + s_im * n_im) / n_size, (s_im * n_re - s_re * n_im) / n_size
    out[6], out[7] = -v_re, -v_im
    v_re, v_im = v_re / m_scale, v_im / m_scale
    out[4] = 1.0 - (v_re * m_re + v_im * m_im) / m_size
    out[5] = -(v_im * m_re - v_re * m_im) / m_size


@kernel(f"void(f8, f8, f8, f8, {_LAW}, b1, f8[::1], f8[::1], f8[::1])")
def curve_at(log_r: float, theta: float, depth: float, gaussian: float, law: Law, angle: bool, t: Array, logs: Array, out: Array) -> None:
    """out: log|z|, arg z, Re and Im of ∂log z/∂log ζ, −Im m/π, and with angle the mass above, Im G/π.

    G = L E log(1 − d/ζ) + (L − 1) log(1 + m) + gL(m − log(1 + m)) is ∫ m d log z: a distribution function without quadrature.
    """
    transforms(math.exp(log_r), theta, law, angle, t)
    logarithms(t, logs)
    arg_h, arg_n = logs[1], logs[3]
    log_h = logs[0]
    if logs[8] == 1.0:
        log_h += log_r
        arg_h += theta
        if arg_h > math.pi:
            arg_h -= 2.0 * math.pi
    if arg_h > 1.0:  # −π, rounded to the other side of the cut
        arg_h -= 2.0 * math.pi
    if arg_n > 1.0:
        arg_n -= 2.0 * math.pi
    out[0], out[1], out[2], out[3] = log_r, theta, 1.0, 0.0
    if depth > 1.0:  # h may be 0 or infinite where it does not count
        out[0] += (depth - 1.0) * log_h
        out[1] += (depth - 1.0) * arg_h
        out[2] += (depth - 1.0) * logs[4]
        out[3] += (depth - 1.0) * logs[5]
    if gaussian > 0.0:
        out[0] += depth * logs[2]
        out[1] += depth * arg_n
        out[2] += depth * logs[6]
        out[3] += depth * logs[7]
    out[4] = -t[1] / math.pi
    out[5] = 0.0
    if angle:
        out[5] = (depth * t[8] + (depth - 1.0) * arg_n + gaussian * depth * (t[1] - arg_n)) / math.pi


@kernel(f"f8(f8, f8, f8, f8, {_LAW}, f8[::1], f8[::1], f8[::1])")
def angle_at(log_r: float, guess: float, depth: float, gaussian: float, law: Law, t: Array, logs: Array, out: Array) -> float:
    """The one θ in (0, π) with arg z = 0, by bracketed Newton steps in log(θ/(π − θ)); 0 where there is none."""
    low, high = -36.0, 36.0
    u = 0.0
    if 0.0 < guess < math.pi:
        u = math.log(guess / (math.pi - guess))
    u = min(max(u, -35.0), 35.0)
    found_low = False
    before = math.inf
    for _ in range(STEPS):
        theta = math.pi / (1.0 + math.exp(-u))
        curve_at(log_r, theta, depth, gaussian, law, False, t, logs, out)
        value = out[1]
        if value < 0.0:
            low = u
            found_low = True
        else:
            high = u
        slope = out[2] * theta * (math.pi - theta) / math.pi
        step = -value / slope if slope > 0.0 else 0.0
        size = abs(step) / max(1.0, abs(u))
        if slope > 0.0 and (size < 1e-14 or (size < 1e-8 and size > 0.25 * before)):  # the next one would be rounding
            return theta
        before = size
        after = u + step
        if not (low < after < high) or slope <= 0.0 or abs(step) > 8.0:
            after = 0.5 * (low + high)
        if high - low < 1e-14 * max(1.0, abs(low)) or after == u:
            break
        u = after
    if not found_low:
        return 0.0
    return math.pi / (1.0 + math.exp(-u))


@kernel(f"void(f8[::1], f8, f8, f8, {_LAW}, f8[:,::1])")
def trace(log_r: Array, guess: float, depth: float, gaussian: float, law: Law, rows: Array) -> None:
    """For each |ζ|: θ, then what `curve_at` gives."""
    t, logs, out = np.empty(SIZE), np.empty(9), np.empty(6)
    theta = guess
    for i in range(log_r.size):
        found = angle_at(log_r[i], theta, depth, gaussian, law, t, logs, out)
        if found > 0.0:
            theta = found
        curve_at(log_r[i], found, depth, gaussian, law, True, t, logs, out)
        rows[i, 0] = found
        rows[i, 1:] = out


@kernel(f"b1(f8, f8, f8, f8, f8, f8, {_LAW}, f8[::1], f8[::1], f8[::1], f8[::1])")
def newton(
    target: float,
    low: float,
    high: float,
    theta: float,
    depth: float,
    gaussian: float,
    law: Law,
    w: Array,
    t: Array,
    logs: Array,
    out: Array,
) -> bool:
    """ζ with log z = target from a guess w = (log r, θ), by Newton's method in log ζ; whether it came to rest within the bracket."""
    w[1] = theta
    slack = 1e-9 + 0.1 * (high - low)
    before = math.inf
    for _ in range(ATTEMPTS):
        curve_at(w[0], w[1], depth, gaussian, law, False, t, logs, out)
        size = out[2] * out[2] + out[3] * out[3]
        if not size > 0.0:
            return False
        real, imaginary = out[0] - target, out[1]
        step_r = (real * out[2] + imaginary * out[3]) / size
        step_t = (imaginary * out[2] - real * out[3]) / size
        after = w[1] - step_t
        if not (0.0 < after < math.pi) or not (low - slack < w[0] - step_r < high + slack):
            return False
        w[0] -= step_r
        w[1] = after
        step = math.sqrt(step_r * step_r + step_t * step_t) / min(1.0, min(after, math.pi - after))
        # The next one would be smaller still, or is rounding already: of θ, or beside a pole of the density that of log z.
        met = math.sqrt(real * real + imaginary * imaginary) < 1e-15 * max(1.0, abs(target))
        if step < 1e-13 or ((step < 1e-8 or met) and step > 0.25 * before):
            return True
        before = step
    return False


@kernel(f"i8(f8[::1], f8[::1], f8[::1], f8[::1], f8, f8, {_LAW}, b1, f8[:,::1])")
def at_levels(
    targets: Array, log_r: Array, angles: Array, levels: Array, depth: float, gaussian: float, law: Law, above: bool, rows: Array
) -> int:
    """(−Im m/π, mass above) at each log λ, from a table of the curve, levels ascending; how many took the bracketed road."""
    t, logs, out, w = np.empty(SIZE), np.empty(9), np.empty(6), np.empty(2)
    slow = 0
    for j in range(targets.size):
        target = targets[j]
        i = np.searchsorted(levels, target) - 1
        i = min(max(i, 0), levels.size - 2)
        low, high = log_r[i], log_r[i + 1]
        part = (target - levels[i]) / (levels[i + 1] - levels[i])
        # At an end of a band log λ goes like the square of the distance.
        if i == 0 and angles[0] <= 0.0:
            part = math.sqrt(max(part, 0.0))
        if i == levels.size - 2 and angles[i + 1] <= 0.0:
            part = 1.0 - math.sqrt(max(1.0 - part, 0.0))
        w[0] = low + part * (high - low)
        guess = angles[i] + part * (angles[i + 1] - angles[i])
        fine = guess > 0.0 and newton(target, low, high, guess, depth, gaussian, law, w, t, logs, out)
        if not fine:
            slow += 1
            # log λ increases with log r: false position (Illinois), and a bisection every third step.
            a, b = low, high
            at_a, at_b = levels[i] - target, levels[i + 1] - target
            theta, side = max(angles[i], angles[i + 1]), 0
            for step in range(60):
                x = 0.5 * (a + b) if step % 3 == 2 else a - at_a * (b - a) / (at_b - at_a)
                if not a < x < b:
                    x = 0.5 * (a + b)
                found = angle_at(x, theta, depth, gaussian, law, t, logs, out)
                theta = found if found > 0.0 else theta
                value = out[0] - target
                w[0], w[1] = x, found
                if value < 0.0:
                    a, at_a = x, value
                    at_b = 0.5 * at_b if side == -1 else at_b
                    side = -1
                else:
                    b, at_b = x, value
                    at_a = 0.5 * at_a if side == 1 else at_a
                    side = 1
                # As fine as θ, where a band is narrow: down to the rounding of log r and of log z.
                fine_r = max(1e-13 * min(1.0, found), 2e-16) if found > 0.0 else 1e-13
                if b - a < fine_r * max(1.0, abs(x)) or abs(value) < 0.1 * fine_r * max(1.0, abs(target)):
                    break
        curve_at(w[0], w[1], depth, gaussian, law, above, t, logs, out)
        rows[j, 0], rows[j, 1] = out[4], out[5]
    return slow


@kernel(f"void(f8[::1], f8[::1], {_LAW}, f8[:,::1])")
def transforms_at(log_r: Array, theta: Array, law: Law, rows: Array) -> None:
    """`transforms` at several ζ, with the angle."""
    for i in range(log_r.size):
        transforms(math.exp(log_r[i]), theta[i], law, True, rows[i])


@kernel(f"void(f8[::1], f8, f8, {_LAW}, f8[:,::1])")
def on_the_axis(zeta: Array, depth: float, gaussian: float, law: Law, rows: Array) -> None:
    """For real ζ > 0 outside the support of d: log|z|, ∂log z/∂log ζ, m, 1 + m."""
    t, logs, out = np.empty(SIZE), np.empty(9), np.empty(6)
    for i in range(zeta.size):
        curve_at(math.log(zeta[i]), 0.0, depth, gaussian, law, False, t, logs, out)
        rows[i, 0], rows[i, 1], rows[i, 2], rows[i, 3] = out[0], out[2], t[0], t[2]


@kernel(f"f8({_LAW}, i8, f8)")
def place_on(law: Law, panel: int, wanted: float) -> float:
    """The t in [−1, 1] at which d has this value on a panel, on which it is monotone; by halves."""
    series = law[4]
    first, last = series_at(series, panel, -1.0), series_at(series, panel, 1.0)
    rising = last * last > first * first
    low, high = -1.0, 1.0
    for _ in range(53):
        middle = 0.5 * (low + high)
        slope = series_at(series, panel, middle)
        if (slope * slope > wanted) == rising:
            high = middle
        else:
            low = middle
    return 0.5 * (low + high)


@kernel(f"void(f8[::1], {_LAW}, f8[:,::1])")
def slopes_at(levels: Array, law: Law, rows: Array) -> None:
    """Of d itself, at each log d: its density by log d, Σ N(z) d/|∂d/∂z| over the z where d has that value, and the mass above."""
    _, weights, least, largest, series, lower, upper, atoms, masses, scale = law
    root = math.sqrt(2.0)
    found = np.empty(lower.size)
    for j in range(levels.size):
        wanted = math.exp(levels[j])
        density, above, count = 0.0, 0.0, 0
        for i in range(atoms.size):
            if atoms[i] > wanted:
                above += masses[i]
        for panel in range(lower.size):
            if least[panel, 0] >= wanted:
                for i in range(16):
                    above += weights[panel, i]
            elif largest[panel, 0] > wanted:
                t = place_on(law, panel, wanted)
                half = 0.5 * (upper[panel] - lower[panel])
                z = 0.5 * (upper[panel] + lower[panel]) + half * t
                first, last = series_at(series, panel, -1.0), series_at(series, panel, 1.0)
                a, b = (z, upper[panel]) if last * last > first * first else (lower[panel], z)
                above += scale[0] * 0.5 * (math.erf(b / root) - math.erf(a / root))
                again = False  # where panels meet, rounding may find one place on both
                for i in range(count):
                    again = again or abs(found[i] - z) <= 1e-9
                if not again:
                    found[count] = z
                    count += 1
                    slope = abs(derivative_at(series, panel, t)) / half
                    size = abs(series_at(series, panel, t))
                    density += math.exp(-0.5 * z * z) / SQRT_2PI * 0.5 * size / slope if slope > 0.0 else math.inf
        rows[j, 0], rows[j, 1] = scale[0] * density, above
