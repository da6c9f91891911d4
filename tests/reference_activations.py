"""Cases of the reference files: which activation, which quantity, at which arguments, with which value.

>>> case = next(c for c in cases() if c.name == "tanh" and c.quantity == "V" and c.arguments == ("1",))
>>> case.spec, case.floats, round(float(case.value), 12)
('tanh', (1.0,), 0.394294490398)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from mpmath import mp, mpf

FOLDER = Path(__file__).with_name("reference")
DIGITS = 40  # the files keep 30

# How `mf.activation` is asked for each: a catalogue name with parameters, or a formula.
SPECS: dict[str, tuple[str, dict[str, float]]] = {
    # visible.json
    "tanh": ("tanh", {}),
    "erf": ("erf", {}),
    "relu": ("relu", {}),
    "leaky_relu_0.01": ("leaky_relu", {"negative_slope": 0.01}),
    "silu": ("silu", {}),
    "gelu": ("gelu", {}),
    "elu": ("elu", {}),
    "sigmoid": ("sigmoid", {}),
    "softplus": ("softplus", {}),
    "linear": ("linear", {}),
    # extra.json
    "hardtanh": ("hardtanh", {}),
    "hardswish": ("hardswish", {}),
    "hardsigmoid": ("hardsigmoid", {}),
    "relu6": ("relu6", {}),
    "selu": ("selu", {}),
    "celu_1.5": ("celu", {"alpha": 1.5}),
    "mish": ("mish", {}),
    "softsign": ("softsign", {}),
    "arctan": ("arctan", {}),
    "logsigmoid": ("logsigmoid", {}),
    "tanhshrink": ("tanhshrink", {}),
    "softshrink_0.7": ("where(x > 0.7, x - 0.7, where(x < -0.7, x + 0.7, 0))", {}),
    "hardshrink": ("hardshrink", {}),
    "gelu_tanh": ("0.5*x*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x**3)))", {}),
    "snake_2": ("x + sin(2*x)**2/2", {}),
    "squareplus": ("squareplus", {}),
    "telu": ("telu", {}),
    "isru": ("x/sqrt(1 + x**2)", {}),
    "logish": ("logish", {}),
    "cubic": ("x**3 - 3*x", {}),
    "sin_5": ("sin(5*x)", {}),
    "wavelet": ("exp(-x**2/2)*cos(3*x)", {}),
    "broken_0.3": ("where(x > 0.3, x, 0.1*x)", {}),
    "bend_0.3": ("where(x > 0.3, x, 0.27 + 0.1*x)", {}),
    # closed_forms.py (names it shares with the files stand above)
    "leaky_relu_0.3": ("leaky_relu", {"negative_slope": 0.3}),
    "abs": ("abs", {}),
    "sin": ("sin", {}),
    "cos": ("cos", {}),
    "gaussian": ("gaussian", {}),
    "exp": ("exp", {}),
    "square": ("x**2", {}),
    "cube": ("x**3", {}),
    "quintic": ("0.5 - x + 2*x**3 + 0.25*x**5", {}),
    "sign": ("sign", {}),
    "heaviside": ("heaviside", {}),
    "threshold_1_-2": ("where(x > 1, x, -2)", {}),
}

DERIVATIVES = {"V": 0, "V1": 1, "V2": 2, "V1_ae": 1, "C": 0, "C1": 1, "D": 0, "D1": 1, "mean": 0, "dVdq": 0}


@dataclass(frozen=True)
class Case:
    """One reference number.

    Attributes
    ----------
    name : str
        The key in `SPECS`.
    quantity : str
        "V", "V1", "V2", "mean", "dVdq", "V1_ae" (arguments: q), "C", "C1" (q1, q2, c), "D", "D1" (q, ε).
        "V1_ae" is E[φ'²] of the almost-everywhere derivative where φ jumps, and V1 proper is infinite.
    arguments : tuple of str
        As decimal text; `floats` gives them as numbers.
    value, error : mpf
        The number and its claimed absolute error.
    scale : mpf
        What a relative error is relative to: √(V(q1) V(q2)) for C, √V for mean, max(|dV/dq|, V/q) for dVdq, |value| else.
    """

    name: str
    quantity: str
    arguments: tuple[str, ...]
    value: Any = field(compare=False)
    error: Any = field(compare=False)
    scale: Any = field(compare=False)

    @property
    def spec(self) -> str:
        """The first argument for `mf.activation`."""
        return SPECS[self.name][0]

    @property
    def parameters(self) -> dict[str, float]:
        """The keyword arguments for `mf.activation`."""
        return SPECS[self.name][1]

    @property
    def floats(self) -> tuple[float, ...]:
        """The arguments as float64."""
        return tuple(float(a) for a in self.arguments)

    @property
    def order(self) -> int:
        """k, the derivative that the quantity is about."""
        return DERIVATIVES[self.quantity]

    @property
    def representable(self) -> bool:
        """Whether float64 holds the scale with all its digits, as its tiniest reference values are below 1e-280."""
        return bool(mpf("1e-280") < self.scale < mpf("1e300"))

    @property
    def label(self) -> str:
        """A readable test id."""
        return f"{self.name}-{self.quantity}({', '.join(self.arguments)})"

    def relative_error(self, computed: float) -> float:
        """|computed − value| / scale; where the scale is 0, 0 for an exact 0 and else inf."""
        if self.scale == 0:
            return 0.0 if computed == 0 else float("inf")
        with mp.workdps(DIGITS):
            return float(abs(mpf(computed) - self.value) / self.scale)


def _number(text: Any) -> Any:
    with mp.workdps(DIGITS):
        return mpf(str(text))


@cache
def _file(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / name).read_text()))


@cache
def _all_cases() -> tuple[Case, ...]:
    extra, visible = _file("extra.json"), _file("visible.json")
    scales = extra["visible_scales"]
    found: list[Case] = []
    for name, entry in {**visible["activations"], **extra["activations"]}.items():
        for q, records in entry["A"].items():
            found += [_one_input(name, quantity, q, records) for quantity in records]
        for key, records in entry["B"].items():
            q1, q2, c = key.split(",")
            for quantity in ("C", "C1"):
                if quantity in records:
                    scale = records.get(f"scale_{quantity}") or _root(scales[name], q1, q2, "V1" if quantity == "C1" else "V")
                    found.append(_case(name, quantity, (q1, q2, c), records[quantity], _number(scale)))
        for key, records in entry["D"].items():
            arguments = tuple(key.split(",")) if "," in key else ("1", key)
            found += [_case(name, quantity, arguments, record, abs(_number(record["value"]))) for quantity, record in records.items()]
    return tuple(found)


def _root(by_q: dict[str, dict[str, str]], q1: str, q2: str, moment: str) -> Any:
    with mp.workdps(DIGITS):
        return mp.sqrt(_number(by_q[q1][moment]) * _number(by_q[q2][moment]))


def _one_input(name: str, quantity: str, q: str, records: dict[str, Any]) -> Case:
    with mp.workdps(DIGITS):
        v, value = _number(records["V"]["value"]), _number(records[quantity]["value"])
        scale = mp.sqrt(v) if quantity == "mean" else max(abs(value), v / mpf(q)) if quantity == "dVdq" else abs(value)
    return _case(name, quantity, (q,), records[quantity], scale)


def _case(name: str, quantity: str, arguments: tuple[str, ...], record: dict[str, Any], scale: Any) -> Case:
    return Case(name, quantity, arguments, _number(record["value"]), _number(record["error"]), scale)


def cases(quantities: tuple[str, ...] | None = None, *, tiny: bool = False) -> Iterator[Case]:
    """Every case of visible.json and extra.json, or those of some quantities.

    Cases whose scale float64 can't hold (softshrink at q = 1e-8: 10⁻¹⁰⁶⁴⁰²³⁵) come with ``tiny=True`` only; those with
    scale 0 (φ'' of a linear φ) always come: the exact answer is 0.
    """
    for case in _all_cases():
        if (quantities is None or case.quantity in quantities) and (tiny or case.representable or case.scale == 0):
            yield case
