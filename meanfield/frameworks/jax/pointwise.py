"""A stretch of elementwise operations as a function of one number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.frameworks.equality import AGREE, POINTS
from meanfield.frameworks.jax.installed import jax
from meanfield.frameworks.jax.primitives import MOVES
from meanfield.frameworks.jax.recognition import in_double_precision
from meanfield.frameworks.same_function import same_values

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array
    from meanfield.frameworks.jax.program import Operation


def is_one_number(value: Any) -> bool:
    """Whether an array is the same number everywhere."""
    found = np.asarray(value)
    return found.size > 0 and bool(np.all(found == found.ravel()[0]))


def pointwise(operations: Sequence[Operation], start: int, end: int, constants: Mapping[int, Any]) -> Callable[[Array], Array]:
    """The function from one value to another, on arrays of doubles; what else goes in is one number each."""
    library = jax()
    jnp = library.numpy

    def function(x: Any) -> Any:
        known: dict[int, Any] = {start: x}

        def operand(number: int) -> Any:
            if number not in known:
                value = np.asarray(constants[number]).ravel()[0]
                known[number] = jnp.full(x.shape, value, _widened(value.dtype))
            return known[number]

        for operation in operations:
            if operation.name in MOVES:
                known[operation.outputs[0]] = operand(operation.inputs[0])
            elif operation.name == "convert_element_type":
                value = operand(operation.inputs[0])
                known[operation.outputs[0]] = value.astype(_widened(np.dtype(operation.parameters["new_dtype"])))
            else:
                known[operation.outputs[0]] = operation(*map(operand, operation.inputs))[0]
        return known[end]

    return in_double_precision(library.jit(function))


def _widened(dtype: Any) -> Any:
    """Double precision for every floating dtype."""
    return np.float64 if jax().numpy.issubdtype(dtype, np.floating) else dtype


def line(values: Callable[[Array], Array]) -> tuple[float, float] | None:
    """(k, b) where a function is k x + b to single precision, else None."""
    y = values(POINTS)
    if y.shape != POINTS.shape or not np.all(np.isfinite(y)):
        return None
    y = np.asarray(y, dtype=np.float64)
    k = float((y[-1] - y[0]) / (POINTS[-1] - POINTS[0]))
    b = float(y[0] - k * POINTS[0])
    b = 0.0 if abs(b) <= AGREE * abs(k) else b
    return (k, b) if bool(np.all(np.abs(y - k * POINTS - b) <= AGREE * (abs(k) * np.abs(POINTS) + abs(b)))) else None


def as_activation(values: Callable[[Array], Array], name: str) -> Activation:
    """The catalogue's entry with these values, else the function itself under that name."""
    return same_values(values) or find_activation(values, name=name)
