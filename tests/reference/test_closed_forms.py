"""The closed forms against direct integration of their definitions."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

from tests.closed_forms import CLOSED_FORMS, ClosedForm
from tests.reference_activations import Case, cases

DIGITS = 30
BIVARIATE = [name for name, form in CLOSED_FORMS.items() if form.covariance_orders]
SERIES = [(name, order) for name in BIVARIATE for order in CLOSED_FORMS[name].covariance_orders if order in CLOSED_FORMS[name].orders]


@cache
def legendre(n: int = 24) -> list[tuple[Any, Any]]:
    """Gauss–Legendre nodes and weights, polished by Newton from float64."""
    out = []
    with mp.workdps(DIGITS + 5):
        for start in np.polynomial.legendre.leggauss(n)[0]:
            x = mpf(float(start))
            for _ in range(2):
                p, before = mp.legendre(n, x), mp.legendre(n - 1, x)
                x -= p * (x**2 - 1) / (n * (x * p - before))
            p, before = mp.legendre(n, x), mp.legendre(n - 1, x)
            slope = n * (x * p - before) / (x**2 - 1)
            out.append((x, 2 / ((1 - x**2) * slope**2)))
    return out


def gaussian_nodes(q: Any, form: ClosedForm) -> list[tuple[Any, Any]]:
    """Nodes and weights of E[f(√q Z)]: panels a standard deviation wide, cut at the breakpoints."""
    s = mp.sqrt(q)
    ends = sorted({*(k * s for k in range(-18, 19)), *(b for b in form.breaks if abs(b) < 18 * s)})
    out = []
    for a, b in pairwise(ends):
        for t, w in legendre():
            x = (a + b) / 2 + (b - a) / 2 * t
            out.append((x, w * (b - a) / 2 * mp.npdf(x, 0, s)))
    return out


def close(a: Any, b: Any, scale: Any, tolerance: str) -> bool:
    return bool(abs(a - b) <= mpf(tolerance) * abs(scale))


@pytest.mark.parametrize("q", ["0.0025", "1.3"])
@pytest.mark.parametrize("name", list(CLOSED_FORMS))
def test_one_input(name: str, q: str) -> None:
    form = CLOSED_FORMS[name]
    with mp.workdps(DIGITS):
        q = mpf(q)
        nodes = gaussian_nodes(q, form)
        v = form.second_moment(q)
        values = [form.phi(x) for x, _ in nodes]
        for order in form.orders:
            direct = mp.fsum(w * form.phi(x, order) ** 2 for x, w in nodes)
            assert close(form.second_moment(q, order), direct, direct, "1e-18"), order
        assert close(form.mean(q), mp.fsum(w * f for (_, w), f in zip(nodes, values, strict=True)), mp.sqrt(v), "1e-18")
        slope = mp.fsum(w * f**2 * (x**2 / q - 1) / (2 * q) for (x, w), f in zip(nodes, values, strict=True))
        assert close(form.variance_slope(q), slope, max(abs(slope), v / q), "1e-18")


def hermite_coefficients(form: ClosedForm, order: int, q: Any, terms: int) -> Any:
    """E[φ⁽ᵏ⁾(√q Z) heₙ(Z)], heₙ the orthonormal Hermite polynomials."""
    pairs = gaussian_nodes(q, form)
    z = np.array([float(x / mp.sqrt(q)) for x, _ in pairs])
    weighted = np.array([float(w * form.phi(x, order)) for x, w in pairs])
    before, now = np.zeros_like(z), np.ones_like(z)
    out = np.empty(terms)
    for n in range(terms):
        out[n] = weighted @ now
        before, now = now, (z * now - np.sqrt(n) * before) / np.sqrt(n + 1)
    return out


@pytest.mark.parametrize(("name", "order"), SERIES)
def test_covariance_is_its_hermite_series(name: str, order: int) -> None:
    # C(c) = Σ aₙ(q1) aₙ(q2) cⁿ: nothing in common with the closed forms
    form = CLOSED_FORMS[name]
    terms = 70
    for c in ("-0.4", "0.6"):
        q1, q2 = mpf("0.5"), mpf("0.8")
        a, b = (hermite_coefficients(form, order, q, terms) for q in (q1, q2))
        series = float(np.sum(a * b * float(c) ** np.arange(terms)))
        scale = mp.sqrt(form.second_moment(q1, order) * form.second_moment(q2, order))
        assert close(series, form.covariance(q1, q2, c, order), scale, "2e-14")


@pytest.mark.parametrize("name", ["sign", "heaviside"])
def test_covariance_of_a_jump_s_derivative_is_the_slope_in_c(name: str) -> None:
    # Price: ∂C/∂c = √(q1 q2) C[φ']
    form = CLOSED_FORMS[name]
    with mp.workdps(40):
        q1, q2, c, h = mpf("0.5"), mpf("0.8"), mpf("-0.3"), mpf("1e-15")
        slope = (form.covariance(q1, q2, c + h) - form.covariance(q1, q2, c - h)) / (2 * h)
        assert close(mp.sqrt(q1 * q2) * form.covariance(q1, q2, c, 1), slope, slope, "1e-20")


@pytest.mark.parametrize("name", BIVARIATE)
def test_ends_of_the_correlation_range(name: str) -> None:
    form = CLOSED_FORMS[name]
    with mp.workdps(DIGITS):
        q = mpf("0.7")
        v = form.second_moment(q)
        mirrored = mp.fsum(w * form.phi(x) * form.phi(-x) for x, w in gaussian_nodes(q, form))
        assert close(form.covariance(q, q, 0), form.mean(q) ** 2, v, "1e-25")
        assert close(form.covariance(q, q, 1), v, v, "1e-25")
        assert close(form.covariance(q, q, -1), mirrored, v, "1e-18")


@pytest.mark.parametrize("name", BIVARIATE)
def test_decorrelation_keeps_its_digits(name: str) -> None:
    form = CLOSED_FORMS[name]
    q, epsilon = mpf("0.7"), mpf("1e-12")
    tiny = form.decorrelation(q, epsilon)
    with mp.workdps(60):
        assert close(tiny, form.decorrelation(q, epsilon), tiny, "1e-14")
    if 1 in form.orders:  # its Taylor series starts with q V[φ'] ε
        assert close(tiny, q * form.second_moment(q, 1) * epsilon, tiny, "1e-5")


SHARED = [c for c in cases(tiny=True) if c.name in CLOSED_FORMS and c.scale > 0 and c.quantity not in ("V1_ae", "D1")]
SHARED = [c for c in SHARED if not c.quantity.startswith(("C", "D")) or CLOSED_FORMS[c.name].covariance_orders]


def closed_form(case: Case) -> Any:
    """The case's number from its closed form."""
    form, arguments = CLOSED_FORMS[case.name], [mpf(a) for a in case.arguments]
    if case.quantity == "mean":
        return form.mean(*arguments)
    if case.quantity == "dVdq":
        return form.variance_slope(*arguments)
    if case.quantity == "D":
        return form.decorrelation(*arguments)
    if case.quantity in ("C", "C1"):
        return form.covariance(*arguments, case.order)
    return form.second_moment(*arguments, case.order)


@pytest.mark.parametrize("name", sorted({c.name for c in SHARED}))
def test_closed_forms_agree_with_the_files(name: str) -> None:
    with mp.workdps(50):
        for case in (c for c in SHARED if c.name == name):
            # a few numbers claim a little more than the 30 digits they are printed with
            allowed = case.error + case.scale * mpf("1e-26")
            assert abs(closed_form(case) - case.value) <= allowed, case.label
