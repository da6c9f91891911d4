"""What a module does that is no activation, by its class and its ancestors' names."""

from __future__ import annotations

from typing import Any

from meanfield.frameworks.torch import elementwise


def role(module: Any) -> str:
    """What a module does that is no activation: "move", "pool", "normalisation"; "" where its class doesn't tell."""
    words = [kind.__name__ for kind in type(module).__mro__ if kind.__module__.startswith("torch.nn")]
    words.append(type(module).__name__)
    for found, names in (
        ("normalisation", elementwise.NORM_MODULES),
        ("pool", elementwise.POOLING_MODULES),
        ("move", elementwise.MOVING_MODULES),
    ):
        if any(name in word for word in words for name in names):
            return found
    return ""
