"""What a step makes of a gradient, for many networks at once, each with its own step size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def _like(factor: Tensor, tensor: Tensor) -> Tensor:
    """One number for each network, shaped to multiply what has the networks in front."""
    return factor.view(-1, *[1] * (tensor.dim() - 1))


class Plain:
    """Gradient descent. ``memory`` is what a rule carries from step to step: nothing here."""

    def __init__(self, parameters: Sequence[Tensor], rates: Sequence[float]) -> None:
        self.factor = -torch.tensor(rates, dtype=torch.float32, device=parameters[0].device)
        self.memory: list[Tensor] = []

    def __call__(self, step: int, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """In place."""
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.addcmul_(gradient, _like(self.factor, gradient))


class Adam(Plain):
    """Adam [Kingma & Ba 2015] as ``torch.optim.Adam`` has it by default: β = 0.9 and 0.999, ε = 10⁻⁸."""

    FIRST, SECOND, EPSILON = 0.9, 0.999, 1e-8

    def __init__(self, parameters: Sequence[Tensor], rates: Sequence[float]) -> None:
        super().__init__(parameters, rates)
        self.memory = [torch.zeros_like(parameter) for _ in range(2) for parameter in parameters]

    def __call__(self, step: int, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """In place; ``step`` counts from 0."""
        count = len(parameters)
        first, second = self.memory[:count], self.memory[count:]
        root = math.sqrt(1 - self.SECOND ** (step + 1))
        factor = self.factor * (root / (1 - self.FIRST ** (step + 1)))
        for parameter, gradient, mean, square in zip(parameters, gradients, first, second, strict=True):
            mean.lerp_(gradient, 1 - self.FIRST)
            square.mul_(self.SECOND).addcmul_(gradient, gradient, value=1 - self.SECOND)
            parameter.addcdiv_(mean * _like(factor, mean), square.sqrt().add_(self.EPSILON * root))
