"""Conditions on an activation: is it any good for deep networks, and how is that known?

Lives here: Proposition 4 of Hayou et al. (2018) with its shorter roads, its conclusion, domains of convergence, existence of the edge.
Not here: the edge of chaos itself (meanfield.theory.edge_of_chaos).
"""

from __future__ import annotations

from meanfield.theory.conditions.condition import Condition
from meanfield.theory.conditions.convergence_domains import ConvergenceDomains, convergence_domains
from meanfield.theory.conditions.existence import ExistenceConditions, existence_conditions
from meanfield.theory.conditions.proposition4 import Proposition4, check_proposition4

__all__ = [
    "Condition",
    "ConvergenceDomains",
    "ExistenceConditions",
    "Proposition4",
    "check_proposition4",
    "convergence_domains",
    "existence_conditions",
]
