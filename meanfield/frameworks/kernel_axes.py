"""Which axes of a weight array are inputs, which are outputs, and which are neither."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from meanfield.errors import DomainError


@dataclass(frozen=True)
class KernelAxes:
    """Axes as `jax.nn.initializers.variance_scaling` names them; those not named are the receptive field of a convolution."""

    in_axis: tuple[int, ...]
    out_axis: tuple[int, ...]
    batch_axis: tuple[int, ...]

    @classmethod
    def checked(cls, in_axis: Any, out_axis: Any, batch_axis: Any) -> KernelAxes:
        """From one axis or several each."""
        return cls(_axes("in_axis", in_axis), _axes("out_axis", out_axis), _axes("batch_axis", batch_axis))

    def of(self, shape: Any) -> KernelLayout:
        """Fan-in and order of the axes for an array of that shape."""
        sizes = tuple(int(size) for size in shape)
        named = {"in_axis": self.in_axis, "out_axis": self.out_axis, "batch_axis": self.batch_axis}
        seen: dict[int, str] = {}
        places: dict[str, tuple[int, ...]] = {}
        for name, axes in named.items():
            for axis in axes:
                if not -len(sizes) <= axis < len(sizes):
                    raise DomainError(
                        f"{name} = {axis} is out of range for weights of shape {sizes}: a kernel has at least an input and an output axis"
                    )
                place = axis % len(sizes)
                if place in seen:
                    raise DomainError(f"{name} = {axis} is {seen[place]} too, for weights of shape {sizes}: an axis has one meaning")
                seen[place] = name
            places[name] = tuple(axis % len(sizes) for axis in axes)
        field = tuple(axis for axis in range(len(sizes)) if axis not in seen)
        inputs = (*field, *places["in_axis"])
        return KernelLayout(sizes, places["batch_axis"], inputs, places["out_axis"])


@dataclass(frozen=True)
class KernelLayout:
    """One weight array seen as a stack of matrices, fan_in × fan_out.

    Attributes
    ----------
    shape : tuple of int
    batch, inputs, outputs : tuple of int
        The axes of each kind; inputs holds the receptive field too.
    """

    shape: tuple[int, ...]
    batch: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def fan_in(self) -> int:
        """How many numbers one unit sums over."""
        return self._size(self.inputs)

    @property
    def matrices(self) -> tuple[int, int, int]:
        """(batch, fan_in, units)."""
        return self._size(self.batch), self.fan_in, self._size(self.outputs)

    @property
    def stacked(self) -> tuple[int, ...]:
        """The shape with the axes in the order batch, inputs, outputs."""
        return tuple(self.shape[axis] for axis in (*self.batch, *self.inputs, *self.outputs))

    @property
    def back(self) -> tuple[int, ...]:
        """The transposition from that order to the array's own."""
        order = (*self.batch, *self.inputs, *self.outputs)
        return tuple(order.index(axis) for axis in range(len(order)))

    def _size(self, axes: tuple[int, ...]) -> int:
        return math.prod(self.shape[axis] for axis in axes)


def _axes(name: str, value: Any) -> tuple[int, ...]:
    several = tuple(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else (value,)
    for axis in several:
        if isinstance(axis, (bool, np.bool_)) or not isinstance(axis, (int, np.integer)):
            raise DomainError(f"{name} = {value!r} is out of range: it must be a whole number or a sequence of them")
    return tuple(int(axis) for axis in several)
