"""How gradients come back through a layer: norms |δ|² by kinds of units."""

from __future__ import annotations

from collections.abc import Callable
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
    """

    activation: Activation
    norm: Array
    before: Array
    keep: float = 1.0


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
    """

    free: Array
    behind: tuple[Behind, ...] = ()
    along: Along | None = None

    @property
    def norm(self) -> Array:
        """|δ|² in all."""
        result = self.free
        for each in self.behind:
            result = result + each.norm
        return result if self.along is None else result + self.along.weights @ self.along.norms

    def scaled(self, factor: float | Array) -> Cotangent:
        """|δ|² times a factor."""
        behind = tuple(replace(each, norm=each.norm * factor, before=each.before * factor) for each in self.behind)
        along = None if self.along is None else replace(self.along, norms=self.along.norms * factor)
        return Cotangent(self.free * factor, behind, along)


Cotangents = tuple[Cotangent, ...]
Pullback = Callable[[Cotangents], Cotangents]


def at_output(state: State) -> Cotangents:
    """An independent read-out: |δ|² = 1, spread evenly over the units."""
    return tuple(Cotangent(np.asarray(part.share)) for part in state.parts)


def total(cotangents: Cotangents) -> Array:
    """|δ|² over all units."""
    result = cotangents[0].norm
    for each in cotangents[1:]:
        result = result + each.norm
    return result


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
    return Cotangent(a.free + b.free, a.behind + b.behind, along)
