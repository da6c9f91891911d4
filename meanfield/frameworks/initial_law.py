"""The law that the weights or biases of one layer are drawn from, in any framework."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from meanfield.frameworks.distributions import BIASES, WEIGHTS, checked_distribution
from meanfield.frameworks.starting_point import starting_point


@dataclass(frozen=True)
class InitialLaw:
    """Weights of standard deviation σ_w/√fan_in and the biases of standard deviation σ_b that go with them.

    Attributes
    ----------
    activation : str
        The name of φ.
    sigma_w : float
        Of this layer: times √fan_in, the standard deviation of its weights.
    sigma_b : float
        Of its biases.
    q : float
        The variance of the pre-activations that the network starts at.
    distribution : str
    """

    activation: str
    sigma_w: float
    sigma_b: float
    q: float
    distribution: str

    @classmethod
    def of_weights(
        cls, activation: Any, depth: Any, sigma_w: Any, sigma_b: Any, input_variance: Any, distribution: Any, **more: Any
    ) -> Self:
        """From the arguments of an initialiser of weights, checked; `more` are the fields of a subclass."""
        word = checked_distribution(distribution, WEIGHTS)
        point = starting_point(activation, depth, sigma_w, sigma_b)
        weight = point.sigma_w if input_variance is None else point.first_layer(input_variance)
        return cls(point.activation.name, weight, point.sigma_b, point.q, word, **more)

    @classmethod
    def of_biases(cls, activation: Any, depth: Any, sigma_w: Any, sigma_b: Any, distribution: Any, **more: Any) -> Self:
        """From the arguments of an initialiser of biases, checked; `more` are the fields of a subclass."""
        word = checked_distribution(distribution, BIASES)
        point = starting_point(activation, depth, sigma_w, sigma_b)
        return cls(point.activation.name, point.sigma_w, point.sigma_b, point.q, word, **more)


def told_weights(law: Any) -> str:
    """One line about weights drawn from a law.

    Examples
    --------
    >>> told_weights(InitialLaw.of_weights("tanh", None, None, 0.2, None, "normal"))
    'normal weights for tanh: σ_w = 1.30414584/√fan_in (σ_b = 0.2, q = 0.512079)'
    """
    rest = f"(σ_b = {law.sigma_b:.9g}, q = {law.q:.6g})"
    return f"{law.distribution} weights for {law.activation}: σ_w = {law.sigma_w:.9g}/√fan_in {rest}"


def told_biases(law: Any) -> str:
    """One line about biases drawn from a law.

    Examples
    --------
    >>> told_biases(InitialLaw.of_biases("tanh", None, None, 0.2, "normal"))
    'normal biases for tanh: σ_b = 0.2 (σ_w = 1.30414584, q = 0.512079)'
    """
    return f"{law.distribution} biases for {law.activation}: σ_b = {law.sigma_b:.9g} (σ_w = {law.sigma_w:.9g}, q = {law.q:.6g})"
