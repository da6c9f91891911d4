"""Weights that are no Linear or convolution layer's: the projections of an attention, recurrent cells."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from meanfield.frameworks.initialisation import LayerInitialisation
from meanfield.frameworks.torch.installed import torch


def is_inner(module: Any) -> bool:
    """Whether a module holds such weights."""
    nn = torch().nn
    return isinstance(module, (nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase))


def filled(name: str, module: Any, generator: Any) -> Iterator[LayerInitialisation]:
    """Draw them: a row for each."""
    nn = torch().nn
    fill = _attention if isinstance(module, nn.MultiheadAttention) else _recurrent
    yield from fill(f"{name}." if name else "", module, generator)


def _attention(prefix: str, module: Any, generator: Any) -> Iterator[LayerInitialisation]:
    """Queries, keys, values and the output keep the variance: logits of normalised tokens have variance 1, values are averaged."""
    note = "a projection of an attention: variance 1"
    names = ["in_proj_weight"] if module.in_proj_weight is not None else ["q_proj_weight", "k_proj_weight", "v_proj_weight"]
    for own, weight in [*((word, getattr(module, word)) for word in names), ("out_proj.weight", module.out_proj.weight)]:
        yield _row(prefix + own.removesuffix(".weight"), module, weight, 1.0, "normal", note, generator)
    for bias in (module.in_proj_bias, module.out_proj.bias, module.bias_k, module.bias_v):
        if bias is not None and not bias.is_meta:
            bias.detach().zero_()


def _recurrent(prefix: str, module: Any, generator: Any) -> Iterator[LayerInitialisation]:
    """Inputs keep the variance, the hidden state's matrices are orthogonal, gate by gate; an LSTM's forget gates start at σ(1)."""
    kind = type(module).__name__
    relu = getattr(module, "nonlinearity", getattr(module, "mode", "")) in ("relu", "RNN_RELU")
    for own, parameter in module.named_parameters():
        if own.startswith("bias"):
            if not parameter.is_meta:
                parameter.detach().zero_()
                if "LSTM" in kind and own.startswith("bias_ih"):
                    hidden = parameter.shape[0] // 4
                    parameter.detach()[hidden : 2 * hidden] = 1.0  # gates in the order i, f, g, o
        elif parameter.dim() == 2:
            recurrent = own.startswith("weight_hh")
            sigma = math.sqrt(2.0) if relu and not recurrent else 1.0
            note = "recurrent, orthogonal gate by gate: a state's norm is kept" if recurrent else "of a recurrent layer: variance kept"
            yield _row(prefix + own, module, parameter, sigma, "orthogonal" if recurrent else "normal", note, generator)


def _row(name: str, module: Any, weight: Any, sigma_w: float, how: str, note: str, generator: Any) -> LayerInitialisation:
    t = torch()
    rows, fan = weight.shape
    if not weight.is_meta:
        device = generator.device if generator is not None else "cpu"
        z = t.randn((rows, fan), generator=generator, device=device, dtype=t.float64)
        if how == "orthogonal" and rows % fan == 0:
            blocks = []
            for block in z.split(fan):
                q, r = t.linalg.qr(block)
                diagonal = t.diagonal(r)
                blocks.append(q * (diagonal / diagonal.abs()))  # uniform (Mezzadri 2007)
            z = t.cat(blocks) * math.sqrt(fan)
        weight.detach().copy_(z * (sigma_w / math.sqrt(fan)))
    return LayerInitialisation(name, type(module).__name__, (int(rows), int(fan)), float(fan), "", sigma_w, 0.0, sigma_w**2, note)
