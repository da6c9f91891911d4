"""Closed forms of piecewise linear functions against quadrature, 30 digits and published formulas."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest

import meanfield as mf
from meanfield.expectation.moments import V1, V, moment_table
from meanfield.expectation.piecewise_linear import _rules, closed_covariances, piecewise_linear
from meanfield.expectation.smoothing import covariance_by_smoothing
from meanfield.expectation.two_inputs import covariances_by_series
from tests import unseen_pairs

FUNCTIONS = {
    "relu": 1,
    "leaky_relu": 1,
    "hardtanh": 2,
    "hard_sigmoid": 2,
    "relu6": 2,
    "softshrink": 2,
    "hardshrink": 2,
    "heaviside": 1,
    "clip(x, -0.5, 2)": 2,
    "abs(x) - 0.3": 1,
    "where(x > 1, 2*x, x)": 1,
    "max(0, x - 0.2) - 0.5*max(0, -x - 1.5)": 2,
    "0.7*x + 0.2": 0,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("order", [0, 1])
def test_against_quadrature(name: str, order: int) -> None:
    act = mf.activation(name)
    found = piecewise_linear(act)
    assert found is not None
    assert found.location.size == FUNCTIONS[name]
    if order == 1 and np.any(found.jump != 0.0):
        pytest.skip("the slope holds a delta: there is no closed form of ours")
    rng = np.random.default_rng(3)
    q1 = np.exp(rng.uniform(math.log(0.3), math.log(20.0), 24))
    q2 = q1 * np.exp(rng.choice([0.0, 1e-6, 1e-2, 1.5], 24) * rng.uniform(-1.0, 1.0, 24))
    c = rng.uniform(-1.0, 1.0, 24)
    c[:6] = [0.999, -0.999, 0.93, -0.93, 0.5, 1 - 2**-30]
    theta = np.array([float(mpmath.acos(mpmath.mpf(each))) for each in c])
    computed = closed_covariances(act, q1, q2, theta, order)
    served = np.isfinite(computed)
    assert served.sum() >= 12
    table, column = moment_table(act), V1 if order else V
    size = np.sqrt(table(column, q1) * table(column, q2))
    for i in np.flatnonzero(served):
        pair = float(q1[i]), float(q2[i])
        exact = float(covariances_by_series(act, *pair, c[i : i + 1], order)[0])
        if math.isnan(exact):
            exact = covariance_by_smoothing(act, table.partition, order, *pair, float(c[i]))
        # mpmath's angle and the quadrature's √(1 − c) are of the same c; slopes that jump go with θ
        assert abs(computed[i] - exact) <= 2e-13 * size[i], (q1[i], q2[i], c[i])


@pytest.mark.parametrize("h", [0.0, 0.3, 2.5, 7.0])
@pytest.mark.parametrize("k", [0.0, 0.3, 1.1])
@pytest.mark.parametrize("angle", [1e-6, 0.1, 0.4, 0.9, 1.5, 2.2, 2.9, math.pi - 1e-3])
def test_orthant_to_30_digits(h: float, k: float, angle: float) -> None:
    """P(X > h, Y > k) = ∫_h^∞ n(x) P(Y > k | x) dx, and from there by a quarter of the plane where h = k = 0 (Sheppard 1899)."""
    from meanfield.expectation.piecewise_linear_kernels import orthant

    found = orthant(h, k, angle, math.sin(angle), math.cos(angle), *_rules())
    if h == k == 0.0:
        assert found == pytest.approx(0.5 - angle / (2 * math.pi), abs=3e-16)
        return
    with mpmath.workdps(30):
        c, s = mpmath.cos(mpmath.mpf(angle)), mpmath.sin(mpmath.mpf(angle))
        edge = k / c  # where the condition changes, within a few s
        cuts = sorted(
            {mpmath.mpf(h), *(max(mpmath.mpf(h), edge + j * s) for j in (-12, -4, -1, 0, 1, 4, 12)), mpmath.mpf(h) + 3, mpmath.mpf(20)}
        )
        cuts = [x for x in cuts if h <= x <= 20]
        exact = mpmath.quad(lambda x: mpmath.npdf(x) * mpmath.erfc((k - c * x) / (s * mpmath.sqrt(2))) / 2, cuts)
    assert abs(found - float(exact)) <= 1e-15


def test_published_formulas_where_inputs_are_all_but_parallel() -> None:
    """sin θ + (π − θ) cos θ (Cho & Saul 2009), 1 − θ/π of slopes and 1 − 2θ/π of signs, at angles down to 10⁻¹²."""
    theta = np.array([1e-12, 1e-9, 1e-6, 1e-3, 0.5, 2.0, math.pi - 1e-3, math.pi - 1e-9])
    q1, q2 = np.full(theta.size, 0.7), np.full(theta.size, 3e4)
    arc = (np.sin(theta) + (math.pi - theta) * np.cos(theta)) / (2 * math.pi)
    relu = mf.activation("relu")
    assert closed_covariances(relu, q1, q2, theta, 0) / np.sqrt(q1 * q2) == pytest.approx(arc, abs=3e-16)
    assert closed_covariances(relu, q1, q2, theta, 1) == pytest.approx((1 - theta / math.pi) / 2, abs=3e-16)
    assert closed_covariances(mf.activation("sign"), q1, q2, theta, 0) == pytest.approx(1 - 2 * theta / math.pi, abs=2e-15)


@pytest.mark.parametrize("name", ["tanh", "elu", "gelu", "max(0, x) + 1e-9*sin(x)", "max(0, x)**2", "max(0, x) + exp(-(1e5*(x - 0.3))**2)"])
def test_others_are_not_taken_for_it(name: str) -> None:
    assert piecewise_linear(mf.activation(name)) is None


def test_where_the_sum_would_cancel_it_is_not_used() -> None:
    act = mf.activation("hardtanh")
    one = np.ones(1)
    assert np.isnan(closed_covariances(act, 1e6 * one, 2e6 * one, 0.3 * one, 0))[0]
    partition = moment_table(act).partition
    exact = covariance_by_smoothing(act, partition, 0, 1e6, 2e6, math.cos(0.3))
    assert mf.covariance(act, 1e6, 2e6, math.cos(0.3)) == pytest.approx(exact, rel=1e-13)


def test_one_and_many_have_the_same_bits() -> None:
    q1, q2 = np.random.default_rng(1).uniform(0.2, 5.0, (2, 50))
    c = np.random.default_rng(2).uniform(-1.0, 1.0, 50)
    many: Any = mf.covariance("hardtanh", q1, q2, c)
    assert many.tolist() == [mf.covariance("hardtanh", float(a), float(b), float(r)) for a, b, r in zip(q1, q2, c, strict=True)]


@pytest.mark.parametrize("number", [0, 5, 6, 7])
def test_functions_and_pairs_that_nobody_has_chosen(number: int) -> None:
    """A sample of `python -m tests.unseen_pairs`."""
    formula = unseen_pairs.functions(10, seed=71)[number]
    assert np.max(unseen_pairs.errors(formula, 25, seed=number)) <= unseen_pairs.BAR
