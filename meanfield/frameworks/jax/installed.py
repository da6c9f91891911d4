"""jax itself, or our word on how to get it."""

from __future__ import annotations

import importlib
from typing import Any

from meanfield.errors import MeanFieldError


def jax() -> Any:
    """The module jax.

    Raises
    ------
    MeanFieldError
        Where jax is not installed; the message says what to install.
    """
    try:
        return importlib.import_module("jax")
    except ImportError as error:
        raise MeanFieldError(f"meanfield.frameworks.jax needs jax ({error}): install meanfield-nets[jax]") from error
