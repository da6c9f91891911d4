"""Which point on the edge of chaos to initialise a network of a given depth at."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.errors import DomainError
from meanfield.expectation.arguments import real_array, within
from meanfield.expectation.second_moment import second_moment
from meanfield.result import Result, paged
from meanfield.theory.edge_of_chaos import NEUTRAL, edge_of_chaos, edge_of_chaos_curve
from meanfield.theory.mean_field import MeanField
from meanfield.theory.residual_branches import branch_weight, changes_along
from meanfield.theory.signal_changes import Changes, SignalChanges, laws_at
from meanfield.theory.trajectory import checked_depth
from meanfield.theory.without_biases import best_weight

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meanfield.activations import Activation

    _Point = tuple[float, float, float]  # σ_w, σ_b, q
    _Terms = tuple[float, float, float]  # of the criterion: variance, gradient, differences

STARTS = (0.5, 1.0, 2.0)  # times the input variance: give or take a factor of two
CANDIDATES = np.logspace(-5.0, 3.0, 97)  # variances at which the curve is looked at first, times the input variance
REFINEMENTS = 16
DOUBT = 1.0  # nats by which the expected change of differences may be off
UNCHANGED = 1e-4  # nats that no one notices
BESIDE = 0.1  # log q of the points that a recommended one is compared with in words
MASKED = 10_000  # layers along which differences are followed behind dropout, where they settle exponentially
_SAME_SIGMAS = {
    "orthogonal": (
        "Orthogonal weights want the same sigma_w (the gain of torch.nn.init.orthogonal_): at infinite width variances, correlations and "
        "mean squared gradients are those of Gaussian weights; what they narrow is the spread of the Jacobian's singular values."
    ),
    "uniform": (
        "Uniform weights want the same sigma_w, with bounds of the root of 3 times their standard deviation: "
        "at infinite width only that matters."
    ),
}
TERMS = ("the variance", "the gradient", "differences")


@dataclass(frozen=True, eq=False, repr=False)
class Recommendation(Result):
    """The initialisation to use at a depth.

    Attributes
    ----------
    sigma_w, sigma_b : float
        Standard deviations of weights (times √fan_in) and biases.
    q : float
        The variance fixed point there: scale the inputs so that the first pre-activations have about this variance. Where every
        variance is one, or none is kept as without biases, that of the inputs.
    depth : int
    status : str
        "attracting", "repelling" or "neutral", as in `EdgeOfChaos`: what variances near q do.
    variance_change, gradient_change, correlation_change : float
        The three terms of the criterion, in nats (see `recommend`): |log| of the factors for the variance, the squared gradient and
        the differences between inputs.
    reason : str
        Why this point, in words.
    dropout : float
        The rate of dropout that sigma_w is meant for.
    weights : str
        The law of the weights.
    residual : bool
        Whether sigma_w is that of a residual network's branches.
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
    dropout: float = 0.0
    weights: str = "gaussian"
    residual: bool = False

    @property
    def cost(self) -> float:
        """The largest of the three changes: the criterion, where there are biases."""
        return max(self.variance_change, self.gradient_change, self.correlation_change)

    def __str__(self) -> str:
        return (
            f"sigma_w = {self.sigma_w:.9g}, sigma_b = {self.sigma_b:.9g} (q = {self.q:.6g}) for {self.depth} layers\n{paged(self.reason)}"
        )


def recommend(
    activation: Any,
    depth: int,
    bias: bool = True,
    input_variance: float | None = None,
    dropout: float = 0.0,
    weights: str = "gaussian",
    residual: bool = False,
) -> Recommendation:
    """The point on the edge of chaos for a network of a given depth.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    depth : int
        Number of layers L, in [1, 10⁸].
    bias : bool
        Whether the layers have biases. Without, σ_b = 0 and σ_w is the best one there, on the edge of chaos or not.
    input_variance : float, optional
        The variance v at which inputs arrive: that of the first layer's pre-activations, in [1e-200, 1e200]. Points are judged by inputs
        of ½, 1 and 2 times v; without biases by v alone. 1 where it is left out, as standardised inputs have.
    dropout : float
        Rate p of dropout between each activation and the weights behind it, in [0, 1): σ_w is smaller by √(1 − p), which leaves variances
        and gradients what they are without dropout. Masks make inputs differ by themselves; the reason says how far.
    weights : str
        "gaussian", "orthogonal" or "uniform". At infinite width the σ's are the same.
    residual : bool
        Whether the layers are the branches of a residual network of L blocks x ↦ x + W φ(x), without normalisation. σ_w is then small
        enough, as 1/√L, for the variance to grow by e at most; σ_b is 0.

    Returns
    -------
    Recommendation
        sigma_w, sigma_b, q, the terms of the criterion, and the reason in words.

    Raises
    ------
    DomainError
        If an argument is out of range, or the activation has no edge of chaos; the message says what to use instead.

    Notes
    -----
    Among the points of the curve, it minimises the largest of three changes over the depth, in nats:

        J = max( |log(q_L/q₀)|, |Σ_{l<L} log χ₁(q_l)|, |log(ε_L/ε₀)| ), the worst of q₀ in {½v, v, 2v}; ε₀ = ½,

    as `MeanField.propagate` gives them: the factors by which variances, squared gradients and differences 1 − c between inputs change
    from the first layer to the last. Small σ_b keeps differences; but then the variance falls far, and the gradient with it. Where the
    edge point repels variances, those that start beside it run away in some 1/log F' layers, and J shows it; past 10⁶ v they count as
    lost. At most 10⁵ layers are followed; for the others χ₁ is the last one's and ε falls by the law of `asymptotics`.

    Behind dropout of rate p a layer passes on σ_w² E[φ²]/(1 − p) and, of the gradient, σ_w² E[φ'²]/(1 − p): the edge of chaos is that of
    σ_w/√(1 − p). The point is the one without dropout; ε then goes to an ε* > 0 that depends on p, and `correlation_change` is that of the
    network with dropout, followed over at most 10⁴ layers.

    Behind residual sums there is no edge of chaos: whatever σ_w, variance and gradient grow with each block. σ_w² = v/(L E[φ(√v Z)²]) makes
    each branch add 1/L of v at first, so that over all of them the variance grows by (1 + 1/L)^L < e where E[φ²]/q does not rise with q.
    The three changes are those of that network, followed over at most 10⁶ blocks.

    Without biases the first two changes alone are minimised over σ_w, from q₀ = v.

    The advice for x ↦ φ(kx) at v/k² is that for φ at v with σ_w, σ_b and √q divided by k, and the advice for kφ has σ_w/k.

    Examples
    --------
    >>> import meanfield as mf
    >>> best = mf.recommend("relu", depth=50)
    >>> round(best.sigma_w, 6), best.sigma_b
    (1.414214, 0.0)
    >>> best = mf.recommend("tanh", depth=50, bias=False)
    >>> round(best.sigma_w, 4), best.sigma_b
    (1.2349, 0.0)
    """
    act = find_activation(activation)
    layers, start = checked_layers(depth), _input_variance(input_variance)
    rate, law, biases = checked_rate(dropout), checked_law(weights), checked_bias(bias)
    if checked_residual(residual):
        found = _residual(act, layers, start, rate)
        return found if law == "gaussian" else replace(found, weights=law, reason=f"{found.reason} {_SAME_SIGMAS[law]}")
    if biases:
        found = _best(act, layers, start, _points(act, start), SignalChanges(act, _starts(start), (layers,)))
    else:
        found = _without_biases(act, layers, start)
    if law != "gaussian":
        told = _spread_of_jacobian(act, found) if law == "orthogonal" else ""
        found = replace(found, weights=law, reason=f"{found.reason} {_SAME_SIGMAS[law]}{told}")
    return found if rate == 0.0 else _with_dropout(act, found, rate, _starts(start) if biases else (start,))


def _spread_of_jacobian(act: Activation, found: Recommendation) -> str:
    """How far from an isometry the layers are there: Var s²/(E s²)² = L(μ₂/μ₁² − 1), and L more with Gaussian weights."""
    from meanfield.theory.spectrum.slope_law import slope_law

    try:
        spread = found.depth * slope_law(act, found.q).spread
    except DomainError:  # no slope there
        return ""
    return (
        f" There {found.depth} layers have a relative variance of {spread:.3g} of these squared, and {spread + found.depth:.4g} with "
        f"Gaussian weights (jacobian_spectrum); isometry_point says where it is small."
    )


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
    ([20, 100], 0.2758)
    """
    act = find_activation(activation)
    wanted = tuple(checked_layers(depth) for depth in depths)
    points = _points(act, 1.0)
    signals = SignalChanges(act, _starts(1.0), wanted)
    found: dict[int, Recommendation | DomainError] = {}
    for layers in wanted:
        try:
            found[layers] = _best(act, layers, 1.0, points, signals)
        except DomainError as error:
            found[layers] = error
    return found


def checked_layers(depth: Any) -> int:
    """A number of layers in [1, 1e8]."""
    return checked_depth(depth, least=1)


def checked_bias(bias: Any) -> bool:
    """Whether there are biases: True or False."""
    if not isinstance(bias, (bool, np.bool_)):
        raise DomainError(f"bias = {bias!r} must be True or False: whether the layers have biases")
    return bool(bias)


def checked_residual(residual: Any) -> bool:
    if not isinstance(residual, (bool, np.bool_)):
        raise DomainError(f"residual = {residual!r} must be True or False: whether the layers are branches of residual sums")
    return bool(residual)


def _input_variance(value: Any) -> float:
    if value is None:
        return 1.0
    array = within("input_variance", value, 1e-200, 1e200)
    if array.ndim:
        raise DomainError(f"input_variance must be one number, not an array of shape {array.shape}")
    return float(array)


def checked_rate(value: Any) -> float:
    array = real_array("dropout", value)
    if array.ndim or not 0.0 <= float(array) < 1.0:
        raise DomainError(f"dropout = {value!r} is out of range: it must be one rate in [0, 1)")
    return float(array)


def checked_law(value: Any) -> str:
    if value not in ("gaussian", *_SAME_SIGMAS):
        raise DomainError(f"weights = {value!r} is unknown; give one of {', '.join(('gaussian', *_SAME_SIGMAS))}")
    return str(value)


def _with_dropout(act: Activation, found: Recommendation, rate: float, starts: tuple[float, ...]) -> Recommendation:
    """The same point, with weights smaller by √(1 − p), and what the masks do to differences."""
    from meanfield.layers.dense import Dense
    from meanfield.layers.dropout import Dropout
    from meanfield.layers.sequence import Sequence

    sigma_w = found.sigma_w * math.sqrt(1.0 - rate)
    field = MeanField(Sequence(act, Dropout(rate), Dense(sigma_w, found.sigma_b)))
    ends = [float(field.propagate(min(found.depth, MASKED), q=start).epsilon[-1]) for start in starts]
    change = max(abs(math.log(end / 0.5)) if end > 0.0 else math.inf for end in ends)
    text = (
        f"Behind dropout of rate {rate:g} sigma_w is {found.sigma_w:.9g} times the root of 1 - {rate:g}: variances and gradients are those "
        f"without dropout. Differences are not: masks alone let one input differ from itself, and after {found.depth} layers 1 - c, from "
        f"c = 0.5, is {max(ends):.3g} (Schoenholz et al. 2017, section 5)."
    )
    return replace(found, sigma_w=sigma_w, correlation_change=change, dropout=rate, reason=f"{found.reason} {text}")


def _starts(start: float) -> tuple[float, ...]:
    return tuple(part * start for part in STARTS)


def _best(act: Activation, layers: int, start: float, found: list[_Point], signals: SignalChanges) -> Recommendation:
    """The best of the points found, and of those beside it."""
    if not found:
        raise DomainError(_without_edge(act))
    point, terms = found[0], (math.inf, math.inf, math.inf)
    for expected, candidate in sorted(_expected(act, layers, signals, point) for point in found):
        if expected > max(terms) + DOUBT:
            break
        here = _terms(act, layers, signals, candidate)
        if max(here) < max(terms):
            point, terms = candidate, here
    if point[2] > 0.0 and len(found) > 1:
        point, terms = _refined(act, layers, start, point, terms)
    if not math.isfinite(max(terms)):
        listed = _listed([f"{part:g}" for part in _starts(start)], "or")
        raise DomainError(
            f"depth = {layers}: no point on the edge of chaos of {act.name} keeps variances that start at {listed} bounded that far; "
            f"scale the inputs, or use a shallower network"
        )
    sigma_w, sigma_b, q = point
    status = _status(act, point)
    changes = signals.changes(layers, sigma_w, sigma_b, laws_at(act, sigma_w, q))
    reason = _reason(act, layers, start, point, changes, status, len(found) == 1)
    return Recommendation(sigma_w, sigma_b, q, layers, status, *terms, reason)


def _points(act: Activation, start: float) -> list[_Point]:
    """(σ_w, σ_b, q) along the curve."""
    origin = edge_of_chaos(act, 0.0)
    if origin.status == "neutral":
        return [(float(origin.sigma_w), 0.0, start)]  # every q is a fixed point: the inputs' own
    points = [] if origin.status == "none" else [(float(origin.sigma_w), 0.0, float(origin.q))]
    curve = edge_of_chaos_curve(act, CANDIDATES * start)
    there = curve.status != "none"
    columns = (curve.sigma_w[there], curve.sigma_b[there], curve.q[there])
    return points + [(float(w), float(b), float(q)) for w, b, q in zip(*columns, strict=True)]


def _status(act: Activation, point: _Point) -> str:
    return str(edge_of_chaos(act, 0.0).status if point[1] == 0.0 else edge_of_chaos_curve(act, point[2]).status)


def _expected(act: Activation, depth: int, signals: SignalChanges, point: _Point) -> tuple[float, _Point]:
    """What the criterion will be or so, without following differences; what is looked at first."""
    sizes = signals.sizes(depth, *point[:2])
    largest = max(max(abs(variance), abs(gradient)) for variance, gradient in sizes)
    if not math.isfinite(largest):
        return math.inf, point
    return max(largest, signals.expected(depth, sizes, laws_at(act, point[0], point[2]))), point


def _terms(act: Activation, depth: int, signals: SignalChanges, point: _Point) -> _Terms:
    """The terms of the criterion, from the worst start each."""
    variance, gradient, difference = _columns(signals.changes(depth, *point[:2], laws_at(act, point[0], point[2])))
    return _worst(variance), _worst(gradient), _worst(difference)


def _worst(changes: list[float]) -> float:
    return max(map(abs, changes))


def _refined(act: Activation, depth: int, start: float, point: _Point, terms: _Terms) -> tuple[_Point, _Terms]:
    """Golden-section search in log q around the best candidate."""
    golden = 0.5 * (math.sqrt(5.0) - 1.0)
    spacing = math.log(CANDIDATES[1] / CANDIDATES[0])
    low, high = -spacing, spacing
    signals = SignalChanges(act, _starts(start), (depth,))

    def at(moved: float) -> tuple[float, _Point, _Terms]:
        here = _beside(act, point, moved)
        if here is None:
            return math.inf, point, terms
        found = _terms(act, depth, signals, here)
        return max(found), here, found

    best = (max(terms), point, terms)
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = at(left), at(right)
    for _ in range(REFINEMENTS):
        best = min(best, at_left, at_right, key=lambda found: found[0])
        if at_left[0] < at_right[0]:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = at(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = at(right)
    return best[1], best[2]


def _beside(act: Activation, point: _Point, moved: float) -> _Point | None:
    """The point of the curve at another q, that many nats from this one."""
    edge = edge_of_chaos_curve(act, point[2] * math.exp(moved))
    return None if edge.status == "none" else (float(edge.sigma_w), float(edge.sigma_b), float(edge.q))


def _without_biases(act: Activation, layers: int, start: float) -> Recommendation:
    sigma_w, cost = best_weight(act, layers, start)
    if not math.isfinite(cost):
        raise DomainError(
            f"depth = {layers}: no sigma_w at sigma_b = 0 keeps a variance of {start:g} and its gradient with {act.name} that far"
        )
    slope = float(MeanField(act, sigma_w, 0.0).variance_slope(start))
    status = "neutral" if abs(slope - 1.0) <= NEUTRAL else "attracting" if slope < 1.0 else "repelling"
    signals = SignalChanges(act, (start,), (layers,))
    changes = signals.changes(layers, sigma_w, 0.0, laws_at(act, sigma_w, start))
    variance, gradient, difference = (_worst(column) for column in _columns(changes))
    text = (
        f"Of all sigma_w at sigma_b = 0 this one changes the variance and the squared gradient of {act.name} least over {layers} layers. "
        f"{_what_propagate_gives(changes)}"
    )
    if status == "repelling":
        text += f" Variances repel each other there by a factor of {slope:.4g} a layer: scale the inputs to {start:g}."
    return Recommendation(sigma_w, 0.0, start, layers, status, variance, gradient, difference, text)


def _residual(act: Activation, layers: int, start: float, rate: float) -> Recommendation:
    sigma_w = branch_weight(act, layers, start) * math.sqrt(1.0 - rate)
    changes = changes_along(act, layers, sigma_w, rate, _starts(start))
    variance, gradient, difference = (_worst(column) for column in _columns(changes))
    text = (
        f"With this sigma_w each of {layers} residual branches of {act.name} adds 1/{layers} of a variance of {start:g} at first. "
        f"{_what_propagate_gives(changes)} Without the factor 1/sqrt({layers}) both would multiply in every block. A normalisation at the "
        f"branch's end sets its size instead, and one at its beginning does not."
    )
    if rate > 0.0:
        text += f" Behind dropout of rate {rate:g} it is smaller by the root of 1 - {rate:g}."
    return Recommendation(sigma_w, 0.0, start, layers, "neutral", variance, gradient, difference, text, dropout=rate, residual=True)


def _reason(act: Activation, depth: int, start: float, point: _Point, changes: list[Changes], status: str, only: bool) -> str:
    sigma_w, sigma_b, q = point
    if only and status == "neutral":
        text = (
            f"{act.name} is linear on both sides of 0: sigma_b = 0, sigma_w = {sigma_w:.9g} is its only point on the edge of chaos, "
            f"and keeps every variance. {_what_propagate_gives(changes)}"
        )
    else:
        text = (
            f"Of the points on the edge of chaos of {act.name} this one changes signals least over {depth} layers. "
            f"{_what_propagate_gives(changes)}{_trade(act, depth, start, point, changes)}"
        )
    if status == "attracting":
        text += f" Variances return to q = {q:.6g}."
    elif status == "repelling":
        slope = float(MeanField(act, sigma_w, sigma_b).variance_slope(q))
        growth = f"grow e-fold in {1.0 / math.log(slope):.3g} layers" if slope > 1.0 else "grow more slowly than exponentially"
        text += f" The variance q = {q:.6g} is unstable: deviations {growth}, so scale the inputs to it."
        if "attracting" in edge_of_chaos_curve(act, CANDIDATES * start).status:
            text += " At this depth that costs less than what the attracting points do to correlations and gradients."
        else:
            text += " No point of the curve attracts."
    return text


def _what_propagate_gives(changes: list[Changes]) -> str:
    """The three factors, each from its worst start."""
    starts = _listed([f"{c.start:.6g}" for c in changes], "or")
    words = []
    for name, column in zip(("the variance", "the squared gradient", "differences between inputs"), _columns(changes), strict=True):
        worst = max(column, key=abs)
        if abs(worst) < UNCHANGED:
            words.append(f"{name} {'are' if name[0] == 'd' else 'is'} kept")
            continue
        grows = worst > 0.0
        verb = ("grow" if grows else "shrink") if name[0] == "d" else ("grows" if grows else "shrinks")
        words.append(f"{name} {verb} by a factor of {factor(abs(worst))}")
    bound = "at most, " if len(changes) > 1 else ""
    return f"From a variance of {starts}, {bound}{_listed(words)} (1 - c, from c = 0.5)."


def _trade(act: Activation, depth: int, start: float, point: _Point, changes: list[Changes]) -> str:
    """What would be better, and what worse, at the points beside this one."""
    if point[2] == 0.0:
        return ""
    here = [_worst(column) for column in _columns(changes)]
    signals = SignalChanges(act, _starts(start), (depth,))
    text = ""
    for moved in (-BESIDE, BESIDE):
        other = _beside(act, point, moved)
        if other is None:
            continue
        there = _terms(act, depth, signals, other)
        better, worse = (
            [name for name, a, b in zip(TERMS, here, there, strict=True) if sign * (b - a) > UNCHANGED] for sign in (-1.0, 1.0)
        )
        if better and worse:
            size = "larger" if other[1] > point[1] else "smaller"
            text += f" With a {size} sigma_b {_listed(better)} would change less, and {_listed(worse)} more."
    return f"{text} The point where the largest of the three is smallest is preferred." if text else ""


def _columns(changes: list[Changes]) -> tuple[list[float], list[float], list[float]]:
    return [c.variance for c in changes], [c.gradient for c in changes], [c.difference for c in changes]


def _listed(words: list[str], last: str = "and") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def factor(change: float) -> str:
    """e^change in words."""
    return f"{math.exp(change):.3g}" if abs(change) < 700.0 else f"10^{change / math.log(10.0):.0f}"


def _without_edge(act: Activation) -> str:
    edge = edge_of_chaos(act, 0.1)
    moment = float(second_moment(act, 1.0))
    advice = ""
    if 0.0 < moment < math.inf:
        advice = f"; sigma_w = {1.0 / math.sqrt(moment):.6g} with sigma_b = 0 at least keeps a variance of 1 (MeanField tells for how deep)"
    return f"activation = {act.name} has no edge of chaos, so no depth can be recommended for: {edge.reason}{advice}"
