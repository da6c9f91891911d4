"""Layers scaled one after the other on a batch, so that each gives the variance that it should (layer-sequential unit variance)."""

from __future__ import annotations

import math
from typing import Any

from meanfield.errors import DomainError
from meanfield.frameworks.torch.installed import torch
from meanfield.frameworks.torch.measurement import undisturbed
from meanfield.frameworks.torch.weight_layers import scale_weight

LEAST = 1e-12  # relative: a mean square below that of rounding says nothing


def scaled_on(model: Any, x: Any, layers: dict[str, Any], targets: dict[str, float], seed: int = 0) -> dict[str, tuple[float, float]]:
    """One forward pass; a layer's weights are scaled when it is met first, before what it gives goes on.

    W x is linear in W: the factor √(target/mean (W x)²) is exact for this batch, and no second pass is needed.

    References
    ----------
    Mishkin & Matas (2016), who iterate.

    Parameters
    ----------
    targets : dict
        For each layer to be scaled the mean square of W x, the bias left out.

    Returns
    -------
    dict
        For each layer that was met: the factor, and the mean square of W x before it.
    """
    t = torch()
    factors: dict[str, tuple[float, float]] = {}
    names = {id(layers[name]): name for name in targets}

    def after(layer: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        name = names[id(layer)]
        if name in factors:
            return None
        bias = 0.0
        if layer.bias is not None:
            shape = (1, -1, *[1] * (output.dim() - 2)) if hasattr(layer, "kernel_size") and output.dim() > 2 else (-1,)
            bias = layer.bias.reshape(shape)
        free = output - bias
        found = float(free.detach().abs().double().square().mean())
        size = float(inputs[0].detach().abs().double().square().mean()) if inputs else 1.0
        if not math.isfinite(found) or found <= LEAST * size * 1e-12 or found == 0.0:
            return None
        factor = math.sqrt(targets[name] / found)
        scale_weight(name, layer, factor)
        factors[name] = factor, found
        return free * factor + bias

    handles = [layers[name].register_forward_hook(after) for name in targets]
    try:
        with undisturbed(model), t.no_grad():
            t.default_generator.manual_seed(seed)
            try:
                model(*x) if isinstance(x, tuple) else model(x)
            except DomainError:
                raise
            except Exception as error:  # whatever a user's model may raise
                raise DomainError(f"example: the model fails on it, with {type(error).__name__}: {error}") from error
    finally:
        for handle in handles:
            handle.remove()
    return factors
