"""Layers whose own forward standardises their weights, and the σ's of what a layer really multiplies with."""

from __future__ import annotations

import copy
import math
from typing import Any

from meanfield.frameworks.torch.installed import torch
from meanfield.frameworks.torch.recording import recorded
from meanfield.frameworks.torch.weight_layers import fan_in, scale_weight


def standardises(layer: Any) -> bool:
    """Whether a layer's own forward undoes the scale of its weights, as those of NF-ResNets and BiT do.

    Weights twice as large give the same output, which may be 0 for a gain of 0. Only classes with a forward of their own are asked, on
    random numbers.

    References
    ----------
    Qiao et al. (2019), weight standardisation; Brock et al. (2021), scaled.
    """
    t = torch()
    weight = layer.weight
    if not _has_own_forward(layer) or weight.is_meta or weight.is_complex():
        return False
    generator = t.Generator().manual_seed(0)
    try:
        with t.no_grad():
            x = t.randn(_least_shape(layer), generator=generator).to(weight)
            double = copy.deepcopy(layer)
            scale_weight("", double, 2.0)
            bias = 0.0 if layer.bias is None else layer(t.zeros_like(x))
            once, twice = layer(x) - bias, double(x) - bias
    except Exception:  # a forward that wants more than an input, a weight that can't be set
        return False
    return bool((twice - once).norm() <= 0.05 * once.norm()) and bool(weight.detach().any())


def _has_own_forward(layer: Any) -> bool:
    return not type(layer).forward.__module__.startswith("torch.")


def _least_shape(layer: Any) -> tuple[int, ...]:
    """Of two inputs on which a layer can be tried."""
    if not hasattr(layer, "kernel_size"):
        return (2, layer.in_features)
    sides = tuple(max(d * (k - 1) + 1, s) for d, k, s in zip(layer.dilation, layer.kernel_size, layer.stride, strict=True))
    return (2, layer.in_channels, *sides)


def own_sigmas(layer: Any) -> tuple[float, float]:
    """Root mean squares of the weights times √fan_in, and of the biases; of what is really multiplied with where the layer standardises."""
    bias = 0.0 if layer.bias is None else float(layer.bias.detach().double().abs().square().mean().sqrt())
    if standardises(layer):
        t = torch()
        x = t.randn(_least_shape(layer), generator=t.Generator().manual_seed(0)).to(layer.weight)
        effective = next(iter(recorded(layer, x, backward=False).weights.values()), None)
        if effective is not None:
            return effective.sigma_w, bias
    weight = layer.weight.detach().double()
    return math.sqrt(float(weight.abs().square().mean()) * fan_in(layer)), bias
