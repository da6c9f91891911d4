"""Expectations of four factors against closed forms, another quadrature and an expansion."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.errors import MeanFieldError
from meanfield.expectation.fourth_moments import line_moments, pair_moments


@pytest.mark.parametrize(("q1", "q2", "c"), [(1.0, 1.0, 0.5), (0.5, 2.0, -0.6), (1.0, 1.0, 0.99)])
def test_four_factor_expectations_against_gauss_hermite(q1, q2, c):
    x, w = np.polynomial.hermite_e.hermegauss(120)
    w = w / w.sum()
    a = np.tanh(math.sqrt(q1) * x)[:, None] + 0.0 * x
    b = np.tanh(math.sqrt(q2) * (c * x[:, None] + math.sqrt(1 - c * c) * x))
    weights = np.multiply.outer(w, w)
    parts = [a * a, a * a - b * b, 0.5 * (a - b) ** 2]
    means = [np.sum(weights * p) for p in parts]
    wanted = [[np.sum(weights * p * r) - m * n for r, n in zip(parts, means, strict=True)] for p, m in zip(parts, means, strict=True)]
    found = pair_moments(mf.activation("tanh"), q1, q2, 1 - c)
    np.testing.assert_allclose(found.covariance, wanted, rtol=1e-8, atol=1e-10)  # the reference is off by 2e-11


def test_four_factors_of_relu_in_closed_form():
    """E[φ(u)²φ(v)²] of ReLU at unit variances is (3 sin θ cos θ + (π − θ)(1 + 2 cos² θ))/(2π) (Cho & Saul 2009, J₂)."""
    for c in (-0.9, 0.0, 0.3, 0.999999):
        theta = math.acos(c)
        wanted = (3 * math.sin(theta) * c + (math.pi - theta) * (1 + 2 * c * c)) / (2 * math.pi)
        found = pair_moments(mf.activation("relu"), 1.0, 1.0, 1 - c)
        first, mixed = found.covariance[0, 0] + 0.25, found.covariance[0, 1]
        assert first - mixed == pytest.approx(wanted, abs=1e-10)  # E[φ(u)²(φ(u)² − (φ(u)² − φ(v)²))]


def test_small_decorrelations_keep_their_digits():
    """To leading order in ε, φ(u) − φ(v) = φ'(u)(u − v): E' = σ_w² V[φ'] E and Var[½(φ(u) − φ(v))²] = 3E[φ'⁴]E² − …"""
    moments = line_moments(mf.activation("tanh"), 1.0)
    for epsilon in (1e-6, 1e-10, 1e-14):
        found = pair_moments(mf.activation("tanh"), 1.0, 1.0, epsilon)
        assert found.scores[2, 0] / epsilon == pytest.approx(moments["slope"], rel=3 * epsilon + 1e-7)
        assert found.covariance[2, 2] / epsilon**2 == pytest.approx(3 * moments["slope_4"] - moments["slope"] ** 2, rel=10 * epsilon + 1e-6)


def test_one_input_moments_of_relu_in_closed_form():
    """φ = max(x, 0): E[φ²] = q/2, E[φ⁴] = 3q²/2, E[φ'²] = E[φ'⁴] = ½, E[φ'²φ²] = E[φφ'h] = q/2, dV/dq = ½."""
    for q in (1e-6, 1.0, 1e6):
        found = line_moments(mf.activation("relu"), q)
        wanted = {"V": q / 2, "fourth": 1.5 * q * q, "slope": 0.5, "slope_4": 0.5, "mixed": q / 2, "radial": q / 2, "F_1": 0.5}
        assert {name: found[name] for name in wanted} == pytest.approx(wanted, rel=1e-11)
        assert found["slope_1"] * q == pytest.approx(0.0, abs=1e-11)
        assert found["F_2"] * q == pytest.approx(0.0, abs=1e-10)


def test_opposite_inputs_of_an_odd_function():
    """φ(v) = −φ(u): P = (φ², 0, 2φ²), so Cov[P₁, P₃] = 2 Var φ² and nothing else but multiples of it."""
    found = pair_moments(mf.activation("tanh"), 1.0, 1.0, 2.0)
    variance = mf.expectation("tanh(x)**4", 1.0) - mf.second_moment("tanh", 1.0) ** 2
    np.testing.assert_allclose(found.covariance, variance * np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0], [2.0, 0.0, 4.0]]), atol=1e-12)


def test_infinite_fourth_moment_is_refused():
    """φ = exp(x²/2): E[φ²] is finite below q = ½, E[φ⁴] below ¼."""
    with pytest.raises(MeanFieldError, match="E\\[φ⁴\\]"):
        pair_moments(mf.activation("exp(x**2/2)"), 0.3, 0.3, 0.5)
