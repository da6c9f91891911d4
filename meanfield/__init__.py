"""How deep a signal and its gradient travel through a random network, for any activation.

Nothing is computed at import, and NumPy, SciPy, numba, SymPy and Matplotlib are loaded when first used: every public
name below is fetched from its home on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what static tools see; at run time __getattr__ fetches the same names
    from meanfield import plot as plot
    from meanfield.activations import Activation as Activation
    from meanfield.activations import Breakpoint as Breakpoint
    from meanfield.activations import activation as activation
    from meanfield.activations import activations as activations
    from meanfield.errors import AccuracyWarning as AccuracyWarning
    from meanfield.errors import ActivationError as ActivationError
    from meanfield.errors import DomainError as DomainError
    from meanfield.errors import MeanFieldError as MeanFieldError
    from meanfield.expectation import Expectation as Expectation
    from meanfield.expectation import covariance as covariance
    from meanfield.expectation import decorrelation as decorrelation
    from meanfield.expectation import estimate as estimate
    from meanfield.expectation import expectation as expectation
    from meanfield.expectation import second_moment as second_moment
    from meanfield.report import report as report
    from meanfield.simulation import Comparison as Comparison
    from meanfield.simulation import Estimate as Estimate
    from meanfield.simulation import LayerStatistics as LayerStatistics
    from meanfield.simulation import Simulation as Simulation
    from meanfield.simulation import layer_statistics as layer_statistics
    from meanfield.simulation import simulate as simulate
    from meanfield.theory import Asymptotics as Asymptotics
    from meanfield.theory import Condition as Condition
    from meanfield.theory import ConvergenceDomains as ConvergenceDomains
    from meanfield.theory import DepthScales as DepthScales
    from meanfield.theory import EdgeOfChaos as EdgeOfChaos
    from meanfield.theory import ExistenceConditions as ExistenceConditions
    from meanfield.theory import FiniteWidth as FiniteWidth
    from meanfield.theory import FixedPoint as FixedPoint
    from meanfield.theory import MeanField as MeanField
    from meanfield.theory import PhaseDiagram as PhaseDiagram
    from meanfield.theory import Proposition4 as Proposition4
    from meanfield.theory import Recommendation as Recommendation
    from meanfield.theory import Scheme as Scheme
    from meanfield.theory import Trajectory as Trajectory
    from meanfield.theory import asymptotics as asymptotics
    from meanfield.theory import check_proposition4 as check_proposition4
    from meanfield.theory import convergence_domains as convergence_domains
    from meanfield.theory import edge_of_chaos as edge_of_chaos
    from meanfield.theory import edge_of_chaos_curve as edge_of_chaos_curve
    from meanfield.theory import existence_conditions as existence_conditions
    from meanfield.theory import finite_width as finite_width
    from meanfield.theory import gain as gain
    from meanfield.theory import phase_diagram as phase_diagram
    from meanfield.theory import phase_diagrams as phase_diagrams
    from meanfield.theory import propagation_depth as propagation_depth
    from meanfield.theory import recommend as recommend
    from meanfield.theory import scheme as scheme

__version__ = "0.1.0"

_HOMES: dict[str, tuple[str, ...]] = {
    "meanfield.errors": ("AccuracyWarning", "ActivationError", "DomainError", "MeanFieldError"),
    "meanfield.activations": ("Activation", "Breakpoint", "activation", "activations"),
    "meanfield.expectation": (
        "Expectation",
        "covariance",
        "decorrelation",
        "estimate",
        "expectation",
        "second_moment",
    ),
    "meanfield.simulation": ("Comparison", "Estimate", "LayerStatistics", "Simulation", "layer_statistics", "simulate"),
    "meanfield.report": ("report",),
    "meanfield.theory": (
        "Asymptotics",
        "Condition",
        "ConvergenceDomains",
        "DepthScales",
        "EdgeOfChaos",
        "ExistenceConditions",
        "FiniteWidth",
        "FixedPoint",
        "MeanField",
        "PhaseDiagram",
        "Proposition4",
        "phase_diagram",
        "phase_diagrams",
        "Recommendation",
        "Scheme",
        "Trajectory",
        "asymptotics",
        "check_proposition4",
        "convergence_domains",
        "edge_of_chaos",
        "edge_of_chaos_curve",
        "existence_conditions",
        "finite_width",
        "gain",
        "propagation_depth",
        "recommend",
        "scheme",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_SUBPACKAGES = ("plot",)

__all__ = ["__version__", *_SUBPACKAGES, *sorted(_HOME_OF)]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = getattr(importlib.import_module(_HOME_OF[name]), name)
    elif name in _SUBPACKAGES:
        value = importlib.import_module(f"meanfield.{name}")
    else:
        raise AttributeError(f"module 'meanfield' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
