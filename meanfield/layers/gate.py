"""The product of two streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from meanfield.layers.cotangent import Cotangents, added, at_output, common, scaled, total
from meanfield.layers.law import Unknown
from meanfield.layers.layer import Layer, MisplacedLayer, Step, as_layer
from meanfield.layers.state import Part, State, sum_of_tangents


@dataclass(frozen=True, init=False)
class Gate(Layer):
    """left(x)·right(x), unit by unit, the branches independent: GLU, SwiGLU, squeeze and excite.

    Parameters
    ----------
    left, right : layers
        At least one of them has weights.

    Notes
    -----
    K12 ↦ K12^left K12^right; the gradient's factor is K11^right χ_left + K11^left χ_right. With σ_b = 0 every positive fixed point of a
    plain stack's variance is unstable.

    References
    ----------
    Dauphin et al. (2017); Shazeer (2020).

    Examples
    --------
    >>> from meanfield import layers as L
    >>> print(L.Gate(L.Dense(1.0), L.Dense(1.0) >> "silu"))
    Gate(Dense(σ_w=1, σ_b=0), Dense(σ_w=1, σ_b=0) >> silu)
    """

    left: Layer
    right: Layer

    def __init__(self, left: Any, right: Any) -> None:
        object.__setattr__(self, "left", as_layer(left))
        object.__setattr__(self, "right", as_layer(right))
        if not (self.left.mixes or self.right.mixes):
            raise MisplacedLayer("neither branch has weights, so that they are not independent: write the product as one activation", self)
        if self.left.changes_width != self.right.changes_width:
            raise MisplacedLayer("one branch ends in a concatenation or a maxout, so that the widths of the two sides differ", self)

    @property
    def inside(self) -> tuple[Layer, ...]:
        return self.left, self.right

    @property
    def mixes(self) -> bool:
        return self.left.mixes and self.right.mixes

    @property
    def changes_width(self) -> bool:
        return self.left.changes_width

    def apply(self, state: State) -> Step:
        steps = []
        for index, branch in enumerate((self.left, self.right)):
            try:
                steps.append(branch.apply(state))
            except MisplacedLayer as error:
                raise error.inside(index + 1) from None
        left, right = (step.state.whole for step in steps)
        if any(len(step.state.parts) > 1 for step in steps):
            raise MisplacedLayer("a branch ends in several kinds of units; the product of parts is not said", self)
        epsilon = left.epsilon + right.epsilon - left.epsilon * right.epsilon  # 1 − (1 − ε)(1 − ε')
        tangent = None
        if left.tangent is not None and right.tangent is not None:
            k_left = np.sqrt(left.q1) * np.sqrt(left.q2) * (1.0 - left.epsilon)
            k_right = np.sqrt(right.q1) * np.sqrt(right.q2) * (1.0 - right.epsilon)
            tangent = sum_of_tangents([k_right * left.tangent, k_left * right.tangent])
        with np.errstate(over="ignore"):
            q1, q2 = left.q1 * right.q1, left.q2 * right.q2
        after = Part(
            1.0,
            q1,
            q2,
            epsilon,
            left.mean1 * right.mean1,
            left.mean2 * right.mean2,
            Unknown("a product of two streams is not Gaussian"),
            tangent,
        )

        def pull(cotangents: Cotangents) -> Cotangents:
            norm, shared = total(cotangents), common(cotangents)
            sides = []
            for step, other in zip(steps, (right, left), strict=True):
                mine = None if shared is None else shared * (1.0 - other.epsilon)  # K12/K11 of the other side
                sides.append(step.pull(scaled(at_output(step.state, mine), norm * other.q1)))
            return added(*sides)

        return Step(State((after,)), pull)

    def __str__(self) -> str:
        return f"Gate({self.left}, {self.right})"
