"""Keras's layers with kernels: which axes of a kernel are inputs, and how many products go into one output."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError
from meanfield.frameworks.kernel_axes import KernelAxes
from meanfield.frameworks.weight_layer import WeightLayer

if TYPE_CHECKING:
    from collections.abc import Iterator


def kernels(layer: Any, name: str) -> Iterator[WeightLayer]:
    """The products that a layer consists of, in order: one, or two of a separable convolution; none of what is no weight layer.

    Raises
    ------
    DomainError
        If the layer has no weights yet.
    """
    words = [kind.__name__ for kind in type(layer).__mro__ if kind.__module__.startswith("keras.")]
    found: list[tuple[str, KernelAxes]] = []
    if "BaseSeparableConv" in words:
        found = [("depthwise_kernel", DEPTHWISE), ("pointwise_kernel", DENSE)]
    elif "BaseDepthwiseConv" in words:
        found = [("kernel", DEPTHWISE)]
    elif "BaseConvTranspose" in words:
        found = [("kernel", KernelAxes((-1,), (-2,), ()))]
    elif "EinsumDense" in words:
        found = [("kernel", _of_equation(layer.equation))]
    elif "BaseConv" in words or "Dense" in words:
        found = [("kernel", DENSE)]
    if found and not layer.built:
        raise DomainError(f"layer {name!r} has no weights yet: call the model on a batch first, or give x")
    for index, (own, axes) in enumerate(found):
        weight = getattr(layer, own)
        shape = tuple(int(size) for size in weight.shape)
        fan_in = float(axes.of(shape).fan_in)
        if "BaseConvTranspose" in words:
            # An output meets kernel/stride of the kernel's places in each direction, on average.
            strides = layer.strides if isinstance(layer.strides, (tuple, list)) else (layer.strides,) * (len(shape) - 2)
            fan_in /= math.prod(strides)
        last = index == len(found) - 1
        full = name if len(found) == 1 else f"{name}.{own}"
        bias = getattr(layer, "bias", None) if last else None
        yield WeightLayer(full, type(layer).__name__, shape, fan_in, axes, weight, bias)


DENSE = KernelAxes((-2,), (-1,), ())
DEPTHWISE = KernelAxes((), (-1,), (-2,))


def _of_equation(equation: str) -> KernelAxes:
    """Of an einsum "input,kernel->output"."""
    sides, _, output = equation.replace(" ", "").replace("...", "").partition("->")
    given, _, kernel = sides.partition(",")
    inputs = tuple(place for place, letter in enumerate(kernel) if letter in given and letter not in output)
    batch = tuple(place for place, letter in enumerate(kernel) if letter in given and letter in output)
    outputs = tuple(place for place in range(len(kernel)) if place not in (*inputs, *batch))
    return KernelAxes(inputs, outputs, batch)
