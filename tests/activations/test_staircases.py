"""Callables of many jumps, and of oscillations that no number of panels resolves: found at once, or given up with a word."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import meanfield as mf


def test_every_jump_of_a_staircase_is_found() -> None:
    act = mf.activation(lambda x: np.round(64 * x) / 64)
    places = [b.location for b in act.breakpoints]
    near = [x for x in places if abs(x) < 30]
    assert near == [(k + 0.5) / 64 for k in range(-1920, 1920)]
    assert all(b.value_jump == 1 / 64 and b.slope_jump == 0.0 for b in act.breakpoints)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = mf.second_moment(act, 1.0)
        mean = mf.estimate(act, 1.0)
    # Rounding to steps of h adds h²/12, to exp(−2π²/h²).
    assert value == pytest.approx(1 + 1 / 12 / 64**2, rel=1e-14)
    assert abs(mean.value) <= mean.error <= 1e-15
    assert math.isinf(mf.second_moment(act, 1.0, derivative=1))


def test_a_staircase_on_a_slope() -> None:
    act = mf.activation(lambda x: x + np.floor(8 * x))
    assert [b.location for b in act.breakpoints if abs(b.location) < 100] == [k / 8 for k in range(-799, 800)]
    # floor(8x) = 8x − ½ − the sawtooth, of variance 1/12 and mean 0
    assert mf.second_moment(act, 1.0) == pytest.approx(81 + 1 / 4 + 1 / 12, rel=1e-13)


def test_of_too_many_jumps_the_error_is_told() -> None:
    act = mf.activation(lambda x: np.round(1000 * x) / 1000)
    with pytest.warns(mf.AccuracyWarning, match="relative error about") as caught:
        value = mf.second_moment(act, 1.0)
    assert len(caught) == 1
    assert value == pytest.approx(1 + 1 / 12e6, rel=1e-6)


def test_the_slope_beside_a_singular_point() -> None:
    """Intervals that touch 0 are never resolved there; the derivative is that of an interval beside."""
    act = mf.activation(lambda x: x * np.abs(x) ** 0.1)
    x = np.array([1e-12, 1e-6, 1e-3, 0.5, 3.0])
    assert act.derivative(x) == pytest.approx(1.1 * x**0.1, rel=1e-10)
    curved = mf.activation(lambda x: 1 + np.abs(x) ** 1.5)  # of which 1 is all that is seen beside 0
    assert curved.derivative(np.array([1e-2, 0.5])) == pytest.approx(1.5 * np.array([0.1, math.sqrt(0.5)]), rel=1e-9)
    assert abs(curved.derivative(1e-9)) < 1e-4


def test_proposition_4_of_an_oscillation_beside_0_is_undecided() -> None:
    """(ii) needs E[φ'²] at small q; f(0) → 1/3 there, so the conclusion is no yes."""
    found = mf.check_proposition4(lambda x: np.where(x == 0, 0, x + x * x * np.sin(1 / np.where(x == 0, 1, x))))
    assert found.conditions["i"].holds is True
    for name in ("ii", "iii", "iv"):
        assert found.conditions[name].holds is None
        assert "oscillates so fast beside 0" in found.conditions[name].reason
    assert found.satisfied is None
    assert found.conclusion.holds is None
    assert found.propositions["7"].holds is None


def test_a_power_that_hardly_departs_from_a_line_is_not_one() -> None:
    found = mf.check_proposition4(lambda x: x * np.abs(x) ** 0.001)
    assert found.conditions["i"].holds is False
    assert found.conclusion.holds is None  # f is the same at every q, so f(0) does not vanish
