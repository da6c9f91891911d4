"""Pictures of results, with Matplotlib; each function takes ``ax=None``, draws on it and returns the Axes.

Lives here: drawing only. Matplotlib is imported when a function is first called.
Not here: computation (meanfield.theory) and HTML (meanfield.report). Nothing here calls ``show()``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meanfield.plot.edge_of_chaos import edge_of_chaos as edge_of_chaos

_FUNCTIONS = ("edge_of_chaos",)  # each in the module of its own name

__all__ = ["edge_of_chaos"]


def __getattr__(name: str) -> Any:
    if name not in _FUNCTIONS:
        raise AttributeError(f"module 'meanfield.plot' has no attribute {name!r}")
    function = getattr(importlib.import_module(f"meanfield.plot.{name}"), name)
    globals()[name] = function
    return function


def __dir__() -> list[str]:
    return sorted({*globals(), *_FUNCTIONS})
