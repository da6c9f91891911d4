"""Torch models of one architecture, as a user has them, and many of them trained side by side.

A model is an ordinary ``torch.nn.Module`` while it is initialised; then the parameters of K models are stacked, and each layer is one
batched product, or one convolution in K groups. What the stack computes is what the models would.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

MODULES: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU, "mish": nn.Mish, "relu": nn.ReLU}
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "mish": functional.mish,
    "relu": torch.relu,
}
SLOW = 0.1  # Fixup's scalars enter as a tenth of their parameters: under Adam they move at a tenth of the step size


@dataclass(frozen=True)
class Architecture:
    """What is trained.

    Attributes
    ----------
    kind : str
        "mlp": depth layers; "cnn": depth 3×3 convolutions with zero padding, the first with stride 2, and a linear layer on all places;
        "residual": a layer, depth/2 sums x + W₂ φ(W₁ x), and a layer.
    depth : int
        Layers besides the ends that have another width: all of "mlp" and "cnn" but the output, all of "residual" but both ends.
    width : int
        Units, or channels.
    """

    kind: str
    depth: int
    width: int

    def __str__(self) -> str:
        return {"mlp": "MLP", "cnn": "CNN", "residual": "residual MLP"}[self.kind] + f", {self.depth} layers"

    def model(self, activation: str, inputs: int, classes: int, *, fixup: bool = False) -> nn.Module:
        """One model as PyTorch makes it; with ``fixup`` a residual one has the scalars of Fixup and no other biases inside."""
        if self.kind == "residual":
            return Residual(self, activation, inputs, classes, fixup)
        phi = MODULES[activation]
        layers: list[nn.Module] = []
        if self.kind == "mlp":
            for number in range(self.depth):
                layers += [nn.Linear(self.width if number else inputs, self.width), phi()]
            return nn.Sequential(*layers, nn.Linear(self.width, classes))
        channels, side = picture(inputs)
        for number in range(self.depth):
            first = number == 0
            layers += [nn.Conv2d(channels if first else self.width, self.width, 3, stride=2 if first else 1, padding=1), phi()]
        places = (-(-side // 2)) ** 2
        return nn.Sequential(nn.Unflatten(1, (channels, side, side)), *layers, nn.Flatten(), nn.Linear(self.width * places, classes))


def picture(inputs: int) -> tuple[int, int]:
    """Channels and side of a square picture of so many numbers: grey, or three colours."""
    channels = 1 if math.isqrt(inputs) ** 2 == inputs else 3
    return channels, math.isqrt(inputs // channels)


class Residual(nn.Module):
    """x ← x + W₂ φ(W₁ x), depth/2 times; with Fixup x ← x + m (W₂ (φ(W₁ (x + a) + b) + c)) + d, all of m, a, b, c, d numbers."""

    def __init__(self, architecture: Architecture, activation: str, inputs: int, classes: int, fixup: bool) -> None:
        super().__init__()
        width, blocks = architecture.width, architecture.depth // 2
        self.first = nn.Linear(inputs, width, bias=not fixup)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width, bias=not fixup), MODULES[activation](), nn.Linear(width, width, bias=not fixup))
            for _ in range(blocks)
        )
        self.last = nn.Linear(width, classes)
        self.numbers = nn.Parameter(torch.zeros(blocks, 5)) if fixup else None

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of (B, d)."""
        x = self.first(x)
        for number, block in enumerate(self.blocks):
            if self.numbers is None:
                x = x + block(x)
            else:
                a, b, c, d, m = SLOW * self.numbers[number]
                x = x + (1 + m) * block[2](block[1](block[0](x + a) + b) + c) + d
        return self.last(x)


class Stack:
    """K models of one architecture side by side; the k-th never meets another.

    Parameters
    ----------
    architecture : Architecture
    activation : str
    models : sequence of Module
        Their parameters are copied.
    device : torch.device
    """

    def __init__(self, architecture: Architecture, activation: str, models: Sequence[nn.Module], device: torch.device) -> None:
        each = [dict(model.named_parameters()) for model in models]
        self.architecture = architecture
        self.phi = FUNCTIONS[activation]
        self.values = {
            name: torch.stack([values[name].detach() for values in each]).to(device, copy=True).requires_grad_() for name in each[0]
        }
        self.names = [name for name, layer in models[0].named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]

    def __call__(self, inputs: Tensor) -> Tensor:
        """Logits (K, B, classes) of inputs (K, B, d)."""
        return {"mlp": self._mlp, "cnn": self._cnn, "residual": self._residual}[self.architecture.kind](inputs)

    def parameters(self) -> Iterator[Tensor]:
        """All of them, stacked."""
        yield from self.values.values()

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def _linear(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self.values[f"{name}.weight"].transpose(1, 2), self.values.get(f"{name}.bias")
        return torch.bmm(x, weight) if bias is None else torch.baddbmm(bias[:, None], x, weight)

    def _mlp(self, x: Tensor) -> Tensor:
        for name in self.names[:-1]:
            x = self.phi(self._linear(name, x))
        return self._linear(self.names[-1], x)

    def _cnn(self, x: Tensor) -> Tensor:
        members, batch, inputs = x.shape
        channels, side = picture(inputs)
        maps = x.view(members, batch, channels, side, side).transpose(0, 1).reshape(batch, members * channels, side, side)
        for name in self.names[:-1]:
            weight, bias = (self.values[f"{name}.{part}"].flatten(0, 1) for part in ("weight", "bias"))
            maps = self.phi(functional.conv2d(maps, weight, bias, stride=2 if name == self.names[0] else 1, padding=1, groups=members))
        return self._linear(self.names[-1], maps.reshape(batch, members, -1).transpose(0, 1))

    def _residual(self, x: Tensor) -> Tensor:
        numbers = self.values.get("numbers")
        x = self._linear("first", x)
        for number in range(self.architecture.depth // 2):
            lower, upper = f"blocks.{number}.0", f"blocks.{number}.2"
            if numbers is None:
                x = x + self._linear(upper, self.phi(self._linear(lower, x)))
            else:
                a, b, c, d, m = (SLOW * numbers[:, number, place, None, None] for place in range(5))
                x = x + (1 + m) * self._linear(upper, self.phi(self._linear(lower, x + a) + b) + c) + d
        return self._linear("last", x)
