"""ReLU and its relatives: piecewise linear, piecewise exponential, shrinking, and their smooth versions."""

from __future__ import annotations

import numpy as np

from meanfield.activations.activation import Array
from meanfield.activations.catalogue.entry import (
    Entry,
    Parameter,
    Pieces,
    Triple,
    constant,
    line,
    not_negative,
    positive,
    smooth,
)
from meanfield.activations.catalogue.stable import sigmoid, sigmoid_slope, softplus, tanh_deficit

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def _two_slopes(slope: float) -> Pieces:
    return Pieces((line(slope), line(1.0)), (0.0,), (-1,))


def _relu() -> Pieces:
    return Pieces(
        (line(0.0), line(1.0)),
        (0.0,),
        (-1,),
        (lambda x: np.maximum(x, 0.0), lambda x: (x > 0).astype(np.float64), constant(0.0)),
    )


def _relu6() -> Pieces:
    return Pieces((line(0.0), line(1.0), line(0.0, 6.0)), (0.0, 6.0), (-1, 1))


def _squared_relu() -> Pieces:
    return Pieces((line(0.0), (lambda x: x * x, lambda x: 2.0 * x, constant(2.0))), (0.0,), (-1,))


def _exponential_tail(height: float, rate: float) -> Triple:
    """height · (exp(rate x) − 1), for x ≤ 0."""
    return (
        lambda x: height * np.expm1(rate * np.minimum(x, 0.0)),
        lambda x: height * rate * np.exp(rate * np.minimum(x, 0.0)),
        lambda x: height * rate * rate * np.exp(rate * np.minimum(x, 0.0)),
    )


def _elu(alpha: float) -> Pieces:
    return Pieces((_exponential_tail(alpha, 1.0), line(1.0)), (0.0,), (-1,))


def _celu(alpha: float) -> Pieces:
    tail: Triple = (
        lambda x: alpha * np.expm1(np.minimum(x, 0.0) / alpha),
        lambda x: np.exp(np.minimum(x, 0.0) / alpha),
        lambda x: np.exp(np.minimum(x, 0.0) / alpha) / alpha,
    )
    return Pieces((tail, line(1.0)), (0.0,), (-1,))


def _selu() -> Pieces:
    return Pieces((_exponential_tail(SELU_SCALE * SELU_ALPHA, 1.0), line(SELU_SCALE)), (0.0,), (-1,))


def _isrlu(alpha: float) -> Pieces:
    root = float(np.sqrt(alpha))
    tail: Triple = (
        lambda x: x / np.hypot(1.0, root * x),
        lambda x: np.hypot(1.0, root * x) ** -3.0,
        lambda x: -3.0 * alpha * x * np.hypot(1.0, root * x) ** -5.0,
    )
    return Pieces((tail, line(1.0)), (0.0,), (-1,))


def _hardshrink(lambd: float) -> Pieces:
    if lambd == 0:
        return smooth(*line(1.0))
    return Pieces((line(1.0), line(0.0), line(1.0)), (-lambd, lambd), (1, -1))


def _softshrink(lambd: float) -> Pieces:
    if lambd == 0:
        return smooth(*line(1.0))
    return Pieces((line(1.0, lambd), line(0.0), line(1.0, -lambd)), (-lambd, lambd), (1, -1))


def _threshold(threshold: float, value: float) -> Pieces:
    return Pieces((line(0.0, value), line(1.0)), (threshold,), (-1,))


def _softplus(beta: float, threshold: float) -> Pieces:
    return smooth(
        lambda x: softplus(beta * x) / beta,
        lambda x: sigmoid(beta * x),
        lambda x: beta * sigmoid_slope(beta * x),
    )


def _logsigmoid() -> Pieces:
    return smooth(lambda x: -softplus(-x), lambda x: sigmoid(-x), lambda x: -sigmoid_slope(x))


def _squareplus(b: float) -> Pieces:
    root = float(np.sqrt(b))

    def value(x: Array) -> Array:
        r = np.hypot(x, root)
        return np.where(x > 0, 0.5 * (x + r), 0.5 * b / (r + np.abs(x)))

    return smooth(value, lambda x: value(x) / np.hypot(x, root), lambda x: 0.5 * b * np.hypot(x, root) ** -3.0)


def _sparse_plus() -> Pieces:
    middle: Triple = (lambda x: 0.25 * (x + 1.0) ** 2, lambda x: 0.5 * (x + 1.0), constant(0.5))
    return Pieces((line(0.0), middle, line(1.0)), (-1.0, 1.0), (-1, 1))


def _bent_identity() -> Pieces:
    def value(x: Array) -> Array:
        return x + 0.5 * x * (x / (np.hypot(x, 1.0) + 1.0))

    return smooth(value, lambda x: 1.0 + 0.5 * x / np.hypot(x, 1.0), lambda x: 0.5 * np.hypot(x, 1.0) ** -3.0)


def _tanhshrink() -> Pieces:
    def curvature(x: Array) -> Array:
        t = np.exp(-2.0 * np.abs(x))
        return 8.0 * np.tanh(x) * t / (1.0 + t) ** 2

    return smooth(tanh_deficit, lambda x: np.tanh(x) ** 2, curvature)


def _rrelu(lower: float, upper: float) -> Pieces:
    return _two_slopes(0.5 * (lower + upper))


def _leaky_relu(negative_slope: float) -> Pieces:
    return _two_slopes(negative_slope)


def _prelu(init: float) -> Pieces:
    return _two_slopes(init)


ENTRIES = (
    Entry("relu", _relu, "max(x, 0)", ("rectifier",)),
    Entry("leaky_relu", _leaky_relu, "where(x > 0, x, negative_slope * x)", (), (Parameter("negative_slope", 0.01),)),
    Entry("prelu", _prelu, "where(x > 0, x, init * x)", (), (Parameter("init", 0.25),), "at its initial slope"),
    Entry(
        "rrelu",
        _rrelu,
        "where(x > 0, x, (lower + upper) / 2 * x)",
        (),
        (Parameter("lower", 1.0 / 8.0), Parameter("upper", 1.0 / 3.0)),
        "at its mean slope",
    ),
    Entry("relu6", _relu6, "clip(x, 0, 6)"),
    Entry("squared_relu", _squared_relu, "max(x, 0)**2", ("relu_squared", "relu2")),
    Entry("elu", _elu, "where(x > 0, x, alpha * expm1(x))", (), (Parameter("alpha", 1.0),)),
    Entry("celu", _celu, "where(x > 0, x, alpha * expm1(x / alpha))", (), (positive("alpha", 1.0),)),
    Entry(
        "selu",
        _selu,
        "1.0507009873554804934193349852946 * where(x > 0, x, 1.6732632423543772848170429916717 * expm1(x))",
    ),
    Entry("isrlu", _isrlu, "where(x > 0, x, x / sqrt(1 + alpha * x**2))", (), (positive("alpha", 1.0),)),
    Entry("hardshrink", _hardshrink, "where(abs(x) > lambd, x, 0)", (), (not_negative("lambd", 0.5),)),
    Entry("softshrink", _softshrink, "sign(x) * max(abs(x) - lambd, 0)", (), (not_negative("lambd", 0.5),)),
    Entry("tanhshrink", _tanhshrink, "x - tanh(x)"),
    Entry(
        "threshold",
        _threshold,
        "where(x > threshold, x, value)",
        (),
        (Parameter("threshold", 1.0), Parameter("value", 0.0)),
        "torch gives no defaults; ours are 1 and 0",
    ),
    Entry(
        "softplus",
        _softplus,
        "softplus(beta * x) / beta",
        ("smooth_relu",),
        (positive("beta", 1.0), Parameter("threshold", 20.0)),
        "the exact smooth function: torch switches to x above beta x = threshold; the parameter is taken and has no effect",
    ),
    Entry("logsigmoid", _logsigmoid, "-softplus(-x)"),
    Entry("squareplus", _squareplus, "(x + sqrt(x**2 + b)) / 2", (), (positive("b", 4.0),)),
    Entry("sparse_plus", _sparse_plus, "where(x < -1, 0, where(x < 1, (x + 1)**2 / 4, x))"),
    Entry("bent_identity", _bent_identity, "(sqrt(x**2 + 1) - 1) / 2 + x"),
)
