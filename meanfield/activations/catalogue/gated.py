"""x times a gate: SiLU, GELU, Mish and their relatives."""

from __future__ import annotations

import numpy as np

from meanfield.activations.activation import Array
from meanfield.activations.catalogue.entry import Choice, Entry, Parameter, Pieces, Triple, constant, line, smooth
from meanfield.activations.catalogue.stable import normal_cdf, normal_density, sech_squared, sigmoid, sigmoid_slope


def _swish(beta: float) -> Pieces:
    def slope(x: Array) -> Array:
        z = beta * x
        return sigmoid(z) * (1.0 + z * sigmoid(-z))

    def curvature(x: Array) -> Array:
        z = beta * x
        return beta * sigmoid_slope(z) * (2.0 - z * np.tanh(0.5 * z))

    return smooth(lambda x: x * sigmoid(beta * x), slope, curvature)


def _silu() -> Pieces:
    return _swish(1.0)


def _quick_gelu() -> Pieces:
    return _swish(1.702)


def _gelu(approximate: str) -> Pieces:
    if approximate == "tanh":
        return _gelu_tanh()
    return smooth(
        lambda x: x * normal_cdf(x),
        lambda x: normal_cdf(x) + x * normal_density(x),
        lambda x: (2.0 - np.clip(x, -1e3, 1e3) ** 2) * normal_density(x),
    )


def _gelu_tanh() -> Pieces:
    scale, cubic = 1.5957691216057308, 0.044715  # 2√(2/π)

    # Beyond |x| = 100 the gate is 0 or 1 to all digits and its derivatives vanish; the cut keeps x³ from overflowing.
    def gate(x: Array) -> tuple[Array, Array, Array]:
        z = np.clip(x, -100.0, 100.0)
        return scale * z * (1.0 + cubic * z * z), scale * (1.0 + 3.0 * cubic * z * z), 6.0 * scale * cubic * z

    def slope(x: Array) -> Array:
        g, g1, _ = gate(x)
        return sigmoid(g) * (1.0 + x * g1 * sigmoid(-g))

    def curvature(x: Array) -> Array:
        g, g1, g2 = gate(x)
        return sigmoid_slope(g) * (2.0 * g1 + x * g2 - x * g1 * g1 * np.tanh(0.5 * g))

    return smooth(lambda x: x * sigmoid(gate(x)[0]), slope, curvature)


def _igelu() -> Pieces:
    a, b, root = -0.2888, -1.769, 1.4142135623730951
    cut = -b * root

    def inner(sign: float) -> Triple:
        def height(x: Array) -> Array:
            return np.abs(x) / root + b

        return (
            lambda x: 0.5 * x * (1.0 + sign * (a * height(x) ** 2 + 1.0)),
            lambda x: 0.5 * (1.0 + sign * (a * height(x) ** 2 + 1.0)) + x * a * height(x) / root,
            lambda x: 2.0 * a * height(x) / root + 0.5 * a * x * sign,
        )

    return Pieces((line(0.0), inner(-1.0), inner(1.0), line(1.0)), (-cut, 0.0, cut), (-1, -1, -1))


def _quad_gelu() -> Pieces:
    return smooth(lambda x: 0.125 * x * x + 0.25 * x + 0.5, lambda x: 0.25 * x + 0.25, constant(0.25))


def _mish() -> Pieces:
    # With w = exp(−|x|) the gate tanh(softplus(x)) is a ratio of polynomials with positive terms, another one on each side.
    def gate(x: Array) -> Array:
        w = np.exp(-np.abs(x))
        return np.where(x > 0, (1.0 + 2.0 * w) / (1.0 + 2.0 * w * (1.0 + w)), w * (w + 2.0) / (w * (w + 2.0) + 2.0))

    def gate_slope(x: Array) -> Array:
        w = np.exp(-np.abs(x))
        below = 4.0 * w * (1.0 + w) / (w * (w + 2.0) + 2.0) ** 2
        return np.where(x > 0, 4.0 * w * w * (1.0 + w) / (1.0 + 2.0 * w * (1.0 + w)) ** 2, below)

    def log_slope(x: Array) -> Array:
        w = np.exp(-np.abs(x))
        above = 1.0 + 1.0 / (1.0 + w) - 4.0 * (1.0 + w) / (1.0 + 2.0 * w * (1.0 + w))
        below = 1.0 + w / (1.0 + w) - 4.0 * w * (1.0 + w) / (w * (w + 2.0) + 2.0)
        return np.where(x > 0, above, below)

    return smooth(
        lambda x: x * gate(x),
        lambda x: gate(x) + x * gate_slope(x),
        lambda x: gate_slope(x) * (2.0 + x * log_slope(x)),
    )


def _telu() -> Pieces:
    # Beyond x = 10 the gate tanh(exp(x)) is 1 to all digits.
    def gate_slopes(x: Array) -> tuple[Array, Array]:
        e = np.exp(np.minimum(x, 10.0))
        first = e * sech_squared(e)
        return first, 1.0 - 2.0 * e * np.tanh(e)

    def slope(x: Array) -> Array:
        return np.tanh(np.exp(x)) + x * gate_slopes(x)[0]

    def curvature(x: Array) -> Array:
        first, ratio = gate_slopes(x)
        return first * (2.0 + x * ratio)

    return smooth(lambda x: x * np.tanh(np.exp(x)), slope, curvature)


def _logish() -> Pieces:
    def gate_slope(x: Array) -> Array:
        return sigmoid_slope(x) / (1.0 + sigmoid(x))

    def curvature(x: Array) -> Array:
        first = gate_slope(x)
        return first * (2.0 - x * (np.tanh(0.5 * x) + first))

    return smooth(lambda x: x * np.log1p(sigmoid(x)), lambda x: np.log1p(sigmoid(x)) + x * gate_slope(x), curvature)


def _hardswish() -> Pieces:
    middle: Triple = (lambda x: x * (x + 3.0) / 6.0, lambda x: x / 3.0 + 0.5, constant(1.0 / 3.0))
    return Pieces((line(0.0), middle, line(1.0)), (-3.0, 3.0), (-1, 1))


def _gelu_text(approximate: str) -> str:
    if approximate == "tanh":
        return "x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))"
    return "x / 2 * erfc(-x / sqrt(2))"


ENTRIES = (
    Entry("silu", _silu, "x * sigmoid(x)"),
    Entry("swish", _swish, "x * sigmoid(beta * x)", (), (Parameter("beta", 1.0),)),
    Entry(
        "gelu",
        _gelu,
        _gelu_text,
        (),
        (Choice("approximate", "none", words=("none", "tanh")),),
        'the exact one by default, as in torch and keras; jax.nn.gelu is approximate="tanh" by default',
    ),
    Entry("gelu_tanh", _gelu_tanh, _gelu_text("tanh"), ("gelu_new", "tanh_gelu")),
    Entry(
        "quick_gelu",
        _quick_gelu,
        "x * sigmoid(1.702 * x)",
        ("sigmoid_gelu", "fast_gelu", "gelu_quick"),
        note="the sigmoid approximation of GELU, often called quick",
    ),
    Entry(
        "igelu",
        _igelu,
        "x / 2 * (1 + sign(x) * (1 - 0.2888 * (min(abs(x) / sqrt(2), 1.769) - 1.769)**2))",
        ("i_gelu", "polynomial_gelu", "quadratic_gelu"),
        note="GELU with the quadratic approximation of erf of I-BERT (2021)",
    ),
    Entry(
        "quad_gelu",
        _quad_gelu,
        "0.125 * x**2 + 0.25 * x + 0.5",
        ("quad",),
        note="GELU replaced by a parabola, as in MPCFormer (2023)",
    ),
    Entry("mish", _mish, "x * tanh(softplus(x))"),
    Entry("telu", _telu, "x * tanh(exp(x))"),
    Entry("logish", _logish, "x * log1p(sigmoid(x))"),
    Entry("hardswish", _hardswish, "x * clip(x / 6 + 1/2, 0, 1)", ("hard_silu",)),
)
