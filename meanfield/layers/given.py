"""Places in a network where moments are given, not derived; units scaled and shifted; normalisation by measured statistics."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from meanfield.layers.arguments import number
from meanfield.layers.cotangent import at_output, common, scaled, total
from meanfield.layers.law import GAUSSIAN, Unknown
from meanfield.layers.layer import Layer, MisplacedLayer, Step
from meanfield.layers.normalise import with_means
from meanfield.layers.state import Part, State, centred, combined


@dataclass(frozen=True)
class Given(Layer):
    """An operation outside of the theory: its output's moments are given, whatever comes in.

    Parameters
    ----------
    q : float
        Mean square of its output's numbers, in [0, 1e100].
    c : float
        K12/K11 there, in [−1, 1].
    mean : float
        Over units, in [−1e100, 1e100].
    factor : float
        |δ before|²/|δ behind|², in [0, 1e100].
    gaussian : bool
        Whether its units are taken as Gaussian of mean 0.
    why : str
        Where the numbers come from.

    Examples
    --------
    >>> from meanfield import layers as L
    >>> print(L.Given(0.5, 0.9, why="attention"))
    Given(q=0.5, c=0.9, attention)
    """

    q: float
    c: float
    mean: float = 0.0
    factor: float = 1.0
    gaussian: bool = False
    why: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "q", number("q", self.q, 0.0, 1e100))
        object.__setattr__(self, "c", number("c", self.c, -1.0, 1.0))
        object.__setattr__(self, "mean", number("mean", self.mean, -1e100, 1e100))
        object.__setattr__(self, "factor", number("factor", self.factor, 0.0, 1e100))

    @property
    def mixes(self) -> bool:
        return True

    def state(self) -> State:
        """The moments that are given."""
        q, epsilon = np.asarray(self.q), np.asarray(1.0 - self.c)
        mean = np.asarray(0.0 if self.gaussian else self.mean)
        law = GAUSSIAN if self.gaussian else Unknown(self.why or "its moments were given")
        return State((Part(1.0, q, q, epsilon, mean, mean, law),))

    def apply(self, state: State) -> Step:
        return Step(self.state(), lambda cotangents: scaled(at_output(state, common(cotangents)), self.factor * total(cotangents)))

    def exactness(self) -> tuple[str, str]:
        return "simulated", self.why or "its moments were given"

    def __str__(self) -> str:
        return f"Given(q={self.q:.4g}, c={self.c:.4g}{', ' + self.why if self.why else ''})"


@dataclass(frozen=True)
class Scale(Layer):
    """x · a + b, a and b parameters of each unit that are the same for all inputs: LayerScale, γ and β, position parameters.

    Parameters
    ----------
    factor : float
        Root mean square of a over units, in [0, 1e100].
    shift : float
        That of b, of mean 0.

    Notes
    -----
    K12 ↦ a² K12 + b², the gradient's factor a².
    """

    factor: float
    shift: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", number("factor", self.factor, 0.0, 1e100))
        object.__setattr__(self, "shift", number("shift", self.shift, 0.0, 1e100))

    def apply(self, state: State) -> Step:
        a = self.factor
        parts = tuple(self._one(part, a) for part in state.parts)
        return Step(State(parts), lambda cotangents: scaled(cotangents, a * a))

    def _one(self, part: Part, a: float) -> Part:
        tangent = None if part.tangent is None else a * a * part.tangent
        law = part.law if a == 1.0 or part.law == GAUSSIAN else Unknown("units scaled and shifted")
        zero = np.zeros(np.shape(part.epsilon))
        fixed = replace(part, q1=np.full(np.shape(part.q1), self.shift**2), q2=np.full(np.shape(part.q2), self.shift**2), epsilon=zero)
        q1, q2, epsilon = combined([a * a, 1.0], [part, fixed])
        return replace(part, q1=q1, q2=q2, epsilon=epsilon, mean1=a * part.mean1, mean2=a * part.mean2, law=law, tangent=tangent)

    def __str__(self) -> str:
        return f"Scale({self.factor:g}{f', shift={self.shift:g}' if self.shift else ''})"


@dataclass(frozen=True)
class Weighed(Layer):
    """Units as they are, and a gradient multiplied: what inputs of different norms do to it that one norm for all would not.

    Parameters
    ----------
    factor : float
        Σ |δᵣ|²/qᵣ over places r of mean squares qᵣ, over Σ |δᵣ|² divided by their mean, behind a normalisation of each: in [0, 1e100]. A
        transformer's class token has another norm than the others, and most of the gradient.
    """

    factor: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", number("factor", self.factor, 0.0, 1e100))

    def apply(self, state: State) -> Step:
        return Step(state, lambda cotangents: scaled(cotangents, self.factor))

    def exactness(self) -> tuple[str, str]:
        return "approximate", "which places a gradient comes from is given"

    def __str__(self) -> str:
        return f"Weighed({self.factor:.3g})"


@dataclass(frozen=True)
class Centred(Layer):
    """Values less their mean over units: what weights that add up to 0 see of them.

    Notes
    -----
    K12 ↦ K12 − m1 m2. A gradient comes back through such weights as through others, but for 1/N of it.

    References
    ----------
    Qiao et al. (2019): weight standardisation.
    """

    def apply(self, state: State) -> Step:
        part = replace(centred(state.whole), share=1.0)
        return Step(State((part,)), lambda cotangents: scaled(at_output(state, common(cotangents)), total(cotangents)))

    def __str__(self) -> str:
        return "Centred()"


@dataclass(frozen=True)
class ChannelNorm(Layer):
    """(x − mean)/√(variance + epsilon) of each channel, or group of channels, over many values, of whose means the share is given.

    Parameters
    ----------
    share : float
        r, the part of K11 that is the mean square of the means that are taken away, in [0, 1).
    count : int
        Values that go into each mean.
    epsilon : float
    uneven : float
        u = E[1/(s + e)] (E[s] + e) over channels of variances s, in [1, 1e100]: 1 where all channels have the same variance.

    Notes
    -----
    K12 ↦ (K12 − r K11)/((1 − r) K11 + e), and the gradient's factor (1 − 2/count) u/((1 − r) K11 + e): the two directions of the mean and
    of the values themselves are taken out of it, and a gradient is divided by each channel's own variance, not by their mean. Behind a
    depthwise convolution of few weights u is far from 1. `BatchNorm` is the case of a batch whose inputs are all alike.

    References
    ----------
    Ioffe & Szegedy (2015); Wu & He (2018).
    """

    share: float
    count: int
    epsilon: float = 0.0
    uneven: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "share", number("share", self.share, 0.0, 1.0))
        object.__setattr__(self, "epsilon", number("epsilon", self.epsilon, 0.0, 1e100))
        object.__setattr__(self, "uneven", number("uneven", self.uneven, 1.0, 1e100))

    def apply(self, state: State) -> Step:
        seen = state.whole
        left1, left2 = seen.q1 * (1.0 - self.share), seen.q2 * (1.0 - self.share)
        size1, size2 = left1 + self.epsilon, left2 + self.epsilon
        if np.any(size1 <= 0.0) or np.any(size2 <= 0.0) or not np.all(np.isfinite(size1 + size2)):
            raise MisplacedLayer("values that are all equal, or not finite, can't be normalised", self)
        with np.errstate(divide="ignore", invalid="ignore"):
            epsilon = np.where(left1 * left2 > 0.0, seen.epsilon * np.sqrt(seen.q1 * seen.q2) / np.sqrt(left1 * left2), seen.epsilon)
        zero = np.zeros(np.shape(seen.q1))
        tangent = None if seen.tangent is None else seen.tangent / np.sqrt(size1 * size2)
        law = seen.law if seen.law == GAUSSIAN else Unknown("a normalisation of what is not Gaussian")
        after = Part(1.0, left1 / size1, left2 / size2, np.clip(epsilon, 0.0, 2.0), zero, zero, law, tangent)
        factor = max(1.0 - 2.0 / self.count, 0.0) * self.uneven / size1
        return Step(State((after,)), lambda cotangents: scaled(at_output(state, common(cotangents)), factor * total(cotangents)))

    def exactness(self) -> tuple[str, str]:
        return "approximate", "the share of its means is given, and gradients are taken as independent of what it normalises"

    def __str__(self) -> str:
        uneven = "" if self.uneven == 1.0 else f", uneven={self.uneven:.3g}"
        return f"ChannelNorm(share={self.share:.3g}, count={self.count}{uneven})"


def summed(states: tuple[State, ...], coefficients: tuple[float, ...]) -> tuple[State, tuple[float, ...]]:
    """Σ coefficient · stream of independent streams, and the gradient's factor for each: coefficient²."""
    parts = [state.whole for state in states]
    mean1, mean2 = (
        np.asarray(sum(a * getattr(p, which) for a, p in zip(coefficients, parts, strict=True))) for which in ("mean1", "mean2")
    )
    q1, q2, epsilon = combined([a * a for a in coefficients], [centred(part) for part in parts])
    if np.any(mean1) or np.any(mean2):
        bare = Part(1.0, q1, q2, epsilon, mean1, mean2)
        q1, q2, epsilon = with_means(bare, mean1, mean2)
    gaussian = all(part.law == GAUSSIAN for a, part in zip(coefficients, parts, strict=True) if a != 0.0)
    law = GAUSSIAN if gaussian else Unknown("a sum that is not Gaussian")
    return State((Part(1.0, q1, q2, epsilon, mean1, mean2, law),)), tuple(a * a for a in coefficients)
