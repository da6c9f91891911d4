"""Linear and convolution layers: their fans, and new weights for them."""

from __future__ import annotations

import math
from typing import Any

from meanfield.errors import DomainError
from meanfield.frameworks.torch.installed import torch


def is_weight_layer(module: Any) -> bool:
    """Whether a module is a Linear, ConvNd or ConvTransposeNd layer."""
    nn = torch().nn
    return isinstance(module, (nn.Linear, nn.modules.conv._ConvNd))


def is_depthwise(module: Any) -> bool:
    """Whether each of a convolution's channels is made from one channel alone."""
    return is_weight_layer(module) and 1 < getattr(module, "groups", 1) == module.in_channels


def fan_in(layer: Any) -> float:
    """How many products are summed in one output: in_features, or in_channels/groups · kernel size.

    An output of a transposed convolution meets kernel/stride of the kernel's places in each direction, on average.
    """
    if not hasattr(layer, "kernel_size"):
        return float(layer.in_features)
    count: float = layer.in_channels / layer.groups * math.prod(layer.kernel_size)
    return count / math.prod(layer.stride) if layer.transposed else count


def units(layer: Any) -> int:
    """Output features or channels."""
    return int(layer.out_channels if hasattr(layer, "kernel_size") else layer.out_features)


def check_fillable(name: str, layer: Any) -> None:
    """That the layer's weight is a parameter that can be set."""
    from torch.nn.parameter import is_lazy

    if _parametrised(layer, "weight"):
        return
    weight = layer._parameters.get("weight", layer._parameters.get("weight_v", layer._parameters.get("weight_orig")))
    if weight is None:
        raise DomainError(
            f"the weight of layer {name!r} is no parameter of its own (a hook computes it, as weight_norm does): initialise it before that"
        )
    if is_lazy(weight):
        raise DomainError(f"layer {name!r} is lazy and has no shape yet: call the model on a batch first")


def fill(name: str, layer: Any, sigma_w: float, sigma_b: float, orthogonal: bool, generator: Any) -> None:
    """Draw W_ij ~ N(0, σ_w²/fan_in), or orthogonal with entries of that variance, and b_i ~ N(0, σ_b²)."""
    t = torch()
    with t.no_grad():
        weight = layer.weight
        if not weight.is_meta:
            shape, complex_ = tuple(weight.shape), weight.is_complex()
            matrix = _orthogonal(layer, shape, complex_, generator) if orthogonal else _normal(shape, complex_, generator)
            _put(name, layer, "weight", matrix * (sigma_w / math.sqrt(fan_in(layer))))
        if layer.bias is not None and not layer.bias.is_meta:
            _put(name, layer, "bias", _normal(tuple(layer.bias.shape), layer.bias.is_complex(), generator) * sigma_b)


def scale_weight(name: str, layer: Any, factor: float) -> None:
    """Multiply the weight by a number."""
    with torch().no_grad():
        if _parametrised(layer, "weight") or "weight" not in layer._parameters:
            _put(name, layer, "weight", layer.weight.detach() * factor)
        else:
            layer.weight.mul_(factor)


def _parametrised(layer: Any, which: str) -> bool:
    return hasattr(layer, "parametrizations") and which in layer.parametrizations


def _put(name: str, layer: Any, which: str, values: Any) -> None:
    if which == "weight" and "weight_v" in layer._parameters:  # weight_norm by a hook: the norms go by outputs
        layer.weight_v.copy_(values)
        axes = tuple(range(1, values.dim()))
        layer.weight_g.copy_(layer.weight_v.norm(dim=axes, keepdim=True).reshape(layer.weight_g.shape))
        return
    if which == "weight" and "weight_orig" in layer._parameters:  # spectral_norm by a hook
        layer.weight_orig.copy_(values)
        return
    if not _parametrised(layer, which):
        getattr(layer, which).copy_(values)
        return
    current = getattr(layer, which)
    try:
        setattr(layer, which, values.to(current))  # through the right inverse of the parametrisation
    except (NotImplementedError, RuntimeError) as error:
        raise DomainError(f"the {which} of layer {name!r} is parametrised and can't be set: initialise it before that") from error


def _normal(shape: tuple[int, ...], complex_: bool, generator: Any) -> Any:
    """Standard normal numbers in double precision; complex ones with E|z|² = 1."""
    t = torch()
    device = generator.device if generator is not None else "cpu"
    return t.randn(shape, generator=generator, device=device, dtype=t.complex128 if complex_ else t.float64)


def _orthogonal(layer: Any, shape: tuple[int, ...], complex_: bool, generator: Any) -> Any:
    """Per group a matrix (outputs, inputs · kernel) with orthonormal rows or columns, Haar, scaled to entries of variance 1."""
    t = torch()
    groups = getattr(layer, "groups", 1)
    transposed = getattr(layer, "transposed", False)
    blocks = []
    for _ in range(groups):
        # Layouts: (out, in/groups, *kernel); transposed (in, out/groups, *kernel).
        block = (shape[0] // groups, *shape[1:])
        rows, columns = (block[1], block[0] * math.prod(block[2:])) if transposed else (block[0], math.prod(block[1:]))
        q, r = t.linalg.qr(_normal((max(rows, columns), min(rows, columns)), complex_, generator))
        diagonal = t.diagonal(r)
        q = q * (diagonal / diagonal.abs())  # makes the distribution uniform (Mezzadri 2007)
        matrix = (q.mH if rows < columns else q) * math.sqrt(max(rows, columns))
        if transposed:
            blocks.append(matrix.reshape(block[1], block[0], *block[2:]).transpose(0, 1))
        else:
            blocks.append(matrix.reshape(block))
    return t.cat(blocks, dim=0)
