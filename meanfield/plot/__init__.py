"""Pictures of results, with Matplotlib; each function takes ``ax=None``, draws on it and returns the Axes.

Lives here: drawing only. Matplotlib is imported when a function is first called.
Not here: computation (meanfield.theory) and HTML (meanfield.report). Nothing here calls ``show()``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meanfield.plot.activation_comparison import activation_comparison as activation_comparison
    from meanfield.plot.comparison import comparison as comparison
    from meanfield.plot.correlation_map import correlation_map as correlation_map
    from meanfield.plot.depth_scales import depth_scales as depth_scales
    from meanfield.plot.diagnosis import diagnosis as diagnosis
    from meanfield.plot.edge_of_chaos import edge_of_chaos as edge_of_chaos
    from meanfield.plot.finite_width import finite_width as finite_width
    from meanfield.plot.initialisation import initialisation as initialisation
    from meanfield.plot.layer_statistics import layer_statistics as layer_statistics
    from meanfield.plot.phase_diagram import phase_diagram as phase_diagram
    from meanfield.plot.signal_propagation import signal_propagation as signal_propagation
    from meanfield.plot.spectrum import spectrum as spectrum
    from meanfield.plot.training import training as training
    from meanfield.plot.trajectory import trajectory as trajectory
    from meanfield.plot.variance_map import variance_map as variance_map
    from meanfield.plot.z_scores import z_scores as z_scores

# Each in the module of its own name.
__all__ = [
    "activation_comparison",
    "comparison",
    "correlation_map",
    "depth_scales",
    "diagnosis",
    "edge_of_chaos",
    "finite_width",
    "initialisation",
    "layer_statistics",
    "phase_diagram",
    "signal_propagation",
    "spectrum",
    "training",
    "trajectory",
    "variance_map",
    "z_scores",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'meanfield.plot' has no attribute {name!r}")
    function = getattr(importlib.import_module(f"meanfield.plot.{name}"), name)
    globals()[name] = function
    return function


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
