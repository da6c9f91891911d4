"""Jacobians of torch models, measured beside their law."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf

torch = pytest.importorskip("torch", reason='torch is not installed: pip install ".[torch]"')
nn = torch.nn

from meanfield.frameworks.torch import jacobian  # noqa: E402


def glorot_network(bound, width=400, depth=4):
    """Tanh layers with uniform weights of ± bound/√width, as in Glorot and Bengio (2010)."""
    torch.manual_seed(1)
    parts = []
    for i in range(depth):
        layer = nn.Linear(width, width)
        nn.init.uniform_(layer.weight, -bound / math.sqrt(width), bound / math.sqrt(width))
        nn.init.zeros_(layer.bias)
        parts += [layer, nn.Tanh()] if i < depth - 1 else [layer]
    return nn.Sequential(*parts)


@pytest.mark.parametrize(("bound", "published"), [(1.0, 0.5), (math.sqrt(3.0), 0.8)])
def test_glorot_and_bengio(bound, published):
    """Section 4.2.1: "average singular values … around 0.5" at the standard initialisation and "0.8" at the normalised one."""
    found = jacobian(glorot_network(bound), 0.25 * torch.randn(2, 400))  # of the size of images with values in [0, 1]
    for layer in found.layers:
        assert layer.mean == pytest.approx(published, abs=0.05)
    for layer in found.layers:
        assert layer.mean == pytest.approx(layer.predicted_mean, rel=0.01)
        assert float(np.mean(layer.singular_values[:, 0])) == pytest.approx(layer.predicted.edges[1], rel=0.05)


def test_the_whole_is_the_product_of_the_layers():
    model = nn.Sequential(nn.Flatten(0), nn.Linear(6, 6), nn.Sequential(nn.Identity(), nn.Linear(6, 6)), nn.Linear(6, 2)).double()
    found = jacobian(model[1:], torch.randn(6).double())
    weights = [part.weight.detach().numpy() for part in model.modules() if isinstance(part, nn.Linear)]
    np.testing.assert_allclose(found.singular_values[0], np.linalg.svd(weights[2] @ weights[1] @ weights[0])[1], rtol=1e-10)
    assert [layer.activation for layer in found.layers] == ["linear", "linear"]
    assert found.layers[1].predicted is None
    assert "input to output" in str(found)


@pytest.mark.parametrize(
    ("model", "x", "told"),
    [
        (nn.Linear(3, 3), torch.zeros(3), "Sequential"),
        (nn.Sequential(nn.Linear(3, 3)), torch.zeros(3), "fewer than two"),
        (nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)), np.zeros(3), "tensor"),
    ],
)
def test_bad_arguments_are_named(model, x, told):
    with pytest.raises(mf.DomainError, match=told):
        jacobian(model, x)
