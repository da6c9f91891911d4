"""Many fully connected networks of one shape, side by side in one batch of matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "silu": torch.nn.functional.silu,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "softsign": torch.nn.functional.softsign,
}


@dataclass(frozen=True)
class Start:
    """How one network begins.

    Attributes
    ----------
    sigma_w, sigma_b : float
        Of the hidden layers: W_ij has standard deviation σ_w/√fan_in, b_i has σ_b.
    first : float or None
        σ_w of the first layer where it differs.
    readout : float
        σ_w of the output layer, which has no bias at the start.
    seed : int
        Of this network's weights and of its mini-batches. Networks with one seed start from the same normal numbers.
    distribution : str
        "normal" or "uniform"; both with the standard deviation above.
    """

    sigma_w: float
    sigma_b: float
    seed: int
    first: float | None = None
    readout: float = 1.0
    distribution: Literal["normal", "uniform"] = "normal"


@dataclass
class Networks:
    """K networks of the same widths; their k-th weights never meet those of another.

    Attributes
    ----------
    weights, biases : list of Tensor
        Layer by layer, (K, fan_in, fan_out) and (K, 1, fan_out).
    activation : str
    """

    weights: list[Tensor]
    biases: list[Tensor]
    activation: str
    hidden: list[Tensor] = field(default_factory=list)

    def __call__(self, inputs: Tensor, *, watch: bool = False) -> Tensor:
        """Logits (K, B, classes) of inputs (K, B, d); with ``watch`` the pre-activations stay in ``hidden``, with gradients."""
        phi = ACTIVATIONS[self.activation]
        self.hidden = []
        signal = inputs
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            h = torch.baddbmm(bias, signal, weight)
            if watch:
                h.retain_grad()
                self.hidden.append(h)
            signal = phi(h)
        return torch.baddbmm(self.biases[-1], signal, self.weights[-1])

    def parameters(self) -> Iterator[Tensor]:
        """All weights and biases."""
        yield from self.weights
        yield from self.biases

    def __len__(self) -> int:
        return int(self.weights[0].shape[0])


def networks(widths: Sequence[int], activation: str, starts: Sequence[Start], device: torch.device) -> Networks:
    """Draw them: ``widths`` from the inputs to the classes, one network for each start."""
    weights, biases = [], []
    last = len(widths) - 2
    streams = [np.random.default_rng([start.seed, len(widths), widths[1]]) for start in starts]
    for layer, (below, above) in enumerate(pairwise(widths)):
        matrices = np.empty((len(starts), below, above), dtype=np.float32)
        offsets = np.zeros((len(starts), 1, above), dtype=np.float32)
        for k, (start, stream) in enumerate(zip(starts, streams, strict=True)):
            sigma = start.readout if layer == last else start.first if layer == 0 and start.first is not None else start.sigma_w
            if start.distribution == "normal":
                numbers = stream.standard_normal((below, above), dtype=np.float32)
            else:
                numbers = (2 * stream.random((below, above), dtype=np.float32) - 1) * np.float32(np.sqrt(3.0))
            matrices[k] = numbers * np.float32(sigma / np.sqrt(below))
            if layer != last:
                offsets[k] = stream.standard_normal((1, above), dtype=np.float32) * np.float32(start.sigma_b)
        weights.append(torch.from_numpy(matrices).to(device, copy=True).requires_grad_())
        biases.append(torch.from_numpy(offsets).to(device, copy=True).requires_grad_())
    return Networks(weights, biases, activation)
