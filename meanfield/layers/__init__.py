"""What a layer does to the joint law of two inputs; networks are built from layers.

Lives here: one file a kind of layer, the state that passes between them, their limits at variances 0 and infinity, and networks as plain
data.
Not here: what happens after many layers (meanfield.theory) and random networks (meanfield.simulation).
"""

from __future__ import annotations

from meanfield.layers.activation import Activation
from meanfield.layers.attention import Attention
from meanfield.layers.concatenate import Concatenate, Mixture
from meanfield.layers.dense import Convolution, Dense
from meanfield.layers.description import from_description, to_description
from meanfield.layers.dropout import Dropout
from meanfield.layers.gate import Gate
from meanfield.layers.given import ChannelNorm, Given, Scale
from meanfield.layers.graph import Graph
from meanfield.layers.layer import Identity, Layer
from meanfield.layers.maxout import Maxout
from meanfield.layers.normalise import BatchNorm, LayerNorm, RMSNorm
from meanfield.layers.pool import AveragePool, GlobalAveragePool
from meanfield.layers.post_activation import PostActivation
from meanfield.layers.residual import Residual
from meanfield.layers.sequence import Repeat, Sequence

__all__ = [
    "Activation",
    "Attention",
    "AveragePool",
    "BatchNorm",
    "ChannelNorm",
    "Concatenate",
    "Convolution",
    "Dense",
    "Dropout",
    "Gate",
    "Given",
    "GlobalAveragePool",
    "Graph",
    "Identity",
    "Layer",
    "LayerNorm",
    "Maxout",
    "Mixture",
    "PostActivation",
    "RMSNorm",
    "Repeat",
    "Residual",
    "Scale",
    "Sequence",
    "from_description",
    "to_description",
]
