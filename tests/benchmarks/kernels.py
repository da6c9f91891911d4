"""Two inputs of any variances by the hundred thousand, and Gram matrices of a deep network on data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import meanfield as mf
from meanfield import layers as L
from tests.benchmarks.fresh import compile_kernels, fresh
from tests.benchmarks.record import Measurement
from tests.benchmarks.timing import seconds_once, seconds_per_call

PAIRS, GRAM = "Any two variances", "Gram matrices"
NORMS = {"equal norms": 1.0, "norms within a factor of 2": 2.0}


def data(inputs: int, ratio: float) -> np.ndarray:
    """Inputs of ten dimensions, with norms spread evenly in their logarithm over that ratio."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((inputs, 10))
    x /= np.sqrt((x**2).mean(axis=1))[:, None]
    return x * np.exp(0.5 * np.log(ratio) * rng.uniform(-1.0, 1.0, inputs))[:, None]


def measure(*, quick: bool) -> Iterator[Measurement]:
    """Wall time of covariances at random (q1, q2, c), and of kernels of 50 layers, first and again."""
    compile_kernels()
    rng = np.random.default_rng(0)
    count = 5_000 if quick else 100_000
    q1, q2 = rng.uniform(0.1, 10.0, (2, count))
    c = rng.uniform(-1.0, 1.0, count)
    for name in ("relu",) if quick else ("relu", "tanh", "gelu", "selu", "hardtanh"):
        act = fresh(name)
        first = seconds_once(lambda act=act: mf.covariance(act, q1, q2, c))
        again = seconds_per_call(lambda act=act: mf.covariance(act, q1, q2, c), repeats=3)
        yield Measurement(PAIRS, f"{name}, {count} pairs, q from 0.1 to 10", "first, tables included", first, "s")
        yield Measurement(PAIRS, f"{name}, {count} pairs, q from 0.1 to 10", "again, each", again / count, "s")
    inputs = 100 if quick else 2000
    for name in ("tanh",) if quick else ("tanh", "relu", "gelu", "selu", "hardtanh"):
        for norms, ratio in NORMS.items():
            x = data(inputs, ratio)
            for kernel in ("nngp", "ntk"):
                net = mf.Network(L.Dense(1.4, 0.1), L.Repeat(L.Sequence(fresh(name), L.Dense(1.4, 0.1)), 50))
                first = seconds_once(lambda net=net, x=x, kernel=kernel: getattr(net, kernel)(x, n_jobs=2))
                again = seconds_per_call(lambda net=net, x=x, kernel=kernel: getattr(net, kernel)(x, n_jobs=2), repeats=2)
                what = f"{name}, {inputs} inputs, 50 layers, {norms}"
                yield Measurement(GRAM, what, f"{kernel}, first", first, "s", "two threads")
                yield Measurement(GRAM, what, f"{kernel}, again", again, "s", "two threads")
