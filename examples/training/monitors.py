"""What happens layer by layer: activations, saturation, gradients, and singular values of the layers' Jacobians."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from training.descent import losses
from training.networks import ACTIVATIONS, Networks

# Within 5% of the range of an asymptote; softsign reaches that at |h| = 9 only, tanh at 1.47, sigmoid at 2.94.
RANGES = {"tanh": (-1.0, 1.0), "softsign": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}
NEAR = 0.05


@dataclass(frozen=True)
class Layers:
    """One look into all networks: arrays (K, hidden layers).

    Attributes
    ----------
    mean, deviation : array
        Of the activations.
    first_percentile, last_percentile : array
        98% of the activations lie between them: the 1st and the 99th.
    saturated : array
        The share of activations within 5% of an asymptote.
    low_end : array
        The share within 5% of the lower one.
    gradient : array
        Standard deviation of ∂(loss of one example)/∂h.
    weight_gradient : array
        Standard deviation of ∂(loss of one example)/∂W, W being the layer's own weights.
    """

    mean: np.ndarray
    deviation: np.ndarray
    first_percentile: np.ndarray
    last_percentile: np.ndarray
    saturated: np.ndarray
    low_end: np.ndarray
    gradient: np.ndarray
    weight_gradient: np.ndarray


@dataclass(frozen=True)
class Distributions:
    """Shares of numbers between the borders, network by network and layer by layer: (K, hidden layers, bins).

    Attributes
    ----------
    activation : array
        Over the activation's range.
    gradient, weight_gradient : array
        Of log₁₀ of the modulus, over ``DECADES``: sizes differ by decades from layer to layer.
    """

    activation: np.ndarray
    gradient: np.ndarray
    weight_gradient: np.ndarray


BINS = 40
DECADES = (-12.0, 1.0)


def _watched(nets: Networks, inputs: Tensor, labels: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """What comes into each hidden layer, its pre-activations h, and the gradient of one example's own loss by h: (K, B, width) each."""
    count = len(nets)
    phi = ACTIVATIONS[nets.activation]
    loss = losses(nets(inputs.expand(count, -1, -1), watch=True), labels.expand(count, -1))
    # The loss is a mean over B examples; an example's own gradient is B times as large.
    gradients = list(torch.autograd.grad(loss.sum() * len(labels), nets.hidden))
    hidden = [h.detach() for h in nets.hidden]
    nets.hidden = []
    return [inputs.expand(count, -1, -1), *(phi(h) for h in hidden[:-1])], hidden, gradients


def look(nets: Networks, inputs: Tensor, labels: Tensor) -> Layers:
    """Measure on (B, d) inputs that all networks share."""
    low, high = RANGES[nets.activation]
    near = NEAR * (high - low)
    columns: dict[str, list[np.ndarray]] = {field.name: [] for field in fields(Layers)}
    incoming, hidden, gradients = _watched(nets, inputs, labels)
    for below, h, gradient in zip(incoming, hidden, gradients, strict=True):
        values = ACTIVATIONS[nets.activation](h).flatten(1)
        bottom = (values <= low + near).float().mean(1)
        percentiles = np.quantile(values.cpu().numpy(), (0.01, 0.99), axis=1).astype(np.float32)
        # ∂E/∂W_ij = a_i δ_j: its moments over i and j are products.
        second = ((below**2).mean(2) * (gradient**2).mean(2)).mean(1)
        first = (below.mean(2) * gradient.mean(2)).mean(1)
        found = {
            "mean": values.mean(1),
            "deviation": values.std(1),
            "saturated": bottom + (values >= high - near).float().mean(1),
            "low_end": bottom,
            "gradient": gradient.flatten(1).std(1),
            "weight_gradient": torch.sqrt(second - first**2),
        }
        for name, number in found.items():
            columns[name].append(number.cpu().numpy())
        columns["first_percentile"].append(percentiles[0])
        columns["last_percentile"].append(percentiles[1])
    return Layers(**{name: np.stack(column, axis=1) for name, column in columns.items()})


def distributions(nets: Networks, inputs: Tensor, labels: Tensor) -> Distributions:
    """Histograms on (B, d) inputs that all networks share. Of the weights' gradients 1000 rows at most, evenly chosen, stand for all."""
    low, high = RANGES[nets.activation]
    columns: dict[str, list[np.ndarray]] = {field.name: [] for field in fields(Distributions)}
    incoming, hidden, gradients = _watched(nets, inputs, labels)
    for below, h, gradient in zip(incoming, hidden, gradients, strict=True):
        columns["activation"].append(_shares(ACTIVATIONS[nets.activation](h), low, high))
        columns["gradient"].append(_shares(torch.log10(gradient.abs()), *DECADES))
        chosen = below[:, :, torch.linspace(0, below.shape[2] - 1, min(1000, below.shape[2])).long()]
        few = slice(None, None, max(1, below.shape[1] // 4))
        products = torch.einsum("kbi,kbj->kbij", chosen[:, few], gradient[:, few])
        # Where the input is 0 so is the gradient: those are left out, as they tell of the images' ground.
        columns["weight_gradient"].append(_shares(torch.log10(products.abs()), *DECADES))
    return Distributions(**{name: np.stack(column, axis=1) for name, column in columns.items()})


def _shares(numbers: Tensor, low: float, high: float) -> np.ndarray:
    rows = numbers.flatten(1).cpu().numpy()
    counts = np.stack([np.histogram(row[np.isfinite(row)], bins=BINS, range=(low, high))[0] for row in rows])
    shares: np.ndarray = (counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)).astype(np.float32)
    return shares


def mean_singular_values(nets: Networks, inputs: Tensor) -> np.ndarray:
    """Mean singular value of ∂z^{i+1}/∂z^i = diag(φ'(h^{i+1})) W^{i+1}, z^i = φ(h^i), averaged over hidden layers and inputs: (K,).

    The Jacobian J^i of section 4.2 of Glorot & Bengio (2010): of one layer's activations by those of the layer below.
    """
    nets(inputs.expand(len(nets), -1, -1), watch=True)
    total, layers = torch.zeros(len(nets)), 0
    for h, weight in zip(nets.hidden[1:], nets.weights[1:-1], strict=True):
        point = h.detach().requires_grad_()
        (slope,) = torch.autograd.grad(ACTIVATIONS[nets.activation](point).sum(), point)
        with torch.no_grad():
            for column in range(slope.shape[1]):
                # Weights are (fan_in, fan_out): this is the Jacobian's transpose, with the same singular values.
                total += torch.linalg.svdvals(weight * slope[:, column, None, :]).mean(dim=1).cpu()
                layers += 1
    nets.hidden = []
    found: np.ndarray = (total / max(layers, 1)).numpy()
    return found
