"""Random networks: samplers, the backward pass, estimates and their comparison with theory.

Lives here: everything that draws random numbers.
Not here: formulas of the theory (meanfield.theory) and pictures (meanfield.plot).
"""

from __future__ import annotations

from meanfield.simulation.comparison import Comparison
from meanfield.simulation.ensemble import Ensemble
from meanfield.simulation.layer_statistics import LayerStatistics, layer_statistics
from meanfield.simulation.simulate import simulate
from meanfield.simulation.simulation import Simulation
from meanfield.simulation.streaming import Estimate

__all__ = ["Comparison", "Ensemble", "Estimate", "LayerStatistics", "Simulation", "layer_statistics", "simulate"]
