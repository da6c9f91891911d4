"""Whether F rises: sums of sines, whose V[φ] is a sum of exponentials in q, and functions that only samples decide."""

from __future__ import annotations

import math

import pytest

import meanfield as mf


@pytest.mark.parametrize(("formula", "frequency"), [("sin(x)*cos(x)", 2.0), ("-sin(2*x)", 2.0), ("sin(x)/2 + sin(x)/2", 1.0)])
def test_one_frequency_rises_by_its_spectrum(formula: str, frequency: float) -> None:
    # φ = a sin ωx: V = ½a²(1 − exp(−2ω²q)).
    condition = mf.check_proposition4(formula).conditions["iii"]
    assert (condition.holds, condition.proof) == (True, "analytic")
    assert mf.MeanField(formula, 1.0, 0.0).variance_slope(1e-9) == pytest.approx(mf.activation(formula).derivative(0.0) ** 2, rel=1e-6)
    assert mf.MeanField(formula, 1.0, 0.0).variance_slope(10.0 / frequency**2) > 0.0


def test_two_frequencies_fall_somewhere() -> None:
    # φ² = 1 + ½cos 2x − cos 4x − ½cos 6x, so dV/dq = −exp(−2q) + 8 exp(−8q) + 9 exp(−18q).
    condition = mf.check_proposition4("sin(x) + sin(3*x)").conditions["iii"]
    assert condition.holds is False
    net = mf.MeanField("sin(x) + sin(3*x)", 1.0, 0.0)
    for q in (0.05, 0.3, 0.77, 2.0):
        exact = -math.exp(-2 * q) + 8 * math.exp(-8 * q) + 9 * math.exp(-18 * q)
        assert net.variance_slope(q) == pytest.approx(exact, rel=1e-10)
    assert str(condition).startswith("(iii) no")


def test_a_sum_that_rises_everywhere_is_never_denied() -> None:
    # sin³: dV/dq = (3/16) y (5 − 8y³ + 3y⁸) with y = exp(−2q), which is positive and falls below any error far out.
    assert mf.check_proposition4("sin(x)**3").conditions["iii"].holds is not False
    assert mf.MeanField("sin(x)**3", 1.0, 0.0).variance_slope(0.5) == pytest.approx(
        3 / 16 * math.exp(-1) * (5 - 8 * math.exp(-3) + 3 * math.exp(-8)), rel=1e-11
    )


def test_samples_decide_where_no_argument_does() -> None:
    rising = mf.check_proposition4("x + x**2*exp(-x*x)").conditions["iii"]
    assert rising.holds is True
    assert rising.proof in ("numerical", "theorem")  # the latter where python-flint is installed
    open_end = mf.check_proposition4("x + 0.5*sin(3*x)").conditions["iii"]
    assert open_end.holds is not False  # F' = 1 + … > 0 at every q
    falling = mf.check_proposition4("exp(-x*x)").conditions["iii"]  # V = 1/√(1 + 4q)
    assert falling.holds is False


@pytest.mark.parametrize("k", [0.14208711640071894, 0.1420872, 0.1420873, -0.1420872])
def test_a_fall_between_two_samples_is_found(k: float) -> None:
    # φ = x (k + exp(−x²/2)): V = q (k² + 2k (1 + q)^(−3/2) + (1 + 2q)^(−3/2)). V' < 0 on some 2 % of q only, and by 2e-6.
    formula = f"x*({abs(k)!r}+exp(-x**2/2))" if k > 0 else f"-x*({abs(k)!r}+exp(-x**2/2))"
    k = abs(k)
    condition = mf.check_proposition4(formula).conditions["iii"]
    assert condition.holds is False
    q = condition.witness
    assert 2.6 < q < 2.7
    exact = k * k + 2 * k * (1 - q / 2) * (1 + q) ** -2.5 + (1 - q) * (1 + 2 * q) ** -2.5
    assert exact < 0
    assert mf.MeanField(formula, 1.0, 0.0).variance_slope(q) == pytest.approx(exact, rel=1e-6)


def test_a_dip_that_stays_above_zero_is_no_fall() -> None:
    k = 0.1422  # the smallest V' is 1e-5
    q = [2.4 + 0.01 * i for i in range(50)]
    assert min(k * k + 2 * k * (1 - x / 2) * (1 + x) ** -2.5 + (1 - x) * (1 + 2 * x) ** -2.5 for x in q) > 5e-6
    assert mf.check_proposition4(f"x*({k}+exp(-x**2/2))").conditions["iii"].holds is True
