"""Ours and what others use, on a model as PyTorch made it. Each function changes the model in place."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from meanfield.frameworks.torch import init_
from training.stacks import Residual

LSUV_TOLERANCE = 0.1  # of the variance, as published


def weight_layers(model: nn.Module) -> list[nn.Linear | nn.Conv2d]:
    """In the order in which signals meet them."""
    return [layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]


def gain(activation: str) -> float:
    """``calculate_gain`` where PyTorch has the activation, and ReLU's for GELU, SiLU and Mish, which it has not."""
    return nn.init.calculate_gain(activation if activation in ("tanh", "relu") else "relu")


def _without_biases(model: nn.Module) -> None:
    for layer in weight_layers(model):
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


@torch.no_grad()
def kaiming_(model: nn.Module, activation: str) -> None:
    """``kaiming_normal_`` in every layer, with ``gain``; no biases [He et al. 2015]."""
    for layer in weight_layers(model):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="tanh" if activation == "tanh" else "relu")
    _without_biases(model)


@torch.no_grad()
def xavier_(model: nn.Module, activation: str) -> None:
    """``xavier_normal_`` in every layer, with its default gain of 1, ReLU with √2; no biases [Glorot & Bengio 2010].

    For tanh the gain 5/3 of ``calculate_gain`` is what ``kaiming_`` has; in square layers the two would not differ.
    """
    for layer in weight_layers(model):
        nn.init.xavier_normal_(layer.weight, gain(activation) if activation == "relu" else 1.0)
    _without_biases(model)


@torch.no_grad()
def lsuv_(model: nn.Module, batch: Tensor) -> None:
    """Layer-sequential unit variance [Mishkin & Matas 2016]: orthogonal matrices, then each layer divided by its deviation on the batch.

    Without biases a layer's outputs are proportional to its weights: one division does what the paper repeats until the variance is
    within 0.1 of 1, and one pass through the model does all layers, each behind those that are done.
    """
    for layer in weight_layers(model):
        nn.init.orthogonal_(layer.weight)
    _without_biases(model)

    def divided(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if abs(float(output.var()) - 1) < LSUV_TOLERANCE:
            return output
        deviation = output.std()
        layer.weight /= deviation
        return output / deviation

    hooks = [layer.register_forward_hook(divided) for layer in weight_layers(model)]
    model(batch)
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def fixup_(model: Residual, activation: str) -> None:
    """Fixup [Zhang, Dauphin & Ma 2019], on a model that was made with its scalars.

    1. The output layer and the last layer of each branch are 0. 2. All else is He's (here ``kaiming_normal_`` with ``gain``); the first
    of the m = 2 layers of each of L branches times L^(−1/(2m − 2)) = 1/√L. 3. A multiplier at 1 in every branch, and a number at 0 to
    add before every layer and activation inside, and behind it. The numbers learn at a tenth of the step size, as in the authors'
    code, where one stands behind the first layer and one before the output as well.
    """
    kaiming_(model, activation)
    nn.init.zeros_(model.last.weight)
    for block in model.blocks:
        block[0].weight /= len(model.blocks) ** 0.5
        nn.init.zeros_(block[2].weight)


def initialise_(model: nn.Module, way: str, activation: str, seed: int, batch: Tensor) -> None:
    """In one way, by its name. What draws from torch's own random numbers does so from the seed, and puts them back where they were."""
    if way == "meanfield":
        init_(model, seed=seed)
    elif way == "meanfield, orthogonal":
        init_(model, seed=seed, orthogonal=True)
    elif way == "meanfield, measured":
        init_(model, seed=seed, example=batch, method="measure")
    else:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            _from_torch(model, way, activation, batch)


def _from_torch(model: nn.Module, way: str, activation: str, batch: Tensor) -> None:
    if way == "torch":
        for layer in weight_layers(model):
            layer.reset_parameters()
    elif way == "Kaiming":
        kaiming_(model, activation)
    elif way == "Xavier":
        xavier_(model, activation)
    elif way == "LSUV":
        lsuv_(model, batch)
    elif way == "Fixup" and isinstance(model, Residual):
        fixup_(model, activation)
    else:
        raise ValueError(f"way = {way!r} does not apply to {type(model).__name__}")
