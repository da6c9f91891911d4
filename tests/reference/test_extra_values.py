"""extra.json against a second method: float64 quadrature of SymPy's derivatives, and Hermite series for two inputs.

The generator differentiates by hand-written jets; SymPy starts from the plain definitions below, so a slip in either shows.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from mpmath import mpf

from tests.reference_activations import Case, cases

SELU_SCALE, SELU_ALPHA = "1.0507009873554804934193349852946", "1.6732632423543772848170429916717"
FORMULAS = {
    "hardtanh": "Piecewise((-1, x < -1), (x, x < 1), (1, True))",
    "hardswish": "Piecewise((0, x < -3), (x*(x + 3)/6, x < 3), (x, True))",
    "hardsigmoid": "Piecewise((0, x < -3), ((x + 3)/6, x < 3), (1, True))",
    "relu6": "Piecewise((0, x < 0), (x, x < 6), (6, True))",
    "selu": f"{SELU_SCALE}*Piecewise((x, x > 0), ({SELU_ALPHA}*(exp(x) - 1), True))",
    "celu_1.5": "Piecewise((x, x > 0), (1.5*(exp(x/1.5) - 1), True))",
    "mish": "x*tanh(log(1 + exp(x)))",
    "softsign": "Piecewise((x/(1 + x), x > 0), (x/(1 - x), True))",
    "arctan": "atan(x)",
    "logsigmoid": "-log(1 + exp(-x))",
    "tanhshrink": "x - tanh(x)",
    "softshrink_0.7": "Piecewise((x - 0.7, x > 0.7), (x + 0.7, x < -0.7), (0, True))",
    "hardshrink": "Piecewise((x, x > 0.5), (x, x < -0.5), (0, True))",
    "gelu_tanh": "x/2*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x**3)))",
    "snake_2": "x + sin(2*x)**2/2",
    "squareplus": "(x + sqrt(x**2 + 4))/2",
    "telu": "x*tanh(exp(x))",
    "isru": "x/sqrt(1 + x**2)",
    "logish": "x*log(1 + 1/(1 + exp(-x)))",
    "cubic": "x**3 - 3*x",
    "sin_5": "sin(5*x)",
    "wavelet": "exp(-x**2/2)*cos(3*x)",
    "broken_0.3": "Piecewise((x, x > 0.3), (x/10, True))",
    "bend_0.3": "Piecewise((x, x > 0.3), (0.3 + (x - 0.3)/10, True))",
}
TERMS = 350
BREAKS = (-6.0, -3.0, -1.0, -0.7, -0.5, 0.0, 0.3, 0.5, 0.7, 1.0, 3.0, 6.0)


@cache
def derivatives(name: str) -> tuple[Any, ...]:
    """φ, φ' and φ'' as array functions."""
    import sympy

    x = sympy.Symbol("x", real=True)
    phi = sympy.sympify(FORMULAS[name], locals={"x": x})
    return tuple(sympy.lambdify(x, sympy.diff(phi, x, k) if k else phi, "numpy") for k in range(3))


def nodes(q: float) -> tuple[Any, Any]:
    """Nodes and weights for N(0, q): Gauss–Legendre on panels half a unit (or half a deviation) wide, cut at every break."""
    s = math.sqrt(q)
    step = 0.4 * min(1.0, s)
    edges = np.unique([e for e in (*BREAKS, *np.arange(-14 * s, 14 * s + step, step)) if abs(e) <= 14 * s + step])
    t, w = np.polynomial.legendre.leggauss(24)
    middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    x = (middle[:, None] + half[:, None] * t).ravel()
    return x, (half[:, None] * w).ravel() * np.exp(-x * x / (2 * q)) / math.sqrt(2 * math.pi * q)


def phi_at(name: str, order: int, x: Any) -> Any:
    """φ⁽ᵏ⁾ at nodes; far out SymPy's forms overflow to values that the Gaussian weight is too small to notice."""
    with np.errstate(all="ignore"):
        return np.broadcast_to(derivatives(name)[order](x), x.shape)


@cache
def hermite_coefficients(name: str, order: int, q: float) -> Any:
    """aₙ = E[φ⁽ᵏ⁾(√q Z) heₙ(Z)], heₙ orthonormal."""
    x, w = nodes(q)
    z, before, now = x / math.sqrt(q), np.zeros_like(x), np.ones_like(x)
    weighted, a = w * phi_at(name, order, x), np.empty(TERMS)
    for n in range(TERMS):
        a[n] = weighted @ now
        before, now = now, (z * now - math.sqrt(n) * before) / math.sqrt(n + 1)
    return a


def hermite_series(name: str, order: int, q1: float, q2: float, c: float) -> float:
    """C = Σ aₙ(q1) aₙ(q2) cⁿ."""
    return float(np.sum(hermite_coefficients(name, order, q1) * hermite_coefficients(name, order, q2) * c ** np.arange(TERMS)))


def hermite_decorrelation(name: str, order: int, q: float, epsilon: float) -> float:
    """D = Σ aₙ² (1 − (1 − ε)ⁿ)."""
    return float(np.sum(hermite_coefficients(name, order, q) ** 2 * -np.expm1(np.arange(TERMS) * math.log1p(-epsilon))))


def second_method(case: Case) -> float:
    """The case's number by quadrature or series in float64."""
    if case.quantity in ("C", "C1"):
        return hermite_series(case.name, case.order, *case.floats)
    if case.quantity == "D":
        return hermite_decorrelation(case.name, case.order, *case.floats)
    q = case.floats[0]
    x, w = nodes(q)
    f = phi_at(case.name, case.order, x)
    integrand = {"mean": f, "dVdq": f * f * (x * x / q - 1) / (2 * q)}.get(case.quantity, f * f)
    return float(w @ integrand)


ONE = [c for c in cases(("V", "V1", "V2", "V1_ae", "mean", "dVdq")) if c.name in FORMULAS and c.arguments[0] in ("0.3", "1.7", "10")]
PAIRS = {("1", "1", "0.3"), ("10", "10", "0.9"), ("0.5", "3", "-0.3")}
TWO = [c for c in cases(("C", "C1")) if c.name in FORMULAS and c.arguments in PAIRS]

# Kinks and large q make the coefficients decay too slowly for the sum at ε → 0.
SMOOTH = ("mish", "telu", "arctan", "wavelet")
DECORRELATIONS = [c for c in cases(("D",)) if c.name in SMOOTH and c.arguments[0] == "1"]


@pytest.mark.parametrize("case", ONE, ids=lambda c: c.label)
def test_one_input(case: Case) -> None:
    assert case.relative_error(second_method(case)) < 1e-14


@pytest.mark.parametrize("case", TWO, ids=lambda c: c.label)
def test_two_inputs(case: Case) -> None:
    assert case.relative_error(second_method(case)) < 2e-13


@pytest.mark.parametrize("case", DECORRELATIONS, ids=lambda c: c.label)
def test_decorrelations(case: Case) -> None:
    assert case.relative_error(second_method(case)) < 2e-13


def test_every_claimed_error_is_small() -> None:
    bad = [c.label for c in cases(tiny=True) if c.scale > 0 and c.error > c.scale * mpf("1e-19")]
    assert not bad
