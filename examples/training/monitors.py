"""What happens layer by layer: activations, saturation, gradients, and singular values of the layers' Jacobians."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.descent import losses
from training.networks import ACTIVATIONS, Networks

# Within 5% of the range of an asymptote; softsign reaches that at |h| = 9 only, tanh at 1.47, sigmoid at 2.94.
_RANGES = {"tanh": (-1.0, 1.0), "softsign": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}
NEAR = 0.05


@dataclass(frozen=True)
class Layers:
    """One look into all networks: arrays (K, hidden layers).

    Attributes
    ----------
    mean, deviation : array
        Of the activations.
    saturated : array
        The share of activations within 5% of an asymptote.
    low_end : array
        The share within 5% of the lower one.
    gradient : array
        Standard deviation of ∂(loss of one example)/∂h.
    """

    mean: np.ndarray
    deviation: np.ndarray
    saturated: np.ndarray
    low_end: np.ndarray
    gradient: np.ndarray


def look(nets: Networks, inputs: Tensor, labels: Tensor) -> Layers:
    """Measure on (B, d) inputs that all networks share."""
    count = len(nets)
    low, high = _RANGES[nets.activation]
    loss = losses(nets(inputs.expand(count, -1, -1), watch=True), labels.expand(count, -1))
    # The loss is a mean over B examples; an example's own gradient is B times as large.
    gradients = torch.autograd.grad(loss.sum() * len(labels), nets.hidden)
    columns: list[list[np.ndarray]] = [[], [], [], [], []]
    with torch.no_grad():
        for h, gradient in zip(nets.hidden, gradients, strict=True):
            values = ACTIVATIONS[nets.activation](h).flatten(1)
            near = NEAR * (high - low)
            bottom = (values <= low + near).float().mean(1)
            top = (values >= high - near).float().mean(1)
            numbers = (values.mean(1), values.std(1), bottom + top, bottom, gradient.flatten(1).std(1))
            for column, number in zip(columns, numbers, strict=True):
                column.append(number.cpu().numpy())
    nets.hidden = []
    return Layers(*(np.stack(column, axis=1) for column in columns))


def mean_singular_values(nets: Networks, inputs: Tensor) -> np.ndarray:
    """Mean singular value of ∂h^{l+1}/∂h^l = diag(φ'(h^l)) W, averaged over hidden layers and inputs: (K,)."""
    nets(inputs.expand(len(nets), -1, -1), watch=True)
    total, layers = torch.zeros(len(nets)), 0
    for h, weight in zip(nets.hidden[:-1], nets.weights[1:-1], strict=True):
        point = h.detach().requires_grad_()
        (slope,) = torch.autograd.grad(ACTIVATIONS[nets.activation](point).sum(), point)
        with torch.no_grad():
            for column in range(slope.shape[1]):
                total += torch.linalg.svdvals(slope[:, column, :, None] * weight).mean(dim=1).cpu()
                layers += 1
    nets.hidden = []
    found: np.ndarray = (total / max(layers, 1)).numpy()
    return found
