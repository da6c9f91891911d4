"""Powers and bounds that docs/conditions.md states, against the numbers."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf


@pytest.mark.parametrize(
    ("name", "power", "margin"), [("tanh", 4 / 3, 0.01), ("sin", 4 / 3, 0.001), ("softsign", 1.0, 0.02), ("silu", 1.0, 0.05)]
)
def test_distance_from_the_identity_falls_as_a_power_of_sigma_b(name, power, margin):
    """f(0) = (σ_b² + σ_w² E[φ]²)/q between σ_b = 10⁻³ and 10⁻⁴."""
    sigma_b = np.array([1e-3, 1e-4])
    edge = mf.edge_of_chaos(name, sigma_b=sigma_b)
    mean = np.array([mf.expectation(mf.activation(name), q=q) for q in edge.q])
    distance = (sigma_b**2 + edge.sigma_w**2 * mean**2) / edge.q
    assert np.log(distance[0] / distance[1]) / np.log(10) == pytest.approx(power, abs=margin)


def test_hardtanh_is_nearer_to_the_identity_than_any_smooth_odd_function():
    """σ_b² up to a logarithm: q falls like −1/(2 log σ_b²)."""
    sigma_b = np.array([1e-4, 1e-8])
    q = mf.edge_of_chaos("hardtanh", sigma_b=sigma_b).q
    assert np.log(sigma_b[0] ** 2 / q[0] * q[1] / sigma_b[1] ** 2) / np.log(1e4) == pytest.approx(2.0, abs=0.12)
    assert 0.25 < -q[1] * 2 * np.log(sigma_b[1] ** 2) < 1.3


def test_a_continuous_function_with_a_steep_point_has_no_edge():
    for power, status in ((0.5, "none"), (0.75, "attracting")):
        assert mf.edge_of_chaos(f"sign(x)*abs(x)**{power}", sigma_b=0.1).status == status
    assert mf.second_moment("sqrt(abs(x))", 1.0, derivative=1) == np.inf


@pytest.mark.parametrize(("name", "inside"), [("silu", 0.51977), ("tanh", 1.0)])
def test_the_modulus_outside_the_expectation_gives_the_larger_domain(name, inside):
    """sup E|φ'² + φφ''| on a grid of q, beside M = sup|E[φ'² + φφ'']|."""
    phi = mf.activation(name)
    x = np.linspace(-40.0, 40.0, 40_001)
    values = np.abs(phi.derivative(x) ** 2 + phi(x) * phi.second_derivative(x))
    weights = np.exp(-(x**2) / (2 * np.geomspace(1e-2, 4.0, 60)[:, None] ** 2))
    found = ((weights @ values) / weights.sum(axis=1)).max()
    assert found == pytest.approx(inside, abs=5e-4)
    assert found + 5e-4 >= mf.convergence_domains(name).M
