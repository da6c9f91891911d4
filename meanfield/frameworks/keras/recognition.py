"""Which activation a name, function or layer of Keras is."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.frameworks.keras.installed import keras
from meanfield.frameworks.same_function import as_activation, padded

if TYPE_CHECKING:
    from meanfield.arrays import Array


def recognised(activation: Any) -> Any:
    """What Keras knows, as the catalogue's or as its own function; anything else as it is."""
    function = activation
    if isinstance(activation, str):
        try:
            function = keras.activations.get(activation)
        except ValueError:  # not one of Keras's names
            return activation
    elif isinstance(activation, type) and issubclass(activation, keras.layers.Layer):
        function = activation()
    elif not callable(activation) or isinstance(activation, type) or not _is_keras(activation):
        return activation
    return as_activation(function, values_of(function))


def _is_keras(function: Any) -> bool:
    """Whether a function is a layer, or answers an array with a tensor of the backend and is no torch module."""
    if isinstance(function, keras.layers.Layer):
        return True
    module = str(getattr(function, "__module__", "") or type(function).__module__).partition(".")[0]
    if module in ("meanfield", "torch", "numpy", "scipy"):
        return False
    try:
        return bool(keras.ops.is_tensor(function(np.linspace(-1.0, 1.0, 3))))
    except Exception:  # whatever another kind of function may raise; `activation` says what is wrong with it
        return False


def is_elementwise(function: Any) -> bool:
    """Whether a function acts on each number by itself, tried on a tensor and on its shuffle."""
    ops = keras.ops
    order = np.random.default_rng(0).permutation(48)
    x = np.linspace(-3.0, 3.0, 48, dtype=np.float32)
    try:
        straight, shuffled = (
            np.asarray(ops.convert_to_numpy(function(ops.convert_to_tensor(part.reshape(2, 3, 4, 2))))) for part in (x, x[order])
        )
    except Exception:  # whatever a user's function may raise: it does not take every tensor, so it is no activation
        return False
    return straight.shape == (2, 3, 4, 2) and np.allclose(straight.ravel()[order], shuffled.ravel(), rtol=1e-5, atol=1e-6, equal_nan=True)


def values_of(function: Any) -> Any:
    """The function on arrays of doubles; single precision in and out where its operations know no other."""
    on_jax = keras.backend.backend() == "jax"
    if on_jax and (exact := _in_double_precision(function)) is not None:
        return exact
    ops = keras.ops
    precision = "float32" if on_jax else "float64"

    def values(x: Array) -> Array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # how tensors become NumPy arrays is between Keras and its backend
            longer = padded(x) if precision == "float32" else x
            y = np.asarray(ops.convert_to_numpy(function(ops.convert_to_tensor(longer, dtype=precision))))
        y = y[: x.size] if y.shape == longer.shape else y
        # Single precision must show: `activation` takes the size of rounding errors from the dtype.
        return y.astype(np.float32) if precision == "float32" else y

    return values


def _in_double_precision(function: Any) -> Any:
    """The function's operations in jax, done with doubles; None where they are not elementwise."""
    from meanfield.frameworks.jax.pointwise import is_one_number, pointwise
    from meanfield.frameworks.jax.primitives import ELEMENTWISE, MOVES
    from meanfield.frameworks.jax.program import traced

    try:
        program = traced(function, np.ones(3, np.float32))
    except Exception:  # whatever a user's function may raise under tracing
        return None
    plain = all(operation.name in ELEMENTWISE | MOVES for operation in program.operations)
    if not plain or len(program.outputs) != 1 or not all(map(is_one_number, program.constants.values())):
        return None
    return pointwise(program.operations, program.inputs[0], program.outputs[0], program.constants)
