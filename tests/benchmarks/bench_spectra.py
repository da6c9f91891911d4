"""Under pytest-benchmark, in CPU time: 200 points of a Jacobian's density, warm. ``python -m pytest tests/benchmarks/bench_spectra.py``.

The bar is 30 ms for any φ, and 5 ms where φ' takes finitely many values, at any depth.
"""

from __future__ import annotations

import time
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import meanfield as mf

SMOOTH = ("tanh", "erf", "gelu", "selu", "silu", "softplus")
in_cpu_time = (
    pytest.mark.benchmark(timer=time.process_time, min_rounds=5, warmup=True, warmup_iterations=1)
    if find_spec("pytest_benchmark")
    else lambda test: test
)
PIECEWISE_LINEAR = ("relu", "hardtanh", "leaky_relu")


@in_cpu_time
@pytest.mark.parametrize("depth", [1, 64, 100_000])
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("name", SMOOTH + PIECEWISE_LINEAR)
def test_density(benchmark: Any, name: str, weights: str, depth: int) -> None:
    s = mf.jacobian_spectrum(name, 1.0, 0.0, depth, weights, 1.0)
    zero = sum(atom.mass for atom in s.atoms if atom.value == 0.0)
    levels = np.linspace(*(float(s.log_quantile(zero + (1.0 - zero) * p)) for p in (0.02, 0.999)), 200)
    assert np.isfinite(benchmark(s.log_density, levels)).all()
