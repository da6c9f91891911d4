"""φ that overflows where the Gaussian makes up for it, against closed forms.

E[x²ᵏ exp(ax²)] at variance q is E[x²ᵏ] at s = 1/(1/q − 2a), times √(s/q).
"""

import math
import warnings

import mpmath
import numpy as np
import pytest

import meanfield as mf
from meanfield.errors import AccuracyWarning, ActivationError

CASES = (1.0, 1.5, 1.9, 1.95, 1.99, 1.999)


def _moment(k: int, q: float, rate: float) -> mpmath.mpf:
    """E[x^2k exp(rate x²)] with x ~ N(0, q), 30 digits."""
    with mpmath.workdps(30):
        spread = 1 / (1 / mpmath.mpf(q) - 2 * mpmath.mpf(rate))
        return mpmath.fac2(2 * k - 1) * spread**k * mpmath.sqrt(spread / mpmath.mpf(q)) if k else mpmath.sqrt(spread / mpmath.mpf(q))


def _off(value: float, exact: mpmath.mpf) -> float:
    return abs(float(mpmath.mpf(value) / exact - 1))


@pytest.mark.parametrize("q", CASES)
def test_moments_up_to_where_they_diverge(q: float) -> None:
    conditioning = 1 / (1 - q / 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error" if q < 1.995 else "ignore")
        found = [mf.second_moment("exp(x**2/8)", q, k) for k in (0, 1, 2)]
        third = mf.second_moment("x**3*exp(x**2/8)", q)
    quarter = mpmath.mpf("0.25")
    m = [_moment(k, q, 0.25) for k in range(4)]
    exact = [m[0], quarter**2 * m[1], quarter**2 * (m[0] + quarter * 2 * m[1] + quarter**2 * m[2])]
    for value, right in zip(found, exact, strict=True):
        assert _off(value, right) < 1e-14 * conditioning
    assert _off(third, m[3]) < 1e-14 * 3.5 * conditioning  # E[x⁶ exp(x²/4)] goes with the power 7/2 of what has that conditioning


@pytest.mark.parametrize("q", [3.0, 3.8, 3.9, 3.99])
def test_means_up_to_where_they_diverge(q: float) -> None:
    found = mf.estimate("exp(x**2/8)", q)
    exact = _moment(0, q, 0.125)
    assert _off(found.value, exact) < 1e-14 / (1 - q / 4)
    assert abs(found.value - float(exact)) <= found.error
    assert _off(mf.expectation("exp(x**2/8)", q), exact) < 1e-14 / (1 - q / 4)


@pytest.mark.parametrize(("q", "rate"), [(2.0, 8), (2.5, 8), (4.0, 8)])
def test_infinite_from_there_on(q: float, rate: int) -> None:
    assert mf.second_moment(f"exp(x**2/{rate})", q) == math.inf
    assert mf.expectation("exp(x**2/8)", 2 * q) == math.inf


@pytest.mark.parametrize("q", [0.05, 0.1, 0.5])
def test_what_outgrows_every_gaussian_is_infinite(q: float) -> None:
    assert mf.second_moment("exp(x**4)", q) == math.inf
    assert mf.second_moment("exp(abs(x)**3/100)", 20 * q) == math.inf


def test_slopes_of_the_variance_map() -> None:
    net = mf.MeanField("exp(x**2/8)", sigma_w=0.7, sigma_b=0.1)
    for q in (1.9, 1.95, 1.99):  # dV/dq = ¼ (1 − q/2)^(−3/2)
        exact = mpmath.mpf(0.7) ** 2 / 4 * (1 - mpmath.mpf(q) / 2) ** mpmath.mpf(-1.5)
        assert _off(net.variance_slope(q), exact) < 1e-13 / (1 - q / 2)
        assert _off(net.variance_map(q), mpmath.mpf(0.7) ** 2 * _moment(0, q, 0.25) + mpmath.mpf(0.1) ** 2) < 1e-14 / (1 - q / 2)


def test_edge_of_chaos_near_where_the_variance_diverges() -> None:
    # σ_b² = q − V/V[φ'] = q − 16 (1 − q/2)/q, at σ_b = ½: q² + (8 − ¼) q − 16 = 0
    q = (-7.75 + math.sqrt(7.75**2 + 64)) / 2
    edge = mf.edge_of_chaos("exp(x**2/8)", sigma_b=0.5)
    assert edge.q == pytest.approx(q, rel=1e-13)
    assert edge.sigma_w == pytest.approx(math.sqrt(16 / q) * (1 - q / 2) ** 0.75, rel=1e-12)


@pytest.mark.parametrize("name", ["exp(x)", "cosh(x)", "exp(x+1)"])
@pytest.mark.parametrize("q", [300.0, 350.0])
def test_exponentials_whose_mass_lies_where_they_overflow(name: str, q: float) -> None:
    with mpmath.workdps(30):
        full = mpmath.exp(2 * mpmath.mpf(q))
        exact = {"exp(x)": full, "cosh(x)": (full + 1) / 2, "exp(x+1)": full * mpmath.exp(2)}[name]
    assert _off(mf.second_moment(name, q), exact) < 1e-15 * 2 * q


def test_tails_that_are_not_known_exactly_say_so() -> None:
    # E[cos²(x) exp(x²/4)] = ½(1 + exp(−2s))√(s/q); the sign changes all along, so what lies beyond is counted as doubt
    for q in (1.99, 1.999):
        with pytest.warns(AccuracyWarning, match="relative error about"):
            value = mf.second_moment("cos(x)*exp(x**2/8)", q)
        assert math.isfinite(value)
        assert _off(value, _moment(0, q, 0.25) / 2) < 0.5
    found = mf.estimate("(1+x**2)*exp(x**2/8)", 3.95)
    exact = float(_moment(0, 3.95, 0.125) + _moment(1, 3.95, 0.125))
    assert abs(found.value - exact) <= found.error
    assert found.value == pytest.approx(exact, rel=1e-6)


def test_one_value_does_not_depend_on_its_company() -> None:
    q = np.array([1.2, 1.95, 1.97, 1.99, 2.1])
    together = mf.second_moment("exp(x**2/8) ", q)
    assert together.tolist() == [mf.second_moment("exp(x**2/8)", float(v)) for v in q]


def test_covariances_are_right_or_refused() -> None:
    # E[exp((u² + v²)/8)] = ((1 − q(1 + c)/4)(1 − q(1 − c)/4))^(−½); uncorrelated inputs need E|φ| only
    assert mf.covariance("exp(x**2/8)", 1.95, 1.95, 0.0) == pytest.approx(1 / (1 - 1.95 / 4), rel=1e-13)
    assert mf.covariance("exp(x**2/8)", 2.5, 3.0, 0.0) == pytest.approx(((1 - 2.5 / 4) * (1 - 3 / 4)) ** -0.5, rel=1e-13)
    s = 2.5 / (1 - 2.5 / 4)  # E[φ'] of x exp(x²/8) is (1 + s/4) √(s/q)
    assert mf.covariance("x*exp(x**2/8)", 2.5, 2.5, 0.0, 1) == pytest.approx((1 + s / 4) ** 2 * s / 2.5, rel=1e-12)
    assert mf.covariance("x*exp(x**2/8)", 3.9, 3.9, 0.0, 1) == pytest.approx((1 + 156 / 4) ** 2 * 40, rel=1e-11)
    assert mf.covariance("exp(x**2/8)", 1.5, 1.5, 0.9) == pytest.approx(((1 - 1.5 * 1.9 / 4) * (1 - 1.5 * 0.1 / 4)) ** -0.5, rel=1e-12)
    assert mf.covariance("exp(x**2/8)", 1.95, 1.95, 1.0) == pytest.approx((1 - 1.95 / 2) ** -0.5, rel=1e-13)
    for c in (0.9, -1.0):
        with pytest.raises(ActivationError, match=r"overflows at x = 75\.\d"):
            mf.covariance("exp(x**2/8)", 1.95, 1.95, c)
    with pytest.raises(ActivationError, match=r"overflows at x = 75\.\d"):
        mf.decorrelation("exp(x**2/8)", 1.95, 1e-3)
