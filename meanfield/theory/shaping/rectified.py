"""Leaky ReLUs, whose negative slope s is solved for, in closed form where there is one; and other φ that only have slopes.

κ = (1 − s)²/(1 + s²) is all that the correlation map of a leaky ReLU knows of s:

    without mean (DKS)   C'(1) = 1/(1 − κ/π), so κ = π(1 − 1/ζ_L)
    with it (TAT)        f(c) = c + κ(√(1 − c²) − c arccos c)/π, and f iterated L times from c = 0 is η

and s = (1 − √(1 − (1 − κ)²))/(1 − κ), in (−1, 1) for κ in (0, 2).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from meanfield.activations import Activation
from meanfield.activations.shaped import Shape
from meanfield.errors import DomainError
from meanfield.expectation.shifted import shifted_moments
from meanfield.theory.shaping import rectified_kernels

PARAMETER = {"leaky_relu": "negative_slope", "prelu": "init"}
FOLLOWED = 20_000  # layers, one by one
FARTHEST_FLOW = 20_000.0  # κL up to which fewer layers with the same κL stand for more: 1 − c is 1e-7 there
FARTHEST = 12.0  # |β/α| that a kink is looked for at


def negative_slope(kappa: float) -> float:
    """s in (−1, 1) from κ in (0, 2).

    Examples
    --------
    >>> negative_slope(1.0), round(negative_slope(1.0 / 5.0), 12)
    (0.0, 0.5)
    """
    d = 1.0 - kappa
    return d / (1.0 + math.sqrt(kappa * (2.0 - kappa)))


def kappa_for_slope(excess: float) -> float:
    """κ with C'(1) = 1 + excess for the leaky ReLU without its mean.

    Examples
    --------
    >>> round(negative_slope(kappa_for_slope(1.5 ** (1 / 50) - 1.0)), 12)  # Martens et al. (2021)
    0.796370705393
    """
    kappa = math.pi * excess / (1.0 + excess)
    if not kappa < 2.0:
        most = f"a leaky ReLU has at most {math.pi / (math.pi - 2.0):.6g}, at −1"
        raise DomainError(f"no negative slope gives C'(1) = {1.0 + excess:.6g}: {most}; a deeper network asks less")
    return kappa


def leaky_map(kappa: float) -> Callable[[float], float]:
    """1 − c ↦ 1 − f(c)."""

    return lambda epsilon: rectified_kernels.followed(kappa, epsilon, 1)


def decorrelation_after(kappa: float, depth: int) -> float:
    """1 − f^L(0): c = 0 through L layers.

    Past FOLLOWED layers it is extrapolated: at one κL it is a smooth function of 1/L, whose limit is the flow dε/dt = −(sin θ − θ cos θ)/π.

    Examples
    --------
    >>> by_hand = 1.0
    >>> for _ in range(30_000):
    ...     by_hand = leaky_map(1e-4)(by_hand)
    >>> abs(decorrelation_after(1e-4, 30_000) / by_hand - 1.0) < 1e-13
    True
    """
    if depth > FOLLOWED:
        total, h = kappa * depth, 1.0 / depth
        if total > FARTHEST_FLOW:
            return 4.5 * (math.pi / total) ** 2  # the flow's end, small
        shorter = [max(1000, math.ceil(2.0 * total)) << i for i in range(4)]  # their error falls like (1/L)⁴
        steps = [1.0 / layers for layers in shorter]
        values = [rectified_kernels.followed(total / layers, 1.0, layers) for layers in shorter]
        parts = [math.prod((h - b) / (a - b) for b in steps if b != a) for a in steps]  # Lagrange
        return math.fsum(part * value for part, value in zip(parts, values, strict=True))
    return rectified_kernels.followed(kappa, 1.0, depth)


@functools.lru_cache(maxsize=256)
def tailored_kappa(depth: int, eta: float) -> float:
    """κ with f^L(0) = η."""
    kappa = kappa_for_correlation(lambda kappa: decorrelation_after(kappa, depth), eta)
    if depth > FOLLOWED and kappa * depth > FARTHEST_FLOW:
        raise DomainError(f"eta = {eta!r} is out of range: at {depth} layers at most 1 − 1e-7")
    return kappa


def kappa_for_correlation(after: Callable[[float], float], eta: float) -> float:
    """κ with 1 − after = η, for `after` the decorrelation left of c = 0, which falls with κ."""
    from scipy.optimize import brentq

    wanted = 1.0 - eta

    def left(log_kappa: float) -> float:
        return math.log(max(after(math.exp(log_kappa)), 1e-300) / wanted)

    high = math.log(2.0 - 1e-12)
    if left(high) > 0.0:
        most = f"−1 gives {1.0 - after(2.0):.6g}"
        raise DomainError(f"no negative slope brings c = 0 to eta = {eta:.6g} at that depth: {most}; take a smaller eta or more layers")
    low = high
    while left(low) < 0.0:
        low -= 2.0
    root: float = math.exp(brentq(left, low, low + 2.0 if low < high else high, xtol=1e-15, rtol=1e-15))
    return root


def leaky_shape(base: Activation, kappa: float, centred: bool) -> Shape:
    """φ̂ of the leaky ReLU with that κ: without its mean, or as it is."""
    s = negative_slope(kappa)
    mean = (1.0 - s) / math.sqrt(2.0 * math.pi)
    square = 0.5 * (1.0 + s * s)
    delta = -mean if centred else 0.0
    variance = square * (1.0 - kappa / math.pi) if centred else square
    return Shape(1.0 / math.sqrt(variance), 1.0, 0.0, delta, parameters={PARAMETER[base.name]: s})


def leaky_excess(shape: Shape) -> float:
    """C'(1) − 1 = κ/(π − κ) without the mean, from the slope itself."""
    (s,) = shape.parameters.values()
    kappa = (1.0 - s) ** 2 / (1.0 + s * s)
    return kappa / (math.pi - kappa)


def slopes_only(act: Activation) -> bool:
    """Whether φ is two lines that meet.

    Examples
    --------
    >>> from meanfield import activation
    >>> [slopes_only(activation(name)) for name in ("relu", "abs", "selu", "hardtanh", "linear", "abs(x - 1000) + x/3")]
    [True, True, False, False, False, True]
    """
    if len(act.breakpoints) != 1 or act.breakpoints[0].value_jump != 0.0:
        return False
    kink = act.breakpoints[0].location
    x = np.exp2(np.arange(-40.0, 41.0, 2.0))
    for side in (-1.0, 1.0):
        there = act.values(kink + side * x, 0) - float(act(kink))
        line = x * (float(act(kink + side)) - float(act(kink)))
        size = abs(kink) + abs(float(act(kink)))  # whose rounding is that of a slope too
        if not np.all(np.abs(there - line) <= 1e-14 * (x + 4.0 * size) + 1e-15 * size * x):
            return False
    return True


def slopes_only_shapes(act: Activation, target: float) -> list[Shape]:
    """Every β/α with C'(1) − 1 = target, at δ = −E ψ: the scale α is free, and Q'(1) = 1 can't be asked as well."""
    from scipy.optimize import brentq

    kink = act.breakpoints[0].location
    left, right = float(act(kink) - act(kink - 1.0)), float(act(kink + 1.0) - act(kink))

    def height(b: float) -> float:
        return math.log(max(two_line_excess(left, right, b), 1e-300) / target)

    places = [float(b) for b in np.linspace(-FARTHEST, FARTHEST, 241)]
    heights = [height(b) for b in places]
    found = []
    for a, b, low, high in zip(places, places[1:], heights, heights[1:], strict=False):
        if low * high >= 0.0:
            continue
        root = brentq(height, a, b, xtol=1e-15, rtol=1e-15)
        alpha, beta = (1.0 / abs(root), kink + math.copysign(1.0, root)) if root else (1.0, kink)
        m = shifted_moments(act, np.array([alpha]), np.array([beta]), 2, curvature=False)
        gamma, size = 1.0 / math.sqrt(float(m.variance[0])), float(m.excess[0] / m.variance[0])
        reached = {"Q(1)": 1.0, "C(0)": 0.0, "C'(1)": 1.0 + size}
        found.append(Shape(gamma, alpha, beta, -float(m.mean[0]), abs(size / target - 1.0), reached))
    return found


def two_line_excess(left: float, right: float, b: float) -> float:
    """C'(1) − 1 of φ(Z + b) without its mean, φ with these slopes on x < 0 and x > 0.

    With d = right − left, B = |b|, n the normal density at B, R Mills' ratio there and w = 1 − BR: E ψ'² − Var ψ = d² n w (B + n w).

    Examples
    --------
    >>> import math
    >>> round(two_line_excess(0.0, 1.0, 0.0) - 1 / (math.pi - 1), 15)  # κ/(π − κ), κ = 1
    0.0
    """
    from scipy.special import erfcx, ndtr

    d, far = right - left, abs(b)
    density = math.exp(-0.5 * b * b) / math.sqrt(2.0 * math.pi)
    w = 1.0 - far * math.sqrt(0.5 * math.pi) * float(erfcx(far / math.sqrt(2.0)))
    p = float(ndtr(b))  # of Z + b > 0
    mean = b * p + density  # of the ReLU
    square = (1.0 + b * b) * p + b * density
    variance = left * left + 2.0 * left * d * p + d * d * (square - mean * mean)
    return d * d * density * w * (far + density * w) / variance
