"""Every reference of 30 digits inside its enclosure, none left out; ``python -m tests.proof.all_references`` asks all and counts.

The references and their claimed errors: tests/reference/README.md. The mean, dV/dq and the almost-everywhere V[φ'] of a φ that jumps
are no questions of `enclose`: they are asked of the integrals under it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from mpmath import mp

import meanfield as mf
from tests.reference_activations import SPECS, Case, cases

VISIBLE = Path(__file__).parents[1] / "reference" / "visible.json"
_WIDEST = Fraction(3, 10**29)  # of what the errors of a reference are relative to


@dataclass(frozen=True)
class Question:
    """What is asked, and between which two numbers the reference says that the answer lies."""

    label: str
    kind: str
    activation: str
    ask: Any = field(compare=False)
    low: Fraction = field(compare=False)  # may have a million digits
    high: Fraction = field(compare=False)
    scale: Fraction = field(compare=False)

    def wrong(self) -> str:
        """Why the enclosure is not what it should be; "" where it is."""
        found = self.ask()
        low, high = Fraction(found.lower), Fraction(found.upper)
        if high < self.low or low > self.high:
            return f"{self.label}: [{found.lower}, {found.upper}] does not meet the reference {float(self.low)!r}"
        if high - low > _WIDEST * (self.scale or 1):
            return f"{self.label}: too wide, [{found.lower}, {found.upper}]"
        return ""


def _solution(label: str, kind: str, activation: str, ask: Any, value: str) -> Question:
    """Of a root, to the digits that are printed."""
    middle, slack = Fraction(value), _last_digit(value)
    return Question(label, kind, activation, ask, middle - slack, middle + slack, abs(middle))


def questions(tiny: bool = False) -> Iterator[Question]:
    """All of them: one and two inputs, decorrelations, fixed points, points of the edge, half-stable points; below 1e-280 if asked."""
    for case in cases(tiny=tiny):
        value, slack = _exact(case.value), max(_exact(case.error), _half_a_unit(case.value, case.scale))
        yield Question(
            case.label, case.quantity, case.name, lambda case=case: _expectation(case), value - slack, value + slack, _exact(case.scale)
        )
    for name, entry in json.loads(VISIBLE.read_text(encoding="utf-8"))["activations"].items():
        yield from _fixed_points(name, entry)
        yield from _edges(name, entry)
    for name, values in HALF_STABLE.items():
        for key, value in values.items():
            yield _solution(
                f"{name} half-stable {key}",
                "half_stable",
                name,
                lambda name=name, key=key: mf.enclose("half_stable", name)[key],  # type: ignore[index]
                value,
            )


# Ball arithmetic of another program, every digit certain up to the last.
HALF_STABLE = {
    "silu": {
        "q": "14.320173618025798816587304223690",
        "sigma_w": "1.409966197562725971491722502516428",
        "sigma_b": "0.7450793049880867521888085416354200",
        "sigma_w2": "1.988004678269492005271289306696126",
        "sigma_b2": "0.5551431707215303962012313194329755",
    },
    "gelu": {
        "q": "3.5615528128088302749107049279870",
        "sigma_w2": "1.98305825743754712520547798583",
        "sigma_b": "0.415839380958642915001047930208",
    },
    "mish": {
        "q": "1.67016913247807775130075087656",
        "sigma_w2": "2.01352406971953029361002401487",
        "sigma_b": "0.30744395809751295141731853079",
    },
}


def _fixed_points(name: str, entry: dict[str, Any]) -> Iterator[Question]:
    for key, record in entry.get("fixed_points", {}).items():
        if record["status"] != "ok":
            continue
        sigma_w, sigma_b = key.split(",")
        for here, there in (("q_star", "q"), ("Fprime", "variance_slope"), ("chi_1", "chi_1")):
            yield _solution(
                f"{name} fixed point ({key}) {there}",
                "fixed_point",
                name,
                lambda sigma_w=sigma_w, sigma_b=sigma_b, there=there: mf.enclose(
                    "fixed_point",
                    _activation(name),
                    sigma_w=sigma_w,
                    sigma_b=sigma_b,
                )[there],  # type: ignore[index]
                record[here],
            )
        yield _solution(
            f"{name} fixed point ({key}) c_star",
            "c_star",
            name,
            lambda sigma_w=sigma_w, sigma_b=sigma_b: mf.enclose("c_star", _activation(name), sigma_w=sigma_w, sigma_b=sigma_b),
            record["c_star"],
        )


def _edges(name: str, entry: dict[str, Any]) -> Iterator[Question]:
    points = dict(entry["eoc"]["points"])
    if "trajectory" in entry and entry["trajectory"]["sb"] != "0":
        points["0.2, again"] = {"status": "ok", "chosen": entry["trajectory"]}
    for sigma_b, record in points.items():
        if "chosen" not in record:
            continue
        smallest = min(record.get("roots", [record["chosen"]]), key=lambda root: Fraction(root["q"]))
        for here, there in (("q", "q"), ("sw", "sigma_w"), ("Fprime", "variance_slope")):
            yield _solution(
                f"{name} edge {sigma_b} {there}",
                "edge_of_chaos",
                name,
                lambda sigma_b=sigma_b, there=there: mf.enclose("edge_of_chaos", _activation(name), sigma_b=sigma_b.split(",")[0])[there],  # type: ignore[index]
                smallest[here],
            )


def _last_digit(value: str) -> Fraction:
    """30 digits are claimed: one unit in the 30th, or in the last where there are fewer."""
    digits = value.replace("-", "").partition("e")[0].replace(".", "").lstrip("0")
    return abs(Fraction(value)) / 10 ** min(29, len(digits) - 1)


def _activation(name: str) -> Any:
    spec, parameters = SPECS[name]
    return mf.activation(spec, **parameters)


def _expectation(case: Case) -> mf.Enclosure:
    act, k = _activation(case.name), case.order
    if case.quantity in ("C", "C1"):
        q1, q2, c = case.arguments
        return mf.enclose("covariance", act, q1=q1, q2=q2, c=c, derivative=k)
    if case.quantity in ("D", "D1"):
        q, epsilon = case.arguments
        return mf.enclose("decorrelation", act, q=q, epsilon=epsilon, derivative=k)
    (q,) = case.arguments
    if case.quantity in ("V", "V1", "V2"):
        return mf.enclose("second_moment", act, q=q, derivative=k)
    return _mean(act, case.quantity, Fraction(q), max(0, -math.floor(float(mp.log10(case.scale)))) if case.scale else 0)


def _mean(act: Any, quantity: str, q: Fraction, zeros: int) -> mf.Enclosure:
    """To 32 digits of what the reference's error is relative to, a number with so many zeros behind the point."""
    from meanfield.proof.balls import ball, precision
    from meanfield.proof.covariances import mean
    from meanfield.proof.enclose import enclosed
    from meanfield.proof.function import function_of
    from meanfield.proof.integrals import Expectations
    from meanfield.proof.sides import side_of

    if quantity == "mean":
        with precision(220 + 4 * zeros):
            return enclosed(mean(side_of(function_of(act), 0, ball(q), False), 40 + zeros), 32)
    h, order = {
        "dVdq": (lambda jet, x: x * jet[0] * jet[1], 1),
        "dVdq of a jump": (lambda jet, x: x * x * jet[0] * jet[0], 0),
        "V1_ae": (lambda jet, x: jet[1] * jet[1], 1),
    }[quantity if quantity != "dVdq" or not function_of(act).jumps() else "dVdq of a jump"]
    with precision(220 + 4 * zeros):
        expectations = Expectations(function_of(act))
        found = expectations.mean(h, order, ball(q), 40)
        if order == 0:  # by the derivative of the density: 2q² dV/dq = E[(x² − q)φ²]
            return enclosed((found / ball(q) - expectations.mean(lambda jet, x: jet[0] * jet[0], 0, ball(q), 40)) / (2 * ball(q)), 32)
        return enclosed(found / ball(q) if quantity == "dVdq" else found, 32)


def _half_a_unit(value: Any, scale: Any) -> Fraction:
    """In the 30th digit: the claimed errors leave the rounding of what is printed out. Nothing beside a far larger scale."""
    with mp.workdps(50):
        if abs(value) < scale * mp.mpf(10) ** -300:  # a power of 20 million would be written out
            return Fraction(0)
        return Fraction(10) ** (int(mp.floor(mp.log10(abs(value)))) - 29) / 2 if value else Fraction(0)


def _exact(number: Any) -> Fraction:
    sign, mantissa, exponent, _ = number._mpf_
    return (-1) ** sign * mantissa * Fraction(2) ** exponent


def main(arguments: list[str]) -> int:
    """Ask them, print those that fail, and what each kind takes."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.all_references")
    parser.add_argument(
        "--kinds", nargs="*", help="V, V1, V2, V1_ae, mean, dVdq, C, C1, D, D1, fixed_point, c_star, edge_of_chaos, half_stable"
    )
    parser.add_argument("--activations", nargs="*")
    parser.add_argument("--every", type=int, default=1, help="each n-th only")
    parser.add_argument("--slow", type=float, default=5.0, help="seconds from which on a question is named")
    parser.add_argument("--tiny", action="store_true", help="those below 1e-280 too: minutes for numbers of a million digits")
    given = parser.parse_args(arguments)
    asked: dict[str, list[float]] = {}
    failed = 0
    chosen = [
        question
        for question in questions(given.tiny)
        if (not given.kinds or question.kind in given.kinds) and (not given.activations or question.activation in given.activations)
    ]
    for question in chosen[:: given.every]:
        began = time.perf_counter()
        try:
            told = question.wrong()
        except mf.MeanFieldError as error:
            told = f"{question.label}: {error}"
        seconds = time.perf_counter() - began
        asked.setdefault(question.kind, []).append(seconds)
        if told:
            failed += 1
            print(told, flush=True)
        if seconds > given.slow:
            print(f"({question.label}: {seconds:.1f} s)", flush=True)
    for kind, times in asked.items():
        print(f"{kind}: {len(times)} asked, {sum(times):.0f} s in all, {max(times):.2f} s at most")
    print(f"{sum(map(len, asked.values()))} references, {failed} not enclosed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
