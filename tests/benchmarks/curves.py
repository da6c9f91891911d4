"""The edge-of-chaos curve with 1001 points, warm and the first time for an activation."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import numpy as np

import meanfield as mf
from tests.benchmarks import peers
from tests.benchmarks.fresh import compile_kernels, fresh
from tests.benchmarks.record import Measurement
from tests.benchmarks.timing import seconds_once, seconds_per_call

SECTION = "EOC curve, 1001 points"
NAMES = ("tanh", "silu", "hardtanh", "gelu", "formula")


def measure(*, quick: bool) -> Iterator[Measurement]:
    """Times of a whole curve."""
    sigma_b = np.linspace(0, 1, 1001)
    compile_kernels()
    for name in NAMES[: 2 if quick else None]:
        act = fresh(name)
        what = "x*tanh(a*log(1 + exp(x))), new a" if name == "formula" else name
        warm = seconds_per_call(lambda act=act: mf.edge_of_chaos(act, sigma_b=sigma_b))
        new = [fresh(name) for _ in range(3 if quick else 9)]
        first = [seconds_once(lambda act=act: mf.edge_of_chaos(act, sigma_b=sigma_b)) for act in new]
        yield Measurement(SECTION, what, "warm", warm, "s", "bar 1.5 ms")
        yield Measurement(SECTION, what, "first time, more than warm (best)", max(min(first) - warm, 0.0), "s", "bar 15 ms")
        yield Measurement(SECTION, what, "first time, more than warm (median)", max(statistics.median(first) - warm, 0.0), "s")
    tanh = fresh("tanh")
    exact = mf.edge_of_chaos(tanh, sigma_b=sigma_b[1:])
    _, sigma_w = peers.hermite_edge_of_chaos(np.tanh, lambda x: 1 - np.tanh(x) ** 2, sigma_b[1:])
    error = float(np.max(np.abs(sigma_w / exact.sigma_w - 1)))
    seconds = seconds_per_call(
        lambda: peers.hermite_edge_of_chaos(np.tanh, lambda x: 1 - np.tanh(x) ** 2, sigma_b[1:]), repeats=2, at_least=0.0
    )
    note = f"relative error of σ_w up to {error:.1e}"
    yield Measurement(SECTION, "tanh", "Gauss–Hermite 100 and bisection, in NumPy", seconds, "s", note)
