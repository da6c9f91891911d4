"""Elementary functions used as activations."""

from __future__ import annotations

import numpy as np
from numpy.polynomial import polynomial as poly

from meanfield.activations.catalogue.entry import Coefficients, Entry, Parameter, Pieces, constant, line, positive, smooth


def _linear() -> Pieces:
    return smooth(lambda x: x.copy(), constant(1.0), constant(0.0))


def _abs() -> Pieces:
    return Pieces((line(-1.0), line(1.0)), (0.0,), (-1,), (np.abs, np.sign, constant(0.0)))


def _sin() -> Pieces:
    return smooth(np.sin, np.cos, lambda x: -np.sin(x))


def _cos() -> Pieces:
    return smooth(np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x))


def _exp() -> Pieces:
    return smooth(np.exp, np.exp, np.exp)


def _monomial(power: float) -> Pieces:
    n = int(power)
    slope = constant(1.0) if n == 1 else (lambda x: n * x ** (n - 1))
    curvature = constant(0.0) if n == 1 else constant(2.0) if n == 2 else (lambda x: n * (n - 1) * x ** (n - 2))
    return smooth(lambda x: x**n, slope, curvature)


def _polynomial(coefficients: tuple[float, ...]) -> Pieces:
    c0 = np.array(coefficients)
    with np.errstate(over="ignore"):  # an infinite coefficient makes the derivative overflow, and that is said where it matters
        c1 = poly.polyder(c0)
        c2 = poly.polyder(c1)
    return smooth(
        lambda x: np.asarray(poly.polyval(x, c0)) + 0.0 * x,
        lambda x: np.asarray(poly.polyval(x, c1)) + 0.0 * x,
        lambda x: np.asarray(poly.polyval(x, c2)) + 0.0 * x,
    )


def _polynomial_text(coefficients: tuple[float, ...]) -> str:
    return " + ".join(f"({number!r}) * x**{power}" for power, number in enumerate(coefficients))


def _snake(a: float) -> Pieces:
    return smooth(
        lambda x: x + np.sin(a * x) ** 2 / a,
        lambda x: 1.0 + np.sin(2.0 * a * x),
        lambda x: 2.0 * a * np.cos(2.0 * a * x),
    )


ENTRIES = (
    Entry("linear", _linear, "x", ("identity",)),
    Entry("abs", _abs, "abs(x)", ("absolute", "absolute_value")),
    Entry("sin", _sin, "sin(x)", ("sine",)),
    Entry("cos", _cos, "cos(x)", ("cosine",)),
    Entry("exp", _exp, "exp(x)", ("exponential",)),
    Entry(
        "monomial",
        _monomial,
        "x**power",
        ("power",),
        (Parameter("power", 3.0, "an integer from 1 to 100", lambda value: value in range(1, 101)),),
        "x³ by default, the lowest odd power that is not linear",
    ),
    Entry(
        "polynomial",
        _polynomial,
        _polynomial_text,
        (),
        (Coefficients("coefficients", (0.0, 1.0, 0.5)),),
        "constant term first; x + x²/2 by default",
    ),
    Entry("snake", _snake, "x + sin(a * x)**2 / a", (), (positive("a", 1.0),)),
)
