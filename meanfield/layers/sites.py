"""Pairs of different sites, which go through the layers beside the pair of inputs: what a mean over sites asks for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from meanfield.layers.layer import Layer, MisplacedLayer, Step, every
from meanfield.layers.state import State

FIRST, SECOND, ACROSS = 0, 1, 2  # two sites of input 1, two of input 2, one of each


def with_independent_sites(state: State) -> State:
    """The state of an input whose sites are independent of each other."""
    (part,) = state.parts
    q1, q2 = np.stack([part.q1, part.q2, part.q1]), np.stack([part.q1, part.q2, part.q2])
    return replace(state, sites=State.of(q1, q2, np.ones(q1.shape)))


def step(layer: Layer, state: State) -> Step:
    """`layer.apply`, for the pairs of sites too where they are followed."""
    if state.sites is None or layer.carries_sites:
        return layer.apply(state)
    if any(each.mixes_inputs for each in every((layer,))):
        raise MisplacedLayer("what it makes of different sites is not followed, and there is a mean over sites in this network", layer)
    made = layer.apply(replace(state, sites=None))
    return Step(replace(made.state, sites=layer.apply(state.sites).state), made.pull)
