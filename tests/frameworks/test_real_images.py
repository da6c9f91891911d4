"""Deep networks on real images, as `init_` leaves them: every layer within the finite-width band."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed: pip install scikit-learn")

from meanfield.frameworks.torch import diagnose, init_  # noqa: E402
from tests.frameworks.test_torch_diagnose import cnn  # noqa: E402


@pytest.fixture(scope="module")
def digits():
    images = datasets.load_digits().data[:24]
    scaled = images / np.sqrt(np.mean(images**2, axis=1, keepdims=True))
    return torch.tensor(scaled, dtype=torch.float32)


@pytest.mark.parametrize("activation", [torch.nn.Tanh, torch.nn.Mish])
def test_fifty_dense_layers(digits, activation):
    widths = [64] + [500] * 50
    parts = [part for fan_in, fan_out in pairwise(widths) for part in (torch.nn.Linear(fan_in, fan_out), activation())]
    model = torch.nn.Sequential(*parts, torch.nn.Linear(500, 10))
    init_(model, seed=3)
    assert diagnose(model, digits).healthy  # family-wise false-alarm rate 1e-3
    with torch.no_grad():
        model[40].weight.mul_(1.2)
    assert not diagnose(model, digits).healthy


def test_fifty_convolutions(digits):
    model = cnn(torch.nn.ReLU, depth=50, channels=32)
    channels = next(layer for layer in model.modules() if isinstance(layer, torch.nn.Conv2d)).in_channels
    init_(model, seed=3)
    assert diagnose(model, digits[:8].reshape(-1, 1, 8, 8).repeat(1, channels, 1, 1)).healthy
