"""The NumPy road of a process with one question gives the bits of the compiled one."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import meanfield as mf
from meanfield.expectation import kernels, octaves
from meanfield.expectation.moments import EXCESS, V1, V, moment_table

NAMES = ("tanh", "hardtanh", "softshrink", "sign", "exp", "relu")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("column", [V, V1, EXCESS])
def test_look_up(name: str, column: int) -> None:
    table = moment_table(mf.activation(name))
    q = np.exp2(np.random.default_rng(7).uniform(-20.0, 12.0, 3000))
    table(V, q)
    q = np.append(q, [2.0**-300, 2.0**300])  # outside of what is held
    packed = table.packed(column)
    one, two = np.empty(q.size), np.empty(q.size)
    assert octaves.evaluate_octaves(q, *packed, one) == kernels.evaluate_octaves(q, *packed, two)
    np.testing.assert_array_equal(one, two)


SCRIPT = """
import sys, numpy as np, meanfield as mf
if {compiled}:
    import meanfield.jit
edge = mf.edge_of_chaos({name!r}, np.linspace(0.0, 1.0, 101))
net = mf.MeanField({name!r}, 1.4, 0.3)
assert ("numba" in sys.modules) == {compiled}
print(np.concatenate([edge.q, edge.sigma_w, edge.variance_slope, [net.q_star, net.chi_1]]).tobytes().hex())
"""


@pytest.mark.parametrize("name", ["silu", "hardtanh"])
def test_one_curve_needs_no_numba_and_is_the_same_with_it(name: str) -> None:
    small, compiled = (
        subprocess.run([sys.executable, "-c", SCRIPT.format(name=name, compiled=c)], capture_output=True, text=True, check=True).stdout
        for c in (False, True)
    )
    assert small == compiled
    assert len(small) > 1000


def test_kernels_are_loaded_for_long_questions_and_after_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "meanfield.jit", raising=False)
    assert octaves.without_kernels(101, 1)
    assert not octaves.without_kernels(1001, 1)
    assert not octaves.without_kernels(1, 100_000)
    with octaves.one_question():
        assert octaves.without_kernels(1001, 1)
    monkeypatch.setitem(sys.modules, "meanfield.jit", octaves)
    assert not octaves.without_kernels(1, 1)


def test_hermite_coefficients_without_numba_have_the_same_bits() -> None:
    from meanfield.expectation.hermite import project_without_kernels
    from meanfield.expectation.hermite_kernels import project

    rng = np.random.default_rng(1)
    z, weighted = rng.normal(size=(2, 333))
    half = np.exp(-0.25 * z * z)
    one, two = np.zeros(128), np.zeros(128)
    project(z, weighted, half, one)
    project_without_kernels(z, weighted, half, two)
    assert one.tobytes() == two.tobytes()
