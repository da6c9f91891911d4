"""The stable fixed point of the correlation map, and the depth scales around the fixed points.

1 − f = (σ_w²/q) D(θ), and h = D/(1 − cos θ) falls from q V[φ'] at θ = 0. So a fixed point c* < 1 is the one root of
(σ_w²/q) h(θ) = 1 in (0, π/2], and there f'(c*) = 1 + tan(θ/2) h'(θ)/h(θ).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import DomainError
from meanfield.expectation.chebyshev import chebyshev_nodes, chebyshev_series
from meanfield.expectation.held_profiles import angle_profile, has_profile
from meanfield.expectation.moments import MEAN, V1, moment_table
from meanfield.expectation.two_inputs import covariance_at, decorrelation_at
from meanfield.result import Result

if TYPE_CHECKING:
    from meanfield.activations import Activation

ROUNDING = 1e-14  # relative error of the slopes
SMALLEST = 1e-30  # 1 − c* that is still looked for where φ or φ' has a pole
SIDE, SIDES = 0.2, 10  # half a range of log ε, and the points on it, that tell the slope there
FLAT = 1e-28  # f(0) up to this is the rounding of E[φ]² = 0: odd φ without bias


@dataclass(frozen=True)
class CorrelationPoint:
    """The stable fixed point c* of the correlation map.

    Attributes
    ----------
    c : float
        c*; nan where every c is a fixed point.
    epsilon : float
        1 − c*, relatively accurate.
    slope : float
        f'(c*).
    loss : float
        1 − f'(c*), without the cancellation; its inverse is the depth scale to first order.
    reason : str
        Why c* is nan, or "".
    """

    c: float
    epsilon: float
    slope: float
    loss: float
    reason: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class DepthScales(Result):
    """Layers in which a deviation falls e-fold: −1/log|slope|.

    Attributes
    ----------
    xi_q : float
        Of the variance, slope F'(q*).
    xi_c : float
        Of the correlation, slope f'(c*).
    xi_grad : float
        Of the gradient, slope χ₁: negative where gradients grow.
    """

    xi_q: float
    xi_c: float
    xi_grad: float

    def __str__(self) -> str:
        return f"depth scales in layers: variance {self.xi_q:.6g}, correlation {self.xi_c:.6g}, gradient {self.xi_grad:.6g}"


def depth_scale(slope: float) -> float:
    """−1/log|slope|: inf at |slope| = 1 (to rounding), 0 at slope 0 and in the limit of an infinite slope."""
    size = abs(slope)
    if size == 0.0 or math.isinf(size):
        return 0.0
    return math.inf if abs(size - 1.0) <= ROUNDING else -1.0 / math.log(size)


def every_point(activation: Activation, where: str) -> CorrelationPoint:
    """What is left of c* where the map is the identity: f(c) = c and f' = 1 at every c."""
    reason = (
        f"the correlation map of {activation.name} is the identity {where}: every c is a fixed point, so the limit depends on the start "
        "and on the way there (see propagate)"
    )
    return CorrelationPoint(math.nan, math.nan, 1.0, 0.0, reason)


def chaotic_fixed_point(activation: Activation, q: float, weight: float, bias: float) -> CorrelationPoint:
    """c* < 1 at the variance fixed point q in (0, inf), where χ₁ > 1 (inf where φ jumps). weight = σ_w², bias = σ_b²."""
    from scipy.optimize import brentq

    from meanfield.expectation.angle_kernels import series_and_slope

    if not has_profile(activation):
        return _without_profile(activation, q, weight)
    profile = angle_profile(activation, q)
    edges, series = profile.near
    root = math.sqrt(q)
    scale = math.asinh(math.pi * root)
    gain = weight / q
    # At θ = 0 the series is off by rounding; q V[φ'] is what decides whether there is a root.
    offset = 0.0 if profile.jumping else profile.at_zero - float(series_and_slope(0.0, edges, series)[0])
    panel = float(edges[1])

    def height(s: float) -> float:  # h, or g where φ jumps
        value = float(series_and_slope(s, edges, series)[0])
        return value + offset * (1.0 - s / panel) if s < panel else value

    def angle(s: float) -> float:
        return math.sinh(scale * s) / (2.0 * root)

    def excess(s: float) -> float:
        if profile.jumping:
            return 0.5 * gain * height(s) - math.sin(0.5 * angle(s))
        return gain * height(s) - 1.0

    mean = float(moment_table(activation)(MEAN, np.array([q]))[0])
    at_zero = (bias + weight * mean * mean) / q  # f(0)
    s = 1.0
    if at_zero > FLAT:
        s = float(brentq(excess, 0.0, 1.0, xtol=1e-300, rtol=1e-15, maxiter=500)) if excess(1.0) < 0.0 else 1.0
    theta = angle(s) if s < 1.0 else 0.5 * math.pi
    value, slope = series_and_slope(s, edges, series)
    if value == 0.0 and profile.jumping:  # 1 − f = K√ε with a K² that underflows: ε* = K², f' = ½
        return CorrelationPoint(1.0, 0.0, 0.5, 0.5)
    if s < panel:
        value, slope = value + offset * (1.0 - s / panel), slope - offset / panel
    relative = float(slope) * 2.0 * root / (scale * math.sqrt(1.0 + 4.0 * q * theta * theta)) / float(value)
    loss = -math.tan(0.5 * theta) * relative + (0.5 if profile.jumping else 0.0)
    epsilon = 2.0 * math.sin(0.5 * theta) ** 2
    c = math.cos(theta)
    if s == 1.0:  # c* = f(0)/(1 − f'(0)) where rounding hides it, 0 exactly where f(0) is
        c = at_zero / loss if at_zero > FLAT and loss > 0 else 0.0
        epsilon = 1.0 - c
    if loss > 0.9:  # a small slope: by Price's theorem, where nothing cancels
        direct = weight * covariance_at(activation, q, q, c, 1)
        return CorrelationPoint(c, epsilon, direct, 1.0 - direct)
    return CorrelationPoint(c, epsilon, 1.0 - loss, loss)


def _without_profile(activation: Activation, q: float, weight: float) -> CorrelationPoint:
    """The same where φ or φ' has a pole: h has no short series, so there is a quadrature at each step towards the root."""
    from scipy.optimize import brentq

    def excess(log_epsilon: float) -> float:
        epsilon = math.exp(log_epsilon)
        return weight / q * decorrelation_at(activation, q, epsilon) / epsilon - 1.0

    lowest = math.log(SMALLEST)
    if excess(lowest) <= 0.0:
        if math.isfinite(float(moment_table(activation)(V1, np.array([q]))[0])):  # h(0) is finite: so little above 1 is χ₁
            return CorrelationPoint(1.0, 0.0, 1.0, 0.0)
        raise DomainError(f"{activation.name}: 1 − c* is below {SMALLEST:g}, where a pole of φ or φ' can't be followed")
    root = float(brentq(excess, lowest, 0.0, xtol=1e-14, rtol=1e-15)) if excess(0.0) < 0.0 else 0.0
    epsilon = math.exp(root)
    # f' = (σ_w²/q) dD/dε = (σ_w²/q)(D/ε)(1 + d log(D/ε)/d log ε): E[φ'(u)φ'(v)] need not exist
    series = chebyshev_series(np.array([excess(root + SIDE * t) for t in chebyshev_nodes(SIDES)]))
    change = float(np.polynomial.chebyshev.chebval(0.0, np.polynomial.chebyshev.chebder(series))) / SIDE
    slope = excess(root) + 1.0 + change
    return CorrelationPoint(1.0 - epsilon, epsilon, slope, 1.0 - slope)
