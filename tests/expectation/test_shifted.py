"""Moments of φ(αZ + β) and their derivatives by log α and β/α, against closed forms in 30 digits."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

import meanfield as mf
from meanfield.expectation.shifted import ShiftedMoments, moments_and_rates, shifted_moments

PLACES = [(0.05, 0.1), (0.7, -0.6), (1.9, 1.3)]


def _sine(alpha, beta):
    """Of sin: E sin(αZ + β) = exp(−α²/2) sin β, E sin² = (1 − exp(−2α²) cos 2β)/2; ψ'' = −α²ψ."""
    damped = mpmath.exp(-(alpha**2) / 2)
    mean, slope = damped * mpmath.sin(beta), alpha * damped * mpmath.cos(beta)
    square = (1 - damped**4 * mpmath.cos(2 * beta)) / 2
    slopes = alpha**2 * (1 + damped**4 * mpmath.cos(2 * beta)) / 2
    variance = square - mean**2
    return ShiftedMoments(mean, slope, variance, slopes, slopes - variance, -(alpha**2) * variance, -(alpha**2) * mean, alpha**4 * square)


def _ramp(alpha, beta):
    """Of the ReLU: with b = β/α, n and p the normal density and distribution function at b; Cov(ψ, ψ'') = −E ψ α n."""
    b = beta / alpha
    n, p = mpmath.npdf(b), mpmath.ncdf(b)
    mean, square = alpha * (b * p + n), alpha**2 * ((1 + b * b) * p + b * n)
    variance, slopes = square - mean**2, alpha**2 * p
    return ShiftedMoments(mean, alpha * p, variance, slopes, slopes - variance, -mean * alpha * n, alpha * n, mpmath.inf)


def _rates(exact, alpha, beta, field):
    """By log α and by β/α, in 30 digits."""
    with mpmath.workdps(40):
        a, b = mpmath.mpf(alpha), mpmath.mpf(beta)
        by_size = mpmath.diff(lambda t: getattr(exact(a * mpmath.exp(t), b), field), 0)
        by_shift = mpmath.diff(lambda t: getattr(exact(a, b + a * t), field), 0)
        return float(by_size), float(by_shift)


@pytest.mark.parametrize(("alpha", "beta"), PLACES)
@pytest.mark.parametrize(("name", "exact"), [("sin", _sine), ("relu", _ramp)])
def test_moments_and_their_derivatives(name, exact, alpha, beta):
    level = 2
    moments, rates = moments_and_rates(mf.activation(name), np.array([alpha]), np.array([beta]), level)
    for field in ShiftedMoments._fields:
        if name == "relu" and field == "bends":
            assert math.isinf(getattr(moments, field)[0])
            continue
        with mpmath.workdps(40):
            value = float(getattr(exact(mpmath.mpf(alpha), mpmath.mpf(beta)), field))
        wanted = _rates(exact, alpha, beta, field)
        found = getattr(rates, field)[:, 0]
        size = abs(value) + max(map(abs, wanted))
        assert getattr(moments, field)[0] == pytest.approx(value, abs=1e-13 * size), field
        assert found == pytest.approx(wanted, abs=1e-13 * size), field


@pytest.mark.parametrize("name", ["tanh", "gelu", "mish"])
def test_node_by_node_is_the_series(name):
    """A cut where φ does not break makes panels of what the trapezoidal rule and the series do as well."""
    act, alpha, beta = mf.activation(name), np.array([0.3, 0.7]), np.array([0.4, -1.2])
    series, nodes = (moments_and_rates(act, alpha, beta, 1, extra=extra) for extra in (None, np.array([0.1])))
    for one, other in zip((*series[0], *series[1]), (*nodes[0], *nodes[1]), strict=True):
        assert other == pytest.approx(one, abs=1e-13 * float(np.max(np.abs(one))))


def test_moments_alone_are_those_with_derivatives():
    act, alpha, beta = mf.activation("elu"), np.array([0.01, 0.5, 4.0]), np.array([0.3, -0.2, 30.0])
    moments, rates = moments_and_rates(act, alpha, beta)
    for one, other in zip(moments, shifted_moments(act, alpha, beta), strict=True):
        assert np.array_equal(one, other)
    for i in range(3):
        _, alone_rates = moments_and_rates(act, alpha[i : i + 1], beta[i : i + 1])
        for whole, part in zip(rates, alone_rates, strict=True):
            assert part[:, 0] == pytest.approx(whole[:, i], rel=1e-12)


def test_widths_between_breakpoints_are_exact_at_large_scales():
    """Of softshrink at α = 10⁷ all of E ψ'² − 1 is the width 10⁻⁷ of its flat piece: cuts rounded to 10⁻¹⁶ would leave nine digits."""
    alpha, beta = np.array([1e7]), np.array([3e6])
    moments = shifted_moments(mf.activation("softshrink"), alpha, beta)
    with mpmath.workdps(40):
        cuts = [(mpmath.mpf(t) - 3 * 10**6) / 10**7 for t in (-0.5, 0.5)]
        flat = float(mpmath.ncdf(cuts[1]) - mpmath.ncdf(cuts[0]))
        exact = _softshrink_excess()
    assert 1.0 - moments.slopes[0] / 1e14 == pytest.approx(flat, rel=1e-8)
    assert moments.excess[0] == pytest.approx(exact, rel=1e-12)


def _softshrink_excess():
    """E ψ'² − Var ψ of the softshrink there, in 40 digits."""
    a, b, cut = mpmath.mpf(10) ** 7, 3 * mpmath.mpf(10) ** 6, mpmath.mpf(1) / 2
    low, high = (-cut - b) / a, (cut - b) / a

    def part(power, start, end):  # E[Zᵖ; start < Z < end]
        density = [mpmath.npdf(z) if abs(z) < 40 else mpmath.mpf(0) for z in (start, end)]
        zero = mpmath.ncdf(end) - mpmath.ncdf(start)
        one = density[0] - density[1]
        edge = [z * d if d else mpmath.mpf(0) for z, d in zip((start, end), density, strict=True)]
        return (zero, one, zero + edge[0] - edge[1])[power]

    inf = mpmath.inf
    left = [part(k, -inf, low) for k in range(3)]
    right = [part(k, high, inf) for k in range(3)]
    mean = a * (left[1] + right[1]) + (b + cut) * left[0] + (b - cut) * right[0]
    square = sum(a**2 * p[2] + 2 * a * shift * p[1] + shift**2 * p[0] for p, shift in ((left, b + cut), (right, b - cut)))
    return float(a**2 * (left[0] + right[0]) - (square - mean**2))
