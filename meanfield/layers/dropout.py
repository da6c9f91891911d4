"""Units set to 0 at random, the others scaled up."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from meanfield.layers.arguments import number
from meanfield.layers.cotangent import Cotangent, Cotangents
from meanfield.layers.law import GAUSSIAN, Law, Masked, Source, Unknown
from meanfield.layers.layer import Layer, MisplacedLayer, Step
from meanfield.layers.slopes import mean_square_slopes
from meanfield.layers.state import Part, State
from meanfield.layers.tangent import TangentKernel


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
    free = cotangent.free / keep
    behind = []
    for each in cotangent.behind:
        if not isinstance(part.law, Masked):
            free = free + each.norm / keep
            continue
        source = np.ravel(part.law.source.q1 / each.keep**2)
        passed = each.keep / (part.law.keep / keep)  # κ
        alive, dead = (mean_square_slopes(each.activation, at).reshape(np.shape(part.q1)) for at in (source, 0.0 * source))
        factor = (each.keep / passed * alive + (1.0 - each.keep / passed) * dead) / passed
        behind.append(replace(each, norm=each.before * factor))
    return Cotangent(free, tuple(behind))
