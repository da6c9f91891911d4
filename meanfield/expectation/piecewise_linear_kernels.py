"""Two-input expectations of piecewise linear functions, in closed form but for one integral: the bivariate normal orthant.

A function is φ(x) = base + slope x + Σ_k [J_k 1{g_k x > t_k} + S_k (g_k x − t_k)₊], g_k = ±1, t_k ≥ 0: a kink changes what is on the side
that 0 does not lie on, so that kinks far out bring nothing instead of cancelling.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array

FLAT = 1e-150  # sin θ below which u and v are one Gaussian


@kernel("float64(float64)")
def upper(x: float) -> float:
    """P(Z > x)."""
    return 0.5 * math.erfc(x * math.sqrt(0.5))


@kernel("float64(float64)")
def density(x: float) -> float:
    """The standard normal density."""
    return math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


@kernel("float64(float64, float64, float64, float64, float64, float64[:,::1], float64[:,::1])")
def orthant(h: float, k: float, angle: float, sine: float, cosine: float, nodes: Array, weights: Array) -> float:
    """P(X > h, Y > k) at correlation r = cos(angle), absolutely to rounding [Drezner & Wesolowsky 1990; Genz 2004, algorithm BVND].

    Rows of nodes and weights: Gauss–Legendre rules of 6, 12 and 20 points, filled up with zeros.
    """
    size = abs(cosine)
    hk = h * k
    total = 0.0
    if size < 0.925:
        row, count = (0, 6) if size < 0.3 else ((1, 12) if size < 0.75 else (2, 20))
        half = 0.5 * (0.5 * math.pi - angle)  # of arcsin r
        squares = 0.5 * (h * h + k * k)
        for n in range(count):
            sn = math.sin(half * (1.0 + nodes[row, n]))
            total += weights[row, n] * math.exp((sn * hk - squares) / (1.0 - sn * sn))
        return total * half / (2.0 * math.pi) + upper(h) * upper(k)
    if cosine < 0.0:
        k, hk = -k, -hk
    if sine > FLAT:
        # What P(X > h, Y > k) lacks of its value at r = ±1, the integrand's first terms in 1 − r² taken out.
        bs = (h - k) * (h - k)
        square = sine * sine
        c, d = (4.0 - hk) / 8.0, (12.0 - hk) / 80.0
        exponent = -0.5 * (bs / square + hk)
        if exponent > -100.0:
            total = sine * math.exp(exponent) * (1.0 - c * (bs - square) * (1.0 - d * bs) / 3.0 + c * d * square * square)
        if hk > -100.0:
            b = math.sqrt(bs)
            tail = math.sqrt(2.0 * math.pi) * upper(b / sine)
            total -= math.exp(-0.5 * hk) * tail * b * (1.0 - c * bs * (1.0 - d * bs) / 3.0)
        half = 0.5 * sine
        rest = 0.0
        for n in range(20):
            x = half * (1.0 + nodes[2, n])
            xs = x * x
            exponent = -0.5 * (bs / xs + hk)
            if exponent > -100.0:
                rs = math.sqrt(1.0 - xs)
                series = 1.0 + c * xs * (1.0 + 5.0 * d * xs)
                whole = math.exp(-0.5 * hk * xs / ((1.0 + rs) * (1.0 + rs))) / rs
                rest += weights[2, n] * math.exp(exponent) * (series - whole)
        total = (half * rest - total) / (2.0 * math.pi)
    if cosine > 0.0:
        return total + upper(max(h, k))
    if h >= k:
        return -total
    between = upper(h) - upper(k) if h >= 0.0 else upper(-k) - upper(-h)
    return between - total


@kernel(
    "void(float64[::1], float64[::1], float64[::1], int64, float64, float64, float64[::1], float64[::1], float64[::1], float64[::1], "
    "float64[:,::1], float64[:,::1], float64[::1])"
)
def piecewise_linear(
    q1: Array,
    q2: Array,
    theta: Array,
    order: int,
    base: float,
    slope: float,
    side: Array,
    location: Array,
    jump: Array,
    bend: Array,
    nodes: Array,
    weights: Array,
    out: Array,
) -> None:
    """E[φ(u)φ(v)] (order 0), or E[φ'(u)φ'(v)] of a φ without jumps (order 1), at correlations cos θ."""
    kinks = location.size
    alike = np.empty(kinks, dtype=np.int64)  # the first kink as far from 0
    for m in range(kinks):
        alike[m] = m
        for n in range(m):
            if location[n] == location[m]:
                alike[m] = n
                break
    known = np.empty((kinks, kinks, 2))
    for i in range(q1.size):
        known[:] = -1.0
        s1, s2 = math.sqrt(q1[i]), math.sqrt(q2[i])
        sine, cosine = math.sin(theta[i]), math.cos(theta[i])
        near = 2.0 * math.sin(0.5 * theta[i]) ** 2  # 1 − c
        far = 2.0 * math.cos(0.5 * theta[i]) ** 2  # 1 + c
        total = base * base + slope * slope * cosine * s1 * s2 if order == 0 else slope * slope
        for m in range(kinks):
            h, k = location[m] / s1, location[m] / s2
            up1, up2, at1, at2 = upper(h), upper(k), density(h), density(k)
            if order == 0:
                # base E[f], and by Stein's lemma E[u f(v)] = c √(q1 q2) E[f'(v)]
                total += base * (jump[m] * (up1 + up2) + bend[m] * (s1 * (at1 - h * up1) + s2 * (at2 - k * up2)))
                total += slope * cosine * side[m] * (jump[m] * (at1 * s2 + at2 * s1) + bend[m] * s1 * s2 * (up1 + up2))
            else:
                total += slope * side[m] * bend[m] * (up1 + up2)
            for n in range(kinks):
                together = side[m] * side[n] > 0.0
                k = location[n] / s2
                r, less, angle = (cosine, near, theta[i]) if together else (-cosine, far, math.pi - theta[i])
                one, two, way = alike[m], alike[n], 1 if together else 0
                if known[one, two, way] < -0.5:
                    known[one, two, way] = orthant(h, k, angle, sine, r, nodes, weights)
                both = known[one, two, way]
                if order == 1:
                    total += side[m] * side[n] * bend[m] * bend[n] * both
                    continue
                root = max(sine, FLAT)
                given1 = at1 * upper(((k - h) + h * less) / root)  # n(h) P(Y > k | X = h)
                given2 = density(k) * upper(((h - k) + k * less) / root)
                total += jump[m] * jump[n] * both
                if bend[m] != 0.0 and bend[n] != 0.0:  # E[(X − h)₊(Y − k)₊]
                    apart = (h - k) / root
                    edge = root * math.exp(-0.5 * apart * apart - h * k * less / root / root) / (2.0 * math.pi) if sine > FLAT else 0.0
                    total += bend[m] * bend[n] * s1 * s2 * ((r + h * k) * both - k * given1 - h * given2 + edge)
                if jump[m] != 0.0 and bend[n] != 0.0:  # E[1{X > h}(Y − k)₊]
                    total += jump[m] * bend[n] * s2 * (given2 + r * given1 - k * both)
                if bend[m] != 0.0 and jump[n] != 0.0:
                    total += bend[m] * jump[n] * s1 * (given1 + r * given2 - h * both)
        out[i] = total


@kernel(
    "void(float64[::1], float64, int64, float64, float64, float64[::1], float64[::1], float64[::1], float64[::1], float64[::1])",
)
def means(
    centres: Array, tau: float, order: int, base: float, slope: float, side: Array, location: Array, jump: Array, bend: Array, out: Array
) -> None:
    """out[i] = E_T φ(X_i + τT) (order 0), or E_T φ'(X_i + τT) of a φ without jumps (order 1)."""
    for i in range(centres.size):
        total = base + slope * centres[i] if order == 0 else slope
        for k in range(location.size):
            d = (side[k] * centres[i] - location[k]) / tau
            beyond = upper(-d)  # P(g(X + τT) > t)
            if order == 0:
                total += jump[k] * beyond + bend[k] * tau * (density(d) + d * beyond)
            else:
                total += side[k] * bend[k] * beyond
        out[i] = total
