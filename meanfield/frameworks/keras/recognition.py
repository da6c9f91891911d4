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
    return as_activation(function, _values(function))


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


def _values(function: Any) -> Any:
    """The function on arrays of doubles; single precision in and out with jax, where keras.ops know no other."""
    ops = keras.ops
    precision = "float32" if keras.backend.backend() == "jax" else "float64"

    def values(x: Array) -> Array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # how tensors become NumPy arrays is between Keras and its backend
            longer = padded(x) if precision == "float32" else x
            y = np.asarray(ops.convert_to_numpy(function(ops.convert_to_tensor(longer, dtype=precision))))
        y = y[: x.size] if y.shape == longer.shape else y
        # Single precision must show: `activation` takes the size of rounding errors from the dtype.
        return y.astype(np.float32) if precision == "float32" else y

    return values
