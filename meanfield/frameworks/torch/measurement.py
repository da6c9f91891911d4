"""A batch through a real model, and a random gradient back: what each layer sees, and nothing in the model changes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from meanfield.errors import DomainError, MeanFieldError
from meanfield.frameworks.torch.installed import torch
from meanfield.frameworks.torch.weight_layers import fan_in


@dataclass(frozen=True)
class Measured:
    """One layer on the batch.

    Attributes
    ----------
    variance : float
        Mean of h² over inputs, units and places.
    correlation : float
        Mean over pairs of neighbouring inputs of h·h'/(|h||h'|); nan for a single input.
    incoming, incoming_pair : float
        Mean of E[h²] and of E[hh'] over weights of σ_w = 1, given the layer's inputs, borders included.
    gradient : float
        Sum of (∂E/∂h)².
    values : ndarray of shape (units, at most 256)
        Some pre-activations of each unit.
    same_as : int
        The layer whose output, unchanged, is this one's input; −1 if none.
    spread : ndarray of shape (n,), n at most 32
        E[h²] at places of the batch, equally many below each, over `incoming`: one number where all inputs are of one norm.
    """

    variance: float
    correlation: float
    incoming: float
    incoming_pair: float
    gradient: float
    values: Any
    same_as: int
    spread: Any


@contextmanager
def attributes_kept(model: Any) -> Iterator[None]:
    """Puts what modules keep as attributes back as it was: a forward may store features, count its calls, fill lists."""
    kept = [(module, dict(module.__dict__), dict(module._buffers)) for module in model.modules() if isinstance(module._buffers, dict)]
    lists = [(value, list(value)) for _, own, _ in kept for name, value in own.items() if type(value) is list and name[0] != "_"]
    tables = [(value, dict(value)) for _, own, _ in kept for name, value in own.items() if type(value) is dict and name[0] != "_"]
    numbers = [(buffer, buffer.detach().clone()) for _, _, buffers in kept for buffer in buffers.values() if buffer is not None]
    try:
        yield
    finally:
        for module, own, buffers in kept:
            module.__dict__.clear()
            module.__dict__.update(own)
            module._buffers.clear()
            module._buffers.update(buffers)
        for value, items in lists:
            value[:] = items
        for table, entries in tables:
            table.clear()
            table.update(entries)
        with torch().no_grad():
            for buffer, before in numbers:
                if buffer.shape != before.shape:  # changed in place by set_ or resize_
                    buffer.set_(before)
                else:
                    buffer.copy_(before)


@contextmanager
def undisturbed(model: Any) -> Iterator[None]:
    """Puts mode, attributes, buffers, random state and parameters' gradients back as they were; training mode inside."""
    t = torch()
    modes = [(module, module.training) for module in model.modules()]
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    try:
        with t.random.fork_rng(devices=devices), attributes_kept(model):
            for module, _ in modes:
                module.training = True
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, gradient in gradients:
            parameter.grad = gradient


def measured(model: Any, x: Any, layers: dict[str, Any], seed: int) -> dict[str, Measured]:
    """What each layer shows on the batch x at its first call; layers that are not called are left out."""
    t = torch()
    records: dict[str, tuple[Any, Any]] = {}
    names = {id(layer): name for name, layer in layers.items()}
    taken: dict[str, Any] = {}

    def before(layer: Any, inputs: tuple[Any, ...]) -> Any:
        name = names[id(layer)]
        if name in taken or not inputs:
            return None
        # A copy, so that the gradient that arrives here is this layer's alone and later changes in place don't reach it.
        taken[name] = inputs[0].clone()
        if not taken[name].requires_grad and taken[name].is_floating_point():
            taken[name].requires_grad_(True)
        return (taken[name], *inputs[1:])

    def after(layer: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        name = names[id(layer)]
        if name in records or name not in taken:
            return None
        records[name] = (taken[name], output)
        return output.clone()  # an activation that works in place must not change what is kept

    handles = [layer.register_forward_pre_hook(before) for layer in layers.values()]
    handles += [layer.register_forward_hook(after) for layer in layers.values()]
    try:
        with undisturbed(model), t.enable_grad():
            t.default_generator.manual_seed(seed)  # dropout's masks
            for device in sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"}):
                t.cuda.default_generators[device].manual_seed(seed)
            try:
                answer = model(*x) if isinstance(x, tuple) else model(x)
            except Exception as error:
                raise DomainError(f"x: the model fails on it, with {type(error).__name__}: {error}") from error
            order = list(records)
            outputs = [tensor for tensor in tensors_of(answer) if tensor.requires_grad and tensor.is_floating_point()]
            if not records or not outputs:
                raise DomainError("x: none of the model's layers was called, or its output is no tensor that depends on them")
            generator = t.Generator().manual_seed(seed)
            downwards = [t.randn(o.shape, generator=generator, dtype=t.float64).to(o) for o in outputs]
            try:
                gradients = t.autograd.grad(outputs, [records[name][1] for name in order], downwards, allow_unused=True)
            except RuntimeError as error:  # what the model does in place may leave no gradient, in training neither
                raise DomainError(f"x: the model's backward pass fails on it, with {type(error).__name__}: {error}") from error
    finally:
        for handle in handles:
            handle.remove()
    found: dict[str, Measured] = {}
    flat: list[Any] = []
    with t.no_grad():
        for name, gradient in zip(order, gradients, strict=True):
            inputs, output = (part.detach() for part in records[name])
            found[name] = _one(name, layers[name], inputs, output, gradient, flat)
            flat.append(output.reshape(-1))
    return found


def _one(name: str, layer: Any, inputs: Any, output: Any, gradient: Any, flat: list[Any]) -> Measured:
    t = torch()
    a, h = inputs.double(), output.double()
    if h.shape[0] == 0:
        raise DomainError("x is an empty batch")
    if not bool(t.isfinite(h).all()):
        raise MeanFieldError(f"layer {name!r} gives numbers that are not finite on this batch: signals explode before or in it")
    rows = h.reshape(h.shape[0], -1)
    squares = rows.square().sum(1)
    correlation = float("nan")
    pair = float("nan")
    if h.shape[0] > 1:
        inner = (rows * rows.roll(1, 0)).sum(1)
        norms = (squares * squares.roll(1, 0)).sqrt()
        usable = norms > 0.0
        correlation = float((inner[usable] / norms[usable]).mean()) if bool(usable.any()) else 0.0
        pair = float(_spread(layer, a * a.roll(1, 0)).mean())
    conv = hasattr(layer, "kernel_size")
    by_unit = (h.movedim(1, 0) if conv else h.movedim(-1, 0)).reshape(h.shape[1] if conv else h.shape[-1], -1)
    chosen = t.linspace(0, by_unit.shape[1] - 1, min(256, by_unit.shape[1])).round().long()
    arrived = inputs.reshape(-1)
    by_place = _spread(layer, a.square())
    same = next((i for i, other in enumerate(flat) if other.shape == arrived.shape and bool(t.equal(other, arrived))), -1)
    return Measured(
        variance=float(squares.mean()) / rows.shape[1],
        correlation=correlation,
        incoming=float(by_place.mean()),
        incoming_pair=pair,
        gradient=0.0 if gradient is None else float(gradient.double().square().sum()),
        values=np.asarray(by_unit[:, chosen.to(by_unit.device)].cpu().numpy()),
        same_as=same,
        spread=_quantiles(by_place),
    )


def _quantiles(by_place: Any, most: int = 32) -> Any:
    """At most 32 of the numbers, evenly from the smallest to the largest, over their mean."""
    t = torch()
    ordered = by_place.detach().reshape(-1).sort().values
    mean = float(ordered.mean())
    if not mean > 0.0 or not math.isfinite(mean):
        return np.ones(1)
    middles = (t.arange(most, dtype=t.float64, device=ordered.device) + 0.5) / most * ordered.numel()
    chosen = ordered[middles.long().clamp_max(ordered.numel() - 1)].double().cpu().numpy() / mean
    return np.asarray(chosen / chosen.mean())


def _spread(layer: Any, products: Any) -> Any:
    """Sum of products over each output's inputs, over fan_in: the layer with weights 1/fan_in and no bias."""
    t = torch()
    if not hasattr(layer, "kernel_size"):
        return products.mean(-1)
    weight = layer.weight
    if layer.transposed:
        constant = t.full(tuple(weight.shape), 1.0 / fan_in(layer), dtype=t.float64, device=products.device)
        return t.func.functional_call(layer, _parameters(layer, constant), (products,))
    shape = (layer.groups, *weight.shape[1:])
    constant = t.full(shape, 1.0 / fan_in(layer), dtype=t.float64, device=products.device)
    return layer._conv_forward(products, constant, None)


def _parameters(layer: Any, constant: Any) -> dict[str, Any]:
    t = torch()
    given = {"weight": constant}
    if layer.bias is not None:
        given["bias"] = t.zeros_like(layer.bias, dtype=t.float64)
    return given


def tensors_of(answer: Any) -> list[Any]:
    """All tensors of a model's answer."""
    t = torch()
    if isinstance(answer, t.Tensor):
        return [answer]
    if isinstance(answer, dict):
        return [tensor for part in answer.values() for tensor in tensors_of(part)]
    if isinstance(answer, (list, tuple)):
        return [tensor for part in answer for tensor in tensors_of(part)]
    return []
