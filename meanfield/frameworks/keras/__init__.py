"""Keras 3: initialisers and an activation layer that serialise, whole models; importing this registers the classes with Keras.

Lives here: reading a model off its graph of layers, drawing its weights.
Not here: any choice of σ_w or σ_b (meanfield.theory).
"""

from __future__ import annotations

from meanfield.frameworks.keras.activation import MeanFieldActivation
from meanfield.frameworks.keras.initialiser import initialise
from meanfield.frameworks.keras.initializers import MeanFieldBiasInitializer, MeanFieldInitializer

__all__ = ["MeanFieldActivation", "MeanFieldBiasInitializer", "MeanFieldInitializer", "initialise"]
