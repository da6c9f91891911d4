"""Poles: infinite one-sided values are divergences, not jumps of finite height."""

from __future__ import annotations

import math

import pytest

import meanfield as mf


@pytest.mark.parametrize(
    ("formula", "location", "value_jump"),
    [
        ("1/x", 0.0, math.inf),
        ("-1/(x - 3)", 3.0, -math.inf),
        ("1/x**2", 0.0, math.inf),
        ("log(abs(x))", 0.0, math.inf),
        ("abs(x - 2)**(-0.3)", 2.0, math.inf),
        ("tan(x)", math.pi / 2, -math.inf),
    ],
)
def test_a_pole_has_an_infinite_jump(formula: str, location: float, value_jump: float) -> None:
    [point] = [point for point in mf.activation(formula).breakpoints if point.location == location]
    assert point.value_jump == value_jump


def test_an_infinite_slope_is_no_pole() -> None:
    [point] = mf.activation("sqrt(abs(x))").breakpoints
    assert (point.value_jump, point.slope_jump) == (0.0, math.inf)


@pytest.mark.parametrize("formula", ["1/x", "1/x**2", "1/(x - 3)", "tan(x)"])
def test_what_diverges_at_a_pole(formula: str) -> None:
    assert [mf.second_moment(formula, 1.0, k) for k in (0, 1, 2)] == [math.inf] * 3
    with pytest.raises(mf.ActivationError, match="not integrable at its pole"):
        mf.covariance(formula, 1.0, 1.0, 0.3)
    reason = mf.edge_of_chaos(formula, 0.2).reason
    assert "diverges" in reason
    assert "jumps" not in reason


def test_a_logarithm_has_moments_but_no_slope() -> None:
    # E[log²|Z|] = (γ + log 2)²/4 + π²/8
    exact = (0.5772156649015329 + math.log(2)) ** 2 / 4 + math.pi**2 / 8
    assert mf.second_moment("log(abs(x))", 1.0) == pytest.approx(exact, rel=1e-10)
    assert mf.second_moment("log(abs(x))", 1.0, 1) == math.inf
    with pytest.raises(mf.ActivationError, match="φ' is not integrable at x = 0"):
        mf.covariance("log(abs(x))", 1.0, 1.0, 0.3, 1)
