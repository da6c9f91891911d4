"""Weights that are drawn afresh: what comes out is Gaussian."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.layers.arguments import one_of, sigma, whole
from meanfield.layers.cotangent import Cotangent, Cotangents, common, total
from meanfield.layers.law import GAUSSIAN
from meanfield.layers.layer import Layer, Step
from meanfield.layers.state import Part, State, Tangent, centred, combined
from meanfield.layers.tangent import TangentKernel

WEIGHTS = ("gaussian", "orthogonal", "standardised", "normalised")


@dataclass(frozen=True)
class Dense(Layer):
    """h = W x + b with W_ij ~ N(0, σ_w²/fan_in) and b_i ~ N(0, σ_b²).

    Parameters
    ----------
    sigma_w, sigma_b : float
        Standard deviations (σ, not σ²) of weights times √fan_in, and of biases; in [0, 1e100].
    weights : {"gaussian", "orthogonal", "standardised", "normalised"}
        "standardised": every row of W is centred and has norm σ_w; "normalised": it has that norm and is not centred.

    Notes
    -----
    K12 ↦ σ_b² + σ_w² K12 (standardised: K12 less the product of the means), at infinite width for each kind of weights. The
    gradient's factor is σ_w².

    References
    ----------
    Poole et al. (2016); Salimans & Kingma (2016) and Qiao et al. (2019) for normalised and standardised rows.

    Examples
    --------
    >>> from meanfield import layers as L
    >>> L.Dense(1.5, 0.1)
    Dense(sigma_w=1.5, sigma_b=0.1, weights='gaussian')
    """

    sigma_w: float
    sigma_b: float = 0.0
    weights: str = "gaussian"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma_w", sigma("sigma_w", self.sigma_w))
        object.__setattr__(self, "sigma_b", sigma("sigma_b", self.sigma_b))
        object.__setattr__(self, "weights", one_of("weights", self.weights, WEIGHTS))

    @property
    def mixes(self) -> bool:
        return True

    def apply(self, state: State) -> Step:
        weight = self.sigma_w**2
        whole_input = state.whole
        seen = centred(whole_input) if self.weights == "standardised" else whole_input
        q1, q2, epsilon = combined([self.sigma_b**2, weight], [_ONES, seen])
        zeros1, zeros2 = np.zeros(np.shape(q1)), np.zeros(np.shape(q2))
        tangent = self._tangent(whole_input.tangent, seen)
        parts = state.parts

        def pull(cotangents: Cotangents) -> Cotangents:
            norm = weight * total(cotangents)
            return tuple(Cotangent(part.share * norm, common=common(cotangents)) for part in parts)

        return Step(State((Part(1.0, q1, q2, epsilon, zeros1, zeros2, GAUSSIAN, tangent),)), pull)

    def _tangent(self, tangent: Tangent | None, seen: Part) -> Tangent | None:
        """σ_w² dK12; a tangent kernel gets what these weights add."""
        if isinstance(tangent, TangentKernel):
            norm = np.sqrt(seen.q1) * np.sqrt(seen.q2)
            product = norm if tangent.one_pass else np.where(norm == 0.0, 0.0, norm * (1.0 - seen.epsilon))
            return tangent.behind_weights(self.sigma_w, self.sigma_b, product)
        return None if tangent is None else self.sigma_w**2 * tangent

    def __str__(self) -> str:
        kind = "" if self.weights == "gaussian" else f", {self.weights}"
        return f"{type(self).__name__}(σ_w={self.sigma_w:g}, σ_b={self.sigma_b:g}{kind})"


_ONE = np.ones(())
_ONES = Part(1.0, _ONE, _ONE, np.zeros(()), np.zeros(()), np.zeros(()))


@dataclass(frozen=True)
class Convolution(Dense):
    """The same at one site of a convolution, circularly padded or far from a border.

    Parameters
    ----------
    sigma_w, sigma_b, weights
        As `Dense`; W has variance σ_w²/(fan_in), the fan-in being channels times taps.
    taps : int
        Weights along the (one) axis, in [1, 1024]; only a simulation needs to know.

    Notes
    -----
    With a covariance that is the same at every site and pair of sites at the same offset, the maps are those of a dense layer
    (Xiao et al. 2018).
    """

    taps: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "taps", whole("taps", self.taps, 1, 1024))
