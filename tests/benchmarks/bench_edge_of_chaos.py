"""Under pytest-benchmark: ``python -m pytest tests/benchmarks/bench_*.py``. Results are checked, times only reported."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import meanfield as mf
from tests.benchmarks.curves import NAMES
from tests.benchmarks.fresh import compile_kernels, fresh

SIGMA_B = np.linspace(0, 1, 1001)


@pytest.fixture(autouse=True, scope="module")
def _compiled() -> None:
    compile_kernels()


def on_the_edge(curve: mf.EdgeOfChaos) -> bool:
    """Whether χ₁ = 1 and F(q) = q at every point."""
    moving = curve.q > 0
    q, weight = curve.q[moving], curve.sigma_w[moving] ** 2
    chi = weight * mf.second_moment(curve.activation, q, derivative=1)
    fixed = curve.sigma_b[moving] ** 2 + weight * mf.second_moment(curve.activation, q)
    return bool(moving.sum() >= 1000 and np.allclose(chi, 1, rtol=1e-12, atol=0) and np.allclose(fixed, q, rtol=1e-11, atol=0))


@pytest.mark.parametrize("name", NAMES)
def test_curve(benchmark: Any, name: str) -> None:
    """1001 points, warm."""
    act = fresh(name)
    assert on_the_edge(benchmark(mf.edge_of_chaos, act, sigma_b=SIGMA_B))


@pytest.mark.parametrize("name", NAMES)
def test_first_curve(benchmark: Any, name: str) -> None:
    """1001 points, the first time for an activation."""
    curve = benchmark.pedantic(lambda act: mf.edge_of_chaos(act, sigma_b=SIGMA_B), setup=lambda: ((fresh(name),), {}), rounds=5)
    assert on_the_edge(curve)
