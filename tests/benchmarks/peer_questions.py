"""What all methods are asked, and the exact answers: from tests/reference, 30 digits."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from mpmath import mp, mpf

from tests.reference_activations import DIGITS, FOLDER, Case, cases

USUAL = (0.01, 10.0)  # variances that occur in practice
WIDE = (1e-8, 1e6)


@dataclass(frozen=True)
class Question:
    """One row of the table.

    Attributes
    ----------
    what : str
        For people.
    kind, activation, timed, checked
        As `tests/benchmarks/peer_programs/answering.py` says.
    exact, scale : tuple of tuple of mpf
        For each checked argument the numbers that the answer is made of, and what their errors are relative to.
    """

    what: str
    kind: str
    activation: str
    timed: dict[str, Any]
    checked: tuple[Any, ...]
    exact: tuple[tuple[Any, ...], ...]
    scale: tuple[tuple[Any, ...], ...]

    @property
    def json(self) -> dict[str, Any]:
        """What a program is told."""
        return {"kind": self.kind, "activation": self.activation, "timed": self.timed, "checked": list(self.checked)}

    def error(self, values: list[Any]) -> tuple[float, int]:
        """The largest relative error, and how many of the values there are: one that is missing counts only there.

        Raises
        ------
        ValueError
            If the answer has another length than the question.
        """
        largest, present = 0.0, 0
        for value, exact, scale in zip(values, self.exact, self.scale, strict=True):
            numbers = value if isinstance(value, list) else [value]
            if None in numbers:
                continue
            present += 1
            with mp.workdps(DIGITS):
                largest = max(largest, *(float(abs(mpf(n) - e) / s) for n, e, s in zip(numbers, exact, scale, strict=True)))
        return (largest if present else math.inf), present


def _of_cases(what: str, kind: str, activation: str, timed: dict[str, Any], found: list[Case]) -> Question:
    checked = tuple(case.floats[0] if len(case.floats) == 1 else [case.floats[0], case.floats[2]] for case in found)
    return Question(what, kind, activation, timed, checked, tuple((c.value,) for c in found), tuple((c.scale,) for c in found))


def _moment(activation: str, quantity: str, reach: tuple[float, float], count: int) -> Question:
    low, high = reach
    found = [c for c in cases((quantity,)) if c.name == activation and low <= c.floats[0] <= high]
    word = "E[φ²]" if quantity == "V" else "E[φ'²]"
    what = f"{word} of {activation}, {count:,} q from {low:g} to {high:g}"
    kind = "moment" if quantity == "V" else "slope_moment"
    return _of_cases(what, kind, activation, {"low": low, "high": high, "count": count}, found)


def _covariance(activation: str, count: int) -> Question:
    found = [c for c in cases(("C",)) if c.name == activation and c.floats[0] == c.floats[1] == 1]
    found += [c for c in cases(("C",)) if c.name == activation and c.floats in ((10, 10, -0.3), (10, 10, 0.9), (10, 10, 0.999999))]
    what = f"E[φ(u)φ(v)] of {activation}, {count:,} c at q = 1"
    return _of_cases(what, "covariance", activation, {"q": 1.0, "count": count}, found)


def _entry(activation: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / "visible.json").read_text())["activations"][activation])


def _exact(text: Any) -> Any:
    with mp.workdps(DIGITS):
        return mpf(str(text))


def _trajectory(activation: str, depth: int) -> Question:
    known = _entry(activation)["trajectory"]
    layers = tuple(int(layer) for layer in known["eps"] if int(layer) <= depth)
    exact = tuple((_exact(known["eps"][str(layer)]),) for layer in layers)
    timed = {
        "sigma_w": float(known["sw"]),
        "sigma_b": float(known["sb"]),
        "q": float(known.get("q", 1.0)),  # relu keeps every q
        "c": 0.5,
        "depth": depth,
    }
    return Question(f"1 − c over {depth:,} layers on the edge, {activation}", "trajectory", activation, timed, layers, exact, exact)


def _edge(activation: str, count: int) -> Question:
    points = _entry(activation)["eoc"]["points"]
    exact = tuple((_exact(point["chosen"]["sw"]),) for point in points.values())
    what = f"edge of chaos of {activation}, {count} σ_b"
    return Question(what, "edge", activation, {"count": count}, tuple(float(b) for b in points), exact, exact)


def _diagram(activation: str, side: int) -> Question:
    known = {at: point for at, point in _entry(activation)["fixed_points"].items() if point["status"] == "ok"}
    exact = tuple(tuple(_exact(point[name]) for name in ("q_star", "chi_1", "c_star")) for point in known.values())
    scale = tuple((q, chi, mpf(1)) for q, chi, _ in exact)
    checked = tuple([float(number) for number in at.split(",")] for at in known)
    what = f"phase diagram of {activation}, {side} × {side}: q*, χ₁, c*"
    return Question(what, "diagram", activation, {"side": side}, checked, exact, scale)


def questions(*, quick: bool) -> list[Question]:
    """All rows; the quick ones are few and small."""
    if quick:
        return [_moment("tanh", "V", USUAL, 1000), _covariance("relu", 100), _trajectory("relu", 100), _edge("erf", 11)]
    return [
        *(_moment(activation, "V", USUAL, 10_000) for activation in ("tanh", "erf", "gelu", "relu")),
        _moment("tanh", "V", WIDE, 10_000),
        *(_moment(activation, "V1", USUAL, 10_000) for activation in ("tanh", "gelu")),
        _moment("tanh", "V1", WIDE, 10_000),
        *(_covariance(activation, 1000) for activation in ("tanh", "erf", "gelu", "relu")),
        *(_trajectory(activation, 1000) for activation in ("tanh", "gelu", "relu")),
        *(_edge(activation, 101) for activation in ("tanh", "erf")),
        *(_diagram(activation, 64) for activation in ("tanh", "erf")),
    ]
