"""Keras itself, or our word on how to get it."""

from __future__ import annotations

import importlib
from typing import Any, TypeVar

from meanfield.errors import MeanFieldError

T = TypeVar("T")

keras: Any = None
_missing: ImportError | None = None
try:  # a class must know its base when it is defined; without Keras the classes only say what to install
    keras = importlib.import_module("keras")
except ImportError as error:
    _missing = error


def registered(target: T) -> T:
    """A class that Keras finds when it loads a model."""
    if keras is None:
        return target
    found: T = keras.saving.register_keras_serializable(package="meanfield")(target)
    return found


def needs_keras() -> None:
    """That Keras can be imported.

    Raises
    ------
    MeanFieldError
        Where it is not installed, or its backend is not; the message says what to install.
    """
    if _missing is not None:
        raise MeanFieldError(
            f"meanfield.frameworks.keras needs Keras 3 and a backend, which can't be imported ({_missing}): install meanfield-nets[keras] "
            "and jax, torch or tensorflow, and name it in KERAS_BACKEND"
        ) from _missing
