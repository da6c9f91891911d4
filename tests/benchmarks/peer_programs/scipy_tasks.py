"""scipy.integrate.quad and dblquad at their default tolerances, one value at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import answering
import scipy

from tests.benchmarks import peers

BUDGET = 150_000  # values of φ(v) for one covariance


def _normal(x: float) -> float:
    return math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def _below(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


FUNCTIONS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "tanh": (math.tanh, lambda x: 1 - math.tanh(x) ** 2),
    "erf": (math.erf, lambda x: 2 / math.sqrt(math.pi) * math.exp(-x * x)),
    "relu": (lambda x: x if x > 0 else 0.0, lambda x: 1.0 if x > 0 else 0.0),
    "gelu": (lambda x: x * _below(x), lambda x: _below(x) + x * _normal(x)),
}


class Quad(answering.ByScalars):
    """The first thing that one tries."""

    name = "SciPy quad"

    def versions(self) -> dict[str, str]:
        return {"scipy": scipy.__version__}

    def how(self, activation: str, kind: str) -> str:
        pairs = {"covariance": "dblquad", "trajectory": "dblquad", "diagram": "quad, dblquad"}
        return pairs.get(kind, "quad")

    def second_moment(self, activation: str, q: float, order: int) -> float:
        return peers.quad_moment(FUNCTIONS[activation][order], q)

    def mixed_moment(self, activation: str, q: float, c: float) -> float:
        try:
            return peers.dblquad_covariance(FUNCTIONS[activation][0], q, q, c, budget=BUDGET)
        except peers.Exhausted:
            return math.nan


if __name__ == "__main__":
    answering.main(Quad())
