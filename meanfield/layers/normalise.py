"""Layers that bring the values of an input, or of a batch, to one size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from meanfield.activations import activation
from meanfield.layers.arguments import number, whole
from meanfield.layers.cotangent import Cotangent, Cotangents, scaled
from meanfield.layers.law import GAUSSIAN, Law, OnSphere, Unknown
from meanfield.layers.layer import Layer, MisplacedLayer, Step
from meanfield.layers.sphere import SMALLEST_BATCH, batch_moments
from meanfield.layers.state import Part, State, centred

EQUAL = 1e-9  # relative difference of two variances that still counts as a symmetric batch
_BEHIND = "a normalisation behind an activation leaves values that are not Gaussian"


@dataclass(frozen=True)
class LayerNorm(Layer):
    """(x − mean)/√(variance + epsilon) over the units of each input.

    Parameters
    ----------
    epsilon : float
        Added to the variance, in [0, 1e100].

    Notes
    -----
    K12 ↦ (K12 − m1 m2)/√((K11 − m1² + e)(K22 − m2² + e)), the gradient's factor 1/(K11 − m1² + e): the projections are of order
    1/width.

    References
    ----------
    Ba, Kiros, Hinton (2016); Doshi, He, Gromov (2023).
    """

    epsilon: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", number("epsilon", self.epsilon, 0.0, 1e100))

    def apply(self, state: State) -> Step:
        seen = state.whole
        spread = centred(seen)
        size1, size2 = _sizes(self, spread, self.epsilon)
        if len(state.parts) == 1:
            after = replace(spread, q1=spread.q1 / size1, q2=spread.q2 / size2, law=_law(seen), tangent=_tangent(seen, size1, size2))
            return Step(State((after,)), lambda cotangents: scaled(cotangents, 1.0 / size1))
        parts = tuple(_moved(p, seen.mean1, seen.mean2, size1, size2) for p in state.parts)
        return Step(State(parts), lambda cotangents: scaled(cotangents, 1.0 / size1))

    def __str__(self) -> str:
        return "LayerNorm()" if self.epsilon == 0.0 else f"LayerNorm({self.epsilon:g})"


@dataclass(frozen=True)
class RMSNorm(Layer):
    """x/√(mean of x² + epsilon) over the units of each input: K12 ↦ K12/√((K11 + e)(K22 + e)), means likewise.

    Parameters
    ----------
    epsilon : float
        Added to the mean square, in [0, 1e100].

    References
    ----------
    Zhang & Sennrich (2019).
    """

    epsilon: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", number("epsilon", self.epsilon, 0.0, 1e100))

    def apply(self, state: State) -> Step:
        size1, size2 = _sizes(self, state.whole, self.epsilon)
        nowhere = np.zeros(())
        parts = tuple(_moved(p, nowhere, nowhere, size1, size2) for p in state.parts)
        return Step(State(parts), lambda cotangents: scaled(cotangents, 1.0 / size1))

    def __str__(self) -> str:
        return "RMSNorm()" if self.epsilon == 0.0 else f"RMSNorm({self.epsilon:g})"


def _sizes(layer: Layer, part: Part, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    size1, size2 = part.q1 + epsilon, part.q2 + epsilon
    if np.any(size1 == 0.0) or np.any(size2 == 0.0):
        raise MisplacedLayer("an input whose values are all equal can't be normalised: 0/0; give the layer an epsilon", layer)
    if not (np.all(np.isfinite(size1)) and np.all(np.isfinite(size2))):
        raise MisplacedLayer("an infinite variance can't be normalised", layer)
    return size1, size2


def _law(part: Part) -> Law:
    return GAUSSIAN if part.law == GAUSSIAN else Unknown(_BEHIND)


def _tangent(part: Part, size1: np.ndarray, size2: np.ndarray) -> np.ndarray | None:
    return None if part.tangent is None else part.tangent / (np.sqrt(size1) * np.sqrt(size2))


def _moved(part: Part, shift1: np.ndarray, shift2: np.ndarray, size1: np.ndarray, size2: np.ndarray) -> Part:
    """One part less a mean that all parts share, over a size that they share."""
    root1, root2 = np.sqrt(size1), np.sqrt(size2)
    mean1, mean2 = (part.mean1 - shift1) / root1, (part.mean2 - shift2) / root2
    spread = centred(part)
    law = _law(part) if not (np.any(shift1) or np.any(shift2)) else Unknown(_BEHIND)
    if not (np.any(mean1) or np.any(mean2)):
        return Part(part.share, spread.q1 / size1, spread.q2 / size2, spread.epsilon, mean1, mean2, law, _tangent(part, size1, size2))
    q1, q2, epsilon = with_means(replace(spread, q1=spread.q1 / size1, q2=spread.q2 / size2), mean1, mean2)
    return Part(part.share, q1, q2, epsilon, mean1, mean2, law, _tangent(part, size1, size2))


def with_means(part: Part, mean1: np.ndarray, mean2: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Second moments and decorrelation of centred values to which means are added."""
    from meanfield.layers.state import combined

    opposite = np.where(mean1 * mean2 < 0.0, 2.0, 0.0)
    means = replace(part, q1=mean1**2, q2=mean2**2, epsilon=opposite)
    return combined([1.0, 1.0], [part, means])


@dataclass(frozen=True)
class BatchNorm(Layer):
    """(x − mean)/√(variance) of each unit over a batch, in the state that is the same for every pair of inputs.

    Parameters
    ----------
    batch : int
        B, in [4, 10⁶]: the two inputs are two of them.
    epsilon : float
        Added to the variance; taken into account to first order only.

    Notes
    -----
    Behind weights the batch's values are spread evenly over a sphere, whatever the variance and the correlation were: q = 1,
    c = −1/(B − 1). The gradient through it and the activation behind depends on both at once, and on what the gradients of two inputs
    share, which is followed from the end of the network; it exists for B ≥ 4. There it is that of a loss whose gradient sums to 0 over the
    batch, as it does once it has come through another such layer.

    References
    ----------
    Yang et al. (2019): the state BSB1, and why its gradients explode.
    """

    batch: int
    epsilon: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "batch", whole("batch", self.batch, SMALLEST_BATCH, 10**6))
        object.__setattr__(self, "epsilon", number("epsilon", self.epsilon, 0.0, 1e100))

    @property
    def mixes_inputs(self) -> bool:
        return True

    def exactness(self) -> tuple[str, str]:
        if self.epsilon > 0.0:
            return "approximate", "every pair of the batch alike, epsilon to first order"
        return "approximate", "exact where every pair of the batch is alike; whether that state is stable is not checked"

    def apply(self, state: State) -> Step:
        seen = state.whole
        if not state.is_gaussian:
            raise MisplacedLayer("its input is not Gaussian; put a layer with weights before it", self)
        if np.any(np.abs(seen.q1 - seen.q2) > EQUAL * np.maximum(seen.q1, seen.q2)):
            raise MisplacedLayer("the two inputs have different variances; the theory is that of a batch whose inputs are alike", self)
        spread = seen.q1 * seen.epsilon  # of the batch about its mean: K11 − K12
        if np.any(spread + self.epsilon <= 0.0):
            raise MisplacedLayer("the inputs of the batch are the same: 0/0", self)
        size = spread + self.epsilon
        shrunk = spread / size
        like = np.zeros(np.shape(spread))
        n = self.batch - 1
        q = shrunk + like
        tangent = None if seen.tangent is None else 0.0 * seen.tangent
        after = Part(1.0, q, q, like + self.batch / n, like, like, OnSphere(self.batch, size), tangent)
        if len(state.parts) != 1:
            raise MisplacedLayer("its input is a concatenation of several kinds of units", self)

        def pull(cotangents: Cotangents) -> Cotangents:
            (each,) = cotangents
            norm = each.free * batch_moments(activation("linear"), self.batch).gradient_of(each.common)
            for behind in each.behind:
                norm = norm + behind.before * batch_moments(behind.activation, self.batch).gradient_of(behind.common_before)
            summing_to_0 = None if each.common is None else np.asarray(-1.0 / n)
            return (Cotangent(norm / size, common=summing_to_0),)

        return Step(State((after,)), pull)

    def __str__(self) -> str:
        return f"BatchNorm({self.batch})" if self.epsilon == 0.0 else f"BatchNorm({self.batch}, {self.epsilon:g})"
