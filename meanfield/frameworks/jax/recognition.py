"""Which activation a function of jax is."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.frameworks.jax.installed import jax
from meanfield.frameworks.same_function import as_activation, padded

if TYPE_CHECKING:
    from meanfield.arrays import Array


def recognised(activation: Any) -> Any:
    """A function of jax as the catalogue's, or in double precision; anything else as it is."""
    library = jax()
    if not callable(activation) or isinstance(activation, type) or not _is_jax(activation):
        return activation

    return as_activation(activation, in_double_precision(activation), (library.errors.JAXTypeError,))


def _is_jax(function: Any) -> bool:
    """Whether a function answers an array with one of jax's."""

    module = str(getattr(function, "__module__", "") or "")
    if module.partition(".")[0] == "meanfield":
        return False
    library = jax()
    try:
        return isinstance(function(np.linspace(-1.0, 1.0, 3)), library.Array)
    except Exception:  # whatever a function that is not jax's may raise; `activation` says what is wrong with it
        return False


def in_double_precision(function: Callable[..., Any]) -> Callable[[Array], Array]:
    """The function on arrays of doubles."""

    library = jax()
    enable = getattr(library, "enable_x64", None)
    if enable is None:
        enable = importlib.import_module("jax.experimental").enable_x64

    def values(x: Array) -> Array:
        with enable(True):
            longer = padded(x)
            y = np.asarray(function(library.numpy.asarray(longer)))
        return y[: x.size] if y.shape == longer.shape else y

    return values
