"""A stretch of the line on which φ is one analytic expression."""

from __future__ import annotations

from dataclasses import dataclass

from meanfield.activations.formula.tree import Node
from meanfield.proof.exact import Exact


@dataclass(frozen=True)
class Piece:
    """The expression, analytic as far as it is finite, that φ is on (low, high); None stands for ∓∞."""

    low: Exact | None
    high: Exact | None
    tree: Node
