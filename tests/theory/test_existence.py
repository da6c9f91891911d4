"""The existence conditions of Hayou et al. (2019)."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf


@pytest.mark.parametrize("name", ["tanh", "erf", "arctan", "sin", "softsign"])
def test_both_conditions_hold_and_every_bias_has_a_point(name: str) -> None:
    found = mf.existence_conditions(name)
    assert found.holds is True
    assert found.sigma_max == found.largest_sigma_b == math.inf
    assert np.all(mf.edge_of_chaos(name, np.array([0.01, 1.0, 20.0])).status != "none")


def test_relu_is_a_point_only() -> None:
    found = mf.existence_conditions("relu")
    assert found.largest_sigma_b == pytest.approx(0.0, abs=1e-6)
    assert found.sigma_max == pytest.approx(0.0, abs=1e-6)


def test_softplus_has_a_modulus_but_no_point() -> None:
    found = mf.existence_conditions("softplus")
    assert found.sigma_max > 0
    assert math.isnan(found.largest_sigma_b)
    assert "sigma_max" in str(found)


@pytest.mark.parametrize(("name", "q"), [("silu", 1.0), ("sin(x) + 0.1*x", 5.0), ("squared_relu", 1.0)])
def test_a_failing_condition_has_a_witness(name: str, q: float) -> None:
    found = mf.existence_conditions(name)
    assert found.holds is False
    if found.slope_non_increasing.holds is False:
        at = found.slope_non_increasing.witness
        below, above = mf.second_moment(name, np.array([0.9, 1.1]) * at, derivative=1)
        assert above > below
    if found.variance_non_decreasing.holds is False:
        at = found.variance_non_decreasing.witness
        below, above = mf.second_moment(name, np.array([0.9, 1.1]) * at)
        assert above < below


def test_sine_against_closed_forms() -> None:
    # V = (1 − e^(−2q))/2, V[φ'] = (1 + e^(−2q))/2
    found = mf.existence_conditions("sin")
    assert found.variance_non_decreasing.proof == "analytic"
    assert found.slope_non_increasing.holds is True


def test_jumps() -> None:
    found = mf.existence_conditions("sign")
    assert found.slope_non_increasing.holds is False
    assert math.isnan(found.sigma_max)


def test_a_fall_between_two_samples_is_found() -> None:
    # The closed form is in test_condition_three.py.
    found = mf.existence_conditions("x*(0.14208711640071894+exp(-x**2/2))")
    assert found.variance_non_decreasing.holds is False
    assert 2.62 < found.variance_non_decreasing.witness < 2.68


@pytest.mark.parametrize("function", [np.tanh, np.sin, lambda x: np.maximum(x, 0.0), lambda x: np.asarray(x) * 1.0, np.sign])
def test_a_callable_is_known_at_samples_only(function) -> None:
    found = mf.existence_conditions(mf.activation(function, name="mine"))
    assert {found.variance_non_decreasing.proof, found.slope_non_increasing.proof} == {"numerical"}


def test_a_peak_between_all_samples_makes_the_variance_fall() -> None:
    # V = V[tanh] + 2E[tanh g] + E[g²], and the last two go like N(50.3; 0, q), which falls from q = 50.3² = 2530 on.
    condition = mf.existence_conditions("tanh(x)+1000*exp(-((x-50.3)/0.001)**2)").variance_non_decreasing
    assert condition.holds is False
    q = condition.witness
    assert q > 2530
    peak = (1e6 * math.sqrt(math.pi / 2) + 2e3 * math.sqrt(math.pi)) * 1e-3 * math.exp(-(50.3**2) / (2 * q)) / math.sqrt(2 * math.pi * q)
    slope = 0.5 * peak * (50.3**2 / q - 1) + 0.5 * math.sqrt(2 / (math.pi * q))  # q dV/dq, with V[tanh] ~ 1 − √(2/(πq))
    value = peak + 1 - math.sqrt(2 / (math.pi * q))
    assert slope < 0
    assert condition.evidence["smallest_log_slope"] == pytest.approx(slope / value, rel=0.01)
