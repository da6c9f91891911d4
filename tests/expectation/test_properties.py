"""What must hold for every activation and argument."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import meanfield as mf

NAMES = st.sampled_from(["tanh", "relu", "silu", "gelu", "elu", "hardtanh", "hardswish", "sign", "softplus", "mish", "sin", "x**3 - x"])
LOG_Q = st.floats(-6, 4)
C = st.floats(-1, 1)


@given(NAMES, LOG_Q, C)
@settings(deadline=None, max_examples=60)
def test_cauchy_schwarz(name: str, log_q: float, c: float) -> None:
    q = 10.0**log_q
    assert abs(mf.covariance(name, q, q, c)) <= mf.second_moment(name, q) * (1 + 1e-12)


@given(NAMES, LOG_Q, LOG_Q, C)
@settings(deadline=None, max_examples=40)
def test_the_order_of_inputs_does_not_matter(name: str, log_q1: float, log_q2: float, c: float) -> None:
    q1, q2 = 10.0**log_q1, 10.0**log_q2
    scale = math.sqrt(mf.second_moment(name, q1) * mf.second_moment(name, q2))
    assert abs(mf.covariance(name, q1, q2, c) - mf.covariance(name, q2, q1, c)) <= 2e-12 * scale


@given(st.sampled_from(["tanh", "silu", "relu", "elu", "hardtanh", "mish"]), st.floats(-3, 2), st.floats(-0.9, 0.9))
@settings(deadline=None, max_examples=25)
def test_price(name: str, log_q: float, c: float) -> None:
    """∂C/∂c = q E[φ'(u)φ'(v)], by Richardson's extrapolation of central differences."""
    q, h = 10.0**log_q, 4e-3

    def difference(step: float) -> float:
        return float(mf.covariance(name, q, q, c + step) - mf.covariance(name, q, q, c - step)) / (2 * step)

    table = [[difference(h / 2**i)] for i in range(5)]
    for i in range(1, 5):
        for j in range(1, i + 1):
            table[i].append(table[i][j - 1] + (table[i][j - 1] - table[i - 1][j - 1]) / (4**j - 1))
    slope = q * mf.covariance(name, q, q, c, derivative=1)
    assert abs(table[4][4] - slope) <= 1e-8 * mf.second_moment(name, q) + 1e-8 * abs(slope)


@given(st.floats(-6, 5), st.floats(0.05, 20))
@settings(deadline=None, max_examples=40)
def test_scaling(log_q: float, scale: float) -> None:
    """V of φ(s x) at q is V of φ at s² q."""
    q = 10.0**log_q
    scaled = mf.second_moment(mf.activation("tanh(s*x)", s=scale), q)
    assert scaled == pytest.approx(mf.second_moment("tanh", q * scale * scale), rel=1e-12)


@given(NAMES, LOG_Q)
@settings(deadline=None, max_examples=40)
def test_the_spread_integral_does_not_decrease(name: str, log_q: float) -> None:
    """√q V(q) = ∫ φ² exp(−x²/2q) dx/√(2π) is non-decreasing in q."""
    q = 10.0**log_q
    values = np.sqrt(np.array([q, 1.1 * q])) * mf.second_moment(name, np.array([q, 1.1 * q]))
    assert values[1] >= values[0] * (1 - 1e-12)


@given(NAMES, st.floats(-4, 3), st.floats(1e-9, 0.5))
@settings(deadline=None, max_examples=40)
def test_decorrelation_is_the_loss_of_covariance(name: str, log_q: float, epsilon: float) -> None:
    q = 10.0**log_q
    total = mf.second_moment(name, q)
    assert mf.decorrelation(name, q, epsilon) == pytest.approx(total - mf.covariance(name, q, q, 1 - epsilon), abs=3e-12 * total)


def test_scalars_and_arrays_give_the_same_numbers() -> None:
    q = np.geomspace(1e-8, 1e6, 50)
    for k in (0, 1, 2):
        array = mf.second_moment("swish", q, derivative=k)
        assert array.shape == q.shape
        assert [mf.second_moment("swish", float(v), derivative=k) for v in q] == list(array)
    assert isinstance(mf.second_moment("swish", 1), float)
    assert mf.covariance("tanh", np.ones((2, 1)), 1.0, np.zeros(3)).shape == (2, 3)
