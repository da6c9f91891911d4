"""How deep a signal and its gradient travel through a random network, for any activation.

Nothing is computed at import, and NumPy, SciPy, numba, SymPy and Matplotlib are loaded when first used: every public
name below is fetched from its home on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what static tools see; at run time __getattr__ fetches the same names
    from meanfield import frameworks as frameworks
    from meanfield import layers as layers
    from meanfield import plot as plot
    from meanfield.activations import Activation as Activation
    from meanfield.activations import Breakpoint as Breakpoint
    from meanfield.activations import activation as activation
    from meanfield.activations import activations as activations
    from meanfield.activations.shaped import Shape as Shape
    from meanfield.activations.shaped import ShapedActivation as ShapedActivation
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
    from meanfield.explore import Exploration as Exploration
    from meanfield.explore import explore as explore
    from meanfield.proof import Check as Check
    from meanfield.proof import Enclosure as Enclosure
    from meanfield.proof import Enclosures as Enclosures
    from meanfield.proof import Proof as Proof
    from meanfield.proof import check_proof as check_proof
    from meanfield.proof import enclose as enclose
    from meanfield.proof import prove_proposition4 as prove_proposition4
    from meanfield.report import report as report
    from meanfield.simulation import Comparison as Comparison
    from meanfield.simulation import Estimate as Estimate
    from meanfield.simulation import LayerStatistics as LayerStatistics
    from meanfield.simulation import Simulation as Simulation
    from meanfield.simulation import layer_statistics as layer_statistics
    from meanfield.simulation import simulate as simulate
    from meanfield.solve.correlation import DepthScales as DepthScales
    from meanfield.solve.variance import FixedPoint as FixedPoint
    from meanfield.theory.activation_comparison import ActivationComparison as ActivationComparison
    from meanfield.theory.activation_comparison import compare as compare
    from meanfield.theory.asymptotics import Asymptotics as Asymptotics
    from meanfield.theory.asymptotics import asymptotics as asymptotics
    from meanfield.theory.choose_activation import ActivationRanking as ActivationRanking
    from meanfield.theory.choose_activation import Candidate as Candidate
    from meanfield.theory.choose_activation import choose_activation as choose_activation
    from meanfield.theory.choose_parameter import Choice as Choice
    from meanfield.theory.choose_parameter import choose_parameter as choose_parameter
    from meanfield.theory.conditions import Condition as Condition
    from meanfield.theory.conditions import ConvergenceDomains as ConvergenceDomains
    from meanfield.theory.conditions import ExistenceConditions as ExistenceConditions
    from meanfield.theory.conditions import Proposition4 as Proposition4
    from meanfield.theory.conditions import check_proposition4 as check_proposition4
    from meanfield.theory.conditions import convergence_domains as convergence_domains
    from meanfield.theory.conditions import existence_conditions as existence_conditions
    from meanfield.theory.depth import propagation_depth as propagation_depth
    from meanfield.theory.depth_law import DepthLaw as DepthLaw
    from meanfield.theory.depth_law import DepthLaws as DepthLaws
    from meanfield.theory.edge_of_chaos import EdgeOfChaos as EdgeOfChaos
    from meanfield.theory.edge_of_chaos import edge_of_chaos as edge_of_chaos
    from meanfield.theory.edge_of_chaos import edge_of_chaos_curve as edge_of_chaos_curve
    from meanfield.theory.finite_width import FiniteWidth as FiniteWidth
    from meanfield.theory.finite_width import finite_width as finite_width
    from meanfield.theory.gain import gain as gain
    from meanfield.theory.mean_field import MeanField as MeanField
    from meanfield.theory.network import Network as Network
    from meanfield.theory.phase_diagram import PhaseDiagram as PhaseDiagram
    from meanfield.theory.phase_diagram import phase_diagram as phase_diagram
    from meanfield.theory.phase_diagram import phase_diagrams as phase_diagrams
    from meanfield.theory.recommend import Recommendation as Recommendation
    from meanfield.theory.recommend import recommend as recommend
    from meanfield.theory.schemes import Scheme as Scheme
    from meanfield.theory.schemes import scheme as scheme
    from meanfield.theory.shaping import shape_activation as shape_activation
    from meanfield.theory.spectrum.isometry import IsometryPoint as IsometryPoint
    from meanfield.theory.spectrum.isometry import isometry_point as isometry_point
    from meanfield.theory.spectrum.jacobian import jacobian_spectrum as jacobian_spectrum
    from meanfield.theory.spectrum.jacobian_law import Atom as Atom
    from meanfield.theory.spectrum.jacobian_law import JacobianSpectrum as JacobianSpectrum
    from meanfield.theory.spectrum.width import WidthEstimate as WidthEstimate
    from meanfield.theory.standardisation import Standardisation as Standardisation
    from meanfield.theory.standardisation import standardisation as standardisation
    from meanfield.theory.trajectory import Trajectory as Trajectory

__version__ = "0.1.0"

_HOMES: dict[str, tuple[str, ...]] = {
    "meanfield.errors": ("AccuracyWarning", "ActivationError", "DomainError", "MeanFieldError"),
    "meanfield.activations": ("Activation", "Breakpoint", "activation", "activations"),
    "meanfield.activations.shaped": ("Shape", "ShapedActivation"),
    "meanfield.expectation": (
        "Expectation",
        "covariance",
        "decorrelation",
        "estimate",
        "expectation",
        "second_moment",
    ),
    "meanfield.simulation": ("Comparison", "Estimate", "LayerStatistics", "Simulation", "layer_statistics", "simulate"),
    "meanfield.proof": ("Check", "Enclosure", "Enclosures", "Proof", "check_proof", "enclose", "prove_proposition4"),
    "meanfield.report": ("report",),
    "meanfield.explore": ("Exploration", "explore"),
    "meanfield.solve.correlation": ("DepthScales",),
    "meanfield.solve.variance": ("FixedPoint",),
    "meanfield.theory.activation_comparison": ("ActivationComparison", "compare"),
    "meanfield.theory.asymptotics": ("Asymptotics", "asymptotics"),
    "meanfield.theory.choose_activation": ("ActivationRanking", "Candidate", "choose_activation"),
    "meanfield.theory.choose_parameter": ("Choice", "choose_parameter"),
    "meanfield.theory.conditions": (
        "Condition",
        "ConvergenceDomains",
        "ExistenceConditions",
        "Proposition4",
        "check_proposition4",
        "convergence_domains",
        "existence_conditions",
    ),
    "meanfield.theory.depth": ("propagation_depth",),
    "meanfield.theory.depth_law": ("DepthLaw", "DepthLaws"),
    "meanfield.theory.edge_of_chaos": ("EdgeOfChaos", "edge_of_chaos", "edge_of_chaos_curve"),
    "meanfield.theory.finite_width": ("FiniteWidth", "finite_width"),
    "meanfield.theory.gain": ("gain",),
    "meanfield.theory.mean_field": ("MeanField",),
    "meanfield.theory.network": ("Network",),
    "meanfield.theory.phase_diagram": ("PhaseDiagram", "phase_diagram", "phase_diagrams"),
    "meanfield.theory.recommend": ("Recommendation", "recommend"),
    "meanfield.theory.schemes": ("Scheme", "scheme"),
    "meanfield.theory.shaping": ("shape_activation",),
    "meanfield.theory.standardisation": ("Standardisation", "standardisation"),
    "meanfield.theory.spectrum.isometry": ("IsometryPoint", "isometry_point"),
    "meanfield.theory.spectrum.jacobian": ("jacobian_spectrum",),
    "meanfield.theory.spectrum.jacobian_law": ("Atom", "JacobianSpectrum"),
    "meanfield.theory.spectrum.width": ("WidthEstimate",),
    "meanfield.theory.trajectory": ("Trajectory",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_SUBPACKAGES = ("frameworks", "layers", "plot")

__all__ = ["__version__", *_SUBPACKAGES, *sorted(_HOME_OF)]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = getattr(importlib.import_module(_HOME_OF[name]), name)
    elif name in _SUBPACKAGES:
        value = importlib.import_module(f"meanfield.{name}")
    else:
        raise AttributeError(f"module 'meanfield' has no attribute {name!r}{_nearest(name)}")
    globals()[name] = value
    return value


def _nearest(name: str) -> str:
    """What may have been meant, as an end to the error."""
    if name.startswith("_"):  # asked by Python and its tools, not typed
        return ""
    import difflib

    plain = {known.replace("_", "").lower(): known for known in __all__}
    found = difflib.get_close_matches(name.replace("_", "").lower(), plain, n=2, cutoff=0.75)
    return f"; did you mean {' or '.join(plain[word] for word in found)}?" if found else ""


def __dir__() -> list[str]:
    return sorted(__all__)
