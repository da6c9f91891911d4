"""Ten lines of NumPy: Gauss–Hermite with 100 nodes, for arrays of q at once; pairs on the product grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import answering
import numpy as np
import scipy
from answering import Array
from scipy.special import erf

from tests.benchmarks import peers

NODES = 100
CHUNK = 4000


def _normal(x: Array) -> Array:
    return np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)


def _below(x: Array) -> Array:
    return 0.5 * (1 + erf(x / np.sqrt(2)))


FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "erf": (erf, lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x)),
    "relu": (lambda x: np.maximum(x, 0.0), lambda x: np.where(x > 0, 1.0, 0.0)),
    "gelu": (lambda x: x * _below(x), lambda x: _below(x) + x * _normal(x)),
}


class GaussHermite(answering.ByArrays):
    """As in most scripts of the field."""

    name = "NumPy"

    def versions(self) -> dict[str, str]:
        return {"numpy": np.__version__, "scipy": scipy.__version__}

    def how(self, activation: str, kind: str) -> str:
        return f"Gauss–Hermite, {NODES} nodes"

    def moment_of(self, activation: str, order: int) -> answering.Moment:
        phi = FUNCTIONS[activation][order]

        def run(q: Array) -> Array:  # in pieces that fit into the cache
            return np.concatenate([peers.hermite_moment(phi, q[i : i + CHUNK], NODES) for i in range(0, q.size, CHUNK)])

        return run

    def covariance_of(self, activation: str) -> answering.Covariance:
        phi = FUNCTIONS[activation][0]

        def run(q: Array, c: Array) -> Array:
            return np.array([peers.hermite_covariance(phi, *at, NODES) for at in zip(q, q, c, strict=True)])

        return run


if __name__ == "__main__":
    answering.main(GaussHermite())
