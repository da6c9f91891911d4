"""Maps, fixed points, edge of chaos: what a random network with given σ_w and σ_b does to its signals.

Lives here: everything the mean-field papers define in terms of V, C and their derivatives.
Not here: quadrature (meanfield.expectation) and sampled networks (meanfield.simulation).
"""

from __future__ import annotations

from meanfield.theory.asymptotics import Asymptotics, asymptotics
from meanfield.theory.conditions import (
    Condition,
    ConvergenceDomains,
    ExistenceConditions,
    Proposition4,
    check_proposition4,
    convergence_domains,
    existence_conditions,
)
from meanfield.theory.correlation import DepthScales
from meanfield.theory.depth import propagation_depth
from meanfield.theory.edge_of_chaos import EdgeOfChaos, EdgePoint, edge_of_chaos, edge_of_chaos_curve
from meanfield.theory.finite_width import Band, FiniteWidth, finite_width
from meanfield.theory.mean_field import MeanField
from meanfield.theory.phase_diagram import PhaseDiagram, phase_diagram, phase_diagrams
from meanfield.theory.recommend import Recommendation, gain, recommend
from meanfield.theory.schemes import Scheme, scheme
from meanfield.theory.trajectory import Trajectory
from meanfield.theory.variance import FixedPoint

__all__ = [
    "Asymptotics",
    "Band",
    "Condition",
    "ConvergenceDomains",
    "DepthScales",
    "EdgeOfChaos",
    "EdgePoint",
    "ExistenceConditions",
    "FiniteWidth",
    "FixedPoint",
    "MeanField",
    "PhaseDiagram",
    "Proposition4",
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
    "phase_diagram",
    "phase_diagrams",
    "propagation_depth",
    "recommend",
    "scheme",
]
