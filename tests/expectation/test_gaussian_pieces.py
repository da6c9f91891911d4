"""How steep a Gaussian 16 nodes may be given: the promise beside rule.GAUSSIAN_DROP, with 40 digits."""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import diff, exp, findroot, legendre, mp, mpf

from meanfield.expectation.panels import ORDER
from meanfield.expectation.rule import DROP_PER_MARGIN, GAUSSIAN_DROP, NEGLIGIBLE


@pytest.mark.parametrize("margin", [*range(0, int(NEGLIGIBLE), 6), int(NEGLIGIBLE)])
def test_error_is_small_beside_what_the_panel_carries(margin: int) -> None:
    with mp.workdps(40):
        nodes = [findroot(lambda x: legendre(ORDER, x), mpf(float(x))) for x in np.polynomial.legendre.leggauss(ORDER)[0]]
        weights = [2 / ((1 - x * x) * diff(lambda t: legendre(ORDER, t), x) ** 2) for x in nodes]
        drop = mpf(GAUSSIAN_DROP) + mpf(DROP_PER_MARGIN) * margin
        found = sum(w * exp(-drop * (x + 1) / 2) for x, w in zip(nodes, weights, strict=True)) / 2
        assert abs(found - (1 - exp(-drop)) / drop) <= mpf(10) ** -17 * exp(margin)
