"""torch itself, or our word on how to get it."""

from __future__ import annotations

import importlib
from typing import Any

from meanfield.errors import DomainError, MeanFieldError

INSTALL = 'pip install "meanfield-nets[torch]" (in a checkout: pip install ".[torch]"), or see pytorch.org'


def torch() -> Any:
    """The module torch.

    Raises
    ------
    MeanFieldError
        Where torch is not installed; the message says what to install.
    """
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise MeanFieldError(f"PyTorch is needed for this and can't be imported ({error}): {INSTALL}") from error


def checked_model(model: Any) -> Any:
    """A torch module; of a compiled, or data-parallel, one the module inside."""
    plain = getattr(model, "_orig_mod", model)
    if isinstance(plain, torch().nn.Module) and type(plain).__name__ in ("DataParallel", "DistributedDataParallel"):
        plain = checked_model(plain.module)
    if not isinstance(plain, torch().nn.Module):
        raise DomainError(f"model must be a torch.nn.Module, not {type(model).__name__}")
    return plain
