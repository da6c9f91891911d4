"""The explicit backward pass of each kind of layer against differences of its forward pass."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield import layers as L
from meanfield.simulation.network_ensemble import NetworkEnsemble
from meanfield.simulation.network_sampler import _Block, forward

LAYERS = {
    "maxout": L.Maxout(3),
    "softmax attention": L.Attention(1.3, 0.8, tokens=4),
    "linear attention": L.Attention(0.7, 0.8, tokens=4, kind="linear"),
    "activation behind the sum": L.PostActivation(L.Dense(1.0), "tanh", L.Dense(0.8), activation="silu", skip=0.7, scale=1.3),
    "mean over sites": L.Sequence(L.AveragePool(2), "tanh", L.GlobalAveragePool(3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_backward_is_the_derivative(name: str) -> None:
    """⟨δ, y(x + hv) − y(x − hv)⟩/2h = ⟨back(δ), v⟩, with the same weights drawn each time."""
    layer = LAYERS[name]
    ensemble = NetworkEnsemble(mf.Network(layer), 24, 2, 5, (1.0, 1.0), 0.2)
    rng = np.random.default_rng(1)
    x, v = rng.standard_normal((2, 2, 24, ensemble.columns * ensemble.sites))
    up, down, here = (forward(_Block(ensemble, 0), layer, x + h * v, None) for h in (1e-5, -1e-5, 0.0))
    delta = rng.standard_normal(here[0].shape)
    numeric = np.sum(delta * (up[0] - down[0])) / 2e-5
    assert np.sum(here[1](delta) * v) == pytest.approx(numeric, rel=1e-6)
