"""How gradients come back through a layer: norms |δ|² by kinds of units, and for a batch what the inputs' gradients share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array
    from meanfield.layers.state import State


@dataclass(frozen=True)
class Behind:
    """A gradient that has just come through φ, and is not independent of the values here.

    Attributes
    ----------
    activation : Activation
    norm : ndarray
        |δ|² here.
    before : ndarray
        |δ|² before it came through φ.
    keep : float
        That of all masks in front of φ.
    common, common_before : ndarray, optional
        E δ₁·δ₂/E|δ|² of two inputs of a batch, here and before it came through φ.
    """

    activation: Activation
    norm: Array
    before: Array
    keep: float = 1.0
    common: Array | None = None
    common_before: Array | None = None


@dataclass(frozen=True, eq=False)
class Along:
    """A gradient that has come along a skip through an activation, and depends on the unit's value here.

    Attributes
    ----------
    nodes, weights : ndarray
        Values of the variable that the unit's value is a function of, and their probabilities.
    norms : ndarray
        E|δ|² given the variable.
    """

    nodes: Array
    weights: Array
    norms: Array


@dataclass(frozen=True)
class Cotangent:
    """E|δ|² on units of one kind, of the first input, vector norms.

    Attributes
    ----------
    free : ndarray
        Of the gradient that is independent of the values here: it came out of weights.
    behind : tuple of Behind
        The rest. A mask or a batch normalisation in front has to know of it.
    along : Along, optional
        What depends on the unit's value in another way, behind a `PostActivation`.
    common : ndarray, optional
        E δ₁·δ₂/E|δ|² of two inputs of a batch, of `free` and `along`: what a batch normalisation in front has to know of. None where there
        is no such layer.
    """

    free: Array
    behind: tuple[Behind, ...] = ()
    along: Along | None = None
    common: Array | None = None

    @property
    def norm(self) -> Array:
        """|δ|² in all."""
        result = self.free
        for each in self.behind:
            result = result + each.norm
        return result if self.along is None else result + self.along.weights @ self.along.norms

    @property
    def shares(self) -> list[tuple[Array, Array | None]]:
        """Norms, and what two inputs have in common of each."""
        loose = self.free if self.along is None else self.free + self.along.weights @ self.along.norms
        return [(loose, self.common), *((each.norm, each.common) for each in self.behind)]

    def scaled(self, factor: float | Array) -> Cotangent:
        """|δ|² times a factor."""
        behind = tuple(replace(each, norm=each.norm * factor, before=each.before * factor) for each in self.behind)
        along = None if self.along is None else replace(self.along, norms=self.along.norms * factor)
        return Cotangent(self.free * factor, behind, along, self.common)


Cotangents = tuple[Cotangent, ...]
Pullback = Callable[[Cotangents], Cotangents]


def at_output(state: State, common: Array | None = None) -> Cotangents:
    """An independent read-out: |δ|² = 1, spread evenly over the units."""
    return tuple(Cotangent(np.asarray(part.share), common=common) for part in state.parts)


def total(cotangents: Cotangents) -> Array:
    """|δ|² over all units."""
    result = cotangents[0].norm
    for each in cotangents[1:]:
        result = result + each.norm
    return result


def common(cotangents: Cotangents) -> Array | None:
    """E δ₁·δ₂/E|δ|² over all units."""
    return mean_common([share for each in cotangents for share in each.shares])


def mean_common(shares: Sequence[tuple[Array, Array | None]]) -> Array | None:
    """Σ norm · common/Σ norm; None where it isn't followed."""
    product, norms = np.zeros(()), np.zeros(())
    for norm, each in shares:
        if each is None:
            return None
        product, norms = product + norm * each, norms + norm
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(norms > 0.0, product / norms, 0.0)


def scaled(cotangents: Cotangents, factor: float | Array) -> Cotangents:
    """Every norm times a factor."""
    return tuple(each.scaled(factor) for each in cotangents)


def added(first: Cotangents, second: Cotangents) -> Cotangents:
    """Independent gradients that meet: their norms add."""
    return tuple(_sum(a, b) for a, b in zip(first, second, strict=True))


def _sum(a: Cotangent, b: Cotangent) -> Cotangent:
    along = a.along or b.along
    if a.along is not None and b.along is not None:
        along = replace(a.along, norms=a.along.norms + b.along.norms)
    shared = mean_common([a.shares[0], b.shares[0]])
    return Cotangent(a.free + b.free, a.behind + b.behind, along, shared)
