"""Infinite answers, zero variance, undefined integrals, bad input, warnings."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import meanfield as mf


def test_infinite_expectations_say_why() -> None:
    for formula, word in (("exp(x**2)", "overflow"), ("1/x**2", "integrable"), ("exp(exp(x))", "overflow")):
        found = mf.estimate(formula)
        assert found.value == math.inf
        assert word in found.reason
        assert word in str(found)
    assert mf.estimate("-exp(x**2)").value == -math.inf


def test_an_expectation_that_diverges_at_some_variances_only() -> None:
    q = 0.2
    assert mf.second_moment("exp(x**2)", q) == pytest.approx(1 / math.sqrt(1 - 4 * q), rel=1e-12)
    assert mf.second_moment("exp(x**2)", 0.26) == math.inf
    assert mf.second_moment("exp", [1.0, 400.0]).tolist() == [pytest.approx(math.exp(2), rel=1e-13), math.inf]


@pytest.mark.parametrize("formula", ["1/x", "tan(x)", "x**3*exp(x**2)"])
def test_undefined_expectations_are_errors(formula: str) -> None:
    with pytest.raises(mf.ActivationError, match="not defined"):
        mf.expectation(formula)


def test_integrable_singularities() -> None:
    euler = 0.57721566490153286
    assert mf.expectation("log(abs(x))") == pytest.approx(-(euler + math.log(2)) / 2, rel=1e-13)
    assert mf.second_moment("sqrt(abs(x))", 2.0) == pytest.approx(2 / math.sqrt(math.pi), rel=1e-13)
    assert mf.second_moment("sqrt(abs(x))", 2.0, derivative=1) == math.inf


def test_a_tolerance_that_is_not_met_is_announced() -> None:
    with pytest.warns(mf.AccuracyWarning, match=r"relative error about"):
        mf.expectation("abs(x)**-0.9")
    found = mf.estimate("abs(x)**-0.9")
    exact = 2 ** (-0.45) * math.gamma(0.05) / math.sqrt(math.pi)
    assert abs(found.value - exact) <= found.error


def test_deltas() -> None:
    assert mf.second_moment("sign", 1.0, derivative=1) == math.inf
    assert mf.second_moment("relu", 1.0, derivative=2) == math.inf
    assert mf.covariance("sign", 1.0, 1.0, 1.0, derivative=1) == math.inf
    assert mf.covariance("relu", 1.0, 4.0, 1.0, derivative=2) == math.inf
    # E[φ''(u)φ''(v)] of relu is the bivariate density at 0; of sign, with φ' = 2δ, 4 times that for φ'.
    for c in (-0.99, 0.3, 0.999):
        density = 1 / (2 * math.pi * math.sqrt(1 - c * c))
        assert mf.covariance("relu", 1.0, 1.0, c, derivative=2) == pytest.approx(density, rel=1e-11)
        assert mf.covariance("sign", 1.0, 1.0, c, derivative=1) == pytest.approx(4 * density, rel=1e-11)
    # Deltas that miss each other at c = 1: hardshrink's jumps at ±½ under inputs in the ratio 2.
    assert math.isfinite(mf.covariance("hardshrink", 1.0, 4.0, 1.0, derivative=1))


def test_deltas_of_hardshrink_by_differences() -> None:
    c, h = 0.6, 1e-4
    slope = (mf.covariance("hardshrink", 1.0, 4.0, c + h) - mf.covariance("hardshrink", 1.0, 4.0, c - h)) / (2 * h)
    assert 2.0 * mf.covariance("hardshrink", 1.0, 4.0, c, derivative=1) == pytest.approx(slope, rel=1e-6)


def test_zero_variance() -> None:
    assert mf.second_moment("sigmoid", 0.0) == 0.25
    assert mf.second_moment("relu", 0.0, derivative=1) == 0.5
    assert mf.second_moment("sign", 0.0) == 1.0
    assert mf.second_moment("sign", 0.0, derivative=1) == math.inf
    assert mf.expectation("heaviside", 0.0) == 0.5
    assert mf.covariance("sigmoid", 0.0, 1.0, 0.3) == pytest.approx(0.25, rel=1e-14)
    assert mf.covariance("sign", 0.0, 0.0, 0.5) == pytest.approx(2 / math.pi * math.asin(0.5), rel=1e-14)
    assert mf.decorrelation("sign", 0.0, 0.5) == pytest.approx(1 - 2 / math.pi * math.asin(0.5), rel=1e-14)


def test_values_far_down_keep_their_digits() -> None:
    # The mass of max(0, x − 0.7) at q = 0.0025 lies at 14 standard deviations.
    from mpmath import mp, mpf

    with mp.workdps(1000):  # ncdf far out cancels
        for q in (0.0025, 0.0005):
            z = mpf(0.7) / mp.sqrt(mpf(q))
            exact = mpf(q) * ((1 + z * z) * mp.ncdf(-z) - z * mp.npdf(z))
            assert abs(mf.second_moment("relu(x - 0.7)", q) / exact - 1) <= 1e-12


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mf.second_moment("tanh", -1.0), ["q", "-1.0"]),
        (lambda: mf.second_moment("tanh", math.inf), ["q", "inf"]),
        (lambda: mf.second_moment("tanh", math.nan), ["q", "NaN"]),
        (lambda: mf.second_moment("tanh", 1.0, derivative=3), ["derivative", "3"]),
        (lambda: mf.second_moment("tanh", 1j), ["q", "complex"]),
        (lambda: mf.second_moment("tanh", "1"), ["q", "str"]),
        (lambda: mf.covariance("tanh", 1.0, 1.0, 1.5), ["c", "1.5", "[-1, 1]"]),
        (lambda: mf.covariance("tanh", 1.0, -2.0, 0.5), ["q2", "-2.0"]),
        (lambda: mf.decorrelation("tanh", 1.0, 2.5), ["epsilon", "2.5"]),
        (lambda: mf.expectation("tanh", [1.0, -3.0]), ["q", "-3.0"]),
    ],
)
def test_bad_arguments_are_named(call: object, words: list[str]) -> None:
    with pytest.raises(mf.DomainError) as caught:
        call()  # type: ignore[operator]
    assert isinstance(caught.value, ValueError)
    for word in words:
        assert word in str(caught.value)


def test_shapes_that_do_not_broadcast() -> None:
    with pytest.raises(ValueError, match="broadcast"):
        mf.covariance("tanh", np.ones(2), np.ones(3), 0.5)


def test_empty_arrays() -> None:
    assert mf.second_moment("tanh", np.zeros(0)).shape == (0,)
    assert mf.covariance("tanh", 1.0, 1.0, np.zeros(0)).shape == (0,)
    assert mf.expectation("tanh", np.zeros((2, 0))).shape == (2, 0)


def test_no_warning_without_reason() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in mf.activations():
            for k in (0, 1, 2):
                mf.second_moment(name, np.geomspace(1e-8, 1e3, 12), derivative=k)


@pytest.mark.parametrize("c", [1.0000000000000002, -1.0000000000000004, 1.0 + 1e-14])
def test_a_correlation_that_rounding_carried_past_an_end_is_the_end(c: float) -> None:
    end = math.copysign(1.0, c)
    net = mf.MeanField("tanh", 1.3, 0.2)
    assert mf.covariance("tanh", 1.0, 2.0, c) == mf.covariance("tanh", 1.0, 2.0, end)
    assert net.correlation_map(c) == net.correlation_map(end)
    assert net.correlation_slope(c) == net.correlation_slope(end)
    assert np.array_equal(net.propagate(3, c=c).epsilon, net.propagate(3, c=end).epsilon)
    assert mf.propagation_depth("tanh", sigma_b=0.2, sigma_w=1.3, c0=c) == mf.propagation_depth("tanh", sigma_b=0.2, sigma_w=1.3, c0=end)
    assert mf.simulate("tanh", 1.3, 0.2, width=8, depth=2, networks=2, c=c, progress=False).c.mean[0] == pytest.approx(end, abs=1e-12)


@pytest.mark.parametrize("c", [1.0 + 1e-13, -1.001, math.inf])
def test_a_correlation_further_out_is_an_error(c: float) -> None:
    with pytest.raises(mf.DomainError, match=r"c = .* is out of range"):
        mf.covariance("tanh", 1.0, 2.0, c)


@pytest.mark.parametrize("bad", [-1.0, 1e-300, 1e-285, 1e285, 1e300, math.inf, math.nan])
def test_arrays_of_variances_are_checked(bad: float) -> None:
    with pytest.raises(mf.DomainError, match="q"):
        mf.second_moment("tanh", np.array([1.0, bad, 2.0]))
