"""The (σ_w, σ_b) that an initialiser of any framework draws with."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meanfield.activations import activation as find_activation
from meanfield.errors import ActivationError, DomainError
from meanfield.theory.arguments import one_standard_deviation

if TYPE_CHECKING:
    from meanfield.activations import Activation

LARGEST = 1e280


@dataclass(frozen=True)
class StartingPoint:
    """Where a network starts in the phase diagram.

    Attributes
    ----------
    activation : Activation
    sigma_w, sigma_b : float
        Standard deviations of weights (times √fan_in) and biases.
    q : float
        The variance of the pre-activations there: the edge point's, or the limit from 1 where both σ's were given.
    """

    activation: Activation
    sigma_w: float
    sigma_b: float
    q: float

    def first_layer(self, input_variance: Any) -> float:
        """σ_w of a first layer whose inputs have that mean square per component: it puts q¹ = σ_b² + σ² |a|²/d at q.

        Raises
        ------
        DomainError
            If input_variance is not positive, or q is 0 or inf.
        """
        size = one_standard_deviation("input_variance", input_variance)
        if not size > 0.0:
            raise DomainError(f"input_variance = {input_variance!r} is out of range: a mean square of inputs is positive")
        if not 0.0 < self.q <= LARGEST:
            raise DomainError(
                f"input_variance = {input_variance!r} asks for a first layer at the variance q of the others, but q = {self.q:g} for "
                f"{self.activation.name} at sigma_w = {self.sigma_w:g}, sigma_b = {self.sigma_b:g}: leave it out and scale the inputs"
            )
        from meanfield.expectation.second_moment import second_moment

        # q − σ_b² = σ_w² V[φ](q) at a fixed point: no difference of near numbers.
        return self.sigma_w * math.sqrt(float(second_moment(self.activation, self.q)) / size)


def starting_point(activation: Any, depth: Any = None, sigma_w: Any = None, sigma_b: Any = None) -> StartingPoint:
    """The σ's that were asked for, or the ones the theory gives.

    Both σ's: those. sigma_w alone: no biases, σ_b = 0. sigma_b alone: σ_w on the edge of chaos there. Neither:
    `recommend(activation, depth)`.

    Raises
    ------
    ActivationError
        If the activation is missing or can't be understood.
    DomainError
        If neither σ nor depth is given, a value is out of range, or there is no edge of chaos.

    Warns
    -----
    UserWarning
        Where the variance grows without bound from 1 at the edge point of the given sigma_b.
    """
    if activation is None:
        raise ActivationError("activation is missing: give the one that stands before the layer: a name, a formula or a function")
    act = find_activation(activation)
    if sigma_w is not None:
        weight = one_standard_deviation("sigma_w", sigma_w)
        return _given(act, weight, 0.0 if sigma_b is None else one_standard_deviation("sigma_b", sigma_b))
    if sigma_b is not None:
        return _on_the_edge(act, one_standard_deviation("sigma_b", sigma_b))
    if depth is None:
        raise DomainError(f"depth is missing: give the number of layers, or sigma_w, sigma_b or both, to initialise for {act.name}")
    from meanfield.theory.recommend import recommend

    best = recommend(act, depth)
    return StartingPoint(act, best.sigma_w, best.sigma_b, best.q)


def _given(act: Activation, sigma_w: float, sigma_b: float) -> StartingPoint:
    from meanfield.theory.mean_field import MeanField

    return StartingPoint(act, sigma_w, sigma_b, MeanField(act, sigma_w, sigma_b).q_star)


def _on_the_edge(act: Activation, sigma_b: float) -> StartingPoint:
    from meanfield.theory.edge_of_chaos import edge_of_chaos
    from meanfield.theory.mean_field import MeanField

    edge = edge_of_chaos(act, sigma_b)
    if edge.status == "none":
        raise DomainError(f"sigma_b = {sigma_b!r}: {act.name} has no edge of chaos there: {edge.reason}; give sigma_w too")
    weight = float(edge.sigma_w)
    if math.isinf(MeanField(act, weight, sigma_b).variance_limit(1.0)):
        warnings.warn(
            f"{act.name} on the edge of chaos at sigma_b = {sigma_b:g} (sigma_w = {weight:.6g}): a variance of 1 grows without bound; "
            f"give depth instead of sigma_b for a point that holds that long",
            UserWarning,
            stacklevel=5,
        )
    return StartingPoint(act, weight, sigma_b, float(edge.q))
