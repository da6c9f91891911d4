"""Formulas that once failed or took too long to evaluate: found by the fuzzer, kept here at their smallest."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

import meanfield as mf
from meanfield.activations.formula import precise
from meanfield.activations.formula.fields import ManyDigits


def test_a_quotient_by_zero_is_undefined_and_not_very_large() -> None:
    for formula in ("abs(clip((x + e)/relu(0), -1, 2.5))", "exp(-1/(x - x))", "tanh((x - x)**-1)"):
        with pytest.raises(mf.ActivationError, match=r"not defined|undefined"):
            mf.activation(formula)


@pytest.mark.parametrize("formula", ["x*tanh(exp(x))", "x*sigmoid(exp(x)*x)", "x*erf(sinh(x)*x)", "x - x*exp(-exp(x))"])
def test_what_saturates_is_flat_where_its_argument_overflows(formula: str) -> None:
    act = mf.activation(formula)
    x = np.linspace(750.0, 20000.0, 20000)
    np.testing.assert_array_equal(act.values(x, 0), x)
    np.testing.assert_array_equal(act.values(x, 1), 1.0)
    np.testing.assert_array_equal(act.values(x, 2), 0.0)


def test_the_absolute_value_of_what_is_positive() -> None:
    # exp(−x²) is 0 in doubles from |x| = 27 on, and 0^(−0.3) infinite; exp(0.3 x²) is neither.
    act = mf.activation("abs(exp(-x*x))**-0.3")
    assert act.breakpoints == ()
    x = np.array([0.5, 30.0, 45.0])
    np.testing.assert_allclose(act(x), np.exp(0.3 * x * x), rtol=1e-13)
    assert mf.expectation(act, 0.01) == pytest.approx((1 - 0.6 * 0.01) ** -0.5, rel=1e-13)
    assert mf.second_moment(act, 1.0) == np.inf


def test_blocks_of_a_large_array_agree_with_small_ones() -> None:
    act = mf.activation("exp(sin(3*x)) + abs(x - 0.2)")
    x = np.random.default_rng(1).normal(size=50_000)
    for k in (0, 1, 2):
        small = np.concatenate([act.values(part, k) for part in np.array_split(x, 97)])
        np.testing.assert_allclose(act.values(x, k), small, rtol=4e-16 if k == 0 else 1e-13, atol=1e-300)


@pytest.mark.parametrize("x", [-60.0, -14.5, -3.0, -0.1, 0.0, 2.9, 3.0, 5.5, 9.0, 14.2, 40.0, 1e5, 1e200])
@pytest.mark.parametrize("bits", [60, 120, 600])
def test_erf_with_many_digits(x: float, bits: int) -> None:
    from mpmath import MPContext

    field, reference = ManyDigits(), MPContext()
    field.set_precision(bits)
    reference.prec = bits + 50
    expected = reference.erf(reference.mpf(x))
    assert abs(field.function("erf")(field.context.mpf(x)) - expected) <= reference.ldexp(abs(expected), 2 - bits)


def test_digits_of_erf_count_as_the_work_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where erf and −1 cancel to 10⁻¹⁰⁰⁰ thousands of digits would be tried at each point.
    squares = []
    erf = ManyDigits._erf

    def counted(field: ManyDigits, value: Any) -> Any:
        squares.append(field.context.prec**2)
        return erf(field, value)

    monkeypatch.setattr(ManyDigits, "_erf", counted)
    act = mf.activation("erf(x) + erf(1 + x) + erf(2 + x) + exp(exp(-x*x)) + 2")
    squares.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.AccuracyWarning)
        act.values(np.linspace(-60.0, -45.0, 100), 0)
    # In units of one operation on few digits; twice as much if an erf counted as one of those.
    assert 1_000 < sum(squares) / 40_000 < 10_000


def test_peaks_between_steep_points_need_no_more_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    # At x = 500 the steep points of exp(12 sin 3x) keep errors of 10⁻¹¹, a shift of x; its peaks may keep theirs.
    act = mf.activation("exp(12*sin(3*x))")
    asked = []
    right = precise.precise
    monkeypatch.setattr(
        precise, "precise", lambda steps, points, *rest, **named: asked.append(points.size) or right(steps, points, *rest, **named)
    )
    x = np.linspace(256.0, 512.0, 20_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        slopes, curvatures = act.values(x, 1), act.values(x, 2)
    assert np.isfinite(slopes).all()
    assert np.isfinite(curvatures).all()
    assert sum(asked) < 200


@pytest.mark.parametrize(
    ("formula", "at"),
    [("sin(x)+abs(x-10)**0.3-10**0.3", 10.0), ("sqrt(max(1-x**2,0))-1", 1.0), ("cos(x)*abs(x-7.3)**0.4+x", 7.3)],
)
def test_the_rounding_of_x_beside_an_infinite_slope_is_no_jump(formula: str, at: float) -> None:
    point = mf.activation(formula).breakpoints[-1]
    assert (point.location, point.value_jump, abs(point.slope_jump)) == (at, 0.0, math.inf)


def test_a_jump_beside_an_infinite_slope_stays_one() -> None:
    (point,) = mf.activation("abs(x-10)**0.3+0.001*sign(x-10)").breakpoints
    assert point.value_jump == pytest.approx(0.002, rel=1e-9)


@pytest.mark.parametrize(
    ("formula", "at"), [("abs(x)**1.4", 0.0), ("2*abs(x-1)**1.4", 1.0), ("sign(x)*abs(x)**1.2", 0.0), ("x+relu(x)**1.3", 0.0)]
)
def test_a_power_whose_exponent_is_no_double_is_0_at_0(formula: str, at: float) -> None:
    act = mf.activation(formula)
    assert [(b.location, b.value_jump, b.slope_jump) for b in act.breakpoints] == [(at, 0.0, 0.0)]
    straight = 1.0 if formula.startswith("x+") else 0.0
    assert act(at) == 0.0
    assert act.derivative(at) == straight
    assert np.array_equal(act(np.array([at, at + 1.0])), [0.0, act(at + 1.0)])
    with pytest.raises(mf.ActivationError, match="second derivative"):
        act.second_derivative(at)
