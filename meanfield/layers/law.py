"""How the value of one unit comes from Gaussian variables: what an activation that follows may be asked about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array
    from meanfield.layers.density import Density


@dataclass(frozen=True)
class Source:
    """Two Gaussian variables of mean 0: variances q1, q2 and 1 − correlation."""

    q1: Array
    q2: Array
    epsilon: Array


class Law:
    """Base of the laws."""


@dataclass(frozen=True)
class Gaussian(Law):
    """The values are Gaussian, of mean 0."""


@dataclass(frozen=True)
class Function(Law):
    """The values are φ of Gaussian ones."""

    activation: Activation
    source: Source


@dataclass(frozen=True)
class Masked(Law):
    """Gaussian values over `keep`, each set to 0 with probability 1 − keep, for every input on its own."""

    keep: float
    source: Source


@dataclass(frozen=True)
class OnSphere(Law):
    """A batch after its normalisation, spread evenly over the sphere Σy = 0, Σy² = B (Yang et al. 2019).

    `spread` is the variance over the batch before it.
    """

    batch: int
    spread: Array


@dataclass(frozen=True, eq=False)
class ByUnit(Law):
    """The values are random walks of single units: their densities for the two inputs, and pairs of values."""

    first: Density
    second: Density
    pairs: tuple[Array, Array]
    turn: int


@dataclass(frozen=True)
class Unknown(Law):
    """No Gaussian is known behind the values; `reason` says what made it so."""

    reason: str


GAUSSIAN = Gaussian()
