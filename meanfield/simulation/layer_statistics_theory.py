"""Layer statistics at infinite width."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import DomainError
from meanfield.expectation.second_moment import second_moments
from meanfield.expectation.two_inputs import mean
from meanfield.layers.slopes import mean_square_slopes

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array
    from meanfield.theory.schemes import Scheme

QUANTITIES = (
    "pre_activation_variance",
    "activation_mean",
    "activation_variance",
    "saturated_fraction",
    "gradient_variance",
    "weight_gradient_variance",
)
_FARTHEST = 10.0  # standard deviations: what lies past them has probability 1e-23
_SAMPLES = 4001
_HALVINGS = 60


def expected(act: Activation, widths: list[int], schemes: list[Scheme], q0: float, threshold: float) -> dict[str, Array]:
    """The six quantities of layers 1 … L; the last layer is linear."""
    layers = len(schemes)
    variances, squares = np.empty(layers), np.empty(layers + 1)  # squares[l] = E[(x^l)²]
    squares[0] = q0
    for i, scheme in enumerate(schemes):
        variances[i] = scheme.sigma_b**2 + scheme.sigma_w**2 * float(squares[i])  # Python floats overflow to inf in silence
        if variances[i] != 0.0 and not 1e-280 <= variances[i] <= 1e280:
            raise DomainError(f"the variance of layer {i + 1} is {variances[i]:g}, out of [1e-280, 1e280]: init and widths leave no signal")
        squares[i + 1] = variances[i] if i == layers - 1 else float(second_moments(act, variances[i : i + 1], 0)[0])
    means = np.array([mean(act, 0, float(q)) for q in variances[:-1]] + [0.0])
    hidden = variances[:-1]
    slopes = np.append(mean_square_slopes(act, hidden), 1.0) if layers > 1 else np.ones(1)
    gradient = np.ones(layers)
    for i in range(layers - 2, -1, -1):
        above = schemes[i + 1]
        gradient[i] = above.sigma_w**2 * widths[i + 2] / widths[i + 1] * slopes[i] * gradient[i + 1]
    level = threshold * steepest(act, variances)
    saturated = np.array([saturated_fraction(act, float(q), level) for q in hidden] + [0.0])
    found = (variances, means, np.maximum(squares[1:] - means**2, 0.0), saturated, gradient, gradient * squares[:-1])
    return dict(zip(QUANTITIES, found, strict=True))


def steepest(act: Activation, variances: Array) -> float:
    """The largest |φ'| for |x| up to ten standard deviations of the widest layer, or 10."""
    far = _FARTHEST * max(1.0, math.sqrt(float(np.max(variances))))
    return float(np.max(np.abs(act.values(_points(act, far), 1))))


def _points(act: Activation, far: float) -> Array:
    """A grid over [−far, far], denser at 0, with both sides of every breakpoint."""
    half = np.concatenate([np.linspace(0.0, far, _SAMPLES), np.geomspace(far * 1e-6, far, _SAMPLES)])
    breaks = np.array([b.location for b in act.breakpoints if abs(b.location) < far])
    beside = np.concatenate([np.nextafter(breaks, -math.inf), np.nextafter(breaks, math.inf)])
    points: Array = np.unique(np.concatenate([-half, half, beside]))
    return points[~np.isin(points, breaks)]


def saturated_fraction(act: Activation, q: float, level: float) -> float:
    """P(|φ'(√q Z)| < level): the crossings of |φ'| through the level, bisected, and Φ between them."""
    from scipy.special import ndtr

    if q == 0.0:
        return 0.5 * sum(float(abs(act.one_sided(0.0, side, 1)) < level) for side in (-1, 1))
    root = math.sqrt(q)
    x = _points(act, _FARTHEST * root)
    below = np.abs(act.values(x, 1)) < level
    change = np.flatnonzero(below[1:] != below[:-1])
    low, high, starts = x[change], x[change + 1], below[change]
    for _ in range(_HALVINGS if change.size else 0):
        middle = 0.5 * (low + high)
        same = (np.abs(act.values(middle, 1)) < level) == starts
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    edges = np.concatenate([[-math.inf], 0.5 * (low + high) / root, [math.inf]])
    inside = np.append(below[:1], below[change + 1])
    return float(np.sum(np.where(inside, ndtr(edges[1:]) - ndtr(edges[:-1]), 0.0)))
