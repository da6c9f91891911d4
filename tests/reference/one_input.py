"""One-input expectations as rigorous enclosures: adaptive Gauss–Legendre in complex ball arithmetic, piece by piece."""

from __future__ import annotations

from collections.abc import Callable

import flint
import jets
from jets import Ball, Jet
from piecewise import Piecewise

# A piece is cut where the density has fallen by this factor of e since the piece's point nearest 0; what is left out
# is below 1e-40 of what is kept, for every φ here (none grows faster than a cube).
_TAIL = 115

Integrand = Callable[[Jet, Ball, flint.arb], Ball]


def _square(x: Jet, _z: Ball, _q: flint.arb) -> Ball:
    return x.value * x.value


def _slope_square(x: Jet, _z: Ball, _q: flint.arb) -> Ball:
    return x.first * x.first


def _curvature_square(x: Jet, _z: Ball, _q: flint.arb) -> Ball:
    return x.second * x.second


def _plain(x: Jet, _z: Ball, _q: flint.arb) -> Ball:
    return x.value


def _variance_slope_smooth(x: Jet, z: Ball, q: flint.arb) -> Ball:
    return x.value * x.first * z / q


def _variance_slope_jumping(x: Jet, z: Ball, q: flint.arb) -> Ball:
    return x.value * x.value * (z * z / q - 1) / (2 * q)


def quantities(smoothness: str) -> dict[str, Integrand]:
    """What is finite for an activation of this smoothness, by the names of the records."""
    table: dict[str, Integrand] = {"V": _square, "mean": _plain}
    table["dVdq"] = _variance_slope_jumping if smoothness == "jump" else _variance_slope_smooth
    table["V1_ae" if smoothness == "jump" else "V1"] = _slope_square
    if smoothness == "smooth":
        table["V2"] = _curvature_square
    return table


def expectation(phi: Piecewise, integrand: Integrand, q_text: str) -> flint.arb:
    """∫ integrand · N(0, q) dx; the radius of the ball is a proven bound (the cut tails apart)."""
    q = flint.arb(q_text)
    points = phi.points()
    total = flint.arb(0)
    for i, piece in enumerate(phi.pieces):
        low = points[i - 1] if i else None
        high = points[i] if i < len(points) else None
        nearest = low if low is not None and low > 0 else high if high is not None and high < 0 else flint.arb(0)
        reach = (nearest * nearest + 2 * q * _TAIL).sqrt()
        a = low if low is not None and low > -reach else -reach
        b = high if high is not None and high < reach else reach
        if not a < b:
            continue

        def f(z: flint.acb, analytic: bool, piece: Callable[[Jet], Jet] = piece) -> flint.acb:
            value: flint.acb = integrand(piece(jets.variable(z, bool(analytic))), z, q) * (-z * z / (2 * q)).exp()
            return value

        # the lowest exponent in play, so that no piece far out in the tail is taken for zero
        floor = (-(nearest * nearest) / (2 * q) - 4 * _TAIL).exp()
        part = flint.acb.integral(f, a, b, rel_tol=flint.arb(2) ** -140, abs_tol=floor, eval_limit=4_000_000, depth_limit=4000)
        total += part.real
    return total / (2 * flint.arb.pi() * q).sqrt()
