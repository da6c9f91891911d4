"""The root search by NumPy alone gives the bits of the compiled one."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.expectation.moments import DEFICIT, V1, moment_table
from meanfield.solve.scan import octave_grid
from meanfield.theory import edge_of_chaos_kernels, edge_of_chaos_roots


@pytest.mark.parametrize("name", ["tanh", "silu", "hardtanh"])
def test_brackets_and_roots(name: str) -> None:
    table = moment_table(mf.activation(name))
    grid = octave_grid(2.0**-8, 2.0**6)
    table.ensure(-8, 6)
    values = table(DEFICIT, grid) / table(V1, grid)
    # In range, on a sample, outside on both sides.
    targets = np.concatenate([np.linspace(0.01, 2.0, 40) ** 2, values[[3, 50]], [-1.0, 1e9]])
    found = [np.empty(targets.size, dtype=np.int64) for _ in range(2)]
    roots = [np.empty(targets.size) for _ in range(2)]
    # Some from the first sample on, some from inside, one from the end.
    begin = np.arange(targets.size) % 3 * 20
    begin[7] = grid.size - 1
    first, _, start, pieces, block = table.snapshot()
    columns = np.ascontiguousarray(block[[DEFICIT, V1]])
    missing = []
    for module, brackets, solved in zip((edge_of_chaos_roots, edge_of_chaos_kernels), found, roots, strict=True):
        missing.append(module.first_brackets(targets, begin, grid, values, brackets))
        module.solve(targets, brackets, grid, first, start, pieces, columns, solved)
    assert missing[0] == missing[1] >= 3
    assert (found[0][found[0] >= 0] >= begin[found[0] >= 0]).all()
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(roots[0], roots[1])
    inside = found[0] >= 0
    assert np.isnan(roots[0][~inside]).all()
    np.testing.assert_allclose((table(DEFICIT, roots[0][inside]) / table(V1, roots[0][inside])), targets[inside], rtol=1e-11, atol=1e-15)
