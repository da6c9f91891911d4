"""DKS and TAT of eighteen activations at four depths, beside what dks 0.1.2 found; ``python -m tests.theory.table_of_shapes``.

Each row: the largest residual, the place of dks's solution among ours and how far its α and β are from it, and the processor time of one
question to a new φ and of one more depth, best of several. Where dks's is another than our first, the last lines tell whether ours is the
better one by the stated criterion.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import meanfield as mf
from meanfield.activations import Activation

REFERENCE = Path(__file__).parent.parent / "reference" / "shaping_dks.json"
DEPTHS = (20, 50, 100, 1000)
NAMES = {  # ours: theirs
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "erf": "erf",
    "relu": "relu",
    "softplus": "softplus",
    "selu": "selu",
    "elu": "elu",
    "swish": "swish",
    "silu": "swish",
    "bent_identity": "bentid",
    "arctan": "atan",
    "asinh(x)": "asinh",
    "x**2": "square",
    "softsign": "softsign",
    "leaky_relu": "leaky_relu",
    "gelu_tanh": "gelu",
    "gelu": "gelu_exact",
    "mish": "",
}


@dataclass(frozen=True)
class Row:
    """One question."""

    name: str
    method: str
    depth: int
    solutions: int  # 0 where there is none
    residual: float
    place: int | None  # of dks's solution among ours, from 1
    apart: float  # |Δα|/α + |Δβ|/α between the two; of a leaky ReLU the slopes'
    better: bool | None  # whether ours comes first by the stated criterion, where it is another
    first: float  # seconds of processor time
    again: float


def fresh(name: str) -> Activation:
    """φ as if it had never been asked about."""
    act = mf.activation(name)
    for kept in ("landscape of shapes", "shapes"):
        act.kept.pop(kept, None)
    return act


def least_time(name: str, method: str, depth: int, rounds: int, new: bool) -> float:
    """Of one question, best of several; without what was kept of φ, or of the depth only."""
    times = []
    for _ in range(rounds):
        act = fresh(name) if new else mf.activation(name)
        act.kept.pop("shapes", None)
        begun = time.process_time()
        with contextlib.suppress(mf.DomainError):
            mf.shape_activation(act, depth=depth, method=method)
        times.append(time.process_time() - begun)
    return min(times)


def beside(a: Any, params: dict[str, float], depth: int) -> tuple[int, float, bool]:
    """The place of dks's solution, how far it is from ours, and whether our first is no worse."""
    if "negative_slope" in params:
        return 1, abs(a.parameters["negative_slope"] / params["negative_slope"] - 1.0), True
    alpha, beta = abs(params["input_scale"]), params["input_shift"]  # −α is the same at −x
    gaps = [abs(s.input_scale / alpha - 1.0) + abs(s.input_shift - beta) / alpha for s in a.solutions]
    place = int(np.argmin(gaps))
    one, other = a.solutions[0], a.solutions[place]
    least = min(s.finite_width_error(depth) for s in a.solutions)
    same = math.isclose(one.slope, other.slope, rel_tol=1e-8)
    return place + 1, gaps[place], same or other.finite_width_error(depth) > 1.05 * least or one.slope < other.slope


def rows(rounds: int) -> Iterator[Row]:
    """All questions."""
    theirs = json.loads(REFERENCE.read_text())
    for name, their in NAMES.items():
        for method in ("dks", "tat"):
            for depth in DEPTHS:
                first, again = (least_time(name, method, depth, rounds, new) for new in (True, False))
                try:
                    a = mf.shape_activation(name, depth=depth, method=method)
                except mf.DomainError:
                    yield Row(name, method, depth, 0, math.nan, None, math.nan, None, first, again)
                    continue
                params = theirs.get(f"{method.upper()}|{their}|{depth}")
                place, apart, better = beside(a, params, depth) if params else (None, math.nan, None)
                yield Row(name, method, depth, len(a.solutions), a.residual, place, apart, better, first, again)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement of time")
    given = parser.parse_args()
    mf.shape_activation("tanh(1.01*x)", depth=20)  # modules and kernels are loaded
    print(f"{'φ':<14}{'method':<7}{'depth':>6}{'solutions':>10}{'residual':>10}{'place':>6}{'apart':>9}{'new φ':>9}{'new depth':>10}  ms")
    found = []
    for row in rows(given.rounds):
        found.append(row)
        if row.solutions:
            place = "–" if row.place is None else f"{row.place}"
            told = f"{row.solutions:>10}{row.residual:>10.0e}{place:>6}{row.apart:>9.0e}"
        else:
            told = f"{'none':>10}{'':>25}"
        print(f"{row.name:<14}{row.method:<7}{row.depth:>6}{told}{1e3 * row.first:>9.2f}{1e3 * row.again:>10.2f}", flush=True)
    met = [row for row in found if row.solutions]
    compared = [row for row in met if row.place is not None]
    first, again = (np.array([getattr(row, name) for row in found]) * 1e3 for name in ("first", "again"))
    print(f"{len(met)} of {len(found)} have solutions; largest residual {max(row.residual for row in met):.1e}")
    same = [row for row in compared if row.place == 1]
    better = [row for row in compared if row.place != 1 and row.better]
    print(f"{len(compared)} compared with dks: {len(same)} the same, {len(better)} of another that is no worse by the stated criterion")
    for what, times in (("new φ", first), ("new depth", again)):
        print(f"{what}: median {np.median(times):.1f} ms, largest {times.max():.1f} ms, above 10 ms {int((times > 10.0).sum())}")


if __name__ == "__main__":
    main()
