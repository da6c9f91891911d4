"""V[φ'] along many variances, where φ jumps and each value is a quadrature."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.layers.slopes import MANY, mean_square_slopes


@pytest.mark.parametrize("reverse", [False, True])
def test_many_variances_as_one_by_one(reverse: bool) -> None:
    act = mf.activation("where(x > 1, x*x, tanh(x))")
    q = np.geomspace(0.05, 50.0, MANY + 100)
    q = q[::-1].copy() if reverse else q
    alone = [mean_square_slopes(act, np.array([v]))[0] for v in q[::16]]
    np.testing.assert_allclose(mean_square_slopes(act, q)[::16], alone, rtol=1e-12)
    # E[φ'²] = E[4x² 1(x > 1)] + E[(1 − tanh²)² 1(x < 1)]
    z, w = np.polynomial.legendre.leggauss(400)
    for v, value in zip(q[::16], alone, strict=True):
        root = np.sqrt(v)

        def part(a: float, b: float, slope: object, root: float = root) -> float:
            x = 0.5 * (a + b) + 0.5 * (b - a) * z
            return float(np.sum(0.5 * (b - a) * w * slope(x) ** 2 * np.exp(-0.5 * (x / root) ** 2)) / root / np.sqrt(2 * np.pi))  # type: ignore[operator]

        exact = part(1.0, 1.0 + 12 * root, lambda x: 2 * x) + part(-12 * root, 1.0, lambda x: 1 - np.tanh(x) ** 2)
        assert value == pytest.approx(exact, rel=1e-11)
