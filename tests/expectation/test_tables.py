"""The moment tables and their kernels, where tests of values do not reach."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import meanfield as mf
from meanfield.expectation.kernels import TERMS, evaluate_octaves
from meanfield.expectation.moments import DEFICIT, EXCESS, V1, MomentTable, V, moment_table


def test_the_table_agrees_with_direct_quadrature() -> None:
    rng = np.random.default_rng(1)
    for name in ("tanh", "gelu", "hardtanh", "relu(x - 0.7)", "sin", "softplus"):
        table = moment_table(mf.activation(name))
        for q in 10 ** rng.uniform(-2.5, 4, 12):
            values, _, _ = table.direct(float(q))
            for column in (V, V1):
                assert table(column, np.array([q]))[0] == pytest.approx(values[column], rel=1e-13), (name, q)


def test_differences_keep_their_relative_accuracy() -> None:
    """q V[φ'] − V[φ] ~ (4/3) q³ and F' − 1 ~ −2q at small q for tanh: naive differences would keep no digit at q = 1e-8."""
    table = MomentTable(mf.activation("tanh"), (0, 1))
    for q in (1e-8, 1e-6):
        # Series of E[tanh²] and E[sech⁴] with Gaussian moments.
        assert table(DEFICIT, np.array([q]))[0] == pytest.approx(4 / 3 * q**3 * (1 - 56 / 5 * q), rel=1e-6)
        assert table(EXCESS, np.array([q]))[0] / q == pytest.approx(-2 * q, rel=1e-4)


def test_relu_has_no_deficit_at_all() -> None:
    table = MomentTable(mf.activation("leaky_relu"), (0, 1))
    assert np.all(table(DEFICIT, np.geomspace(1e-6, 1e6, 40)) == 0)


def test_the_kernel_counts_what_it_could_not_do() -> None:
    out = np.empty(4)
    coefficients = np.zeros((1, TERMS))
    coefficients[0, 0], coefficients[0, 1] = 1.5, 0.5  # q on [1, 2)
    one, zero = np.ones(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    missed = evaluate_octaves(np.array([1.0, 1.75, 0.5, 2.0]), 0, zero, zero, one, coefficients, out)
    assert missed == 2
    assert out[:2].tolist() == [1.0, 1.75]
    assert np.isnan(out[2:]).all()


def test_threads_get_the_same_numbers() -> None:
    q = np.geomspace(1e-6, 1e4, 500)
    expected = mf.second_moment(mf.activation("mish"), q)
    results: list[np.ndarray] = []

    act = mf.activation(lambda x: x * np.tanh(np.logaddexp(0, x)), breakpoints=())

    def work() -> None:
        results.append(mf.second_moment(act, q))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        assert np.array_equal(result, results[0])
        assert np.allclose(result, expected, rtol=1e-12, atol=0)
