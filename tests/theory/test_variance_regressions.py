"""Variance maps whose fixed points lie where φ has too many features for exact integrals."""

from __future__ import annotations

import math
import time
import warnings

import numpy as np
import pytest

import meanfield as mf
from meanfield.expectation.moments import moment_table
from meanfield.solve.reach import DEAR, Cost, sampled_moments


def test_samples_give_the_moments_to_some_per_cent() -> None:
    q = np.array([1.0, 1e4, 1e9])
    value, rise = sampled_moments(mf.activation("x + 3*sin(5*x)"), q)
    np.testing.assert_allclose(value, q + 4.5, rtol=0.05)  # E[x sin 5x] = 5q exp(−12.5 q) is small, and so is exp(−50 q)
    np.testing.assert_allclose(rise, q, rtol=0.1, atol=0.5)


def test_ordinary_activations_are_never_dear() -> None:
    for name in ("tanh", "relu", "silu", "x**3", "sin"):
        assert Cost(moment_table(mf.activation(name)).partition).dear_from(2.0**20) == math.inf


def test_the_cost_of_a_fast_oscillation() -> None:
    partition = moment_table(mf.activation("sin(300*x)")).partition
    dear = Cost(partition).dear_from(1e6)
    assert 10.0 < dear < 1e4
    # It is what the panels say, not what was asked before.
    assert Cost(partition).dear_from(1e9) == dear
    assert partition.count(round(math.log2(10 * math.sqrt(dear))) - 1) > DEAR


def test_a_fixed_point_far_out_is_located_with_a_warning() -> None:
    net = mf.MeanField("exp(12) + sin(3*x)", 1.2, 0.3)
    began = time.process_time()
    with pytest.warns(mf.AccuracyWarning, match="samples"):
        found = net.q_star
    assert time.process_time() - began < 10.0  # seconds of processor time; a third of that on an idle machine
    assert found == pytest.approx(0.09 + 1.44 * (math.exp(24) + 0.5), rel=0.05)


def test_fixed_points_below_stay_exact() -> None:
    # sin(60x) at small variance: F(q) = ½σ_w²(1 − exp(−2·60² q)) + σ_b² = q below the dear region.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = mf.MeanField("sin(60*x)", 1.2, 0.3).q_star
    assert found == pytest.approx(0.09 + 0.72, rel=1e-12)
