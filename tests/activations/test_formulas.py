"""Formulas: accuracy where textbook forms fail, breakpoints, parameters, SymPy."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

import meanfield as mf
from tests.activations.exact import derivative
from tests.activations.random_formulas import random_formula

HARD = [
    "x * tanh(log(1 + exp(x)))",
    "tanh(exp(x))",
    "x * tanh(exp(x))",
    "log(1 + exp(-x))",
    "x / (1 + exp(-x))",
    "x - tanh(x)",
    "(exp(x) - exp(-x)) / (exp(x) + exp(-x))",
    "1 - tanh(x)**2",
    "x / 2 * (1 + erf(x / sqrt(2)))",
    "exp(x) / (1 + exp(x))",
    "(sqrt(x**2 + 1) - 1) / 2 + x",
    "(x + sqrt(x**2 + 4)) / 2",
    "x / sqrt(1 + 3 * x**2)",
    "log(cosh(x))",
    "1 - cos(x)",
    "(exp(x) - 1) / x",
    "log(exp(x) + exp(-x))",
    "x / (exp(x) - exp(-x))",
    "exp(-x**2 / 2)",
    "arctan(sinh(x))",
    "sigmoid(x) * (1 - sigmoid(x))",
]


@pytest.mark.parametrize("text", HARD)
def test_where_the_textbook_form_cancels_or_overflows(text: str) -> None:
    act = mf.activation(text)
    for x in (-800.0, -745.3, -37.5, -5.25, -1.1, -1e-3, -1e-7, 1e-9, 1e-4, 0.37, 2.9, 17.1, 36.0, 709.0, 800.0):
        for k in (0, 1, 2):
            exact = derivative(text, x, k)
            got = float(act.values(np.array([x]), k)[0])
            if abs(exact) > 1.7e308:
                assert got == math.copysign(math.inf, exact)
            else:
                assert abs(got - float(exact)) <= 1e-12 * abs(float(exact)) + 1e-90, (x, k, got, float(exact))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max(x, 0)", [(0.0, 0.0, 1.0)]),
        ("max(0, x - 0.7)", [(0.7, 0.0, 1.0)]),
        ("abs(abs(x) - 1)", [(-1.0, 0.0, 2.0), (0.0, 0.0, -2.0), (1.0, 0.0, 2.0)]),
        ("clip(2 * x, -1, 1)", [(-0.5, 0.0, 2.0), (0.5, 0.0, -2.0)]),
        ("where(x > 0.25 and x < 1, x, x**2)", [(0.25, 0.1875, 0.5), (1.0, 0.0, 1.0)]),
        ("where(not (0 < x <= 2), 0, 1)", [(0.0, 1.0, 0.0), (2.0, -1.0, 0.0)]),
        ("sign(x) + heaviside(x - 3)", [(0.0, 2.0, 0.0), (3.0, 1.0, 0.0)]),
        ("where(x > 0, x, expm1(x))", [(0.0, 0.0, 0.0)]),
        ("x / (1 + abs(x))", [(0.0, 0.0, 0.0)]),
        ("abs(x**3 - 2)", [(2.0 ** (1 / 3), 0.0, 6.0 * 2.0 ** (2 / 3))]),
        ("abs(x) * abs(x)", []),
        ("where(x > 1, sin(x), sin(x))", []),
        ("relu(relu(x) + 1)", [(0.0, 0.0, 1.0)]),
        ("abs((x - 1)**2)", []),
        ("sqrt(abs(x))", [(0.0, 0.0, math.inf)]),
        ("abs(x)**1.5", [(0.0, 0.0, 0.0)]),
        ("max(x, tanh(x) + 0.5)", [(1.3812253607755205, 0.0, 0.7765581364739462)]),
        ("tanh(x) + sin(x)", []),
        ("max(x, 1, -x, x**2)", [(-1.0, 0.0, 2.0), (1.0, 0.0, 2.0)]),
    ],
)
def test_breakpoints(text: str, expected: list[tuple[float, float, float]]) -> None:
    found = [(point.location, point.value_jump, point.slope_jump) for point in mf.activation(text).breakpoints]
    assert len(found) == len(expected), found
    for ours, theirs in zip(found, expected, strict=True):
        assert ours[0] == pytest.approx(theirs[0], rel=2e-16, abs=0.0)
        assert ours[1:] == pytest.approx(theirs[1:], rel=1e-14, abs=1e-14)


def test_breakpoints_of_a_periodic_function_within_reach() -> None:
    points = np.array([point.location for point in mf.activation("abs(sin(x))").breakpoints])
    assert len(points) == 637
    assert points == pytest.approx(np.pi * np.arange(-318, 319), rel=1e-15, abs=1e-300)


def test_one_sided_limits_are_exact() -> None:
    act = mf.activation("where(x > 0.3, x**2, 2 * x)")
    assert act.one_sided(0.3, +1, 0) == 0.3 * 0.3
    assert act.one_sided(0.3, -1, 0) == 0.6
    assert (act.one_sided(0.3, +1, 1), act.one_sided(0.3, -1, 1)) == (0.6, 2.0)
    assert (act.one_sided(0.3, +1, 2), act.one_sided(0.3, -1, 2)) == (2.0, 0.0)
    assert mf.activation("max(x, 0)").derivative(0.0) == 0.0


@pytest.mark.parametrize(("text", "x"), [("1/x", 0.0), ("(exp(x) - 1) / x", 0.0), ("tan(x) + 1/(x - 2)", 2.0), ("log(abs(x))", 0.0)])
def test_undefined_points_are_named(text: str, x: float) -> None:
    with pytest.raises(mf.ActivationError, match=f"not defined at x = {x}"):
        mf.activation(text)(np.array([1.0, x]))


@pytest.mark.parametrize(
    "text",
    [
        "log(x)",
        "sqrt(x)",
        "x**0.5",
        "arcsin(x)",
        "1/0",
        "x/(1-1)",
        "(-2)**x",
        "0/0*x",
        "sqrt(1 - x**2)",
        "max(sqrt(x), 0)",
        "where(log(x) > 0, 1, 2)",
    ],
)
def test_undefined_stretches_are_refused(text: str) -> None:
    with pytest.raises(mf.ActivationError, match="not defined at x ="):
        mf.activation(text)


def test_parameters() -> None:
    assert mf.activation("a * x + b", a=2, b=-1)(3.0) == 5.0
    assert mf.activation("a*x", a=2) is mf.activation("a*x", a=2.0)
    assert mf.activation("a*x", a=2) is not mf.activation("a*x", a=3)
    for parameters, message in (
        ({"c": 1.0}, "unknown name 'a'"),
        ({"a": 1.0, "c": 1.0}, "no parameter 'c'"),
        ({"a": float("inf")}, "finite"),
    ):
        with pytest.raises(mf.ActivationError, match=message):
            mf.activation("a * x", **parameters)


def test_no_sympy_on_the_numerical_road() -> None:
    code = (
        "import sys, meanfield as mf; a = mf.activation('x*tanh(log(1+exp(x))) + max(x, 0.3)'); a(1.0); a.second_derivative(-2.0); "
        "assert a.breakpoints; assert 'sympy' not in sys.modules and 'scipy' not in sys.modules; a.formula; assert 'sympy' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["tanh", "tanh(1.5*x)"])
def test_no_sympy_for_a_diagram(name: str) -> None:
    code = f"import sys, meanfield as mf; mf.phase_diagram({name!r}, [0.5, 2.0], [0.0, 0.3]); assert 'sympy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_sympy_there_and_back() -> None:
    import sympy

    t = sympy.Symbol("t", real=True)
    expressions = [
        t * sympy.tanh(sympy.log(1 + sympy.exp(t))),
        sympy.Piecewise((t, t > 0), (sympy.exp(t) - 1, True)),
        sympy.Max(0, t) - sympy.Abs(t - 1) + sympy.Heaviside(t),
        sympy.sqrt(t**2 + 1) + sympy.atan(t) / sympy.pi + sympy.Float(0.3) * sympy.sign(t - 2) + sympy.Rational(1, 3),
        sympy.Piecewise((0, t < 0), (1, t >= 0)),
    ]
    for expression in expressions:
        act = mf.activation(expression)
        again = mf.activation(act.formula)
        for x in (-2.5, -0.4, 0.7, 3.1):
            assert act(x) == pytest.approx(float(expression.subs(t, x)), rel=1e-14)
            assert again(x) == pytest.approx(act(x), rel=1e-15)
        assert pickle.loads(pickle.dumps(act)) is act
    assert [point.location for point in mf.activation(expressions[2]).breakpoints] == [0.0, 1.0]
    for bad in (t + sympy.Symbol("y"), sympy.Integer(3), sympy.gamma(t), sympy.DiracDelta(t), sympy.I * t, sympy.oo * t):
        with pytest.raises(mf.ActivationError):
            mf.activation(bad)


def test_random_formulas_give_numbers_or_our_error() -> None:
    rng = np.random.default_rng(20)
    x = np.array([-20.3, -3.1, -0.7, -1e-6, 0.2, 1.9, 11.0])
    evaluated = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.AccuracyWarning)
        for _ in range(150):
            text = random_formula(rng, 4)
            try:
                act = mf.activation(text)
                for k in (0, 1, 2):
                    assert not np.isnan(act.values(x, k)).any(), text
            except mf.ActivationError:
                continue
            evaluated += 1
            for point in x[1:-1]:
                if any(abs(point - cut.location) < 1e-3 for cut in act.breakpoints):
                    continue
                for k in (0, 1):
                    exact = derivative(text, float(point), k)
                    got = float(act.values(np.array([point]), k)[0])
                    if abs(exact) < 1e300:
                        # Beside a zero a few ulp of x are allowed for.
                        shift = 32 * 2.0**-52 * abs(point * float(derivative(text, float(point), k + 1)))
                        assert abs(got - float(exact)) <= 1e-11 * abs(float(exact)) + shift + 1e-80, (text, point, k, got, float(exact))
    assert evaluated > 40


def test_pickle_and_repr() -> None:
    act = mf.activation("x * sigmoid(b * x)", b=1.5)
    assert pickle.loads(pickle.dumps(act)) is act
    assert repr(act) == "activation('x * sigmoid(b * x)', b=1.5)"
    assert len(repr(mf.activation(" + ".join(["x"] * 100)))) < 120


@pytest.mark.parametrize(
    ("printed", "ours"),
    [
        ("Piecewise((x, x > 0), (exp(x) - 1, True))", "where(x > 0, x, exp(x) - 1)"),
        (
            "Piecewise((0, x < -1), (x**2, (x < 2) & ~(x > 1)), (x + 5, Ne(x, 3) | Eq(x, 3)))",
            "where(x < -1, 0, where(x <= 1, x**2, x + 5))",
        ),
        ("Max(0, x, Min(1, Abs(x)/2))", "max(0, x, min(1, abs(x)/2))"),
        ("E**x*Heaviside(x - 1) + tanh(E*x)", "e**x*heaviside(x - 1) + tanh(e*x)"),
        ("Piecewise((x, True))", "x"),
    ],
)
def test_what_sympy_prints_is_a_formula(printed, ours):
    x = np.array([-3.3, -1.7, -0.4, 0.3, 0.9, 1.6, 3.0, 4.2])
    for order in (0, 1):
        assert np.array_equal(mf.activation(printed).values(x, order), mf.activation(ours).values(x, order))


def test_names_of_sympy_may_be_parameters():
    assert mf.activation("tanh(E*x) + Max", E=2.0, Max=1.0)(0.25) == pytest.approx(math.tanh(0.5) + 1.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Piecewise(x)", "column 1: Piecewise takes pairs of a value and a condition"),
        ("Piecewise((x, 1))", "column 15: the first argument of where is a comparison"),
        ("Piecewise((x, x > 0), (0, x < -1))", "not defined at x"),
        ("x & 1", "& is not part of the grammar here; write `and` in a condition"),
        ("x | 1", r"\| is not part of the grammar here; write abs\(x\)"),
        ("|x|", r"write abs\(x\)"),
        ("Max(x)", "max takes 2 or more arguments"),
        ("x + True", "a comparison belongs in the first argument"),
        ("Eq(x, 0)", "Eq is not a function"),
    ],
)
def test_what_only_looks_like_sympy_is_refused(text, told):
    with pytest.raises(mf.ActivationError, match=told):
        mf.activation(text)
