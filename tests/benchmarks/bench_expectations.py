"""Under pytest-benchmark: ``python -m pytest tests/benchmarks/bench_*.py``. Results are checked, times only reported."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import meanfield as mf
from tests.benchmarks.fresh import compile_kernels, fresh


@pytest.fixture(autouse=True, scope="module")
def _compiled() -> None:
    compile_kernels()


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu"])
def test_moment_array(benchmark: Any, name: str) -> None:
    """V at 10⁵ variances, warm."""
    act = fresh(name)
    q = np.geomspace(1e-8, 1e6, 100_000)
    values = benchmark(mf.second_moment, act, q)
    assert np.all(np.diff(values * np.sqrt(q)) > 0)  # √q V(q) rises, whatever φ is


@pytest.mark.parametrize(("name", "exact"), [("erf", 2 / math.pi * math.asin(2 / 3 * 0.9)), ("sign", 2 / math.pi * math.asin(0.9))])
def test_covariance(benchmark: Any, name: str, exact: float) -> None:
    """One C at a variance that is known."""
    act = fresh(name)
    assert benchmark(mf.covariance, act, 1.0, 1.0, 0.9) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_thousand_covariances(benchmark: Any, name: str) -> None:
    """1000 C's at one variance."""
    act = fresh(name)
    c = np.linspace(-0.999, 0.999, 1000)
    values = benchmark.pedantic(mf.covariance, args=(act, 1.0, 1.0, c), rounds=3)
    assert np.all(np.diff(values[c > 0]) > 0)  # C rises with c ≥ 0, whatever φ is
