"""Functions with features far narrower than the reach of the Gaussian, at 0 and far from it."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import meanfield as mf
from meanfield.expectation import panels
from meanfield.expectation.moments import MomentTable
from tests.narrow_functions import findings, random_case

ROOT_2PI = math.sqrt(2 * math.pi)


def _mean_of_x_times_bell(a: float, s: float) -> float:
    """E[x exp(−((x − a)/s)²)]: with 1 + 2/s² = P, (2a/s²) P^(−3/2) exp(−a²/(2 + s²))."""
    return 2 * a / s**2 * (1 + 2 / s**2) ** -1.5 * math.exp(-a * a / (2 + s**2))


@pytest.mark.parametrize(
    ("formula", "exact"),
    [
        ("exp(-(x-3.7)**2/(2*0.0001**2))", 1e-4 / math.sqrt(1 + 1e-8) * math.exp(-0.5 * 3.7**2 / (1 + 1e-8))),
        ("sigmoid(10000*(x-0.5))", 0.3085375416216),
        ("sigmoid(5000*(x-2))", 0.0227501390531),
        ("x*(1+5*exp(-((x-0.7123)/0.001)**2))", 5 * _mean_of_x_times_bell(0.7123, 0.001)),
        ("x*(1+5*exp(-((x-0.7123)/0.000001)**2))", 5 * _mean_of_x_times_bell(0.7123, 1e-6)),
    ],
)
def test_the_mean_of_a_narrow_function(formula: str, exact: float) -> None:
    found = mf.estimate(formula)
    assert found.value == pytest.approx(exact, rel=1e-11)
    assert abs(found.value - exact) <= found.error + 1e-12 * exact
    assert 0 < found.error <= 1e-14


@pytest.mark.parametrize(
    ("formula", "q", "k", "exact"),
    [
        ("tanh(x)+exp(-(x-0.5)**2/(2*0.0001**2))", 1.0, 0, 0.3944384557),
        ("x*(1+5*exp(-((x-0.7123)/0.001)**2))", 1.0, 0, 1.0077048838),
        ("x*(1+5*exp(-((x-0.7123)/0.001)**2))", 1.0, 1, 4922.1002939),
        ("x*(1+5*exp(-((x-50.3)/0.1)**2))", 2500.0, 0, 2559.70615),
        ("x*(1+5*exp(-((x-50.3)/0.1)**2))", 2500.0, 1, 3814.43689),
    ],
)
def test_second_moments_of_a_narrow_function(formula: str, q: float, k: int, exact: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mf.second_moment(formula, q, derivative=k) == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize("number", range(300))
def test_answers_are_as_good_as_they_say(number: int) -> None:
    for found in findings(random_case(np.random.default_rng((7, number)))):
        assert found.error <= found.bound + 4e-15, found
        assert found.warnings <= 1, found


@pytest.mark.parametrize("number", range(6))
def test_covariances_of_narrow_functions(number: int) -> None:
    rng = np.random.default_rng((11, number))
    for found in findings(random_case(rng), float(rng.uniform(-0.9, 0.9))):
        assert found.error <= found.bound + 1e-13, found


@pytest.mark.parametrize(
    ("formula", "centre", "area"),
    [
        ("exp(-((x-0.5)/1e-6)**2)", 0.5, math.sqrt(math.pi)),  # where panels begin
        ("exp(-((x-0.3)/1e-6)**2) + 0*abs(x-0.3)", 0.3, math.sqrt(math.pi)),  # at a breakpoint
        ("exp(-abs(x-0.3)/1e-6)", 0.3, 2.0),
        ("1/cosh((x-0.3)/1e-6)**2", 0.3, 2.0),
        ("1/(1+((x-0.3)/1e-6)**2)**4", 0.3, 5 * math.pi / 16),
        ("(1+((x-0.3)/1e-6)**2)**(-4)", 0.3, 5 * math.pi / 16),
        ("exp(-(x**2-0.09)**2/(0.6e-6)**2)/2", 0.3, math.sqrt(math.pi)),  # one at −0.3 too, half of each
        ("tanh((x-0.3)/1e-6+1) - tanh((x-0.3)/1e-6-1)", 0.3, 4.0),
        ("erf((x-0.3)/1e-6+1) - erf((x-0.3)/1e-6-1)", 0.3, 4.0),
        ("exp(-1e6*(1-exp(-((x-0.3)/1e-6)**2)))", 0.3, 1e-3 * math.sqrt(math.pi)),  # narrow in the argument of another
    ],
)
def test_bells_of_all_kinds(formula: str, centre: float, area: float) -> None:
    exact = area * 1e-6 * math.exp(-0.5 * centre**2) / ROOT_2PI
    found = mf.estimate(formula)
    assert found.value == pytest.approx(exact, rel=2e-6)  # a bell of no width, but for the last
    assert mf.estimate(f"{formula} + tanh(x)").value == pytest.approx(found.value, abs=1e-15)
    assert found.error < 1e-6 * exact


def test_many_bells() -> None:
    """About every zero of sin(30x) one of width 10⁻³/30."""
    exact = sum(math.exp(-0.5 * (k * math.pi / 30) ** 2) for k in range(-100, 101)) * math.sqrt(math.pi) * 1e-3 / 30 / ROOT_2PI
    assert mf.expectation("exp(-1e6*sin(30*x)**2)") == pytest.approx(exact, rel=1e-6)  # sin is its slope to that accuracy


def test_a_catalogue_entry_with_a_small_scale() -> None:
    for alpha in (1e-3, 1e-8):
        exact = 0.5 + alpha / 2 / ROOT_2PI  # ∫ exp(2x/α) over x < 0, to relative α²
        assert mf.second_moment(mf.activation("celu", alpha=alpha), 1.0, derivative=1) == pytest.approx(exact, rel=1e-6 * alpha + 1e-13)


def test_what_is_beyond_the_budget_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels, "MOST_SEARCHED", 8)
    with pytest.warns(mf.AccuracyWarning, match="relative error") as caught:
        mf.second_moment("1e-3*x + exp(-((x-0.3)/1.23e-6)**2)", 1.0)
    assert len(caught) == 1
    found = mf.estimate("1e-3*x + exp(-((x-0.3)/1.23e-6)**2)")
    assert found.error > 1e-3  # as if it were as large there as it is elsewhere


def test_lost_digits_are_announced_once() -> None:
    """By the formula, and again by the error estimate, it was; by the formula alone up to 34 times."""
    with pytest.warns(mf.AccuracyWarning, match="relative error about") as caught:
        value = mf.second_moment("(exp(x)-1-x-x**2/2)/x**3", 1.0, derivative=2)
    assert len(caught) == 1
    x, weights = np.polynomial.hermite_e.hermegauss(60)
    curvature = sum((n + 1) * (n + 2) * x**n / math.factorial(n + 5) for n in range(80))
    assert value == pytest.approx(float(weights @ curvature**2) / ROOT_2PI, rel=1e-8)


def test_a_square_without_an_integral_is_infinite_at_every_variance() -> None:
    q = np.array([1e-6, 0.01, 1.0, 100.0])
    for formula in ("tanh(x)+0.1*sqrt(abs(x**2-1))-0.1", "x+sqrt(abs(x-1))-1", "tanh(x)+1e-5*sqrt(abs(x**2-2))"):
        assert np.isposinf(mf.second_moment(formula, q, derivative=1)).all(), formula
        assert np.isfinite(mf.second_moment(formula, q)).all()
    assert np.isposinf(mf.second_moment("abs(x-3)**1.5 - 3**1.5", q, derivative=2)).all()
    assert "not integrable at x = 1" in MomentTable(mf.activation("x+sqrt(abs(x-1))-1"), (0, 1)).direct(0.01)[2][1]
    # The mildest that has an integral: 0.36 E|x|^(−0.8), (1.6 · 0.6)² E|x|^(−0.8)
    mean = 2**-0.4 * math.gamma(0.1) / math.sqrt(math.pi)
    assert mf.second_moment("abs(x)**0.6", 0.01, derivative=1) == pytest.approx(0.36 * mean * 0.01**-0.4, rel=1e-6)
    assert mf.second_moment("abs(x)**1.6", 0.01, derivative=2) == pytest.approx(0.96**2 * mean * 0.01**-0.4, rel=1e-6)
    # A kink at which digits are lost like a power is none of them.
    assert mf.second_moment("arcsin(sin(x))", 1.0, derivative=1) == pytest.approx(1.0, rel=1e-9)


def test_every_octave_of_an_array_is_looked_at() -> None:
    """The bad one in the middle of good ones is not among the ends."""
    formula = "abs(x)**0.51"
    with pytest.warns(mf.AccuracyWarning):
        mf.second_moment(formula, np.array([1e-4, 1e-2, 1.0, 1e2, 1e4]), derivative=1)


def test_breakpoints_declared_about_a_bell() -> None:
    """They are no wider apart than the bell itself, whose flanks lie beyond them."""
    bell = mf.activation(lambda x: np.exp(-((x - 3.7) ** 2) / (2 * 0.0001**2)), breakpoints=(3.6999, 3.7, 3.7001))
    exact = 1e-4 / math.sqrt(1 + 1e-8) * math.exp(-0.5 * 3.7**2 / (1 + 1e-8))
    found = mf.estimate(bell)
    assert abs(found.value - exact) <= min(found.error + 1e-12 * exact, 1e-10 * exact)
