"""M, C and the σ_w they allow, against closed forms and against the recursion itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf


@pytest.mark.parametrize(
    ("name", "M", "C"),
    [
        ("tanh", 1.0, 1.0),  # V' and V[φ'] fall from φ'(0)² = 1
        ("relu", 0.5, 0.5),
        ("linear", 1.0, 1.0),
        ("erf", 4 / math.pi, 4 / math.pi),
        ("sin", 1.0, 1.0),  # dV/dq = e^(−2q); V[φ'] = (1 + e^(−2q))/2
        ("cos", 1.0, 0.5),  # dV/dq = −e^(−2q); V[φ'] = (1 − e^(−2q))/2 → ½
    ],
)
def test_closed_forms(name: str, M: float, C: float) -> None:
    found = mf.convergence_domains(name)
    assert pytest.approx((M, C), rel=1e-9) == (found.M, found.C)
    assert found.sigma_w_variance == pytest.approx(1 / math.sqrt(M), rel=1e-9)
    assert found.sigma_w_correlation == pytest.approx(min(1 / math.sqrt(M), 1 / math.sqrt(C)), rel=1e-9)
    assert name in str(found)


@pytest.mark.parametrize("name", ["tanh", "relu", "elu", "silu", "gelu", "selu", "softplus", "sigmoid", "mish", "hardtanh"])
def test_the_exact_domain_contains_the_bound(name: str) -> None:
    found = mf.convergence_domains(name)
    assert found.exact_variance >= found.sigma_w_variance * (1 - 1e-9)
    assert found.exact_correlation >= found.sigma_w_correlation * (1 - 1e-9)
    assert found.exact_correlation <= found.exact_variance


def test_relu_and_tanh_exactly() -> None:
    relu, tanh = mf.convergence_domains("relu"), mf.convergence_domains("tanh")
    assert relu.exact_variance == pytest.approx(math.sqrt(2), rel=1e-9)
    assert tanh.exact_variance == math.inf  # V is concave: one attracting fixed point at any σ_w
    assert tanh.exact_correlation == pytest.approx(1.0, rel=1e-9)  # beyond, σ_b = 0 is chaotic


@pytest.mark.parametrize("name", ["silu", "gelu", "mish"])
def test_the_exact_variance_domain_is_where_one_fixed_point_becomes_two(name: str) -> None:
    limit = mf.convergence_domains(name).exact_variance
    assert math.isfinite(limit)
    biases = np.concatenate([[0.0], np.geomspace(1e-3, 30.0, 60)])
    inside = [mf.MeanField(name, limit * 0.998, float(b)).variance_fixed_points() for b in biases]
    assert all(len(points) == 1 and points[0].stable for points in inside)
    outside = [mf.MeanField(name, limit * 1.01, float(b)).variance_fixed_points() for b in biases]
    assert any(len(points) != 1 for points in outside)


@pytest.mark.parametrize("name", ["elu", "selu", "silu"])
def test_below_the_exact_correlation_domain_all_is_ordered(name: str) -> None:
    limit = mf.convergence_domains(name).exact_correlation
    for b in (0.0, 0.05, 0.2, 1.0, 3.0):
        assert mf.MeanField(name, limit * 0.999, b).chi_1 < 1.0


def test_steep_activations_have_no_domain() -> None:
    found = mf.convergence_domains("exp")
    assert (found.M, found.sigma_w_variance, found.exact_variance) == (math.inf, 0.0, 0.0)
    assert mf.convergence_domains("sign").sigma_w_correlation == 0.0


def test_bad_input_is_named() -> None:
    with pytest.raises(mf.MeanFieldError):
        mf.convergence_domains("1/x")


@pytest.mark.parametrize("name", ["softsign", "elu", "celu", "tanh", "sin", "arctan"])
def test_the_edge_at_the_origin_bounds_the_exact_correlation_domain(name: str) -> None:
    # φ'(0) = 1: at σ_b = 0 the edge is σ_w = 1, in the limit q → 0 that softsign nears like √q only.
    assert mf.convergence_domains(name).exact_correlation == pytest.approx(1.0, rel=1e-12)


def test_selus_exact_correlation_domain_ends_at_the_slopes_beside_zero() -> None:
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    assert mf.convergence_domains("selu").exact_correlation == pytest.approx((2 / (scale**2 * (1 + alpha**2))) ** 0.5, rel=1e-12)
