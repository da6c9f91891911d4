"""Units set to 0 at random, the others scaled up."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import ActivationError
from meanfield.expectation.two_inputs import mean
from meanfield.layers import gaussian_map
from meanfield.layers.arguments import number
from meanfield.layers.cotangent import Cotangent, Cotangents, mean_common
from meanfield.layers.law import GAUSSIAN, Law, Masked, Source, Unknown
from meanfield.layers.layer import Layer, MisplacedLayer, Step
from meanfield.layers.slopes import mean_square_slopes
from meanfield.layers.state import Part, State, sum_of
from meanfield.layers.tangent import TangentKernel

if TYPE_CHECKING:
    from meanfield.activations import Activation as Function_
    from meanfield.arrays import Array


@dataclass(frozen=True)
class Dropout(Layer):
    """x · mask/(1 − rate), a mask of its own for each input.

    Parameters
    ----------
    rate : float
        Probability that a unit is set to 0, in [0, 1).

    Notes
    -----
    With ρ = 1 − rate: K11 ↦ K11/ρ, K12 ↦ K12, the gradient's factor 1/ρ. Two runs of one input have correlation ρ: c = 1 is no fixed
    point. Before an activation the units are a mixture of two scales, of which the activation behind knows.

    References
    ----------
    Schoenholz et al. (2017), section 5; Pretorius et al. (2018).
    """

    rate: float

    def __post_init__(self) -> None:
        rate = number("rate", self.rate, 0.0, 1.0)
        if rate == 1.0:
            raise MisplacedLayer("rate = 1.0 leaves nothing: it must lie in [0, 1)", self)
        object.__setattr__(self, "rate", rate)

    def apply(self, state: State) -> Step:
        if self.rate == 0.0:
            return Step(state, lambda cotangents: cotangents)
        keep = 1.0 - self.rate
        parts = tuple(_masked(part, keep) for part in state.parts)

        def pull(cotangents: Cotangents) -> Cotangents:
            return tuple(_pulled(part, each, keep) for part, each in zip(parts, cotangents, strict=True))

        return Step(State(parts), pull)

    def __str__(self) -> str:
        return f"Dropout({self.rate:g})"


def _masked(part: Part, keep: float) -> Part:
    law, q1, q2 = _law(part, keep), part.q1 / keep, part.q2 / keep
    if isinstance(part.tangent, TangentKernel) and part.tangent.one_pass:  # one mask: E d² = 1/ρ of a product's two factors
        return Part(part.share, q1, q2, part.epsilon, part.mean1, part.mean2, law, part.tangent / keep)
    # 1 − ρ(1 − ε) = 1 − ρ + ρε
    return Part(part.share, q1, q2, (1.0 - keep) + keep * part.epsilon, part.mean1, part.mean2, law, part.tangent)


def _law(part: Part, keep: float) -> Law:
    if part.law == GAUSSIAN:
        return Masked(keep, Source(part.q1, part.q2, part.epsilon))
    if isinstance(part.law, Masked):
        return Masked(part.law.keep * keep, part.law.source)
    return Unknown("dropout behind an activation or a normalisation")


def _pulled(part: Part, cotangent: Cotangent, keep: float) -> Cotangent:
    """Masks and φ' go together: with ρ the keep of all masks before φ and κ of those the gradient has come through,

    E[(d φ'(d d₀ x))²] = ((ρ/κ) V[φ'](q/ρ²) + (1 − ρ/κ) φ'(0)²)/κ.
    """
    shares = [(norm / keep, None if each is None else each * keep) for norm, each in cotangent.shares]  # two inputs' masks: E d d' = 1
    if not isinstance(part.law, Masked):
        return Cotangent(sum_of([norm for norm, _ in shares]), common=mean_common(shares))
    behind = []
    for each in cotangent.behind:
        source = np.ravel(part.law.source.q1 / each.keep**2)
        passed = each.keep / (part.law.keep / keep)  # κ
        alive = mean_square_slopes(each.activation, source).reshape(np.shape(part.q1))
        dead = at_zero(each.activation, 1) ** 2 if passed > each.keep else 0.0
        factor = (each.keep / passed * alive + (1.0 - each.keep / passed) * dead) / passed
        mine = None
        if each.common_before is not None:
            mine = each.common_before * masked_slopes(each.activation, part.law.source, each.keep, passed) / factor
        behind.append(replace(each, norm=each.before * factor, common=mine))
    return Cotangent(cotangent.free / keep, tuple(behind), common=shares[0][1])


def at_zero(act: Function_, order: int) -> float:
    """φ⁽ᵏ⁾(0), which a masked unit sees: at a kink that of the side which φ's own code takes, as in a network; inf where undefined."""
    try:
        return float(act.values(np.zeros(1), order)[0])
    except ActivationError:
        return math.inf


def masked_slopes(act: Function_, source: Source, keep: float, passed: float = 1.0) -> Array:
    """E[φ'(d₁x)φ'(d₂x')] of two inputs with masks of their own: a²C[φ'] + 2a(1 − a)φ'(0)E[φ'] + (1 − a)²φ'(0)² with a = ρ/κ."""
    a = keep / passed
    inner = Source(source.q1 / keep**2, source.q2 / keep**2, source.epsilon)
    dead = at_zero(act, 1) if a < 1.0 else 0.0
    means = np.reshape([mean(act, 1, float(q)) for q in np.ravel(inner.q1)], np.shape(inner.q1))
    whole: Array = a * a * gaussian_map.slope_covariance(act, inner) + 2.0 * a * (1.0 - a) * dead * means + (1.0 - a) ** 2 * dead**2
    return whole
