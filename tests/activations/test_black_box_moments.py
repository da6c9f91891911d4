"""Functions of the user's through the expectations, against the same φ as a formula."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

import meanfield as mf

_KNOTS, _VALUES = np.array([-2.0, -0.75, 0.125, 1.0, 3.0]), np.array([1.0, -0.25, 0.25, 0.125, 2.0])
_TWELVE = (-5.3, -4.1, -3.07, -2.2, -1.1, -0.4, 0.3, 1.2, 2.05, 3.3, 4.4, 5.5)


def _interpolated() -> str:
    text = "2"
    for i in reversed(range(len(_KNOTS) - 1)):
        slope = (_VALUES[i + 1] - _VALUES[i]) / (_KNOTS[i + 1] - _KNOTS[i])
        text = f"where(x < {_KNOTS[i + 1]}, {_VALUES[i]} + (x - ({_KNOTS[i]}))*({slope!r}), {text})".replace("np.float64", "")
    return f"where(x < -2, 1, {text})"


class _WithCall:
    def __call__(self, x: Any) -> Any:
        return np.where(x > 0.37, x, 0.2 * x + 0.8 * 0.37)


def _scalar(x: float) -> float:
    return math.tanh(x) if x < 2 else math.tanh(2) + 0.1 * (x - 2)


SAME: dict[str, tuple[Callable[..., Any], str]] = {
    "kinks at odd places": (
        lambda x: np.maximum(x - 0.123456, 0) - 0.5 * np.maximum(x + 1.98765, 0),
        "max(x-0.123456,0)-0.5*max(x+1.98765,0)",
    ),
    "jump": (lambda x: np.where(x > 0.5123, np.tanh(x), -0.3), "where(x > 0.5123, tanh(x), -0.3)"),
    "math": (math.erf, "erf(x)"),
    "python scalars": (_scalar, "where(x<2, tanh(x), tanh(2)+0.1*(x-2))"),
    "scipy": (special.expit, "sigmoid(x)"),
    "partial": (functools.partial(np.clip, a_min=-0.8, a_max=1.7), "clip(x, -0.8, 1.7)"),
    "class": (_WithCall(), "where(x > 0.37, x, 0.2*x + 0.8*0.37)"),
    "nested where": (
        lambda x: np.where(x > 1, np.where(x > 2.2, 2.2 + 0.1 * (x - 2.2), x), np.where(x < -1, -1, x)),
        "where(x > 2.2, 2.2 + 0.1*(x-2.2), max(x, -1))",
    ),
    "twelve kinks": (
        lambda x: sum((-1) ** i * np.abs(x - t) for i, t in enumerate(_TWELVE)),
        "+".join(f"({(-1) ** i})*abs(x-({t}))" for i, t in enumerate(_TWELVE)),
    ),
    "interp": (lambda x: np.interp(x, _KNOTS, _VALUES), _interpolated()),
    "vectorize": (np.vectorize(_scalar), "where(x<2, tanh(x), tanh(2)+0.1*(x-2))"),
    "softplus": (lambda x: np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0), "softplus(x)"),
}


def _check(function: Any, formula: str, tolerance: float) -> None:
    act, exact = mf.activation(function), mf.activation(formula)
    for q in (0.1, 1.0, 30.0):
        for k in (0, 1):
            scale = mf.second_moment(exact, q, k)
            assert mf.second_moment(act, q, k) == pytest.approx(scale, rel=tolerance), (q, k)
        scale = mf.second_moment(exact, q)
        assert mf.covariance(act, q, q, 0.6) == pytest.approx(mf.covariance(exact, q, q, 0.6), abs=tolerance * scale), q
    found, expected = mf.edge_of_chaos(act, 0.2), mf.edge_of_chaos(exact, 0.2)
    assert found.status == expected.status
    assert found.sigma_w == pytest.approx(expected.sigma_w, rel=tolerance, nan_ok=True)


@pytest.mark.parametrize("name", SAME)
def test_callables_give_the_numbers_of_the_same_formula(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.AccuracyWarning)  # the formula of twelve kinks loses digits far out
        _check(*SAME[name], tolerance=1e-10)


def test_torch_modules_give_the_numbers_of_the_same_entry() -> None:
    torch = pytest.importorskip("torch")
    for module, formula in [
        (torch.nn.Hardswish(), "hardswish"),
        (torch.nn.Mish(), "mish"),
        (torch.nn.Softshrink(0.3), "where(x > 0.3, x - 0.3, where(x < -0.3, x + 0.3, 0))"),
        (torch.nn.functional.gelu, "gelu"),
    ]:
        _check(module, formula, 1e-11)


def test_single_precision_is_warned_of() -> None:
    act = mf.activation(lambda x: np.tanh(x.astype(np.float32)))
    with pytest.warns(mf.AccuracyWarning, match="relative error about"):
        value = mf.second_moment(act, 1.0)
    assert value == pytest.approx(mf.second_moment("tanh", 1.0), rel=1e-6)


STEEP: dict[str, tuple[Callable[..., Any], str]] = {
    "tanh 100": (lambda x: np.tanh(100.0 * np.asarray(x)), "tanh(100*x)"),
    "bell .01": (lambda x: np.exp(-((100.0 * np.asarray(x)) ** 2) / 2), "exp(-(100*x)**2/2)"),
    "tanh 70": (lambda x: np.tanh(70.0 * np.asarray(x)), "tanh(70*x)"),
}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", STEEP)
def test_steep_callables_give_the_derivative_moments_of_the_formula(name: str, order: int) -> None:
    function, formula = STEEP[name]
    expected = mf.second_moment(mf.activation(formula), 1.0, derivative=order)
    assert mf.second_moment(mf.activation(function), 1.0, derivative=order) == pytest.approx(expected, rel=1e-8)


def test_derivatives_are_followed_down_to_the_scale_of_the_function() -> None:
    act = mf.activation(lambda x: np.tanh(1000.0 * np.asarray(x)))
    assert act.derivative(0.0) == pytest.approx(1000.0, rel=1e-10)


@pytest.mark.parametrize("width", [0.01, 0.001, 0.0001])
def test_a_peak_that_no_node_of_a_wide_interval_sees_is_told_by_the_value_itself(width: float) -> None:
    act = mf.activation(lambda x: np.exp(-((np.asarray(x) / width) ** 2) / 2))
    assert act.derivative(width) == pytest.approx(-math.exp(-0.5) / width, rel=1e-10)
    assert act.derivative(-0.5 * width) == pytest.approx(0.5 * math.exp(-0.125) / width, rel=1e-10)
