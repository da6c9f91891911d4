"""Bounded activations: sigmoids and bumps."""

from __future__ import annotations

import numpy as np

from meanfield.activations.activation import Array
from meanfield.activations.catalogue.entry import Entry, Parameter, Pieces, constant, line, positive, smooth
from meanfield.activations.catalogue.stable import exp_minus_square, sech_squared, sigmoid, sigmoid_slope


def _tanh() -> Pieces:
    return smooth(np.tanh, sech_squared, lambda x: -2.0 * np.tanh(x) * sech_squared(x))


def _lecun_tanh() -> Pieces:
    a, b = 1.7159, 2.0 / 3.0
    return smooth(
        lambda x: a * np.tanh(b * x),
        lambda x: a * b * sech_squared(b * x),
        lambda x: -2.0 * a * b * b * np.tanh(b * x) * sech_squared(b * x),
    )


def _sigmoid() -> Pieces:
    return smooth(sigmoid, sigmoid_slope, lambda x: -sigmoid_slope(x) * np.tanh(0.5 * x))


def _erf() -> Pieces:
    def erf(x: Array) -> Array:
        from scipy.special import erf

        return np.asarray(erf(x))

    scale = 1.1283791670955126  # 2/√π
    return smooth(erf, lambda x: scale * exp_minus_square(x), lambda x: -2.0 * scale * x * exp_minus_square(x))


def _arctan() -> Pieces:
    def curvature(x: Array) -> Array:
        z = 1.0 / (1.0 + x * x)
        return -2.0 * x * z * z

    return smooth(np.arctan, lambda x: 1.0 / (1.0 + x * x), curvature)


def _softsign() -> Pieces:
    return Pieces(
        pieces=(
            (lambda x: x / (1.0 - x), lambda x: (1.0 - x) ** -2.0, lambda x: 2.0 * (1.0 - x) ** -3.0),
            (lambda x: x / (1.0 + x), lambda x: (1.0 + x) ** -2.0, lambda x: -2.0 * (1.0 + x) ** -3.0),
        ),
        cuts=(0.0,),
        owners=(-1,),
        whole=(
            lambda x: x / (1.0 + np.abs(x)),
            lambda x: 1.0 / (1.0 + np.abs(x)) ** 2,
            lambda x: -2.0 * np.sign(x) / (1.0 + np.abs(x)) ** 3,
        ),
    )


def _isru(alpha: float) -> Pieces:
    root = float(np.sqrt(alpha))
    return smooth(
        lambda x: x / np.hypot(1.0, root * x),
        lambda x: np.hypot(1.0, root * x) ** -3.0,
        lambda x: -3.0 * alpha * x * np.hypot(1.0, root * x) ** -5.0,
    )


def _hardtanh(min_val: float, max_val: float) -> Pieces:
    return Pieces((line(0.0, min_val), line(1.0), line(0.0, max_val)), (min_val, max_val), (-1, 1))


def _hardsigmoid() -> Pieces:
    middle = (lambda x: (x + 3.0) / 6.0, constant(1.0 / 6.0), constant(0.0))
    return Pieces((line(0.0), middle, line(0.0, 1.0)), (-3.0, 3.0), (-1, 1))


def _gaussian() -> Pieces:
    return smooth(
        exp_minus_square,
        lambda x: -2.0 * x * exp_minus_square(x),
        lambda x: 2.0 * (2.0 * np.clip(x, -1e3, 1e3) ** 2 - 1.0) * exp_minus_square(x),
    )


def _sign() -> Pieces:
    zeros = constant(0.0)
    return Pieces((line(0.0, -1.0), line(0.0, 1.0)), (0.0,), (-1,), (np.sign, zeros, zeros))


def _heaviside() -> Pieces:
    return Pieces((line(0.0), line(0.0, 1.0)), (0.0,), (-1,))


ENTRIES = (
    Entry("tanh", _tanh, "tanh(x)"),
    Entry("lecun_tanh", _lecun_tanh, "1.7159 * tanh(2 * x / 3)", ("scaled_tanh",), note="LeCun's 1.7159 tanh(2x/3)"),
    Entry("sigmoid", _sigmoid, "sigmoid(x)", ("logistic", "expit")),
    Entry("erf", _erf, "erf(x)"),
    Entry("arctan", _arctan, "arctan(x)", ("atan",)),
    Entry("softsign", _softsign, "x / (1 + abs(x))"),
    Entry("isru", _isru, "x / sqrt(1 + alpha * x**2)", ("inverse_square_root_unit",), (positive("alpha", 1.0),)),
    Entry(
        "hardtanh",
        _hardtanh,
        "clip(x, min_val, max_val)",
        (),
        (Parameter("min_val", -1.0), Parameter("max_val", 1.0)),
    ),
    Entry("hardsigmoid", _hardsigmoid, "clip(x / 6 + 1/2, 0, 1)"),
    Entry("gaussian", _gaussian, "exp(-x**2)", ("gauss",), note="exp(-x²), without a factor 1/2"),
    Entry("sign", _sign, "sign(x)", ("signum",)),
    Entry("heaviside", _heaviside, "heaviside(x)", ("step", "binary_step")),
)
