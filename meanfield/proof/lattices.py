"""E[f(u) g(v)] by sums over equidistant points, whose error falls exponentially with the strip in which the integrand is analytic.

For g analytic on |Re z| ≤ R, |Im z| ≤ a, with R = (n + ½)h: the sum h Σ g(jh), |j| ≤ n, differs from ∫ over [−R, R] by at most
(∫|g(x + ia)| + ∫|g(x − ia)|)/(exp(2πa/h) − 1) and what the two ends x = ±R add, ∫₀ᵃ |g(±R ± iy)| exp(−2πy/h) dy each (residues).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from meanfield.proof.balls import Ball, ProofError, ball, flint, precision
from meanfield.proof.jets import REALS, program
from meanfield.proof.sides import Side, beyond, complex_bound

_MOST_POINTS = 60_000
_MOST_NODES = 40
_STRIPS = 100


_MARGIN = 1  # a lattice may end so much beyond the reach: a step and a half


def _step(strips: list[tuple[float, float]], lost: float) -> Fraction:
    """The widest step with 2πa/h − κa² ≥ lost for each (a, κ), as a dyadic number."""
    h = min(2 * math.pi * a / (lost + kappa * a * a) for a, kappa in strips)
    return Fraction(int(h * 2**50), 2**50)


def _lattice(step: Fraction, reach: Ball, most: int) -> tuple[int, Ball, Ball]:
    """n, h and R = (n + ½)h, at least the reach and at most _MARGIN more."""
    n = int(float(reach) / float(step)) + 1
    h = ball(step)
    end = h * (2 * n + 1) / 2
    if n > most or not (end >= reach and end <= reach + _MARGIN):
        raise ProofError("a lattice with too many points, or too few")
    return n, h, end


def _left_over(a: Ball, kappa: Ball, h: Ball, reach: Ball) -> Ball:
    """The error of a sum where |integrand| ≤ exp(κy²) n(x) on the strip, n the density of N(0, 1).

    At the ends κy² ≤ 2πy/h for y ≤ a, so that each adds no more than 2a n(R).
    """
    if not kappa * a <= 2 * flint.arb.pi() / h:
        raise ProofError("a strip that is too wide for its step")
    density = (-(reach**2) / 2).exp() / (2 * flint.arb.pi()).sqrt()
    return 2 * (kappa * a * a).exp() / ((2 * flint.arb.pi() * a / h).exp() - 1) + 4 * a * density


def _strip(side: Side, reach: Ball, widest: float) -> tuple[float, Ball]:
    """A half-height a, in units of √q, and a bound of |f| on [−reach − a, reach + a] × [−a, a]·i."""
    root, a = side.q.sqrt(), widest
    for _ in range(_STRIPS):
        end = (reach + flint.arb(a)) * root
        with precision(64):
            most = complex_bound(side, side.pieces.pieces[0], -end, end, flint.arb(a) * root, 512)
        if most is not None:
            return a, most
        a *= 0.85
    raise ProofError("f is not shown to be analytic in a strip")


def _values(side: Side, points: list[Ball]) -> list[Ball]:
    run, root, k = program(side.pieces.pieces[0].tree).run, side.q.sqrt(), side.k
    found = [run(root * x, k, REALS)[k] for x in points]
    return found if side.sign > 0 else [-value for value in found]


def _not_tiny(value: Ball) -> Ball:
    """The value, or a ball around 0 with it: products of polynomials do not end in minutes where coefficients span a million digits."""
    least = flint.arb(2) ** (-4 * flint.ctx.prec)
    return flint.arb(0, least) if value.abs_upper() < least else value


def _outside(f: Side, g: Side, reach: Ball) -> Ball:
    """A bound of what |z₁| > R or |z₂| > R adds: E[exp(|z₁| + |z₂|); |z₁| > R] ≤ 2√e E[exp 2|z₁|; |z₁| > R]."""
    return f.most * g.most * beyond(flint.arb(2), reach) * 4 * (flint.arb(1) / 2).exp()


def both(f: Side, g: Side, c: Fraction, same: bool, reach: Ball, tolerance: Ball) -> Ball:
    """By a lattice in (z₁, z₂) for f and g analytic on the whole line, 0 < c < 1.

    The density is exp(−αd² − β(z₁² + z₂²))/(2πσ), d = z₁ − z₂, σ² = 1 − c², α = c/2σ², β = 1/2(1 + c): on a lattice a convolution. A shift
    of one variable by iy multiplies it by exp(y²/2σ²).
    """
    variance = 1 - ball(c) ** 2
    sigma = variance.sqrt()
    widest = float(sigma) * math.sqrt(2 * -float(tolerance.log()) + 40) if tolerance > 0 else 0.0
    strips = [_strip(side, reach + _MARGIN, widest) for side in ((f,) if same else (f, g))]
    largest = strips[0][1] * strips[-1][1]
    lost = float((largest / tolerance).log()) + 3
    kappa = 1 / (2 * variance)
    step = _step([(a, float(kappa) * (1 + 1e-9)) for a, _ in strips], lost)
    n, h, end = _lattice(step, reach, _MOST_POINTS)
    alpha, beta = ball(c) * kappa * h * h, h * h / (2 * (1 + ball(c)))
    squares = [flint.arb(i * i) for i in range(2 * n + 1)]
    bells = [(-beta * squares[i]).exp() for i in range(n + 1)]
    points = [h * i for i in range(-n, n + 1)]
    parts = [[_not_tiny(v * bells[abs(i)]) for i, v in enumerate(_values(side, points), -n)] for side in ((f,) if same else (f, g))]
    folded = flint.arb_poly(parts[0]) * flint.arb_poly(parts[-1][::-1])  # the coefficient of 2n + d: the sum over z₁ − z₂ = dh
    total = flint.arb(0)
    for d in range(2 * n + 1):
        weight = (-alpha * squares[d]).exp()
        total = total + weight * (folded[2 * n + d] + folded[2 * n - d] if d else folded[2 * n])
    # ∫∫ − ΣΣ = ∫(∫ − Σ) + Σ(∫ − Σ); a sum of the density along one axis is at most 1 + h.
    error = sum((_left_over(flint.arb(a), kappa, h, end) for a, _ in (strips[0], strips[-1])), flint.arb(0)) * largest * (1 + h)
    error = error + _outside(f, g, end)
    return total * h * h / (2 * flint.arb.pi() * sigma) + error.union(-error)


def common(f: Side, g: Side, s: Fraction, same: bool, reach: Ball, tolerance: Ball) -> Ball:
    """By a lattice in the common part X, with F(X) = E_T[f(√q(√s X + √(1−s) T))] by a Gauss–Hermite rule: for s near 1.

    On |T| ≤ R, f is its Taylor polynomial of degree 2N − 1 around √(qs) X and at most 2M(δ|T|)^2N more, where |f| ≤ M up to a distance ρ,
    δ = √(q(1−s))/ρ and δR ≤ ½; here ρ = a√q. The rule is exact for the polynomial, and no larger than the mean for T^2N.
    """
    shift, own = ball(s).sqrt(), (1 - ball(s)).sqrt()
    far = (reach + _MARGIN) * (shift + own)
    widest = math.sqrt(2 * -float(tolerance.log()) + 40)
    strips = [_strip(side, far, widest) for side in ((f,) if same else (f, g))]
    largest = strips[0][1] * strips[-1][1]
    lost = float((largest / tolerance).log()) + 3
    half = flint.arb(1) / 2
    step = _step([(a, 0.5) for a, _ in strips], lost)
    n, h, end = _lattice(step, reach, _MOST_POINTS // 4)
    bells = [(-((h * i) ** 2) / 2).exp() for i in range(n + 1)]
    columns, bounds = [], []
    for side, (a, most) in zip((f,) if same else (f, g), strips, strict=False):
        delta = own / flint.arb(a)  # |f| ≤ M at distances up to a from √s X
        if not delta * reach <= half:
            raise ProofError("the two inputs are not close enough")
        nodes, error = _hermite(delta, most, reach, tolerance / (16 * (1 + largest)))
        column = []
        for i in range(-n, n + 1):
            centre = shift * h * i
            values = _values(side, [centre + own * t for t, _ in nodes])
            column.append(sum((w * v for (_, w), v in zip(nodes, values, strict=True)), flint.arb(0)) + error.union(-error))
        columns.append(column)
        cut = side.most * end.exp() * beyond(flint.arb(1), reach)
        bounds.append((most, cut))
    total = flint.arb(0)
    for i, (u, v) in enumerate(zip(columns[0], columns[-1], strict=True), -n):
        total = total + u * v * bells[abs(i)]
    (m1, c1), (m2, c2) = bounds[0], bounds[-1]
    slack = c1 * (m2 + c2) + c2 * m1  # F with |T| ≤ R for F itself
    error = _left_over(flint.arb(min(a for a, _ in strips)), half, h, end) * largest + slack + _outside(f, g, end)
    return total * h / (2 * flint.arb.pi()).sqrt() + error.union(-error)


def _hermite(delta: Ball, most: Ball, reach: Ball, tolerance: Ball) -> tuple[tuple[tuple[Ball, Ball], ...], Ball]:
    """Nodes and weights for E[f; |T| ≤ R], and a bound of the error."""
    odd = flint.arb(1)
    for n in range(1, _MOST_NODES + 1):
        odd = odd * (2 * n - 1)  # E[T^2n]
        if not reach**2 > 4 * n + 2:  # all nodes are within √(4N + 2)
            break
        # Σ δ^k E[|T|^k; |T| > R], k < 2n, with (δ|T|)^2n ≤ (|T|/2R)^2n ≤ exp(n|T|/R)
        outside = 2 * n * most * (beyond(flint.arb(0), reach) + beyond(n / reach, reach))
        error = 4 * most * delta ** (2 * n) * odd + outside
        if error < tolerance:
            return _hermite_rule(n, flint.ctx.prec), error
    raise ProofError("the two inputs are not close enough")


@functools.lru_cache(maxsize=64)
def _hermite_rule(n: int, bits: int) -> tuple[tuple[Ball, Ball], ...]:
    """The Gauss rule of N(0, 1) with n nodes: the roots of He_n, and weights (n − 1)!/(n He_(n−1)²)."""
    before, here = flint.fmpz_poly([1]), flint.fmpz_poly([0, 1])
    x = flint.fmpz_poly([0, 1])
    for k in range(1, n):
        before, here = here, x * here - k * before
    with precision(bits + 40):
        roots = [root.real for root, _ in here.complex_roots()]
        lower = flint.arb_poly(before)
        weights = [flint.arb(math.factorial(n - 1)) / (n * lower(root) ** 2) for root in roots]
    return tuple(zip(roots, weights, strict=True))


def smoothed(
    f: Side,
    g: Side,
    s: Fraction,
    at: tuple[Callable[[Ball], Any], ...],
    bounds: tuple[tuple[Ball, Ball], ...],
    reach: Ball,
    tolerance: Ball,
) -> Ball:
    """By a lattice in X for any f and g: |F(X + iY)| ≤ exp(sY²/2(1 − s)) sup|f|, f cut off where it does not count.

    `at` gives F(x) and G(x), in balls that hold what is cut off too; `bounds` those suprema, and what is cut off. Where f = g, once.
    """
    kappa = (1 + ball(s)) / (2 * (1 - ball(s)))  # ½ of the density, and twice s/2(1 − s)
    (m1, c1), (m2, c2) = bounds[0], bounds[-1]
    lost = float((m1 * m2 / tolerance).log()) + 3
    a = math.sqrt(lost / float(kappa))
    step = _step([(a, float(kappa) * (1 + 1e-9))], lost)
    n, h, end = _lattice(step, reach, _MOST_POINTS // 4)
    total = flint.arb(0)
    for i in range(-n, n + 1):
        x = h * i
        values = [side(x) for side in at]
        total = total + values[0] * values[-1] * (-(x * x) / 2).exp()
    error = _left_over(flint.arb(a), kappa, h, end) * m1 * m2 + c1 * (m2 + c2) + c2 * m1 + _outside(f, g, end)
    return total * h / (2 * flint.arb.pi()).sqrt() + error.union(-error)
