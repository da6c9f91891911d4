"""What φ is: catalogue, formula parser, callables; value, derivatives, breakpoints.

Lives here: everything that turns a name, a formula or a callable into an `Activation`.
Not here: integrals of any kind (meanfield.expectation) and random networks.
"""

from __future__ import annotations

from meanfield._callable import make_callable
from meanfield.activations.activation import Activation
from meanfield.activations.breakpoint import Breakpoint
from meanfield.activations.lookup import activation, activations

__all__ = ["Activation", "Breakpoint", "activation", "activations"]

make_callable(__name__)
