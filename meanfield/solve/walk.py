"""Layers one behind the other, a repetition turn by turn: moments behind each, and gradients on their way back.

A long repetition need not be stepped through: layers that are affine in V go by their compiled recursion, branches that are normalised
first see one variance for ever, and once a variance stands still the layer is a table.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from meanfield.errors import AccuracyWarning, DomainError
from meanfield.layers.cotangent import Cotangent, Pullback, at_output, scaled, total
from meanfield.layers.law import GAUSSIAN
from meanfield.layers.layer import Layer, MisplacedLayer, every
from meanfield.layers.normalise import BatchNorm, LayerNorm, RMSNorm
from meanfield.layers.residual import Residual
from meanfield.layers.sequence import Repeat
from meanfield.layers.sites import step
from meanfield.layers.state import State
from meanfield.solve.layer_profile import layer_recursion
from meanfield.solve.moving_profiles import through
from meanfield.solve.pair_path import follow

if TYPE_CHECKING:
    from meanfield.arrays import Array

STILL = 8e-15  # relative change of q by one turn that is rounding
FEW = 24  # turns that are cheaper one by one than by tables
MOST_COSTLY = 2_000  # the same of layers that take a tenth of a second
MOST_STEPS = 200_000  # turns that are taken one by one: some minutes
CRITICAL = 1e-12  # a gradient's factor this close to 1, at a variance that stands still, is 1


class Moments(NamedTuple):
    """Behind each turn."""

    q1: Array
    q2: Array
    epsilon: Array
    mean1: Array
    mean2: Array


@dataclass(frozen=True)
class Stretch:
    """Turns behind one another.

    Attributes
    ----------
    moments : Moments
    state : State
        Behind the last.
    pulls : list of Pullback, or None
        Turn by turn; where None, `log_factors` holds the logarithms of the gradient's factors.
    log_factors : ndarray or None
    """

    moments: Moments
    state: State
    pulls: list[Pullback] | None
    log_factors: Array | None = None


@dataclass(frozen=True)
class Walk:
    """All of a network: index 0 is the input; log_gradient is that of |δ^l|²/|δ^L|²."""

    moments: Moments
    log_gradient: Array
    state: State


def walk(layers: tuple[Layer, ...], start: State) -> Walk:
    """Through the layers and back.

    Raises
    ------
    MisplacedLayer
        If a layer makes no sense behind what comes before it.
    """
    stretches: list[Stretch] = []
    state = start
    with np.errstate(over="ignore", invalid="ignore"):  # a variance may pass the range of numbers: it is inf then
        for index, layer in enumerate(layers):
            try:
                for stretch in _stretches(layer, state):
                    stretches.append(stretch)
                    state = stretch.state
            except MisplacedLayer as error:
                raise error.inside(index + 1) from None
        begin = _columns([_moments(start)])
        moments = Moments(*(np.concatenate(columns) for columns in zip(begin, *(s.moments for s in stretches), strict=True)))
        log_gradient = _back(stretches, state, moments.q1.size, summing_to_0(layers))
    if any(s.pulls is not None for s in stretches):
        _warn_of_infinity(moments, log_gradient)
    return Walk(moments, log_gradient, state)


def _warn_of_infinity(moments: Moments, log_gradient: Array) -> None:
    """One warning; where c is lost the layer that lost it has told."""
    infinite = ~(np.isfinite(moments.q1) & np.isfinite(moments.q2))
    followed = {"the mean": moments.mean1 + moments.mean2, "the gradient": log_gradient}
    lost = [name for name, values in followed.items() if np.isnan(values).any()]
    if infinite.any() and lost and not np.isnan(moments.epsilon).any():
        place = f"the variance passes the largest number at layer {int(np.argmax(infinite))}"
        warnings.warn(f"{place}: {' and '.join(lost)} can't be followed there, nan", AccuracyWarning, stacklevel=4)


def summing_to_0(layers: tuple[Layer, ...]) -> Array | None:
    """What two inputs' gradients share at the end of a network that normalises a batch: they sum to 0 over it."""
    sizes = [layer.batch for layer in every(layers) if isinstance(layer, BatchNorm)]
    return np.asarray(-1.0 / (sizes[-1] - 1)) if sizes else None


def gradient_factor(layer: Layer, state: State) -> float:
    """|δ|² before a layer over |δ|² behind it, where it is one of many alike, at the state's variances and correlation."""
    if summing_to_0((layer,)) is None:
        after, pull = layer.apply(state)
        return float(total(pull(at_output(after))))
    # In a batch it hangs on the laws in front and on what the gradients share behind: both are settled one layer further in.
    logs = walk((Repeat(layer, 5),), state).log_gradient
    return math.exp(logs[2] - logs[3])


def _back(stretches: list[Stretch], state: State, size: int, shared: Array | None) -> Array:
    logs = np.zeros(size)
    at, log = size - 1, 0.0
    cotangents = at_output(state, shared)
    for stretch in reversed(stretches):
        if stretch.pulls is None:
            assert stretch.log_factors is not None
            count = stretch.log_factors.size
            with np.errstate(invalid="ignore"):
                logs[at - count : at] = log + np.cumsum(stretch.log_factors[::-1])[::-1]
            at -= count
            log = float(logs[at])
            cotangents = (Cotangent(np.ones(()), common=shared),)
            continue
        for pull in reversed(stretch.pulls):
            cotangents = pull(cotangents)
            norm = float(total(cotangents))
            at -= 1
            if 0.0 < norm < math.inf:
                log += math.log(norm)
                cotangents = scaled(cotangents, 1.0 / norm)
            else:
                log = -math.inf if norm == 0.0 else norm  # inf and nan go on
            logs[at] = log
    return logs


def _stretches(layer: Layer, state: State) -> Iterator[Stretch]:
    if not isinstance(layer, Repeat):
        yield _one_by_one(layer, state, 1)[0]
        return
    inner, left = layer.layer, layer.times
    if _is_plain(state):
        rule = inner.affine()
        if rule is not None:
            yield _affine(inner, state, left)
            return
        if _normalised_first(inner):
            made = _pre_normalised(inner, state, left)
            if made is not None:
                yield made
                return
    stretch, settled = _one_by_one(inner, state, left)
    yield stretch
    if settled:
        yield _settled(inner, stretch.state, left - stretch.moments.q1.size)


def _is_plain(state: State) -> bool:
    """One kind of units, Gaussian, one pair of inputs, no sites to follow."""
    return state.sites is None and len(state.parts) == 1 and state.parts[0].law == GAUSSIAN and state.parts[0].epsilon.ndim == 0


def _moments(state: State) -> tuple[float, ...]:
    seen = state.whole
    return tuple(float(a) for a in (seen.q1, seen.q2, seen.epsilon, seen.mean1, seen.mean2))


def _one_by_one(layer: Layer, state: State, turns: int) -> tuple[Stretch, bool]:
    """Turn by turn, to the end or until nothing but a table is needed for the rest."""
    rows: list[tuple[float, ...]] = []
    pulls: list[Pullback] = []
    if turns > MOST_COSTLY and any(each.is_costly for each in every((layer,))):
        raise DomainError(
            f"{layer} * {turns}: each turn takes about a tenth of a second, and at most {MOST_COSTLY:,} are taken; repeat it fewer times"
        )
    before = _moments(state)
    for turn in range(turns):
        state, pull = step(layer, state)
        now = _moments(state)
        rows.append(now)
        pulls.append(pull)
        left = turns - turn - 1
        if left > FEW and _stands_still(layer, before, now, state):
            return Stretch(_columns(rows), state, pulls), True
        if turn == MOST_STEPS:
            raise DomainError(
                f"{layer} * {turns}: after {MOST_STEPS:,} turns its variance still moves, and no faster way through it is known; "
                "repeat it fewer times"
            )
        before = now
    return Stretch(_columns(rows), state, pulls), False


def _columns(rows: list[tuple[float, ...]]) -> Moments:
    return Moments(*(np.array(column) for column in zip(*rows, strict=True)))


def _stands_still(layer: Layer, before: tuple[float, ...], now: tuple[float, ...], state: State) -> bool:
    q1, q2 = now[:2]
    same = abs(q1 - before[0]) <= STILL * q1 and abs(q2 - before[1]) <= STILL * q2
    if not same or state.sites is not None or not all(math.isfinite(v) for v in now):
        return False
    if abs(now[2] - before[2]) <= 4e-16 * before[2] and now[3:] == before[3:]:
        return True  # nothing moves at all
    return _is_plain(state) and q1 == q2 and q1 > 0.0 and layer_recursion(layer, q1) is not None


def _settled(layer: Layer, state: State, turns: int) -> Stretch:
    """Turns at a variance that stands still."""
    q1, q2, epsilon, mean1, mean2 = _moments(state)
    found = layer_recursion(layer, q1) if _is_plain(state) and q1 == q2 and q1 > 0.0 else None
    if found is None:
        losses = np.full(turns, epsilon)
    else:
        ones = np.ones(turns)
        x = through(found.table, ones, 0.0 * ones, found.loss * ones, math.sqrt(0.5 * epsilon))
        losses = 2.0 * x[1:] ** 2
    factor = gradient_factor(layer, state)
    if abs(factor - 1.0) <= CRITICAL:
        factor = 1.0
    with np.errstate(divide="ignore"):
        logs = np.full(turns, np.log(factor))
    moments = Moments(np.full(turns, q1), np.full(turns, q2), losses, np.full(turns, mean1), np.full(turns, mean2))
    part = replace(state.parts[0], epsilon=np.asarray(losses[-1]))
    return Stretch(moments, State((part,)) if len(state.parts) == 1 else state, None, logs)


def _affine(layer: Layer, state: State, turns: int) -> Stretch:
    rule = layer.affine()
    assert rule is not None
    q1, q2, epsilon, _, _ = _moments(state)
    if rule.w == 0.0 and rule.b == 0.0 and rule.a == 0.0:
        raise MisplacedLayer("sigma_w = 0 and sigma_b = 0 leave every layer at 0: no correlation is defined", layer)
    path = follow(rule, turns, q1, q2, epsilon, hold=False)
    nothing = np.zeros(turns)
    moments = Moments(path.q1[1:], path.q2[1:], path.epsilon[1:], nothing, nothing)
    with np.errstate(invalid="ignore"):
        logs = path.log_gradient[:-1] - path.log_gradient[1:]
    logs[np.isnan(logs)] = -math.inf  # a slope of 0 somewhere behind
    return Stretch(moments, State.of(path.q1[-1], path.q2[-1], path.epsilon[-1]), None, logs)


def _normalised_first(layer: Layer) -> bool:
    if not isinstance(layer, Residual):
        return False
    first = layer.branch.layers[0]
    return isinstance(first, (LayerNorm, RMSNorm)) and first.epsilon == 0.0 and len(layer.branch.layers) > 1


def _pre_normalised(layer: Layer, state: State, turns: int) -> Stretch | None:
    """x + F(norm(x)): the branch sees variance 1 for ever, p' = skip² p + scale² F, and ε' is a table with two weights."""
    assert isinstance(layer, Residual)
    q1, q2, epsilon, _, _ = _moments(state)
    if not (q1 > 0.0 and q2 > 0.0):
        return None
    one = State.of(1.0, 1.0, 0.5)
    behind, pull = layer.branch.apply(one)
    if not _is_plain(behind) or turns <= FEW:
        return None
    found = layer_recursion(layer.branch, 1.0)
    if found is None:
        return None
    a, b = layer.skip**2, layer.scale**2 * found.variance
    p1, p2 = (_accumulated(q, a, b, turns) for q in (q1, q2))
    # Unit vectors of the two streams for each input: 1 − u·v is ½|u − v|² where the inputs' sizes differ. From b/p, as p may be inf.
    (skip1, new1), (skip2, new2) = (_shares(a, b / p[:-1]) for p in (p1, p2))
    apart = 0.5 * ((skip1 - skip2) ** 2 + (new1 - new2) ** 2)
    factor = new1 * new2
    x = through(found.table, factor, skip1 * skip2, apart + factor * found.loss, math.sqrt(0.5 * epsilon))
    losses = 2.0 * x[1:] ** 2
    # The branch's own gradient at unit variance, over p for the norm that is in it.
    slope = float(total(pull(at_output(behind))))
    logs = np.log(a + layer.scale**2 * slope / p1[:-1])
    nothing = np.zeros(turns)
    return Stretch(Moments(p1[1:], p2[1:], losses, nothing, nothing), State.of(p1[-1], p2[-1], losses[-1]), None, logs)


def _shares(a: float, added: Array) -> tuple[Array, Array]:
    """√(a p/p') and √(b/p') of p' = a p + b, from b/p."""
    grown = a + added
    return np.sqrt(a / grown), np.sqrt(added / grown)


def _accumulated(q: float, a: float, b: float, turns: int) -> Array:
    """q, a q + b, …: exactly q + l b where a = 1."""
    count = np.arange(turns + 1.0)
    if a == 1.0:
        result: Array = q + b * count
        return result
    # a^l q + b (a^l − 1)/(a − 1)
    with np.errstate(over="ignore"):
        grown = np.expm1(count * math.log(a)) if a > 0.0 else np.where(count > 0, -1.0, 0.0)
        total_: Array = (grown + 1.0) * q + b * grown / (a - 1.0)
    return total_
