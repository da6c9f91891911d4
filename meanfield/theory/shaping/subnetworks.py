"""The maximal functions of a network: what its worst subnetwork makes of one activation's slope, curvature or correlation map.

DKS and TAT ask the target of every subnetwork. With r the map of one activation on a slope (x ↦ χx), a curvature (x ↦ x + τ) or a
correlation (x ↦ f(x)), layers in a row compose, the sum of a skip and a branch weighs both by their shares of the variance, and the
maximum is over the whole and over each branch by itself (Martens et al. 2021; Zhang et al. 2022, appendix B).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meanfield.errors import DomainError
from meanfield.layers.activation import Activation
from meanfield.layers.dense import Dense
from meanfield.layers.layer import Identity
from meanfield.layers.normalise import BatchNorm, LayerNorm, RMSNorm
from meanfield.layers.residual import Residual
from meanfield.layers.sequence import Repeat, Sequence
from meanfield.theory.shaping.rectified import decorrelation_after, kappa_for_correlation, leaky_map, tailored_kappa

if TYPE_CHECKING:
    from meanfield.layers.layer import Layer
    from meanfield.theory.network import Network

UNIT = 1e-6  # how far from 1 the variance before a shaped activation may be: its maps are made for 1
MOST_TURNS = 100_000

Map = Callable[[float], float]


@dataclass
class _Walk:
    """One way through a network.

    `x` is the slope, curvature or correlation so far, `q` the variance; `correlation` says whether constants add to x, as biases do to a
    correlation; `highest` is the largest x of a branch by itself.
    """

    r: Map
    start: float
    correlation: bool
    activations: int = 0
    highest: float = -1.0

    def through(self, layer: Layer, x: float, q: float, place: str) -> tuple[float, float]:
        if isinstance(layer, Activation):
            if abs(q - 1.0) > UNIT:
                raise DomainError(
                    f"network: the activation at layer {place} sees variance {q:.6g}, and a shaped one is made for 1: use σ_w = 1, "
                    "σ_b = 0, residual layers with scale² + skip² = 1, or a normalisation before it"
                )
            self.activations += 1
            return self.r(x), 1.0
        if isinstance(layer, Dense):
            weights = layer.sigma_w**2 * q
            total = weights + layer.sigma_b**2
            if not total > 0.0:
                raise DomainError(f"network: layer {place} has σ_w = σ_b = 0, and nothing comes through")
            share = weights / total
            return share * x + (1.0 - share if self.correlation else 0.0), total
        if isinstance(layer, (LayerNorm, RMSNorm, BatchNorm)):
            return x, 1.0
        if isinstance(layer, Identity):
            return x, q
        if isinstance(layer, Sequence):
            for index, each in enumerate(layer.layers):
                x, q = self.through(each, x, q, f"{place}.{index + 1}")
            return x, q
        if isinstance(layer, Repeat):
            if layer.times > MOST_TURNS:
                raise DomainError(f"network: layer {place} repeats {layer.times} times; at most {MOST_TURNS} are followed here")
            for _ in range(layer.times):
                x, q = self.through(layer.layer, x, q, place)
            return x, q
        if isinstance(layer, Residual):
            inner, q_inner = self.through(layer.branch, x, q, place)
            alone, _ = self.through(layer.branch, self.start, q, place)
            self.highest = max(self.highest, alone)
            skip, scale = layer.skip**2 * q, layer.scale**2 * q_inner
            if not skip + scale > 0.0:
                raise DomainError(f"network: the residual layer {place} has neither skip nor scale")
            return (skip * x + scale * inner) / (skip + scale), skip + scale
        raise DomainError(
            f"network: layer {place}, {layer}, has no rule for a maximal slope; dense and convolution layers, activations, "
            "normalisations, residual layers, sequences and repeats have"
        )


def _maximum(network: Network, r: Map, start: float, correlation: bool) -> float:
    walk = _Walk(r, start, correlation)
    x, q = start, 1.0
    for index, layer in enumerate(network.layers):
        x, q = walk.through(layer, x, q, str(index + 1))
    if not walk.activations:
        raise DomainError("network: there is no activation in it to shape")
    return max(x, walk.highest)


def maximal_slope(network: Network, slope: float) -> float:
    """The largest C'(1) of a subnetwork whose activations have C'(1) = slope each [Martens et al. 2021].

    Examples
    --------
    >>> import meanfield as mf
    >>> from meanfield import layers as L
    >>> plain = mf.Network((L.Dense(1.0) >> "tanh") * 3)
    >>> round(maximal_slope(plain, 1.1), 12)
    1.331
    """
    return _maximum(network, lambda x: slope * x, 1.0, False)


def maximal_curvature(network: Network, curvature: float) -> float:
    """The largest C''(1) of a subnetwork whose activations have C'(1) = 1 and C''(1) = curvature each [Zhang et al. 2022]."""
    return _maximum(network, lambda x: x + curvature, 0.0, False)


def maximal_correlation(network: Network, f: Map) -> float:
    """The largest C(0) of a subnetwork whose activations have the correlation map f each [Zhang et al. 2022]."""
    return _maximum(network, f, 0.0, True)


@dataclass(frozen=True)
class InARow:
    """So many activations one behind the other: what each may have so that all together have the target."""

    depth: int

    def __str__(self) -> str:
        return f"depth={self.depth}"

    @property
    def layers(self) -> int:
        """How many activations there are."""
        return self.depth

    def slope(self, zeta: float) -> float:
        """ζ_L − 1, to relative accuracy: ζ_L = ζ^{1/L}."""
        return math.expm1(math.log(zeta) / self.depth)

    def curvature(self, tau: float) -> float:
        """τ_L = τ/L: curvatures add where slopes are 1."""
        return tau / self.depth

    def left(self, kappa: float) -> float:
        """1 − C(0) with leaky ReLUs of that κ."""
        return decorrelation_after(kappa, self.depth)

    def kappa(self, eta: float) -> float:
        """κ of the leaky ReLUs with C(0) = η."""
        return tailored_kappa(self.depth, eta)


@dataclass(frozen=True)
class InNetwork:
    """The activations of a network: what each may have so that no subnetwork has more than the target."""

    network: Network

    def __str__(self) -> str:
        return "network"

    @property
    def layers(self) -> int:
        """How many activations a signal meets on the way through, skips weighed by their share: at least 1."""
        return max(1, round(maximal_curvature(self.network, 1.0)))

    def slope(self, zeta: float) -> float:
        """ζ_L − 1."""
        return _solved(lambda t: maximal_slope(self.network, 1.0 + t) - zeta, zeta - 1.0, "zeta", zeta)

    def curvature(self, tau: float) -> float:
        """τ_L."""
        return _solved(lambda t: maximal_curvature(self.network, t) - tau, tau, "tau", tau)

    def left(self, kappa: float) -> float:
        """1 − C(0) with leaky ReLUs of that κ."""
        f = leaky_map(kappa)
        return 1.0 - maximal_correlation(self.network, lambda c: 1.0 - f(1.0 - c))

    def kappa(self, eta: float) -> float:
        """κ of the leaky ReLUs with C(0) = η."""
        return kappa_for_correlation(self.left, eta)


def _solved(height: Map, most: float, name: str, value: float) -> float:
    """The root of a rising function, from a guess."""
    from scipy.optimize import brentq

    while height(most) < 0.0:  # skips and biases make less of a slope than one activation does
        most *= 4.0
        if most > 1e12:
            raise DomainError(f"{name} = {value:.6g} is out of reach in that network: its activations hardly reach the output")
    least = most
    while height(least) > 0.0:
        least *= 0.25
        if least < 1e-14:
            raise DomainError(f"{name} = {value:.6g} is out of reach in that network: it has as much with linear activations")
    root: float = brentq(height, least, most, xtol=1e-300, rtol=1e-14)
    return root
