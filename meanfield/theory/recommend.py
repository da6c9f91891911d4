"""Which point on the edge of chaos to initialise a network of a given depth at."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.errors import DomainError
from meanfield.expectation.second_moment import second_moment
from meanfield.layers.slopes import mean_square_slopes
from meanfield.solve.variance_path import variance_path
from meanfield.theory.asymptotics import curvature, kinkedness
from meanfield.theory.edge_of_chaos import edge_of_chaos, edge_of_chaos_curve
from meanfield.theory.mean_field import MeanField
from meanfield.theory.trajectory import checked_depth

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meanfield.activations import Activation
    from meanfield.arrays import Array

    _Point = tuple[float, float, float]  # σ_w, σ_b, q
    _Followed = tuple[Array, int, Array]  # variances, the layer where they settle, log χ₁ (empty: not asked for yet)

STARTS = (0.5, 1.0, 2.0)  # standardised inputs, give or take a factor of two
FOLLOWED = 100_000  # layers along which variances are followed; later ones count as the last
CANDIDATES = np.logspace(-5.0, 3.0, 97)  # variances at which the curve is looked at first
REFINEMENTS = 16
LOST = 1e6  # a variance that passes this has run away


@dataclass(frozen=True)
class Recommendation:
    """The initialisation to use at a depth.

    Attributes
    ----------
    sigma_w, sigma_b : float
        Standard deviations of weights (times √fan_in) and biases.
    q : float
        The variance fixed point there: scale the inputs so that the first pre-activations have about this variance.
    depth : int
    status : str
        "attracting", "repelling" or "neutral", as in `EdgeOfChaos`.
    variance_change, gradient_change, correlation_change : float
        The three terms of the criterion, in nats (see `recommend`).
    reason : str
        Why this point, in words.
    """

    sigma_w: float
    sigma_b: float
    q: float
    depth: int
    status: str
    variance_change: float
    gradient_change: float
    correlation_change: float
    reason: str

    @property
    def cost(self) -> float:
        """The criterion: the largest of the three changes."""
        return max(self.variance_change, self.gradient_change, self.correlation_change)

    def __str__(self) -> str:
        return f"sigma_w = {self.sigma_w:.9g}, sigma_b = {self.sigma_b:.9g} (q = {self.q:.6g}) for {self.depth} layers\n{self.reason}"


def recommend(activation: Any, depth: int) -> Recommendation:
    """The point on the edge of chaos for a network of a given depth.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    depth : int
        Number of layers L, in [1, 10⁸].

    Returns
    -------
    Recommendation
        sigma_w, sigma_b, q, the terms of the criterion, and the reason in words.

    Raises
    ------
    DomainError
        If depth is out of range, or the activation has no edge of chaos; the message says what to use instead.

    Notes
    -----
    Among the points of the curve, it minimises the largest of three changes over the depth, in nats:

        J = max( |log(q_L/q₀)|, |Σ_{l<L} log χ₁(q_l)|, A_L ), the worst of q₀ in {½, 1, 2},
        A_L = log(1 + ε₀ L/β) where φ' is continuous, 2 log(1 + √ε₀ κ L/2) where it has kinks; ε₀ = ½,

    with q_{l+1} = F(q_l): the factors by which variances, gradients and differences between inputs change from the first
    layer to the last (β and κ as in `asymptotics`). Small σ_b keeps A_L small; but then the variance falls far, and the
    gradient with it. Where the edge point repels variances, those that start beside it run away in some 1/log F' layers,
    and J shows it; past 10⁶ they count as lost. At most 10⁵ layers of the variance are followed.

    Examples
    --------
    >>> import meanfield as mf
    >>> best = mf.recommend("relu", depth=50)
    >>> round(best.sigma_w, 6), best.sigma_b
    (1.414214, 0.0)
    """
    act = find_activation(activation)
    layers = _layers(depth)
    return _best(act, layers, _points(act), _Paths(act, layers))


def recommend_each(activation: Any, depths: Iterable[int]) -> dict[int, Recommendation | DomainError]:
    """`recommend` for several depths: the same answers, with what the depths share done once.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    depths : iterable of int
        Numbers of layers, each in [1, 10⁸].

    Returns
    -------
    dict of int to Recommendation or DomainError
        By depth, in the order given: the recommendation, or the error that `recommend` would raise.

    Raises
    ------
    DomainError
        If a depth is out of range.

    Examples
    --------
    >>> found = recommend_each("tanh", (20, 100))
    >>> [depth for depth in found], round(found[20].sigma_b, 4)
    ([20, 100], 0.2635)
    """
    act = find_activation(activation)
    wanted = [_layers(depth) for depth in depths]
    points = _points(act)
    paths = _Paths(act, *wanted)
    found: dict[int, Recommendation | DomainError] = {}
    for layers in wanted:
        try:
            found[layers] = _best(act, layers, points, paths)
        except DomainError as error:
            found[layers] = error
    return found


def _layers(depth: Any) -> int:
    layers = checked_depth(depth)
    if layers < 1:
        raise DomainError(f"depth = {depth!r} is out of range: a network has at least one layer")
    return layers


def _best(act: Activation, layers: int, found: list[_Point], paths: _Paths) -> Recommendation:
    """The best of the points found, and of those beside it."""
    if not found:
        raise DomainError(_without_edge(act))
    point, changes = found[0], (math.inf, math.inf, math.inf)
    for candidate in found:
        costs = _changes(act, layers, paths, candidate, max(changes))
        if max(costs) < max(changes):
            point, changes = candidate, costs
    if point[2] > 0.0 and len(found) > 1:
        point, changes = _refined(act, layers, point, changes)
    if not math.isfinite(max(changes)):
        raise DomainError(
            f"depth = {layers}: no point on the edge of chaos of {act.name} keeps variances that start at 0.5, 1 or 2 bounded that far; "
            f"scale the inputs, or use a shallower network"
        )
    sigma_w, sigma_b, q = point
    status = _status(act, point)
    return Recommendation(sigma_w, sigma_b, q, layers, status, *changes, _reason(act, layers, point, changes, status, len(found) == 1))


def gain(activation: Any, depth: int = 100) -> float:
    """σ_w for weights of standard deviation σ_w/√fan_in: the counterpart of torch.nn.init.calculate_gain for any activation.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    depth : int
        Number of layers, in [1, 10⁸]; it matters only where biases are needed.

    Returns
    -------
    float
        σ_w on the edge of chaos at σ_b = 0 where the variance recursion from q = 1 stays bounded there; otherwise
        recommend(activation, depth).sigma_w.

    Raises
    ------
    DomainError
        If the activation has no edge of chaos.

    Warns
    -----
    UserWarning
        Where the answer needs biases; the warning names their σ_b.

    Notes
    -----
    tanh gives 1, where torch's table has 5/3: χ₁ = 1 at the origin against a figure chosen by experience.

    Examples
    --------
    >>> import meanfield as mf
    >>> round(mf.gain("relu"), 12), mf.gain("tanh"), mf.gain("linear")
    (1.414213562373, 1.0, 1.0)
    """
    act = find_activation(activation)
    edge = edge_of_chaos(act, 0.0)
    if edge.status != "none" and math.isfinite(MeanField(act, edge.sigma_w, 0.0).variance_limit(1.0)):
        return float(edge.sigma_w)
    best = recommend(act, depth)
    if edge.status == "none":
        why = "there is no edge of chaos at sigma_b = 0"
    else:
        why = f"at sigma_b = 0, sigma_w = {edge.sigma_w:.6g} the variance grows without bound"
    warnings.warn(
        f"the gain {best.sigma_w:.6g} of {act.name} for {best.depth} layers needs biases with sigma_b = {best.sigma_b:.6g}: {why}",
        UserWarning,
        stacklevel=2,
    )
    return best.sigma_w


def _points(act: Activation) -> list[_Point]:
    """(σ_w, σ_b, q) along the curve."""
    origin = edge_of_chaos(act, 0.0)
    points = [] if origin.status == "none" else [(float(origin.sigma_w), 0.0, float(origin.q))]
    if origin.status == "neutral":
        return points
    curve = edge_of_chaos_curve(act, CANDIDATES)
    there = curve.status != "none"
    columns = (curve.sigma_w[there], curve.sigma_b[there], curve.q[there])
    return points + [(float(w), float(b), float(q)) for w, b, q in zip(*columns, strict=True)]


def _status(act: Activation, point: _Point) -> str:
    return str(edge_of_chaos(act, 0.0).status if point[1] == 0.0 else edge_of_chaos_curve(act, point[2]).status)


class _Paths:
    """Variances on the way from each start, and their log χ₁; each path is followed once for all the depths asked about."""

    def __init__(self, act: Activation, *depths: int) -> None:
        self._act = act
        self._followed = min(max(depths, default=1), FOLLOWED)
        self._kept: dict[_Point, _Followed] | None = {} if len(depths) > 1 else None

    def to(self, depth: int, sigma_w: float, sigma_b: float, start: float) -> tuple[float, Array]:
        """The variance at that depth, and log χ₁ of the layers before it up to where they settle; none where the variance is lost."""
        layers = min(depth, self._followed)
        path, settled, logs = self._path(sigma_w, sigma_b, start)
        last = float(path[layers])
        if math.isinf(last) or last == 0.0:
            return last, np.empty(0)
        if not logs.size:
            usable = (path > 0.0) & (path < math.inf)
            end = path.size if usable.all() else int(np.argmin(usable))
            moving = path[: min(settled + 1, path.size - 1, end)]
            logs = np.log(sigma_w**2 * mean_square_slopes(self._act, moving))
            self._keep((sigma_w, sigma_b, start), (path, settled, logs))
        return last, logs[: min(settled, layers - 1) + 1].copy()

    def _path(self, sigma_w: float, sigma_b: float, start: float) -> _Followed:
        key = (sigma_w, sigma_b, start)
        if self._kept is not None and key in self._kept:
            return self._kept[key]
        path, settled = variance_path(self._act, sigma_w**2, sigma_b**2, start, self._followed, LOST)
        found = path, settled, np.empty(0)
        self._keep(key, found)
        return found

    def _keep(self, key: _Point, found: _Followed) -> None:
        if self._kept is not None:
            self._kept[key] = found


def _changes(act: Activation, depth: int, paths: _Paths, point: _Point, limit: float = math.inf) -> tuple[float, float, float]:
    """The terms of the criterion: variance and gradient from the worst start, correlation at q; inf once it passes the limit."""
    sigma_w, sigma_b, q = point
    weight = sigma_w**2
    worst = (0.0, 0.0)
    for start in STARTS:
        last, logs = paths.to(depth, sigma_w, sigma_b, start)
        if math.isinf(last) or last == 0.0:
            return math.inf, math.inf, math.inf
        if abs(logs[-1]) <= 1e-12:
            logs[-1] = 0.0
        gradient = abs(float(np.sum(logs)) + float(logs[-1]) * (depth - logs.size))
        variance = abs(math.log(last / start))
        worst = (max(worst[0], variance), max(worst[1], gradient))
        if max(worst) > limit:
            return math.inf, math.inf, math.inf
    kappa = kinkedness(act, weight, q)
    if kappa > 0.0:
        correlation = 2.0 * math.log1p(0.5 * math.sqrt(0.5) * kappa * depth)
    else:
        correlation = math.log1p(0.5 * depth * curvature(act, weight, q))
    return worst[0], worst[1], correlation


def _refined(act: Activation, depth: int, point: _Point, changes: tuple[float, float, float]) -> tuple[_Point, tuple[float, float, float]]:
    """Golden-section search in log q around the best candidate."""
    golden = 0.5 * (math.sqrt(5.0) - 1.0)
    spacing = math.log(CANDIDATES[1] / CANDIDATES[0])
    low, high = math.log(point[2]) - spacing, math.log(point[2]) + spacing

    paths = _Paths(act, depth)

    def at(log_q: float) -> tuple[float, _Point, tuple[float, float, float]]:
        edge = edge_of_chaos_curve(act, math.exp(log_q))
        if edge.status == "none":
            return math.inf, point, changes
        here = (float(edge.sigma_w), float(edge.sigma_b), float(edge.q))
        terms = _changes(act, depth, paths, here)
        return max(terms), here, terms

    best = (max(changes), point, changes)
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = at(left), at(right)
    for _ in range(REFINEMENTS):
        best = min(best, at_left, at_right)
        if at_left[0] < at_right[0]:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = at(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = at(right)
    return best[1], best[2]


def _reason(
    act: Activation,
    depth: int,
    point: _Point,
    changes: tuple[float, float, float],
    status: str,
    only: bool,
) -> str:
    sigma_w, sigma_b, q = point
    if only and status == "neutral":
        text = (
            f"{act.name} is linear on both sides of 0: sigma_b = 0, sigma_w = {sigma_w:.9g} is its only point on the edge of chaos, "
            f"and keeps every variance."
        )
    else:
        text = f"Of the points on the edge of chaos of {act.name} this one changes signals least over {depth} layers."
    text += (
        f" From a variance within a factor of 2 of 1, the variance changes by a factor of at most {factor(changes[0])} and the "
        f"gradient by {factor(changes[1])}; differences between inputs shrink by about {factor(changes[2])}."
    )
    if status == "attracting":
        text += f" Variances return to q = {q:.6g}."
    elif status == "repelling":
        slope = MeanField(act, sigma_w, sigma_b).variance_slope(q)
        text += (
            f" The variance q = {q:.6g} is unstable: deviations grow e-fold in {1.0 / math.log(slope):.3g} layers, so scale the inputs "
            f"to it."
        )
        if "attracting" in edge_of_chaos_curve(act, CANDIDATES).status:
            text += " At this depth that costs less than what the attracting points do to correlations and gradients."
        else:
            text += " No point of the curve attracts."
    return text


def factor(change: float) -> str:
    """e^change in words."""
    return f"{math.exp(change):.3g}" if change < 700.0 else f"10^{change / math.log(10.0):.0f}"


def _without_edge(act: Activation) -> str:
    edge = edge_of_chaos(act, 0.1)
    moment = float(second_moment(act, 1.0))
    advice = ""
    if 0.0 < moment < math.inf:
        advice = f"; sigma_w = {1.0 / math.sqrt(moment):.6g} with sigma_b = 0 at least keeps a variance of 1 (MeanField tells for how deep)"
    return f"activation = {act.name} has no edge of chaos, so no depth can be recommended for: {edge.reason}{advice}"
