"""Tables over functions whose moments change by many orders within one piece: e^x, and a dead zone."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.expectation.angle_profile import AngleProfile
from meanfield.expectation.correlation_table import _sizes, correlation_table
from meanfield.expectation.two_inputs import decorrelations_at
from meanfield.layers.gaussian_map import _losses

EPSILON = np.array([1e-9, 1e-6, 1e-3, 0.1, 0.5, 0.9, 1.0])


def _angles(epsilon: np.ndarray) -> np.ndarray:
    return 2.0 * np.arcsin(np.sqrt(0.5 * epsilon))


@pytest.mark.parametrize("q", [0.07, 0.3, 0.98, 1.02, 1.2, 2.0, 3.9, 5.0, 20.0, 60.0])
def test_decorrelation_of_the_exponential(q: float) -> None:
    # E[e^u e^v] = e^(q (1 + c)), so that D = e^(2q) (1 − e^(−q ε)).
    found = correlation_table(mf.activation("exp(x)")).decorrelation(np.full(EPSILON.size, q), _angles(EPSILON))
    np.testing.assert_allclose(found, -np.exp(2.0 * q) * np.expm1(-q * EPSILON), rtol=1e-12)


@pytest.mark.parametrize("q", [0.0041, 0.01, 0.0151, 0.05, 0.3])
def test_decorrelation_behind_a_dead_zone(q: float) -> None:
    # softshrink is 0 for |x| < ½: from q = 1/64 to 1/256 V falls by e⁻²⁴.
    act = mf.activation("softshrink")
    found = correlation_table(act).decorrelation(np.full(EPSILON.size, q), _angles(EPSILON))
    np.testing.assert_allclose(found, decorrelations_at(act, q, EPSILON), rtol=1e-11)


def test_many_at_many_variances_are_what_the_closed_form_says() -> None:
    q, epsilon = np.geomspace(0.9, 6.0, 400), np.linspace(0.01, 0.9, 400)
    found = _losses(mf.activation("exp(x)"), q, epsilon)
    np.testing.assert_allclose(found, -np.exp(2.0 * q) * np.expm1(-q * epsilon), rtol=1e-12)


def test_sizes_that_are_lost_in_part_make_no_series() -> None:
    rows = np.ones((20, 24))
    np.testing.assert_array_equal(_sizes(rows), np.ones(20))
    np.testing.assert_array_equal(_sizes(0.0 * rows), np.ones(20))
    rows[3] = 0.0  # below 1e-308 at some variances of the piece
    assert _sizes(rows) is None
    rows[3] = np.inf
    assert _sizes(rows) is None
    rows[3] = 100.0
    found = _sizes(rows)
    assert found is not None
    assert found.tolist() == [1.0] * 3 + [100.0] + [1.0] * 16


@pytest.mark.parametrize("formula", ["tanh", "gelu", "relu6", "sign(x)", "softshrink", "x*sigmoid(5*x)", "x**5"])
@pytest.mark.parametrize("q", [0.13, 0.7, 1.37, 30.0])
def test_rows_are_the_profiles_of_single_variances(formula: str, q: float) -> None:
    act = mf.activation(formula)
    row = correlation_table(act).row(q)
    assert row is not None
    angles = np.linspace(1e-4, 0.5 * np.pi, 300)
    np.testing.assert_allclose(
        AngleProfile.of(act, q, row).decorrelation(angles), AngleProfile.fit(act, q).decorrelation(angles), rtol=2e-13
    )


def test_no_row_far_out_and_where_each_angle_is_a_quadrature() -> None:
    assert correlation_table(mf.activation("tanh")).row(65.0) is None
    assert correlation_table(mf.activation("tanh")).row(2.0**-41) is None
    act = mf.activation("exp(x)")  # the mass of its square is past 6 deviations
    correlation_table(act).ensure([2])
    assert correlation_table(act).row(30.0) is None, "whether the piece has been built plays no part"


def test_a_piece_out_of_reach_of_quadratures_is_refused() -> None:
    table = correlation_table(mf.activation("exp(x)"))
    table.ensure([3])  # e^x overflows within reach of N(0, 255)
    assert table.refused([3]) == [3]
    assert np.isnan(table.decorrelation(np.array([250.0]), np.array([1.5]))).all()
