"""Callables that are steep, narrow or shifted: found by the scan, differentiated at their own scale."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy import special
from scipy.stats import norm

import meanfield as mf
from meanfield.activations.black_box.scan import SPACING
from tests.activations.random_callables import random_callable


def _density(x: float, q: float) -> float:
    return math.exp(-x * x / (2 * q)) / math.sqrt(2 * math.pi * q)


def _bell(centre: float, s: float) -> Callable[[Any], Any]:
    return lambda x: np.exp(-((x - centre) ** 2) / (2 * s * s))


def test_a_narrow_box_is_found() -> None:
    found = mf.estimate(lambda x: ((x > 1) & (x < 1.0001)) * 1.0, 1.0)
    exact = 0.5 * float(mp.erfc(1 / mp.sqrt(2)) - mp.erfc(mp.mpf(1.0001) / mp.sqrt(2)))
    assert found.value == pytest.approx(exact, rel=1e-11)  # 2.4196e-5
    assert abs(found.value - exact) <= found.error


@pytest.mark.parametrize("s", [0.01, 0.002, 0.001])
def test_a_narrow_bell_at_zero(s: float) -> None:
    # E[exp(−X²/s²)] = s/√(s² + 2q); the gain makes σ_w²E[φ'²] = 1 where q is E[φ²] at the given variance
    act = mf.activation(_bell(0.0, s))
    assert mf.second_moment(act, 1.0) == pytest.approx(s / math.sqrt(s * s + 2), rel=1e-12)
    assert mf.second_moment(act, 1.0, 1) == pytest.approx(1 / s / (s * s + 2) ** 1.5, rel=1e-11)
    with pytest.warns(UserWarning, match="without biases"):
        gain, wanted = mf.gain(act, depth=10), mf.gain(f"exp(-x**2/(2*{s}**2))", depth=10)
    assert gain == pytest.approx(wanted, rel=1e-10)
    point, exact = mf.edge_of_chaos(act, 0.3), mf.edge_of_chaos(f"exp(-x**2/(2*{s}**2))", 0.3)
    assert (point.status, point.sigma_w) == (exact.status, pytest.approx(exact.sigma_w, rel=1e-10))


@pytest.mark.parametrize(("centre", "s"), [(3.7, 1e-4), (-0.3, 2e-5), (0.05, 1e-5), (50.3, 1e-3)])
def test_a_narrow_bell_anywhere(centre: float, s: float) -> None:
    q = max(1.0, centre * centre)
    found = mf.estimate(_bell(centre, s), q)
    exact = s / math.sqrt(s * s + q) * math.exp(-(centre**2) / (2 * (s * s + q)))
    assert found.value == pytest.approx(exact, rel=1e-10)
    assert abs(found.value - exact) <= found.error + 1e-14 * exact


def test_a_narrow_bell_on_a_wide_function() -> None:
    act = mf.activation(lambda x: np.tanh(x) + 1000 * np.exp(-(((x - 50.3) / 0.001) ** 2)))
    root, q = math.sqrt(math.pi), 2500.0
    expected = mf.second_moment("tanh", q) + (1e6 * root / math.sqrt(2) + 2e3 * root) * 0.001 * _density(50.3, q)
    assert mf.second_moment(act, q) == pytest.approx(expected, rel=1e-10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.AccuracyWarning)  # 3e-10: at x = 50 doubles lie 7e-12 of the width apart
        assert mf.second_moment(act, q, 1) == pytest.approx(1e9 * root / math.sqrt(2) * _density(50.3, q), rel=1e-6)
    assert any(abs(feature.centre - 50.3) < feature.scale < 0.1 for feature in act.features)


@pytest.mark.parametrize(
    ("centre", "width", "q", "value", "slope"), [(0.7123, 0.001, 1.0, 1.007705, 4922.1), (50.3, 0.1, 2500.0, 2559.706, 3814.4)]
)
def test_a_narrow_gain(centre: float, width: float, q: float, value: float, slope: float) -> None:
    act = mf.activation(lambda x: x * (1 + 5 * np.exp(-(((x - centre) / width) ** 2))))
    assert mf.second_moment(act, q) == pytest.approx(value, rel=1e-6)
    assert mf.second_moment(act, q, 1) == pytest.approx(slope, rel=1e-5)


def test_declared_breakpoints_hide_no_feature() -> None:
    function = lambda x: np.tanh(x) + np.exp(-((x - 3.7) ** 2) / (2 * 0.0001**2))  # noqa: E731
    exact = mf.second_moment("tanh", 1.0) + 1e-4 * (math.sqrt(math.pi) + 2 * math.sqrt(2 * math.pi) * math.tanh(3.7)) * _density(3.7, 1.0)
    for given in ((3.6999, 3.7, 3.7001), (0.5,)):
        assert mf.second_moment(mf.activation(function, breakpoints=given), 1.0) == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        (lambda x: np.tanh(1000 * x), "tanh(1000*x)"),
        (lambda x: np.sin(300 * x), "sin(300*x)"),
        (lambda x: np.logaddexp(0, 200 * x) / 200, "softplus(200*x)/200"),
    ],
)
def test_derivatives_of_steep_callables_are_right_and_quick(function: Callable[[Any], Any], formula: str) -> None:
    act = mf.activation(function)
    begun = time.process_time()
    found = [mf.second_moment(act, 1.0, k) for k in (1, 2)]
    assert time.process_time() - begun < 10  # some 2 s, and 50 s before
    assert found == pytest.approx([mf.second_moment(formula, 1.0, k) for k in (1, 2)], rel=1e-9)


def test_steep_sigmoids() -> None:
    # E[σ(a(X − c))] = Φ(−c) − π²/(6a²) N'(c) + O(a⁻⁴)
    for a, c in ((10_000, 0.5), (5_000, 2.0)):
        exact = 0.5 * math.erfc(c / math.sqrt(2)) + math.pi**2 / 6 / a**2 * c * _density(c, 1.0)
        found = mf.estimate(lambda x, a=a, c=c: special.expit(a * (x - c)), 1.0)
        assert found.value == pytest.approx(exact, rel=1e-12)


def test_a_continuous_oscillation_has_no_jump() -> None:
    begun = time.process_time()
    act = mf.activation(lambda x: np.where(x == 0, 0, x + x * x * np.sin(1 / np.where(x == 0, 1, x))))
    assert [point.location for point in act.breakpoints] == [0.0]
    assert act.breakpoints[0].value_jump == 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = mf.second_moment(act, 1.0)
    assert time.process_time() - begun < 15  # some 4 s, and 160 s before
    assert value == pytest.approx(mf.second_moment("x + x**2*sin(1/x)", 1.0), rel=1e-12)
    with pytest.warns(mf.AccuracyWarning) as caught:
        slope = mf.second_moment(act, 1.0, 1)
    assert len(caught) == 1
    with pytest.warns(mf.AccuracyWarning):
        assert slope == pytest.approx(mf.second_moment("x + x**2*sin(1/x)", 1.0, 1), rel=1e-3)


def test_scalar_callables_are_searched_too() -> None:
    found = mf.estimate(lambda x: math.exp(-(((x - 3.7) / 0.002) ** 2)), 1.0)
    assert found.value == pytest.approx(0.002 * math.sqrt(math.pi / (1 + 0.000002)) * _density(3.7, 1.0) * 1.0, rel=1e-4)


def test_ordinary_callables_have_no_features() -> None:
    for function in (np.tanh, lambda x: np.maximum(x, 0.0), lambda x: x / (1 + np.exp(-x)), lambda x: 1 - np.tanh(x) ** 2):
        assert mf.activation(function).features == ()


def test_the_error_estimate_holds_for_random_callables() -> None:
    rng = np.random.default_rng(13)
    failed = []
    for _ in range(40):
        text, function, mean, height, q = random_callable(rng, 1.2 * SPACING)
        found, exact = mf.estimate(function, q), mean(q)
        # A jump is known to a unit in the last place of its x.
        if abs(found.value - exact) > found.error + 1e-15 * height:
            failed.append((text, q, found, exact))
    assert not failed


@pytest.mark.parametrize("steepness", [1e5, 1e6, 1e7, 1e9])
def test_steps_steeper_than_the_search_is_fine(steepness: float) -> None:
    """A step between two samples is a breakpoint with layers beside it, not a breakpoint at which nothing happens."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.AccuracyWarning)
        step = mf.activation(lambda x: np.tanh(steepness * (x + 1.7)))
        formula = f"tanh({steepness!r}*(x+1.7))"
        assert mf.second_moment(step, 1.0) == pytest.approx(mf.second_moment(formula, 1.0), rel=1e-14)
        # E[φ'²] → (4/3) k · the density at the step; the formula's x + 1.7 has lost digits too.
        exact = 4.0 / 3.0 * steepness * math.exp(-(1.7**2) / 2) / math.sqrt(2 * math.pi)
        assert mf.second_moment(step, 1.0, derivative=1) == pytest.approx(exact, rel=1e-6)
        ramp = mf.activation(lambda x: np.clip(steepness * (x - 0.5), -1.0, 1.0))
        inside = norm.cdf(0.5 + 1 / steepness) - norm.cdf(0.5 - 1 / steepness)
        if steepness < 1e9:
            assert mf.second_moment(ramp, 1.0, derivative=1) == pytest.approx(steepness**2 * inside, rel=1e-6)
        assert mf.second_moment(ramp, 1.0) == pytest.approx(1.0 - inside * 2.0 / 3.0, rel=1e-13)


def test_many_steep_steps() -> None:
    """None is given up for being one of many."""
    at = np.linspace(-3.0, 3.0, 40) + 0.0123
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.AccuracyWarning)
        value = mf.second_moment(lambda x: sum(np.tanh(1e6 * (np.asarray(x) - a)) for a in at), 1.0, derivative=1)
    assert value == pytest.approx(4.0 / 3.0 * 1e6 * sum(_density(a, 1.0) for a in at), rel=1e-6)


def test_a_narrow_peak_at_two_inputs() -> None:
    """A wide panel does not eat its way into the peak, one narrow panel after the other: seconds, not minutes."""
    width, centre = 0.01, 0.3
    peak = mf.activation(lambda x: np.exp(-((x - centre) ** 2) / (2 * width**2)))
    for q1, q2, c in ((1.0, 2.0, 0.999), (1.0, 1.0, 0.5), (0.3, 4.0, -0.7)):
        cross = c * math.sqrt(q1 * q2)
        det = (q1 + width**2) * (q2 + width**2) - cross**2
        exponent = centre**2 * (q1 + q2 + 2 * width**2 - 2 * cross) / (2 * det)
        assert mf.covariance(peak, q1, q2, c) == pytest.approx(width**2 / math.sqrt(det) * math.exp(-exponent), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(
    ("function", "q", "exact"),
    [
        (np.exp, 1.0, math.exp(2.0)),
        (math.exp, 1.0, math.exp(2.0)),
        (np.sinh, 0.5, math.exp(0.5) * math.sinh(0.5)),
        (lambda x: np.exp(x * x / 16.0), 2.0, 2.0**0.5),
    ],
)
def test_callables_that_overflow_far_out(function: Any, q: float, exact: float) -> None:
    """φ' is infinite where φ is, further out than the Gaussian reaches; math.exp raises there."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mf.second_moment(function, q) == pytest.approx(exact, rel=1e-12)
