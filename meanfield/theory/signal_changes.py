"""What a network does to signals between its first layer and its last, in nats: to variances, gradients and differences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.two_inputs import decorrelations_at
from meanfield.layers.slopes import mean_square_slopes
from meanfield.solve.decorrelation_path import decorrelation_path
from meanfield.solve.variance_path import variance_path
from meanfield.theory.bend import curvature, kinkedness

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

    Laws = tuple[float, float]  # κ and 1/β

START = 0.5  # ε₀ = 1 − c₀
FOLLOWED = 100_000  # layers along which signals are followed; later ones count as the last
LOST = 1e6  # a variance that passes this, relative to where it started, has run away
SETTLING = 4000  # layers after which the law 1/l or 1/l² gives ε to about 1e-4, where the variance stands still
CRITICAL = 1e-12
MOST_KEPT = 4_000_000  # variances


@dataclass(frozen=True)
class Changes:
    """Logarithms of the factors by which signals change over a depth, from one start.

    Attributes
    ----------
    start : float
        The variance q₀ of the first layer's pre-activations.
    variance, gradient, difference : float
        log q_L/q₀, log of the squared gradient's mean at the first layer over that at the last, and log ε_L/ε₀ from ε₀ = ½.
    """

    start: float
    variance: float
    gradient: float
    difference: float


@dataclass
class _Path:
    """The variances from one start as long as they move, log χ₁ there, and ε where it was asked for."""

    q: Array
    logs: Array  # log χ₁(q_l); the last one holds from there on
    settled: bool
    lost: float  # the layer at which the variance is 0 or has run away; inf where it never is
    epsilon: Array | None = None

    def gradient(self, depth: int) -> float:
        moving = min(depth, self.logs.size)
        return float(np.sum(self.logs[:moving])) + float(self.logs[-1]) * (depth - moving)

    def variance(self, depth: int) -> float:
        return float(self.q[min(depth, self.q.size - 1)])


class SignalChanges:
    """Signals of given variances through networks of one activation; each path is followed once for all the depths asked about."""

    def __init__(self, act: Activation, starts: tuple[float, ...], depths: tuple[int, ...]) -> None:
        self.act, self.starts = act, starts
        self._followed = min(max(depths, default=1), FOLLOWED)
        self._paths: dict[tuple[float, float, float], _Path] = {}
        self._kept = 0
        self._first_losses: dict[float, float] = {}

    def sizes(self, depth: int, sigma_w: float, sigma_b: float) -> list[tuple[float, float]]:
        """(log q_L/q₀, log gradient) for each start; both ±inf where a variance runs away or vanishes."""
        found = []
        for start in self.starts:
            path = self._path(sigma_w, sigma_b, start)
            if min(depth, self._followed) >= path.lost:
                end = math.inf if path.q[-1] > start else -math.inf
                found.append((end, end))
            else:
                found.append((math.log(path.variance(depth) / start), path.gradient(depth)))
        return found

    def expected(self, depth: int, sizes: list[tuple[float, float]], laws: Laws) -> float:
        """The largest |log ε_L/ε₀|, by the law at the edge point: within a factor of e or so, without following ε."""
        largest = 0.0
        for variance, gradient in sizes:
            # Small differences change by Π χ₁(q_l) q_l/q_{l+1}, most of it on the way to q; the law holds for what arrives there.
            arrived = min(gradient - variance, -math.log(START))
            lost = law(depth, START * math.exp(arrived), laws)
            largest = max(largest, abs(arrived - lost))
        return largest

    def changes(self, depth: int, sigma_w: float, sigma_b: float, laws: Laws) -> list[Changes]:
        """The three changes from each start, ε followed too."""
        found = []
        for start, (variance, gradient) in zip(self.starts, self.sizes(depth, sigma_w, sigma_b), strict=True):
            if math.isinf(variance) or math.isinf(gradient):
                found.append(Changes(start, variance, gradient, math.inf))
                continue
            difference = self._difference(depth, sigma_w, sigma_b, start, laws)
            if difference is None:
                difference = gradient - variance - law(depth, START, laws)
            found.append(Changes(start, variance, gradient, difference))
        return found

    def _path(self, sigma_w: float, sigma_b: float, start: float) -> _Path:
        key = (sigma_w, sigma_b, start)
        if key in self._paths:
            return self._paths[key]
        q, settled = variance_path(self.act, sigma_w**2, sigma_b**2, start, self._followed, LOST * start)
        usable = (q > 0.0) & (q < math.inf)
        end = q.size if usable.all() else int(np.argmin(usable))
        moving = q[: min(settled + 1, end)].copy()
        with np.errstate(divide="ignore"):  # a φ' that vanishes as far as N(0, q) reaches
            logs = np.log(sigma_w**2 * mean_square_slopes(self.act, moving[: self._followed]))
        stands = settled < self._followed and end == q.size
        if stands and abs(logs[-1]) <= CRITICAL:
            logs[-1] = 0.0  # what is left is the rounding of σ_w
        path = _Path(moving, logs, stands, math.inf if end == q.size else end)
        if self._kept < MOST_KEPT:
            self._paths[key] = path
            self._kept += moving.size
        return path

    def _difference(self, depth: int, sigma_w: float, sigma_b: float, start: float, laws: Laws) -> float | None:
        path = self._path(sigma_w, sigma_b, start)
        layers = min(depth, self._followed)
        if path.settled:
            layers = min(layers, max(path.q.size, SETTLING))
        if path.epsilon is None or path.epsilon.size <= layers:
            path.epsilon = self._follow(path, sigma_w, layers)
        if path.epsilon is None:
            return None
        reached = float(path.epsilon[layers])
        if reached == 0.0:
            return -math.inf
        left = depth - layers
        slope = float(path.logs[-1])
        rest = -law(left, reached, laws) if slope == 0.0 else min(slope, 0.0) * left
        return math.log(reached / START) + rest

    def _follow(self, path: _Path, sigma_w: float, layers: int) -> Array | None:
        """ε_0 … ε_layers. The first layer by itself: q₀ is every network's, and may be where φ has many features."""
        start = float(path.q[0])
        if start not in self._first_losses:
            self._first_losses[start] = float(decorrelations_at(self.act, start, np.array([START]))[0])
        first = min(sigma_w**2 * self._first_losses[start] / path.variance(1), 1.0)
        rest = decorrelation_path(self.act, sigma_w**2, path.q[1:] if path.q.size > 1 else path.q, first, layers - 1)
        return None if rest is None else np.concatenate([[START], rest])


def law(depth: int, epsilon: float, laws: Laws) -> float:
    """log(ε/ε_l) after that many layers on the edge of chaos, to leading order: ε_l = ε/(1 + ε l/β), or ε/(1 + ½√ε κ l)² with kinks."""
    kappa, bend = laws
    if kappa > 0.0:
        return 2.0 * math.log1p(0.5 * math.sqrt(epsilon) * kappa * depth)
    return math.log1p(epsilon * depth * bend)


def laws_at(act: Activation, sigma_w: float, q: float) -> Laws:
    """κ and 1/β of `asymptotics` at an edge point."""
    kappa = kinkedness(act, sigma_w**2, q)
    return kappa, 0.0 if kappa > 0.0 else curvature(act, sigma_w**2, q)
