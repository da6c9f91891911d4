"""Means over sites."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from meanfield.layers.arguments import whole
from meanfield.layers.cotangent import Cotangent, Cotangents, common
from meanfield.layers.law import GAUSSIAN, Law, Unknown
from meanfield.layers.layer import Layer, MisplacedLayer, Step
from meanfield.layers.sites import ACROSS, FIRST, SECOND
from meanfield.layers.state import Part, State

LARGEST = 10**6
_UNKNOWN = Unknown("a mean over sites of values that are not Gaussian")


@dataclass(frozen=True)
class AveragePool(Layer):
    """The mean over windows of `sites` sites, which don't overlap.

    Parameters
    ----------
    sites : int
        n of one window, all axes together: 4 for 2 × 2; in [1, 10⁶].

    Notes
    -----
    K ↦ K/n + (1 − 1/n) K_s, with K_s that of two different sites, and the gradient's factor is 1/n, over all sites. With a pool in it a
    network follows K_s from its input on, where sites are independent: any two sites are alike, which dense layers, activations and
    circular convolutions keep so. Biases make sites alike. Pools stand among a network's own layers, not in a branch.

    References
    ----------
    Novak et al. (2019) for covariances of sites and their means.

    Examples
    --------
    >>> import meanfield as mf
    >>> from meanfield import layers as L
    >>> net = mf.Network(L.Dense(1.4**0.5, 0.6**0.5), "relu", L.AveragePool(2))  # two sites of variance 2 and correlation 0.3 before ReLU
    >>> round(float(net.propagate().q1[-1]), 12)
    0.741372141918
    """

    sites: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "sites", whole("sites", self.sites, 1, LARGEST))

    @property
    def asks_for_sites(self) -> bool:
        return True

    @property
    def carries_sites(self) -> bool:
        return True

    def apply(self, state: State) -> Step:
        return _pooled(self, state, 1.0 / self.sites, last=False)

    def __str__(self) -> str:
        return f"AveragePool({self.sites})"


@dataclass(frozen=True)
class GlobalAveragePool(Layer):
    """The mean over all sites: one is left.

    Parameters
    ----------
    sites : int, optional
        How many there are, in [1, 10⁶]; infinitely many where not given: K ↦ K_s, and |δ|² per site is nothing.

    Notes
    -----
    As `AveragePool`.

    Examples
    --------
    >>> import meanfield as mf
    >>> from meanfield import layers as L
    >>> net = mf.Network(L.Convolution(1.4**0.5, 0.6**0.5), "relu", L.GlobalAveragePool(49), L.Dense(1.0))
    >>> round(float(net.propagate().q1[-1]), 6)
    0.493301
    """

    sites: int | None = None

    def __post_init__(self) -> None:
        if self.sites is not None:
            object.__setattr__(self, "sites", whole("sites", self.sites, 1, LARGEST))

    @property
    def asks_for_sites(self) -> bool:
        return True

    @property
    def carries_sites(self) -> bool:
        return True

    def apply(self, state: State) -> Step:
        return _pooled(self, state, 0.0 if self.sites is None else 1.0 / self.sites, last=True)

    def __str__(self) -> str:
        return f"GlobalAveragePool({'' if self.sites is None else self.sites})"


def _pooled(layer: Layer, state: State, own: float, last: bool) -> Step:
    """Means of 1/own sites."""
    if state.sites is None:
        raise MisplacedLayer(
            "sites are followed in a network's own sequence of layers, not in a branch or behind a mean over all sites", layer
        )
    if any(part.tangent is not None for part in state.parts):
        raise MisplacedLayer("the tangent kernel of a mean over sites is not followed", layer)
    made = [_averaged(part, pairs, own) for part, pairs in zip(state.parts, state.sites.parts, strict=True)]
    sites = None if last else State(tuple(pairs for _, pairs in made))

    def pull(cotangents: Cotangents) -> Cotangents:
        return tuple(Cotangent(own * each.norm, common=common((each,))) for each in cotangents)

    return Step(State(tuple(part for part, _ in made), sites), pull)


def _averaged(part: Part, pairs: Part, own: float) -> tuple[Part, Part]:
    """The mean's moments, and those of two windows: K' = own·K + (1 − own)·K_s; windows apart keep K_s."""
    other = 1.0 - own
    e1, e2, across = (pairs.epsilon[index] for index in (FIRST, SECOND, ACROSS))
    q1, q2 = part.q1 * (1.0 - other * e1), part.q2 * (1.0 - other * e2)
    before, norm = np.sqrt(part.q1) * np.sqrt(part.q2), np.sqrt(q1) * np.sqrt(q2)
    product = before * (own * (1.0 - part.epsilon) + other * (1.0 - across))
    with np.errstate(divide="ignore", invalid="ignore"):
        # Inputs that are alike: K11' − K12' as it stands.
        apart = part.q1 * (own * part.epsilon + other * (across - e1)) / norm
        epsilon = np.where((part.q1 == part.q2) & (e1 == e2), apart, 1.0 - product / norm)
        losses = np.stack([own * e1 * part.q1 / q1, own * e2 * part.q2 / q2, 1.0 - before * (1.0 - across) / norm])
    epsilon = np.where(norm > 0.0, np.clip(epsilon, 0.0, 2.0), part.epsilon)
    losses = np.where(np.isfinite(losses), np.clip(losses, 0.0, 2.0), pairs.epsilon)
    law: Law = part.law if own == 1.0 else (GAUSSIAN if part.law == GAUSSIAN else _UNKNOWN)
    after = replace(part, q1=q1, q2=q2, epsilon=epsilon, law=law)
    windows = replace(pairs, q1=np.stack([q1, q2, q1]), q2=np.stack([q1, q2, q2]), epsilon=losses, law=law)
    return after, windows
