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
    packed = table.packed(column)
    one, two = np.empty(q.size), np.empty(q.size)
    assert octaves.evaluate_octaves(q, *packed, one) == kernels.evaluate_octaves(q, *packed, two)
    np.testing.assert_array_equal(one, two)


SCRIPT = """
import sys, numpy as np, meanfield as mf
from meanfield.expectation.octaves import one_question
sigma_b = np.linspace(0.0, 1.0, 101)
if {compiled}:
    edge = mf.edge_of_chaos({name!r}, sigma_b)
else:
    with one_question():
        edge = mf.edge_of_chaos({name!r}, sigma_b)
assert ("numba" in sys.modules) == {compiled}
print(np.concatenate([edge.q, edge.sigma_w, edge.variance_slope]).tobytes().hex())
"""


@pytest.mark.parametrize("name", ["silu", "hardtanh"])
def test_one_curve_needs_no_numba_and_is_the_same_with_it(name: str) -> None:
    small, compiled = (
        subprocess.run([sys.executable, "-c", SCRIPT.format(name=name, compiled=c)], capture_output=True, text=True, check=True).stdout
        for c in (False, True)
    )
    assert small == compiled
    assert len(small) > 1000
