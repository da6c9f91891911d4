"""What is known of two inputs between two layers: second moments, decorrelation, means, tangent.

Arrays broadcast, so that one state may stand for many pairs: q1 of shape (N, 1), q2 (1, M), epsilon (N, M) for a Gram matrix.
Units may be of several kinds side by side (behind a concatenation); each kind is a part, with its share of the width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from meanfield.layers.law import GAUSSIAN, Law
from meanfield.layers.tangent import TangentKernel

if TYPE_CHECKING:
    from meanfield.arrays import Array


Tangent: TypeAlias = "Array | TangentKernel"


@dataclass(frozen=True)
class Part:
    """Units of one kind.

    Attributes
    ----------
    share : float
        Of the width, in (0, 1].
    q1, q2 : ndarray
        Mean squares of the two inputs' values there, K11 and K22.
    epsilon : ndarray
        1 − K12/√(K11 K22).
    mean1, mean2 : ndarray
        Means over the units.
    law : Law
    tangent : ndarray, TangentKernel or None
        dK12 for one unit of change where the tangent started, K11 and K22 held; or the tangent kernel; None where it isn't asked for.
    """

    share: float
    q1: Array
    q2: Array
    epsilon: Array
    mean1: Array
    mean2: Array
    law: Law = GAUSSIAN
    tangent: Tangent | None = None

    @property
    def slope(self) -> Array:
        """dK12, where that was asked for."""
        assert self.tangent is not None
        assert not isinstance(self.tangent, TangentKernel)
        return self.tangent


@dataclass(frozen=True)
class State:
    """Two inputs between two layers.

    Attributes
    ----------
    parts : tuple of Part
    sites : State, optional
        Three pairs of different sites, see `meanfield.layers.sites`, where a mean over sites will ask for them.
    """

    parts: tuple[Part, ...]
    sites: State | None = None

    @staticmethod
    def of(q1: float | Array, q2: float | Array, epsilon: float | Array, tangent: float | Tangent | None = None) -> State:
        """Gaussian values of mean 0."""
        first, second, loss = (np.asarray(a, dtype=np.float64) for a in (q1, q2, epsilon))
        follows = tangent if tangent is None or isinstance(tangent, TangentKernel) else np.asarray(tangent, dtype=np.float64)
        return State((Part(1.0, first, second, loss, np.zeros(first.shape), np.zeros(second.shape), GAUSSIAN, follows),))

    @property
    def whole(self) -> Part:
        """All units as one part, whatever their kinds."""
        if len(self.parts) == 1:
            return self.parts[0]
        shares = [part.share for part in self.parts]
        q1, q2, epsilon = combined(shares, self.parts)
        mean1 = sum_of([p.share * p.mean1 for p in self.parts])
        mean2 = sum_of([p.share * p.mean2 for p in self.parts])
        return Part(1.0, q1, q2, epsilon, mean1, mean2, self.parts[0].law, mixed_tangent(self.parts))

    @property
    def q1(self) -> Array:
        """K11 over all units."""
        return self.whole.q1

    @property
    def q2(self) -> Array:
        """K22 over all units."""
        return self.whole.q2

    @property
    def epsilon(self) -> Array:
        """1 − K12/√(K11 K22) over all units."""
        return self.whole.epsilon

    @property
    def is_gaussian(self) -> bool:
        """Whether every unit's value is Gaussian with mean 0."""
        return all(part.law == GAUSSIAN for part in self.parts)


def sum_of(arrays: Sequence[Array]) -> Array:
    """Σ, of arrays that broadcast."""
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array
    return total


def mixed_tangent(parts: Sequence[Part]) -> Tangent | None:
    """Σ share · tangent, where there are tangents."""
    tangents = [part.share * part.tangent for part in parts if part.tangent is not None]
    return sum_of_tangents(tangents) if tangents else None


def sum_of_tangents(tangents: Sequence[Tangent]) -> Tangent:
    """Σ, of arrays or of tangent kernels."""
    result: Any = tangents[0]
    for each in tangents[1:]:
        result = result + each
    return result  # type: ignore[no-any-return]


def combined(weights: Sequence[float], parts: Sequence[Part]) -> tuple[Array, Array, Array]:
    """(Σ w K11, Σ w K22, ε) of streams that are added, or set side by side, with weights w.

    With the unit vectors u = √(w K11/Σ w K11) and v, K12/√(K11 K22) = Σ u v (1 − ε): 1 minus that is ½Σ(u − v)² + Σ u v ε, of which no
    term is negative: small decorrelations keep their digits.
    """
    kept = [(w, part) for w, part in zip(weights, parts, strict=True) if w > 0.0]
    if not kept:
        zero = parts[0].q1 * 0.0
        return zero, parts[0].q2 * 0.0, parts[0].epsilon
    if len(kept) == 1:
        weight, part = kept[0]
        return weight * part.q1, weight * part.q2, part.epsilon
    q1, q2 = sum_of([w * p.q1 for w, p in kept]), sum_of([w * p.q2 for w, p in kept])
    epsilon = np.zeros(np.broadcast_shapes(q1.shape, q2.shape, *(p.epsilon.shape for _, p in kept)))
    for weight, part in kept:
        even = weight / sum(w for w, _ in kept)
        u, v = _ratio_root(weight * part.q1, q1, even), _ratio_root(weight * part.q2, q2, even)
        share = u * v
        epsilon = epsilon + (0.5 * (u - v) ** 2 + np.where(share == 0.0, 0.0, share * part.epsilon))  # nothing has no correlation
    return q1, q2, np.clip(epsilon, 0.0, 2.0)


def _ratio_root(part: Array, whole: Array, even: float) -> Array:
    """√(part/whole); an even share where that is 0/0 or ∞/∞."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = part / whole
    return np.sqrt(np.where(np.isnan(ratio), even, ratio))


def centred(part: Part) -> Part:
    """The same values less their means: variances K11 − m1², K22 − m2², and 1 − their correlation.

    With a = √K11, b = √K22: a b ε less (a m2 − b m1)²/(a b − m1 m2 + √(s1 s2)), over √(s1 s2); equal inputs lose no digits.
    """
    if not np.any(part.mean1) and not np.any(part.mean2):
        return part
    s1 = np.maximum(part.q1 - part.mean1**2, 0.0)
    s2 = np.maximum(part.q2 - part.mean2**2, 0.0)
    a, b, norm = np.sqrt(part.q1), np.sqrt(part.q2), np.sqrt(s1) * np.sqrt(s2)
    twist = (a * part.mean2 - b * part.mean1) ** 2
    below = a * b - part.mean1 * part.mean2 + norm
    with np.errstate(divide="ignore", invalid="ignore"):
        epsilon = (a * b * part.epsilon - np.where(twist > 0.0, twist / below, 0.0)) / norm
    epsilon = np.where(norm > 0.0, np.clip(epsilon, 0.0, 2.0), part.epsilon)
    return replace(part, q1=s1, q2=s2, epsilon=epsilon, mean1=np.zeros(s1.shape), mean2=np.zeros(s2.shape))
