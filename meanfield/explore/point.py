"""What is drawn of one point (σ_w, σ_b): the two maps with their cobwebs, the way through the layers, depth scales, the verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import MeanFieldError
from meanfield.explore.round_end import round_end
from meanfield.explore.verdict import verdict_of

if TYPE_CHECKING:
    from meanfield.arrays import Array
    from meanfield.theory.mean_field import MeanField

START_Q, START_C = 1.0, 0.5  # where the cobwebs and the trajectory begin
_GRID = 161  # values of q and of c: as many as a figure has pixels to tell apart
_STEPS = 24  # of a cobweb; more are a blot
_SHOWN_LAYERS = 240
_WILD = 1e3  # variances past this are followed no further: they only grow, and each such layer is dear
_BESIDE = 1e-12  # of q*: to the eye the same
_HIGHEST_Q = 30.0  # the picture of F ends here, whatever q* is


@dataclass(frozen=True)
class Point:
    """One network ensemble, as the page draws it.

    Attributes
    ----------
    name : str
        The activation's.
    q, variance : ndarray
        F over q.
    variance_web : tuple of ndarray
        x and y of the cobweb of F from q = 1.
    c, correlation : ndarray
        f over c at q*; empty where there is no such map, which `no_map` explains.
    correlation_web : tuple of ndarray
        The cobweb of f from c = ½.
    layer, q1, epsilon, gradient : ndarray
        The trajectory from q = 1, c = ½.
    rows : tuple of (str, str)
        The numbers of the point, each with its name.
    verdict : str
        What they mean for a network of that depth.
    lines : str
        Python to paste.
    no_map : str
    """

    name: str
    q: Array
    variance: Array
    variance_web: tuple[Array, Array]
    c: Array
    correlation: Array
    correlation_web: tuple[Array, Array]
    layer: Array
    q1: Array
    epsilon: Array
    gradient: Array
    rows: tuple[tuple[str, str], ...]
    verdict: str
    lines: str
    no_map: str


def point_of(activation: Any, sigma_w: float, sigma_b: float, depth: int) -> Point:
    """Everything that the page draws of a point.

    Raises
    ------
    ActivationError, DomainError
        If the activation can't be understood, or an argument is out of range.

    Examples
    --------
    >>> point = point_of("tanh", 1.3, 0.2, 50)
    >>> point.q.shape == point.variance.shape, int(point.layer[-1]), point.verdict.partition(":")[0]
    (True, 50, 'Ordered, close to the edge of chaos')
    """
    from meanfield.theory.mean_field import MeanField

    net = MeanField(activation, sigma_w, sigma_b)
    top = round_end(min(max(2.0 * START_Q, 1.5 * net.q_star if math.isfinite(net.q_star) else 2.0 * START_Q), _HIGHEST_Q))
    q = np.linspace(0.0, top, _GRID)
    way = _way(net, depth)
    c, correlation, web, no_map = _correlations(net)
    verdict, rows, lines = verdict_of(net, way, depth)
    shown = np.unique(np.linspace(0, way.depth, min(way.depth + 1, _SHOWN_LAYERS)).round().astype(np.int64))
    return Point(
        net.activation.name,
        q,
        _drawable(net.variance_map(q)),
        cobweb(net.variance_map, START_Q, top),
        c,
        correlation,
        web,
        shown.astype(np.float64),
        _drawable(way.q1[shown], above=0.0),
        _drawable(way.epsilon[shown], above=0.0),
        _drawable(way.gradient[shown], above=0.0),
        rows,
        verdict,
        lines,
        no_map,
    )


def _correlations(net: MeanField) -> tuple[Array, Array, tuple[Array, Array], str]:
    # Closer together towards 1, where the kinks of f are.
    c = np.sin(np.linspace(0.0, 0.5 * math.pi, _GRID))
    c[-1] = 1.0
    try:
        values = _map(net, c)
    except MeanFieldError as error:
        none = np.empty(0)
        return none, none, (none, none), str(error)
    # The cobweb reads f off the curve that is drawn: to the eye they are the same.
    return c, values, cobweb(lambda at: np.interp(at, c, values), START_C, 1.0), ""


def _map(net: MeanField, c: Array) -> Array:
    """f at q*, by the profile that recursions keep for that q: an integral for each c takes a hundred times as long."""
    from meanfield.expectation.held_profiles import held_near
    from meanfield.solve.angle_recursion import recursion_at

    if net.sigma_w == 0.0 or not 0.0 < net.q_star < math.inf:
        return np.asarray(net.correlation_map(c), dtype=np.float64)
    # The trajectory has made such a profile already, where it came to stand some units in the last place beside q*.
    q = held_near(net.activation, net.q_star, _BESIDE)
    recursion = recursion_at(net.activation, q, net.sigma_w**2 / q)
    values: Array = 1.0 - recursion.gain * recursion.profile.decorrelation(np.arccos(c))
    return values


def cobweb(map_: Any, start: float, top: float) -> tuple[Array, Array]:
    """The staircase between a map and the identity, until it stands still or leaves the picture.

    Examples
    --------
    >>> x, y = cobweb(lambda q: 0.5 * q, 1.0, 2.0)
    >>> x[:4].tolist(), y[:4].tolist()
    ([1.0, 1.0, 0.5, 0.5], [0.0, 0.5, 0.5, 0.25])
    """
    x, y = [start], [0.0]
    at = start
    for _ in range(_STEPS):
        value = float(map_(at))
        if not math.isfinite(value):
            break
        x += [at, min(value, top)]
        y += [min(value, top)] * 2
        if value > top or abs(value - at) < 1e-3 * top:
            break
        at = value
    return np.array(x), np.array(y)


def _way(net: MeanField, depth: int) -> Any:
    """The trajectory, up to the layer where the variance has gone wild."""
    q, layers = START_Q, 0
    while layers < depth:
        q = float(net.variance_map(q))
        if not q <= _WILD:
            break
        layers += 1
        if q == 0.0:
            break
    return net.propagate(layers, q=START_Q, c=START_C)


def _drawable(values: Any, above: float = -math.inf) -> Array:
    """Values with nan, a gap, where there is nothing to draw: infinities, and on a logarithmic axis what is not above 0."""
    array = np.array(values, dtype=np.float64)
    array[~np.isfinite(array) | (array <= above)] = math.nan
    return array
