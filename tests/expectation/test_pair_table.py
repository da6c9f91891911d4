"""The table of any two variances, against the quadrature of each pair on its own and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.expectation.moments import V1, V, moment_table
from meanfield.expectation.pair_features import FeatureMaker, Rule
from meanfield.expectation.pair_table import pair_table
from meanfield.expectation.smoothing import covariance_by_smoothing
from meanfield.expectation.two_inputs import covariance_alone, covariances_by_series

BAR = 1e-12  # of √(V(q1)V(q2))
# By Hermite coefficients, even steps, graded panels about a kink and a jump at 0, and fine steps for kinks elsewhere.
POINTS = [(1.3, 0.7, 0.2), (1.1, 1.9, -0.6), (1.6, 1.1, 0.93), (1.2, 1.7, -0.97), (1.5, 1.4, 0.9999), (0.003, 7.0, 0.8), (1.7, 1.7, 0.9)]


def quadrature_error(act: mf.Activation, points: list[tuple[float, float, float]], order: int) -> float:
    """The largest difference from the quadrature, relative to √(V(q1)V(q2))."""
    q1, q2, c = (np.array(column) for column in zip(*points, strict=True))
    computed = pair_table(act, order).covariances(q1, q2, c)
    assert np.isfinite(computed).all()
    partition = moment_table(act).partition
    exact = np.array([covariances_by_series(act, *point[:2], np.array([point[2]]), order)[0] for point in points])
    for i in np.flatnonzero(np.isnan(exact)):
        exact[i] = covariance_by_smoothing(act, partition, order, *points[i])
    moments, column = moment_table(act), V1 if order else V
    return float(np.max(np.abs(computed - exact) / np.sqrt(moments(column, q1) * moments(column, q2))))


@pytest.mark.parametrize("name", ["sin", "tanh", "gelu", "relu", "selu", "heaviside"])
def test_covariances(name: str) -> None:
    assert quadrature_error(mf.activation(name), POINTS, 0) <= BAR


@pytest.mark.parametrize("name", ["tanh", "selu"])
def test_covariances_of_slopes(name: str) -> None:
    assert quadrature_error(mf.activation(name), POINTS, 1) <= BAR


def test_kinks_away_from_0() -> None:
    act = mf.activation("hardtanh")
    assert quadrature_error(act, [p for p in POINTS if abs(p[2]) < 0.95 and p[0] != p[1]], 0) <= BAR


def test_slopes_with_kinks_on_both_sides() -> None:
    act = mf.activation("where(x < -1, 0.3*x - 0.7, where(x > 2, 4 - x, x))")
    assert quadrature_error(act, [(5.86, 0.217, 0.8735), (0.167, 4.52, 0.984), (1.3, 0.7, 0.2)], 1) <= BAR


def test_a_smooth_function_that_looks_like_a_kink() -> None:
    """Where half of φ² is even and the other odd, even steps that are too wide give E[φ²], and not E[φ(u)φ(v)]."""
    assert quadrature_error(mf.activation("gelu"), [(900.0, 700.0, -0.99), (900.0, 900.0, 0.99), (10.0, 900.0, 0.9)], 0) <= BAR


def test_the_three_rules() -> None:
    def rule(name: str, octave: int) -> Rule:
        act = mf.activation(name)
        return FeatureMaker(act, moment_table(act).partition, 0, octave).rule(math.ldexp(1.0, octave + 1))

    assert rule("tanh", 3).step > 0.0
    assert rule("relu", 3).finest > 0.0
    assert rule("relu", 3).breaks
    assert rule("hardtanh", 3).is_fine


def test_arc_cosine_at_many_pairs() -> None:
    """E[relu(u)relu(v)] = √(q1 q2)(sin θ + (π − θ) cos θ)/2π (Cho & Saul 2009, eq. 6), at ratios of 10¹⁰."""
    rng = np.random.default_rng(5)
    q1, q2 = np.exp(rng.uniform(-12.0, 12.0, (2, 40)))
    theta = rng.uniform(0.0, math.pi, 40)
    computed = pair_table(mf.activation("relu")).by_angles(q1, q2, theta)
    exact = np.sqrt(q1 * q2) * (np.sin(theta) + (math.pi - theta) * np.cos(theta)) / (2 * math.pi)
    np.testing.assert_allclose(computed, exact, rtol=0.0, atol=1e-13 * float(np.max(np.sqrt(q1 * q2))))
    assert np.max(np.abs(computed - exact) / np.sqrt(q1 * q2)) <= 1e-13


def test_a_ridge_is_left_to_the_closed_form() -> None:
    """Kinks away from 0 that all but meet: no box follows them, and the public function answers all the same."""
    act = mf.activation("hardtanh")
    near = pair_table(act).covariances(np.array([1.0]), np.array([1.0001]), np.array([1.0 - 1e-6]))
    assert np.isnan(near[0])
    assert mf.covariance(act, 1.0, 1.0001, 1.0 - 1e-6) == covariance_alone(act, 1.0, 1.0001, 1.0 - 1e-6, 0)


def test_pairs_that_no_table_serves() -> None:
    """Variances out of its octaves, a delta in φ', a pole."""
    one = np.ones(1)
    assert np.isnan(pair_table(mf.activation("tanh")).covariances(1e30 * one, one, 0.5 * one))[0]
    assert np.isnan(pair_table(mf.activation("sign"), 1).covariances(2.0 * one, one, 0.5 * one))[0]
    assert not pair_table(mf.activation("abs(x)**(-0.2)")).usable
    # C = √(2/π)² asin(c) … of signs does not know the variances
    assert mf.covariance("sign", 1e30, 1.0, 0.5) == pytest.approx(1.0 / 3.0, rel=1e-12)


def test_pairs_do_not_depend_on_their_company_nor_on_their_order() -> None:
    rng = np.random.default_rng(6)
    q1, q2 = np.exp(rng.uniform(-1.0, 2.0, (2, 150)))
    c = rng.uniform(-1.0, 1.0, 150)
    table, other = (pair_table(mf.activation(name)) for name in ("tanh(1.03*x)", "tanh(1.03*x + 0)"))
    together = table.covariances(q1, q2, c)
    assert together.tolist() == table.covariances(q2, q1, c).tolist()
    assert together[::-1].tolist() == other.covariances(*(np.ascontiguousarray(a[::-1]) for a in (q1, q2, c))).tolist()
    assert together[:20].tolist() == [table.covariances(q1[i : i + 1], q2[i : i + 1], c[i : i + 1])[0] for i in range(20)]


@pytest.mark.parametrize("name", ["tanh", "relu", "tanh(20*(x - 1))"])
def test_thousands_of_pairs_are_what_each_is_alone(name: str) -> None:
    """A narrow feature away from 0 at large variances, which a rule for all pairs may miss, too: boxes are checked by quadratures."""
    rng = np.random.default_rng(7)
    q1, q2 = (1e4 if "20" in name else 1.0) * rng.uniform(1.1, 1.9, (2, 2500))
    q2[:500] = q1[:500]
    c = rng.uniform(-1.0, 1.0, 2500)
    together = mf.covariance(name, q1, q2, c)
    scale = np.sqrt(mf.second_moment(name, q1) * mf.second_moment(name, q2))
    for i in range(0, 2500, 100):
        assert abs(together[i] - mf.covariance(name, float(q1[i]), float(q2[i]), float(c[i]))) <= BAR * scale[i]


@pytest.mark.parametrize("name", ["selu", "hardtanh", "heaviside"])
def test_a_thousand_correlations_at_one_variance(name: str) -> None:
    """Those that Mehler's series does not reach come from the profile of that variance, where they are many in an array of many."""
    act = mf.activation(name)
    q = 1.37
    c = np.linspace(-0.9999, 0.9999, 1000)
    many = mf.covariance(act, q, q, c)
    left = np.flatnonzero(np.isnan(covariances_by_series(act, q, q, c, 0)))
    assert left.size > 30
    size = mf.second_moment(act, q)
    alone = [covariance_alone(act, q, q, float(c[i]), 0) for i in left[:: left.size // 15]]
    np.testing.assert_allclose(many[left[:: left.size // 15]], alone, rtol=0.0, atol=1e-13 * size)
    few = mf.covariance(act, q, q, c[left[:20]])  # each to the bit what it is alone
    assert few.tolist() == [mf.covariance(act, q, q, float(v)) for v in c[left[:20]]]
