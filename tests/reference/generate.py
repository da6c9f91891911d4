"""Write extra.json: reference values for activations that visible.json doesn't name.

Nothing here knows the package under test. Run ``python tests/reference/generate.py``; needs python-flint. What is
already in the file is kept, so a stopped run picks up where it was; delete the file to start over.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flint
from one_input import expectation, quantities
from piecewise import ACTIVATIONS, VISIBLE, Piecewise
from record import Record, record
from two_inputs import COARSE, FINE, covariance, decorrelation

PATH = Path(__file__).with_name("extra.json")
PRECISION = 230  # bits; at 1e-8 the cancellation of x − tanh x takes 50 of them
PRECISION_TWO = 160

VARIANCES = ("1e-8", "1e-4", "0.0025", "0.3", "1.7", "10", "1e3", "1e6")
COVARIANCES = (
    "1,1,0.3",
    "1,1,-0.9",
    "1,1,0.99",
    "1,1,0.999999",
    "10,10,0.9",
    "0.5,3,-0.3",
    "0.5,3,0.9",
    "1e4,1e4,0.5",
    "1e-4,1e-4,0.5",
    "100,0.01,0.7",
)
DECORRELATIONS = tuple(f"{q},{epsilon}" for q in ("1", "100") for epsilon in ("1e-2", "1e-4", "1e-8", "1e-12"))
VISIBLE_VARIANCES = ("0.2", "0.5", "1", "3", "10")  # those of the covariances in visible.json

# A covariance this small is of no use to float64, and lies beyond the reach of the two-input rule.
SMALLEST_SCALE = "1e-280"

log = logging.getLogger("reference")


def exact_waves(name: str, q_text: str) -> dict[str, flint.arb]:
    """The moments of sin 5x and of x + sin²(2x)/2, where q is so large that an integral would count thousands of waves."""
    q = flint.arb(q_text)
    if name == "sin_5":
        e = (-50 * q).exp()
        return {"V": (1 - e) / 2, "mean": 0 * q, "dVdq": 25 * e, "V1": 25 * (1 + e) / 2, "V2": 625 * (1 - e) / 2}
    a, b = (-8 * q).exp(), (-32 * q).exp()
    return {
        "V": q + (flint.arb("1.5") - 2 * a + b / 2) / 16,
        "mean": (1 - a) / 4,
        "dVdq": 1 + a - b,
        "V1": 1 + (1 - b) / 2,
        "V2": 8 * (1 + b),
    }


def one_input(name: str, phi: Piecewise, q: str) -> Record:
    """V, V1, V2, mean and dVdq at one variance."""
    if name in ("sin_5", "snake_2") and float(q) >= 10:
        balls = exact_waves(name, q)
    else:
        balls = {key: expectation(phi, f, q) for key, f in quantities(phi.smoothness).items()}
    scale = balls["V"].sqrt()
    return {key: record(ball, scale if key == "mean" else None) for key, ball in balls.items()}


def second_moment(phi: Piecewise, order: int, q: str) -> flint.arb:
    """V or V1 at the one-input precision."""
    with flint.ctx.workprec(PRECISION):
        return expectation(phi, quantities("smooth" if order == 0 else phi.smoothness)["V1" if order else "V"], q)


def two_resolutions(rule: Callable[..., flint.arb], *arguments: Any) -> flint.arb:
    """The finer rule's value, its radius widened by the distance to the coarser rule's."""
    with flint.ctx.workprec(PRECISION_TWO):
        fine, coarse = rule(*arguments, FINE), rule(*arguments, COARSE)
        return flint.arb(fine.mid(), abs(fine - coarse).upper() + fine.rad())


def two_inputs(phi: Piecewise, key: str) -> Record:
    """C and, for a continuous φ, C1; errors count against the scale √(V(q1) V(q2)), which is kept beside them."""
    q1, q2, c = key.split(",")
    out: Record = {}
    for order, name in ((0, "C"), (1, "C1"))[: 1 if phi.smoothness == "jump" else 2]:
        scale = (second_moment(phi, order, q1) * second_moment(phi, order, q2)).sqrt()
        if scale < flint.arb(SMALLEST_SCALE):
            continue
        out[name] = record(two_resolutions(covariance, phi, order, q1, q2, c), scale, worst=1e-20)
        out[f"scale_{name}"] = scale.mid().str(20, radius=False)
    return out


def load() -> dict[str, Any]:
    """What earlier runs have written."""
    return dict(json.loads(PATH.read_text())) if PATH.exists() else {"activations": {}}


def save(data: dict[str, Any]) -> None:
    """Write through a temporary file: a killed run leaves the old file."""
    new = PATH.with_suffix(".tmp")
    new.write_text(json.dumps(data, indent=0, sort_keys=False) + "\n")
    new.replace(PATH)


def main() -> None:
    """Fill in whatever extra.json lacks."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    flint.ctx.prec = PRECISION
    data = load()
    for name, phi in ACTIVATIONS.items():
        entry = data["activations"].setdefault(name, {"A": {}, "B": {}, "D": {}})
        entry["definition"] = {"phi": phi.definition, "smoothness": phi.smoothness, "breaks": list(phi.true_breaks)}
        for q in VARIANCES:
            if q not in entry["A"]:
                entry["A"][q] = one_input(name, phi, q)
        save(data)
        log.info("%s: one input", name)
    scales = data.setdefault("visible_scales", {})
    for name, phi in VISIBLE.items():
        scales[name] = {
            q: {k: second_moment(phi, order, q).mid().str(20, radius=False) for order, k in enumerate(("V", "V1"))}
            for q in VISIBLE_VARIANCES
        }
    save(data)
    for name, phi in ACTIVATIONS.items():
        if not phi.two_inputs:
            continue
        entry = data["activations"][name]
        for key in COVARIANCES:
            if key not in entry["B"]:
                entry["B"][key] = two_inputs(phi, key)
                save(data)
        for key in DECORRELATIONS:
            if key not in entry["D"]:
                entry["D"][key] = {"D": record(two_resolutions(decorrelation, phi, 0, *key.split(",")), worst=1e-20)}
                save(data)
        log.info("%s: two inputs", name)


if __name__ == "__main__":
    main()
