"""The largest of k units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.layers import limits
from meanfield.layers.arguments import whole
from meanfield.layers.cotangent import Cotangent, Cotangents, common
from meanfield.layers.law import GAUSSIAN, Unknown
from meanfield.layers.layer import Layer, MisplacedLayer, Step
from meanfield.layers.state import Part, State
from meanfield.layers.winners import series, winners

MOST_PIECES = 32


@dataclass(frozen=True)
class Maxout(Layer):
    """The largest of every `pieces` units that stand side by side.

    Parameters
    ----------
    pieces : int
        k, in [2, 32].

    Notes
    -----
    K11 ↦ K11 E M_k² and mean √K11 E M_k, with M_k the largest of k standard Gaussian variables; dK12'/dK12 is the probability that the same
    piece wins for both inputs, and the gradient's factor is 1. Two pieces have ReLU's correlation map: max(u, v) = (s + |d|)/√2. For more
    it is a two-dimensional integral over bivariate distribution functions, tabulated in θ = arccos c to 1e-12.

    References
    ----------
    Goodfellow et al. (2013); Price (1958) for the slope.

    Examples
    --------
    >>> import meanfield as mf
    >>> from meanfield import layers as L
    >>> round(float(mf.Network(L.Dense(1.0), L.Maxout(4)).propagate().q1[-1]), 12)
    1.551328895422
    """

    pieces: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "pieces", whole("pieces", self.pieces, 2, MOST_PIECES))

    @property
    def changes_width(self) -> bool:
        return True

    def apply(self, state: State) -> Step:
        if len(state.parts) > 1:
            raise MisplacedLayer("its input is of several kinds of units; which of them stand together is not said", self)
        (part,) = state.parts
        if part.law != GAUSSIAN:
            raise MisplacedLayer("its input is not Gaussian; put a layer with weights before it, or simulate", self)
        largest = winners(self.pieces)
        theta = 2.0 * np.arcsin(np.sqrt(0.5 * np.clip(part.epsilon, 0.0, 2.0)))
        if self.pieces == 2:
            epsilon = limits.loss_of_slopes(0.0, 1.0, part.epsilon)
        else:  # C(1) − C(c) = (1 − c) lost(θ), over E M²
            epsilon = part.epsilon * series(largest.lost, theta) / largest.mean_square
        after = Part(
            part.share,
            part.q1 * largest.mean_square,
            part.q2 * largest.mean_square,
            np.clip(epsilon, 0.0, 2.0),
            np.sqrt(part.q1) * largest.mean,
            np.sqrt(part.q2) * largest.mean,
            Unknown("the largest of several units is not Gaussian"),
            None if part.tangent is None else part.tangent * series(largest.same, theta),
        )

        def pull(cotangents: Cotangents) -> Cotangents:
            (each,) = cotangents
            shared = common(cotangents)
            return (Cotangent(each.norm, common=None if shared is None else shared * series(largest.same, theta)),)

        return Step(State((after,)), pull)

    def __str__(self) -> str:
        return f"Maxout({self.pieces})"
