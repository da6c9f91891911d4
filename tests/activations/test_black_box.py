"""Functions of the user's: kinks found, derivatives, errors that name x."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import meanfield as mf

KINKED: dict[str, tuple[Callable[[Any], Any], list[tuple[float, float, float]]]] = {
    "relu": (lambda x: np.maximum(x, 0.0), [(0.0, 0.0, 1.0)]),
    "hardtanh": (lambda x: np.clip(x, -1.0, 1.0), [(-1.0, 0.0, 1.0), (1.0, 0.0, -1.0)]),
    "hardshrink": (lambda x: np.where(np.abs(x) > 0.5, x, 0.0), [(-0.5, 0.5, -1.0), (0.5, 0.5, 1.0)]),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))), [(0.0, 0.0, 0.0)]),
    "selu": (lambda x: 1.05 * np.where(x > 0, x, 1.67 * np.expm1(np.minimum(x, 0.0))), [(0.0, 0.0, 1.05 * (1 - 1.67))]),
    "hardswish": (lambda x: x * np.clip(x / 6 + 0.5, 0.0, 1.0), [(-3.0, 0.0, -0.5), (3.0, 0.0, -0.5)]),
    "jump at an odd place": (lambda x: np.where(x > 0.7312345, x, 0.0), [(0.7312345, 0.7312345, 1.0)]),
    "kink at an odd place": (lambda x: np.maximum(x - 0.7312345, 0.0), [(0.7312345, 0.0, 1.0)]),
    "two kinks": (lambda x: np.maximum(x - 0.2, 0.0) - 0.5 * np.maximum(x - 0.201, 0.0), [(0.2, 0.0, 1.0), (0.201, 0.0, -0.5)]),
    "a third": (lambda x: np.maximum(x - 1 / 3, 0.0), [(1 / 3, 0.0, 1.0)]),
    "far": (lambda x: np.maximum(x - 123.456, 0.0), [(123.456, 0.0, 1.0)]),
    "sign": (np.sign, [(0.0, 2.0, 0.0)]),
    "softsign": (lambda x: x / (1 + np.abs(x)), [(0.0, 0.0, 0.0)]),
    "root": (lambda x: np.sqrt(np.abs(x - 0.25)), [(0.25, 0.0, math.nan)]),
    "python": (lambda x: x if x > 0 else 0, [(0.0, 0.0, 1.0)]),
}
SMOOTH: dict[str, Callable[[Any], Any]] = {
    "tanh": np.tanh,
    "sin": np.sin,
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0.0)),
    "exp": np.exp,
    "cube": lambda x: x**3,
    "gaussian": lambda x: np.exp(-x * x),
    "steep": lambda x: np.tanh(1e3 * x),
    "math.tanh": math.tanh,
    "cancelling": lambda x: 1.0 - np.tanh(x) ** 2,
}


@pytest.mark.parametrize("name", KINKED)
def test_kinks_are_found(name: str) -> None:
    function, expected = KINKED[name]
    found = mf.activation(function).breakpoints
    assert len(found) == len(expected), found
    for point, (location, value_jump, slope_jump) in zip(found, expected, strict=True):
        assert abs(point.location - location) <= 2e-15 * max(abs(location), 1.0)
        assert math.isnan(slope_jump) or point.value_jump == pytest.approx(value_jump, abs=1e-12)
        assert math.isnan(slope_jump) or point.slope_jump == pytest.approx(slope_jump, abs=1e-11)


@pytest.mark.parametrize("name", SMOOTH)
def test_no_false_kinks(name: str) -> None:
    assert mf.activation(SMOOTH[name]).breakpoints == ()


@pytest.mark.parametrize(
    ("function", "formula"),
    [(np.tanh, "tanh(x)"), (SMOOTH["mish"], "x*tanh(softplus(x))"), (KINKED["selu"][0], "1.05*where(x > 0, x, 1.67*expm1(x))")],
)
def test_derivatives_to_the_stated_accuracy(function: Callable[[Any], Any], formula: str) -> None:
    x = np.linspace(-30.0, 30.0, 1501) + 1e-3
    act, exact = mf.activation(function), mf.activation(formula)
    size = 1.0 + np.abs(exact(x))
    assert np.max(np.abs(act.derivative(x) - exact.derivative(x)) / size) < 1e-12
    assert np.max(np.abs(act.second_derivative(x) - exact.second_derivative(x)) / size) < 1e-9


def test_one_sided_limits() -> None:
    act = mf.activation(KINKED["selu"][0])
    assert act.one_sided(0.0, -1, 1) == pytest.approx(1.05 * 1.67, rel=1e-12)
    assert act.one_sided(0.0, +1, 1) == pytest.approx(1.05, rel=1e-12)
    assert act.one_sided(0.0, -1, 2) == pytest.approx(1.05 * 1.67, rel=1e-8)
    assert mf.activation(np.sign).one_sided(0.0, -1, 0) == -1.0


def test_declared_breakpoints_and_name() -> None:
    act = mf.activation(lambda x: np.maximum(x, 0.0), breakpoints=(0.0, 2.0), name="mine")
    assert act.name == "mine"
    assert act.formula is None
    assert [point.location for point in act.breakpoints] == [0.0, 2.0]
    assert [point.slope_jump for point in act.breakpoints] == pytest.approx([1.0, 0.0], abs=1e-12)
    for bad in ((float("nan"),), ("a",), 3):
        with pytest.raises(mf.ActivationError, match="breakpoints must be"):
            mf.activation(np.tanh, breakpoints=bad)
    with pytest.raises(mf.ActivationError, match="for callables"):
        mf.activation("relu", breakpoints=(0.0,))
    with pytest.raises(mf.ActivationError, match="takes no parameters"):
        mf.activation(np.tanh, alpha=1.0)


def _raises_at_five(x: Any) -> Any:
    if np.any(np.asarray(x) > 5.0):
        raise RuntimeError("too far")
    return x


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x.sum(), "shape"),
        (lambda x: x[:3], "shape"),
        (lambda x: x + 1j, "complex"),
        (lambda x: np.where(x < 0, np.nan, x), r"not a number at x = -0\.31"),
        (lambda x: 1 / 0, r"raised ZeroDivisionError at x = 0\.0"),
        (lambda x: "a", "instead of numbers"),
        (lambda x: None, "instead of numbers"),
        (lambda x: np.exp(x) / np.exp(x).sum(), "not elementwise"),
        (_raises_at_five, r"raised RuntimeError at x = 5\.9"),
    ],
)
def test_what_is_wrong_with_a_function_is_said(function: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(mf.ActivationError, match=message):
        mf.activation(function)


def test_the_original_error_is_chained() -> None:
    with pytest.raises(mf.ActivationError) as caught:
        mf.activation(_raises_at_five)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_single_precision_is_noted() -> None:
    act = mf.activation(lambda x: np.maximum(x.astype(np.float32), 0))
    assert act.relative_noise == pytest.approx(2.0**-23)
    assert mf.activation("relu").relative_noise == 2.0**-52
    assert [point.location for point in act.breakpoints] == [0.0]
    assert mf.activation(lambda x: x > 0)(1.0) == 1.0


def test_pickle_of_what_pickles() -> None:
    act = pickle.loads(pickle.dumps(mf.activation(np.tanh, name="t")))
    assert (act.name, act(0.5), act.breakpoints) == ("t", math.tanh(0.5), ())


def test_torch_modules_and_functions() -> None:
    torch = pytest.importorskip("torch")
    x = np.linspace(-6.0, 6.0, 101) + 0.01
    for given, name in [
        (torch.nn.Mish(), "mish"),
        (torch.nn.SELU, "selu"),
        (torch.tanh, "tanh"),
        (torch.nn.functional.gelu, "gelu"),
        (torch.nn.PReLU(), "prelu"),
    ]:
        act, exact = mf.activation(given), mf.activation(name)
        for k in (0, 1, 2):
            assert act.values(x, k) == pytest.approx(exact.values(x, k), rel=1e-13, abs=1e-14), (name, k)
        assert [point.location for point in act.breakpoints] == [point.location for point in exact.breakpoints]
        assert [point.slope_jump for point in act.breakpoints] == pytest.approx(
            [point.slope_jump for point in exact.breakpoints], abs=1e-11
        )
    module = torch.nn.PReLU()
    mf.activation(module)
    assert module.weight.dtype == torch.float32
    assert mf.activation(lambda t: torch.where(t > 0.3, t, 0.1 * t)).breakpoints[0].location == 0.3
    with pytest.raises(mf.ActivationError):
        mf.activation(torch.nn.Threshold)
