"""The table of Var_T φ(x + τT) that serves all variances, against one quadrature for each variance and angle."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.expectation.angle_profile import angle_of, ratio
from meanfield.expectation.angle_ratios import AngleRatios
from meanfield.expectation.chebyshev import chebyshev_nodes


@pytest.mark.parametrize("name", ["tanh", "hardtanh", "selu", "sign", "cos", "gelu"])
@pytest.mark.parametrize("piece", [-3, 0, 2])
def test_agrees_with_smoothing_at_every_point(name: str, piece: int) -> None:
    act = mf.activation(name)
    variances = np.exp(math.log(4.0) * (piece + 0.5 + 0.5 * chebyshev_nodes(20)))
    ratios = AngleRatios(act, variances)
    assert ratios.usable
    s = np.array([0.002, 0.05, 0.3, 0.6, 0.8, 0.97])
    theta = np.stack([angle_of(s, float(q)) for q in variances])
    found = ratios(theta)
    for i in (0, 9, 19):
        np.testing.assert_allclose(found[i], ratio(act, float(variances[i]), theta[i]), rtol=1e-11)


def test_a_mass_far_out_is_left_to_the_other_method() -> None:
    assert not AngleRatios(mf.activation("softshrink", lambd=0.7), np.array([1e-3, 2e-3])).usable
