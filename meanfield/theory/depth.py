"""Layers until correlations have settled."""

from __future__ import annotations

import math
import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.errors import DomainError
from meanfield.expectation.arguments import broadcast, correlation_argument, real_array, within
from meanfield.solve.angle_recursion import AngleRecursion, recursion_at, recursion_of_slopes
from meanfield.theory.arguments import standard_deviation
from meanfield.theory.edge_of_chaos import edge_of_chaos
from meanfield.theory.mean_field import MeanField

if TYPE_CHECKING:
    from meanfield.activations import Activation

STEPPED = 20_000_000  # layers taken one by one; past that the remaining ones are integrated
FINEST = 1e-12  # smallest threshold: finer ones would ask about rounding


def propagation_depth(activation: Any, *, sigma_b: Any, sigma_w: Any = None, c0: float = 0.5, threshold: float = 1e-2) -> Any:
    """Layers until |c_l − c*| < threshold for good, with the variance held at its fixed point.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    sigma_b : float or array
        Standard deviation of the biases, in [0, 1e100].
    sigma_w : float or array, optional
        That of the weights (times √fan_in); on the edge of chaos where not given. Broadcasts with sigma_b.
    c0 : float
        Correlation at layer 0, in [−1, 1].
    threshold : float
        In [1e-12, 2].

    Returns
    -------
    float or ndarray
        The layer behind the last one that differs: a whole number, exact up to 2·10⁷ layers and to about 1e-6 (relatively) past
        that; inf where it never happens (c0 is itself a fixed point, or the map is the identity).

    Raises
    ------
    DomainError
        If an argument is out of range, or sigma_w is None and there is no edge of chaos at sigma_b.

    Warns
    -----
    UserWarning
        Where the answer is 0 because c0 happens to lie within the threshold of c*, which says nothing of the network.

    Notes
    -----
    The variance is the edge point's q, or q* of the recursion from q = 1 where sigma_w is given. At q* = 0 and q* = inf the
    correlation map is its limit, that of the slopes of φ.

    References
    ----------
    Schoenholz et al. (2017); Hayou et al. (2018).

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.propagation_depth("relu", sigma_b=0.0)
    54.0
    >>> mf.propagation_depth("tanh", sigma_b=[0.05, 0.2], threshold=0.1).tolist()
    [341.0, 64.0]
    """
    act = find_activation(activation)
    start = float(_scalar("c0", correlation_argument("c0", c0)))
    near = float(_scalar("threshold", within("threshold", threshold, FINEST, 2.0)))
    biases = standard_deviation("sigma_b", sigma_b)
    weights = None if sigma_w is None else standard_deviation("sigma_w", sigma_w)
    both = (biases, biases) if weights is None else broadcast(sigma_b=biases, sigma_w=weights)
    out = np.empty(both[0].shape)
    chances = []  # c* and σ_b where nothing was counted
    for index in np.ndindex(out.shape):
        bias = float(both[0][index])
        found = _on_the_edge(act, bias, start, near) if weights is None else _anywhere(act, float(both[1][index]), bias, start, near)
        out[index] = found[0]
        if found[0] == 0.0 and 1.0 - start != found[1]:
            chances.append((1.0 - found[1], bias))
    if chances:
        (c_star, bias), more = chances[0], f" (and at {len(chances) - 1} points more)" if len(chances) > 1 else ""
        warnings.warn(
            f"c0 = {start:g} lies within threshold = {near:g} of c* = {c_star:.6g} of {act.name} at sigma_b = {bias:g}{more}: no layer "
            "differs from c*, and 0 layers say nothing of how deep signals go; give another c0 or a smaller threshold",
            UserWarning,
            stacklevel=2,
        )
    return float(out) if out.ndim == 0 else out


def _scalar(name: str, value: Any) -> Any:
    array = real_array(name, value)
    if array.ndim:
        raise DomainError(f"{name} must be one number, not an array of shape {array.shape}")
    return array


def _on_the_edge(act: Activation, bias: float, start: float, threshold: float) -> tuple[float, float]:
    """Layers, and 1 − c*."""
    edge = edge_of_chaos(act, bias)
    if edge.status == "none":
        raise DomainError(f"sigma_w = None asks for the edge of chaos, but {act.name} has none at sigma_b = {bias:g}: {edge.reason}")
    recursion = recursion_of_slopes(act, 0.0) if edge.q == 0.0 else recursion_at(act, edge.q, edge.sigma_w**2 / edge.q)
    return _count(recursion, start, 0.0, threshold), 0.0


def _anywhere(act: Activation, sigma_w: float, bias: float, start: float, threshold: float) -> tuple[float, float]:
    """Layers, and 1 − c*."""
    net = MeanField(act, sigma_w, bias)
    target = net.epsilon_star  # raises where no correlation is defined
    if math.isnan(target):  # f(c) = c: what does not begin within the threshold of 1 never comes there
        target = 0.0
    if sigma_w == 0.0:
        return (0.0 if 1.0 - start < threshold else 1.0), target
    finite = 0.0 < net.q_star < math.inf
    recursion = recursion_at(act, net.q_star, sigma_w**2 / net.q_star) if finite else recursion_of_slopes(act, net.q_star)
    return _count(recursion, start, target, threshold), target


def _count(recursion: AngleRecursion, start: float, target: float, threshold: float) -> float:
    # The first layer within the threshold is behind the last one that differs: f has a power series without negative coefficients, so that
    # |f(c) − c*| ≤ |c − c*| on all of [−1, 1], whatever the sign of f'.
    layers, x, still = recursion.first_within(math.sqrt(0.5 * (1.0 - start)), target, threshold, STEPPED)
    if layers >= 0:
        return float(layers)
    if still:
        return math.inf
    return STEPPED + _remaining(recursion, 2.0 * x * x, target, threshold)


def _remaining(recursion: AngleRecursion, epsilon: float, target: float, threshold: float) -> float:
    """Layers from ε to the threshold where one layer hardly moves it: ∫ dε/(ε − ε') over log|ε − ε*|.

    After 2·10⁷ layers a step is 10⁻⁷ of the distance, and the sum differs from the integral by that much.
    """
    from numpy.polynomial.legendre import leggauss

    side = math.copysign(1.0, epsilon - target)
    far, near = math.log(abs(epsilon - target)), math.log(threshold)
    nodes, weights = leggauss(16)
    pieces = max(1, math.ceil(far - near))
    edges = np.linspace(near, far, pieces + 1)
    total = 0.0
    for low, high in pairwise(edges):
        distance = np.exp(0.5 * (low + high) + 0.5 * (high - low) * nodes)
        at = target + side * distance
        theta = 2.0 * np.arcsin(np.sqrt(0.5 * at))
        step = at - recursion.gain * recursion.profile.decorrelation(theta)
        if np.any(side * step <= 0.0):
            return math.inf  # slower than rounding can tell
        total += float(np.sum(weights * distance / np.abs(step))) * 0.5 * (high - low)
    return float(math.ceil(total))
