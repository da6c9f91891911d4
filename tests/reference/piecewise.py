"""The activations of extra.json, as analytic pieces between breakpoints.

A breakpoint written here is a kink, a jump, a jump of φ'', or a harmless place to change to a form that does not
cancel. Beyond some of them φ is replaced by its asymptote, which is there exact to 60 digits and more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import flint
import jets
from jets import Jet

Piece = Callable[[Jet], Jet]


@dataclass(frozen=True)
class Piecewise:
    """φ on (−∞, b₀), (b₀, b₁), …: one analytic piece each.

    `smoothness` is "smooth" (V2 finite; a jump of φ'' included), "kink" (φ' jumps) or "jump" (φ jumps).
    `scale` is a length below which φ's pieces look like polynomials: it sizes the panels of the two-input rule.
    """

    definition: str
    breaks: tuple[str, ...]
    pieces: tuple[Piece, ...]
    smoothness: str = "smooth"
    scale: float = 1.0
    two_inputs: bool = False
    true_breaks: tuple[str, ...] = ()  # where φ is really not analytic

    def points(self) -> list[flint.arb]:
        """The breakpoints as balls at the working precision."""
        return [flint.arb(b) for b in self.breaks]


def _zero(x: Jet) -> Jet:
    return x * 0


def _one(x: Jet) -> Jet:
    return x * 0 + 1


def _identity(x: Jet) -> Jet:
    return x


def _d(text: str) -> flint.arb:
    """An exact decimal (a ball of the working precision, not a float64)."""
    return flint.arb(text)


def _telu(x: Jet) -> Jet:
    return x * jets.tanh(jets.exp(x))


def _celu_tail(x: Jet) -> Jet:
    return _d("1.5") * (jets.exp(x / _d("1.5")) - 1)


def _selu_right(x: Jet) -> Jet:
    return x * _d("1.0507009873554804934193349852946")


def _selu_left(x: Jet) -> Jet:
    return _d("1.0507009873554804934193349852946") * _d("1.6732632423543772848170429916717") * (jets.exp(x) - 1)


def _mish_left(x: Jet) -> Jet:
    w = jets.exp(x)
    n = w * (w + 2)
    return x * n / (n + 2)


def _mish_right(x: Jet) -> Jet:
    w = jets.exp(-x)
    return x * (1 - 2 * w * w / (1 + 2 * w + 2 * w * w))


def _logsigmoid_left(x: Jet) -> Jet:
    return x - jets.log(1 + jets.exp(x))


def _logsigmoid_right(x: Jet) -> Jet:
    return -jets.log(1 + jets.exp(-x))


def _gelu_tanh(x: Jet) -> Jet:
    c = (2 / flint.arb.pi()).sqrt()
    return x * jets.sigmoid(2 * c * (x + _d("0.044715") * x * x * x))


def _gelu(x: Jet) -> Jet:
    return x * (1 + jets.erf(x / flint.arb(2).sqrt())) / 2


def _squareplus_left(x: Jet) -> Jet:
    return 2 / (jets.sqrt(x * x + 4) - x)


def _squareplus_right(x: Jet) -> Jet:
    return (x + jets.sqrt(x * x + 4)) / 2


def _logish(x: Jet) -> Jet:
    return x * jets.log(1 + jets.sigmoid(x))


def _snake(x: Jet) -> Jet:
    return x + (1 - jets.cos(4 * x)) / 4


def _wavelet(x: Jet) -> Jet:
    return jets.exp(-x * x / 2) * jets.cos(3 * x)


ACTIVATIONS: dict[str, Piecewise] = {
    "hardtanh": Piecewise(
        "max(-1, min(1, x))",
        ("-1", "1"),
        (lambda x: -_one(x), _identity, _one),
        "kink",
        two_inputs=True,
        scale=math.inf,
        true_breaks=("-1", "1"),
    ),
    "hardswish": Piecewise(
        "x * clip(x + 3, 0, 6) / 6",
        ("-3", "3"),
        (_zero, lambda x: x * (x + 3) / 6, _identity),
        "kink",
        two_inputs=True,
        scale=math.inf,
        true_breaks=("-3", "3"),
    ),
    "hardsigmoid": Piecewise(
        "clip(x + 3, 0, 6) / 6", ("-3", "3"), (_zero, lambda x: (x + 3) / 6, _one), "kink", scale=math.inf, true_breaks=("-3", "3")
    ),
    "relu6": Piecewise(
        "clip(x, 0, 6)",
        ("0", "6"),
        (_zero, _identity, lambda x: 6 * _one(x)),
        "kink",
        two_inputs=True,
        scale=math.inf,
        true_breaks=("0", "6"),
    ),
    "selu": Piecewise(
        "s*x for x > 0, s*a*(exp(x) - 1) for x <= 0; s = 1.0507009873554804934193349852946, a = 1.6732632423543772848170429916717",
        ("0",),
        (_selu_left, _selu_right),
        "kink",
        two_inputs=True,
        true_breaks=("0",),
    ),
    "celu_1.5": Piecewise(
        "x for x > 0, 1.5*(exp(x/1.5) - 1) for x <= 0", ("0",), (_celu_tail, _identity), two_inputs=True, true_breaks=("0",)
    ),
    "mish": Piecewise("x * tanh(log(1 + exp(x)))", ("0", "100"), (_mish_left, _mish_right, _identity), two_inputs=True),
    "softsign": Piecewise("x / (1 + abs(x))", ("0",), (lambda x: x / (1 - x), lambda x: x / (1 + x)), two_inputs=True, true_breaks=("0",)),
    "arctan": Piecewise("arctan(x)", ("0",), (jets.arctan, jets.arctan), two_inputs=True),
    "logsigmoid": Piecewise("-log(1 + exp(-x))", ("-200", "0"), (_identity, _logsigmoid_left, _logsigmoid_right)),
    "tanhshrink": Piecewise(
        "x - tanh(x)", ("-100", "0", "100"), (lambda x: x + 1, lambda x: x - jets.tanh(x), lambda x: x - jets.tanh(x), lambda x: x - 1)
    ),
    "softshrink_0.7": Piecewise(
        "x - 0.7 for x > 0.7, x + 0.7 for x < -0.7, else 0",
        ("-0.7", "0.7"),
        (lambda x: x + _d("0.7"), _zero, lambda x: x - _d("0.7")),
        "kink",
        two_inputs=True,
        scale=math.inf,
        true_breaks=("-0.7", "0.7"),
    ),
    "hardshrink": Piecewise(
        "x for abs(x) > 0.5, else 0",
        ("-0.5", "0.5"),
        (_identity, _zero, _identity),
        "jump",
        two_inputs=True,
        scale=math.inf,
        true_breaks=("-0.5", "0.5"),
    ),
    "gelu_tanh": Piecewise(
        "0.5*x*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x**3)))", ("-20", "0", "20"), (_zero, _gelu_tanh, _gelu_tanh, _identity), scale=0.6
    ),
    "snake_2": Piecewise("x + sin(2*x)**2 / 2", ("0",), (_snake, _snake), scale=0.6),
    "squareplus": Piecewise("(x + sqrt(x**2 + 4)) / 2", ("0",), (_squareplus_left, _squareplus_right)),
    "telu": Piecewise("x * tanh(exp(x))", ("0", "6"), (_telu, _telu, _identity), scale=0.6, two_inputs=True),
    "isru": Piecewise("x / sqrt(1 + x**2)", ("0",), (lambda x: x / jets.sqrt(1 + x * x),) * 2),
    "logish": Piecewise("x * log(1 + 1/(1 + exp(-x)))", ("0", "200"), (_logish, _logish, lambda x: x * flint.arb(2).log())),
    "cubic": Piecewise("x**3 - 3*x", ("0",), (lambda x: x * (x * x - 3),) * 2),
    "sin_5": Piecewise("sin(5*x)", ("0",), (lambda x: jets.sin(5 * x),) * 2),
    "wavelet": Piecewise("exp(-x**2/2) * cos(3*x)", ("0",), (_wavelet, _wavelet), scale=0.4, two_inputs=True),
    "broken_0.3": Piecewise(
        "x for x > 0.3, else 0.1*x",
        ("0.3",),
        (lambda x: x * _d("0.1"), _identity),
        "jump",
        two_inputs=True,
        scale=math.inf,
        true_breaks=("0.3",),
    ),
    "bend_0.3": Piecewise(
        "0.3 + (x - 0.3) for x > 0.3, else 0.3 + 0.1*(x - 0.3)",
        ("0.3",),
        (lambda x: _d("0.3") + _d("0.1") * (x - _d("0.3")), _identity),
        "kink",
        two_inputs=True,
        scale=math.inf,
        true_breaks=("0.3",),
    ),
}

VISIBLE: dict[str, Piecewise] = {
    "tanh": Piecewise("tanh(x)", ("0",), (jets.tanh, jets.tanh)),
    "erf": Piecewise("erf(x)", ("0",), (jets.erf, jets.erf)),
    "relu": Piecewise("max(0, x)", ("0",), (_zero, _identity), "kink"),
    "leaky_relu_0.01": Piecewise("x for x > 0, else 0.01*x", ("0",), (lambda x: x * _d("0.01"), _identity), "kink"),
    "silu": Piecewise("x / (1 + exp(-x))", ("0", "200"), (lambda x: x * jets.sigmoid(x), lambda x: x * jets.sigmoid(x), _identity)),
    "gelu": Piecewise("x * (1 + erf(x/sqrt(2))) / 2", ("0",), (_gelu, _gelu)),
    "elu": Piecewise("x for x > 0, exp(x) - 1 for x <= 0", ("0",), (lambda x: jets.exp(x) - 1, _identity)),
    "sigmoid": Piecewise("1 / (1 + exp(-x))", ("0",), (jets.sigmoid, jets.sigmoid)),
    "softplus": Piecewise("log(1 + exp(x))", ("0",), (lambda x: jets.log(1 + jets.exp(x)), lambda x: x + jets.log(1 + jets.exp(-x)))),
    "linear": Piecewise("x", ("0",), (_identity, _identity)),
}
