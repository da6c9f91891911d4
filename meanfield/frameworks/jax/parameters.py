"""Parameters on their way into a layer: which of a weight's axes are inputs, through what moves its numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from meanfield.frameworks.kernel_axes import KernelAxes

if TYPE_CHECKING:
    from meanfield.frameworks.jax.program import Operation

NEW = -1  # an axis of size 1 that the parameter does not have


@dataclass(frozen=True)
class Parameter:
    """An array of the model, or what reshaping and transposing has made of it.

    Attributes
    ----------
    path : str
        Where it is in the model.
    axes : tuple of int or None
        For each axis as it stands now the parameter's own; None where a reshaping hides that.
    """

    path: str
    axes: tuple[int, ...] | None

    def moved(self, operation: Operation, before: tuple[int, ...], after: tuple[int, ...]) -> Parameter:
        """Behind an operation that only moves numbers."""
        if self.axes is None or len(self.axes) != len(before):
            return replace(self, axes=None)
        axes: list[int] = list(self.axes)
        if operation.name == "transpose":
            axes = [axes[place] for place in operation.parameters["permutation"]]
        elif operation.name == "broadcast_in_dim":
            placed = dict(zip(operation.parameters["broadcast_dimensions"], axes, strict=True))
            axes = [placed.get(place, NEW) for place in range(len(after))]
        elif before != after:
            kept = [axis for axis, size in zip(axes, before, strict=True) if size != 1]
            if tuple(size for size in before if size != 1) != tuple(size for size in after if size != 1):
                return replace(self, axes=None)
            waiting = iter(kept)
            axes = [NEW if size == 1 else next(waiting) for size in after]
        return replace(self, axes=tuple(axes))


@dataclass(frozen=True)
class Product:
    """How a dot product or a convolution takes its weight.

    Attributes
    ----------
    fan_in : float
    units : int
        Outputs, or channels.
    places : frozenset of int
        Which axes of the result these are.
    axes : KernelAxes or None
    """

    fan_in: float
    units: int
    places: frozenset[int]
    axes: KernelAxes | None


def dot_product(operation: Operation, side: int, parameter: Parameter, shape: tuple[int, ...], dimensions: int) -> Product:
    """Of a dot_general with the weight on one side; the result has so many dimensions: batch, those of the left, those of the right."""
    contracted, batched = (pair[side] for pair in operation.parameters["dimension_numbers"])
    inputs, batch = tuple(contracted), tuple(batched)
    outputs = tuple(place for place in range(len(shape)) if place not in (*inputs, *batch))
    units = math.prod(shape[place] for place in outputs)
    first = dimensions - len(outputs) if side == 1 else len(batch)
    places = frozenset((*range(len(batch)), *range(first, first + len(outputs))))
    return Product(float(math.prod(shape[place] for place in inputs)), units, places, _axes(parameter, inputs, outputs, batch))


def convolution(operation: Operation, parameter: Parameter, shape: tuple[int, ...]) -> Product:
    """Of a conv_general_dilated; an output of a transposed one meets kernel/stride places in each direction, on average."""
    numbers = operation.parameters["dimension_numbers"]
    unit, channel, *_ = numbers.rhs_spec
    fan_in = math.prod(shape) / shape[unit] / math.prod(operation.parameters["lhs_dilation"])
    return Product(fan_in, shape[unit], frozenset({numbers.out_spec[1]}), _axes(parameter, (channel,), (unit,), ()))


def _axes(parameter: Parameter, inputs: Any, outputs: Any, batch: Any) -> KernelAxes | None:
    own = parameter.axes
    if own is None:
        return None
    groups = [tuple(own[place] for place in places if own[place] != NEW) for places in (inputs, outputs, batch)]
    return KernelAxes(*groups)
