"""JAX: initialisers with the signature of jax.nn.initializers, whole models of Flax and Equinox, activations in jax.numpy.

Lives here: reading a model off its jaxpr, drawing its weights. jax is imported when a function is called.
Not here: any choice of σ_w or σ_b (meanfield.theory).
"""

from __future__ import annotations

from meanfield.frameworks.jax.function import function
from meanfield.frameworks.jax.initialiser import initialise
from meanfield.frameworks.jax.initializers import BiasInitializer, Initializer, bias_initializer, initializer

__all__ = ["BiasInitializer", "Initializer", "bias_initializer", "function", "initialise", "initializer"]
