"""Maps, fixed points, edge of chaos: what a random network with given σ_w and σ_b does to its signals.

Lives here: everything the mean-field papers define in terms of V, C and their derivatives.
Not here: quadrature (meanfield.expectation) and sampled networks (meanfield.simulation).
"""

from __future__ import annotations

from meanfield.theory.edge_of_chaos import EdgeOfChaos, EdgePoint, edge_of_chaos, edge_of_chaos_curve
from meanfield.theory.mean_field import MeanField
from meanfield.theory.variance import FixedPoint

__all__ = ["EdgeOfChaos", "EdgePoint", "FixedPoint", "MeanField", "edge_of_chaos", "edge_of_chaos_curve"]
