"""The whole correlation map at one variance as one short piecewise series in the angle.

With c = cos θ, ε = 1 − c = 2 sin²(θ/2) and D = ½E[(φ(u) − φ(v))²] the ratio
    h(θ) = D/ε,   or   g(θ) = D/√(ε/2) = D/sin(θ/2) where φ jumps,
is a smooth function of θ on [0, π], kinks or not, while D itself is singular in c at c = 1. It varies on the scale 1/√q
near θ = 0, so the series runs in s with θ = sinh(A s)/(2√q), A = asinh(π√q), s in [0, 1] for θ in [0, π/2]; and for
θ in [π/2, π] the same from the other end, with D itself.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.angle_ratios import NOISE, AngleRatios, OppositeLosses, jumps
from meanfield.expectation.chebyshev import chebyshev_nodes, chebyshev_series
from meanfield.expectation.half_sines import FURTHEST, far_rows, near_rows, panels_of
from meanfield.expectation.moments import V1, moment_table
from meanfield.expectation.two_inputs import decorrelations_at

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

DEEPEST = 12
TOLERANCE = 2e-14  # last coefficients, relative to the largest value of h


def angle_of(s: Array, q: float) -> Array:
    """θ = sinh(A s)/(2√q), A = asinh(π√q)."""
    root = math.sqrt(q)
    result: Array = np.sinh(math.asinh(math.pi * root) * s) / (2 * root)
    return result


def ratio(activation: Activation, q: float, theta: Array) -> Array:
    """h(θ) (or g(θ) where φ jumps) at angles in (0, π/2]."""
    half = np.sin(0.5 * theta)
    loss = decorrelations_at(activation, q, 2 * half * half)
    result: Array = loss / (half if jumps(activation) else 2 * half * half)
    return result


@dataclass(frozen=True)
class AngleProfile:
    """D(θ) at one variance.

    Attributes
    ----------
    q : float
    jumping : bool
        The series holds g = D/sin(θ/2), not h = D/(1 − cos θ).
    near, far : (edges, coefficients) of the halves θ ≤ π/2 (h or g) and θ ≥ π/2 (D); Chebyshev series in s on each panel
    at_zero : h(0) = q V[φ'](q), or g(0)
    source : reference to the activation, which keeps its profiles and must not be kept by them
    """

    q: float
    jumping: bool
    near: tuple[Array, Array]
    at_zero: float
    source: weakref.ref[Activation]

    @staticmethod
    def fit(activation: Activation, q: float) -> AngleProfile:
        """Sample D by quadrature and bisect in s until each series has decayed."""
        ratios = AngleRatios(activation, np.array([q]))

        def forward(theta: Array) -> Array:
            if ratios.usable:
                seen: Array = ratios(theta[None, :])[0]
                return seen
            ratios.quadratures(theta.size)
            return ratio(activation, q, theta)

        return AngleProfile.of(activation, q, _fit(lambda s: forward(angle_of(s, q))))

    @staticmethod
    def of(activation: Activation, q: float, near: tuple[Array, Array]) -> AngleProfile:
        """From h (or g) for θ ≤ π/2, sampled for that variance or a row of the correlation table."""
        jumping = jumps(activation)
        zero = (
            float(np.polynomial.chebyshev.chebval(-1.0, near[1][0]))
            if jumping
            else q * float(moment_table(activation)(V1, np.array([q]))[0])
        )
        return AngleProfile(q, jumping, near, zero, weakref.ref(activation))

    @cached_property
    def far(self) -> tuple[Array, Array]:
        """The half θ ≥ π/2, which fixed points do not ask for."""
        activation = self.source()
        if activation is None:
            raise ReferenceError("the activation of this profile is no more")

        losses = OppositeLosses(activation, self.q)

        def backward(theta: Array) -> Array:  # D seen from θ = π
            if losses.usable:
                seen: Array = losses(theta[None, :])[0]
                return seen
            losses.quadratures(theta.size)
            return decorrelations_at(activation, self.q, 2 * np.cos(0.5 * theta) ** 2)

        return _fit(lambda s: backward(angle_of(s, self.q)))

    def decorrelation(self, theta: Array) -> Array:
        """D at angles in [0, π]."""
        from meanfield.expectation.angle_kernels import evaluate_profile

        out = np.empty(theta.size)
        far = self.far if np.max(theta, initial=0.0) > 0.5 * math.pi else self.near
        evaluate_profile(np.ascontiguousarray(theta.ravel()), self.q, self.jumping, *self.near, *far, out)
        return out.reshape(theta.shape)

    def decorrelations(self, c: Array, obtuse: bool = True) -> Array:
        """D at flat correlations in (−1, 1), obtuse: some below 0; at a moderate variance by half sines, which need no angle."""
        from meanfield.expectation.half_sines_kernels import fill

        if self.q > FURTHEST:
            return self.decorrelation(np.arccos(c))
        out = np.empty(c.size)
        near = self._near_rows
        fill(np.ascontiguousarray(c), float(panels_of(self.q)), self.jumping, near, self._far_rows if obtuse else near, out)
        return out

    @cached_property
    def _near_rows(self) -> Array:
        return near_rows(self.decorrelation, panels_of(self.q), self.jumping)

    @cached_property
    def _far_rows(self) -> Array:
        return far_rows(self.decorrelation, panels_of(self.q))


def _fit(function: object) -> tuple[Array, Array]:
    nodes = chebyshev_nodes()
    pieces: list[tuple[float, float, Array]] = []
    waiting = [(0.0, 1.0, 0, math.inf)]
    largest = 0.0
    while waiting:
        a, b, depth, parent = waiting.pop()
        values = function(0.5 * (a + b) + 0.5 * (b - a) * nodes)  # type: ignore[operator]
        largest = max(largest, float(np.max(np.abs(values))))
        series = chebyshev_series(values)
        tail = float(np.max(np.abs(series[-3:]))) / (largest or 1.0)
        if tail <= TOLERANCE or (tail <= NOISE and tail > 0.3 * parent) or depth == DEEPEST:
            pieces.append((a, b, series))
        else:
            middle = 0.5 * (a + b)
            waiting += [(middle, b, depth + 1, tail), (a, middle, depth + 1, tail)]
    pieces.sort(key=lambda piece: piece[0])
    return np.array([p[0] for p in pieces] + [1.0]), np.array([p[2] for p in pieces])
