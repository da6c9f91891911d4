"""E[φ⁽ᵏ⁾(u)φ⁽ᵏ⁾(v)] and ½E[(φ(u) − φ(v))²]: which of the two methods computes them.

Mehler's series (hermite.py) where its terms reach full precision, conditional smoothing (smoothing.py) elsewhere.
Both hold for any activation; docs/design.md has the comparison that chose them.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

import numpy as np

from meanfield.activations.kept import Kept
from meanfield.errors import ActivationError
from meanfield.expectation.hermite import SIZES, HermiteSeries, MehlerPair, hermite_series, mehler_decorrelation
from meanfield.expectation.moments import MEAN, V1, V, gaussian_weights, moment_table
from meanfield.expectation.panels import Partition
from meanfield.expectation.piecewise_linear import arccosines, closed_covariances
from meanfield.expectation.poles import INTEGRABLE, strongest_pole
from meanfield.expectation.rule import build_rule
from meanfield.expectation.smoothing import (
    Smoother,
    collinear_covariance,
    covariance_by_smoothing,
    decorrelation_by_smoothing,
    smoothed_decorrelation,
)

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array, Mask

NEAR = 0.7  # ε up to which D comes from Var φ of inputs near each other; further apart V − C loses nothing
_SERIES_HELD = 64  # Hermite series kept per activation
_series: Kept[dict[tuple[int, float, int], HermiteSeries | None]] = Kept("Hermite series")
DIES_OUT = 1e-16 ** (1 / SIZES[1][0])  # |c| up to which |c|⁵¹² is nothing
_sums: Kept[dict[tuple[int, float, float], MehlerSeries | None]] = Kept("Mehler sums")
_at_zero: Kept[dict[int, tuple[float, float]]] = Kept("values at 0")
_series_lock = threading.Lock()


def _partition(activation: Activation, order: int) -> Partition:
    return moment_table(activation, (2,) if order == 2 else (0, 1)).partition


def series(activation: Activation, order: int, q: float, size: int = 0) -> HermiteSeries | None:
    """The Hermite series of φ⁽ᵏ⁾ at q, kept for the next correlation."""
    with _series_lock:
        held = _series.setdefault(activation, {})
        if (order, q, size) in held:
            return held[order, q, size]
    made = hermite_series(activation, _partition(activation, order), order, q, size)
    with _series_lock:
        while len(held) >= _SERIES_HELD:
            held.pop(next(iter(held)))
        held[order, q, size] = made
    return made


def longest_useful_series(activation: Activation, order: int, q: float, c: float) -> HermiteSeries | None:
    """The short series where it has converged, the long one where that may help at a correlation of size c."""
    short = series(activation, order, q)
    if short is None or not _long_helps(short, abs(c)):
        return short
    return series(activation, order, q, 1)


def _long_helps(short: HermiteSeries, size: float) -> bool:
    """Whether more terms may help at a correlation of this size |c|."""
    return not short.converged and (short.decaying or size <= DIES_OUT)


class MehlerSeries:
    """What Mehler's series gives at one pair of variances: by few terms, or by many where these help.

    Which is up to each c alone, so that none depends on the others.
    """

    def __init__(self, order: int, variances: tuple[float, float], short: tuple[HermiteSeries, HermiteSeries]) -> None:
        self._order, self._variances, self._series = order, variances, short
        self.short = MehlerPair.of(*short)
        self._longer: dict[float, MehlerPair | None] = {}

    def __call__(self, activation: Activation, c: Array) -> Array:
        """The sums at an array of c in (−1, 1); nan where none serves."""
        out = self.short(c)
        rest = np.isnan(out)
        if rest.any():
            near = np.abs(c) <= DIES_OUT
            for size, mine in ((DIES_OUT, rest & near), (1.0, rest & ~near)):
                pair = self._with_more(activation, size) if mine.any() else None
                if pair is not None:
                    out[mine] = pair(c[mine])
        return out

    def _with_more(self, activation: Activation, size: float) -> MehlerPair | None:
        """The sum with many terms for each of the two that they help at |c| = size; None where they help neither."""
        if size not in self._longer:
            helped = [_long_helps(short, size) for short in self._series]
            pair = [series(activation, self._order, q, int(more)) for q, more in zip(self._variances, helped, strict=True)]
            first, second = pair
            self._longer[size] = MehlerPair.of(first, second) if any(helped) and first is not None and second is not None else None
        return self._longer[size]


def mehler_series(activation: Activation, q1: float, q2: float, order: int) -> MehlerSeries | None:
    """The sums at a pair of variances, kept for the next question; None where φ⁽ᵏ⁾ overflows."""
    key = (order, q1, q2)
    with _series_lock:
        held = _sums.setdefault(activation, {})
        if key in held:
            return held[key]
    _require_integrable(activation, order)
    first, second = series(activation, order, q1), series(activation, order, q2)
    made = None
    if first is not None and second is not None:
        made = MehlerSeries(order, (q1, q2), (first, second))
    with _series_lock:
        while len(held) >= _SERIES_HELD:
            held.pop(next(iter(held)))
        held[key] = made
    return made


def covariances_by_series(activation: Activation, q1: float, q2: float, c: Array, order: int) -> Array:
    """E[φ⁽ᵏ⁾(u)φ⁽ᵏ⁾(v)] at an array of c in (−1, 1) and q1, q2 > 0, by Mehler's series; nan where it does not serve."""
    found = mehler_series(activation, q1, q2, order)
    return np.full(c.shape, math.nan) if found is None else found(activation, c)


def covariance_by_series(activation: Activation, q: float, c: float, order: int) -> float:
    """The same at one c and one variance."""
    found = mehler_series(activation, q, q, order)
    if found is None:
        return math.nan
    value = found.short.at(c)
    return float(found(activation, np.array([c]))[0]) if math.isnan(value) else value


def at_zero(activation: Activation, order: int) -> tuple[float, float]:
    """φ⁽ᵏ⁾(0−) and φ⁽ᵏ⁾(0+): what an input of variance 0 sees, half the time each."""
    held = _at_zero.setdefault(activation, {})
    if order not in held:
        held[order] = activation.one_sided(0.0, -1, order), activation.one_sided(0.0, +1, order)
    return held[order]


def mean(activation: Activation, order: int, q: float) -> float:
    """E[φ⁽ᵏ⁾(√q Z)] by its Hermite coefficient a₀ (the deltas of φ⁽ᵏ⁾ included)."""
    if q == 0.0:
        return 0.5 * sum(at_zero(activation, order))
    if order == 0:
        value = float(moment_table(activation)(MEAN, np.array([q]))[0])
        return _mean_alone(activation, order, q) if math.isinf(value) else value
    found = series(activation, order, q)
    return _mean_alone(activation, order, q) if found is None else float(found.coefficients[0])


def _mean_alone(activation: Activation, order: int, q: float) -> float:
    """E[φ⁽ᵏ⁾] where E[φ⁽ᵏ⁾²] is infinite, or φ overflows within reach: E|φ⁽ᵏ⁾| may be finite yet."""
    rule = build_rule(_partition(activation, order), q, q, power=1)
    held = moment_table(activation, (2,) if order == 2 else (0, 1)).partition.orders.index(order)
    deltas = order > 0 and any(b.value_jump != 0.0 or (order == 2 and b.slope_jump != 0.0) for b in activation.breakpoints)
    if rule.infinite[held] or deltas:
        if order == 0 or rule.infinite[held]:
            return math.inf
        raise ActivationError(f"E[φ{chr(39) * order}] of {activation.name} can't be computed at q = {q:.6g}: φ overflows within reach")
    total = float(np.sum(gaussian_weights(rule, np.array([q]))[0] * rule.values[held]))
    for tail in rule.beyond:
        _, mass, _, slope, second = tail.masses(q, 1)
        total += tail.sign * float(np.sum(mass * (np.ones_like(slope), tail.side * slope, second)[order]))
    return total


def covariance_at(activation: Activation, q1: float, q2: float, c: float, order: int) -> float:
    """E[φ⁽ᵏ⁾(u)φ⁽ᵏ⁾(v)] for scalars in range."""
    if max(q1, q2) > 0 and not (c == 1.0 and q1 == q2):
        _require_integrable(activation, order)
    if q1 == 0.0 or q2 == 0.0:
        if q1 == q2:
            low, high = at_zero(activation, order)
            if c in (1.0, -1.0):
                return 0.5 * (low * low + high * high) if c > 0 else low * high
            # The signs of u and v agree with probability ½ + arcsin(c)/π.
            agree = 0.5 + math.asin(c) / math.pi
            return 0.5 * agree * (low * low + high * high) + (1 - agree) * low * high
        return mean(activation, order, 0.0) * mean(activation, order, max(q1, q2))
    if c == 0.0:
        return mean(activation, order, q1) * mean(activation, order, q2)
    if c == 1.0 and q1 == q2:
        orders, column = ((2,), 0) if order == 2 else ((0, 1), V1 if order else V)
        return float(moment_table(activation, orders)(column, np.array([q1]))[0])
    if abs(c) == 1.0:
        return _collinear(activation, order, q1, q2, c)
    if q1 == q2 and not math.isnan(value := covariance_by_series(activation, q1, c, order)):
        return value
    return covariance_alone(activation, q1, q2, c, order)


def covariance_alone(activation: Activation, q1: float, q2: float, c: float, order: int) -> float:
    """The same for one pair that no table serves."""
    if order < 2:
        theta = arccosines(np.array([c]))
        value = float(closed_covariances(activation, np.array([q1]), np.array([q2]), theta, order)[0])
        if not math.isnan(value):
            return value
    value = float(covariances_by_series(activation, q1, q2, np.array([c]), order)[0])
    if not math.isnan(value):
        return value
    if order < 2 and c > 0 and q1 == q2 and all(build_rule(_partition(activation, order), q1, q1, power=1).infinite):
        return math.inf  # C ≥ E[φ]² at c ≥ 0, or the same for the odd part of φ
    return covariance_by_smoothing(activation, _partition(activation, order), order, q1, q2, c)


def _require_integrable(activation: Activation, order: int) -> None:
    """Refuse poles that have no integral. Beside a point where φ⁽ᵏ⁻¹⁾ is infinite φ⁽ᵏ⁾ has none."""
    if not any(math.isinf(point.value_jump) or math.isinf(point.slope_jump) for point in activation.breakpoints):
        return
    pole, where = strongest_pole(activation)
    if pole > INTEGRABLE:
        raise ActivationError(f"E[φ(u)φ(v)] of {activation.name} is not defined: φ is not integrable at its pole x = {where:.6g}")
    if order == 0:
        return
    for point in activation.breakpoints:
        if math.isinf(point.value_jump) or (order == 2 and math.isinf(point.slope_jump)):
            what = ("", "φ'", "φ''")[order]
            raise ActivationError(
                f"E[{what}(u){what}(v)] of {activation.name} is not defined: {what} is not integrable at x = {point.location:.6g}"
            )


def _collinear(activation: Activation, order: int, q1: float, q2: float, sign: float) -> float:
    """c = ±1: one Gaussian drives both inputs, and two deltas that meet make the expectation infinite."""
    total = collinear_covariance(activation, _partition(activation, order), order, q1, q2, sign)
    if order == 0:
        return total
    jumps = [
        (b.location, b.value_jump if order == 1 else b.slope_jump, b.value_jump if order == 2 else 0.0) for b in activation.breakpoints
    ]
    jumps = [j for j in jumps if j[1] != 0.0 or j[2] != 0.0]
    ratio = sign * math.sqrt(q2 / q1)  # v = ratio · u
    for t, jump, _ in jumps:
        for s, other, _ in jumps:
            if abs(ratio * t - s) <= 1e-14 * (abs(s) + abs(t)):
                return math.copysign(math.inf, jump * other * sign) if order == 1 else math.inf
    for t, jump, dipole in jumps:
        if dipole != 0.0:
            return math.inf  # φ'' holds a derivative of a delta, and no density is left to smooth it
        for q, factor in ((q1, ratio), (q2, 1.0 / ratio)):
            partner = float(activation.values(np.array([factor * t]), order)[0])
            total += jump * partner * math.exp(-t * t / (2 * q)) / math.sqrt(2 * math.pi * q)
    return total


def decorrelation_at(activation: Activation, q: float, epsilon: float) -> float:
    """½E[(φ(u) − φ(v))²] at c = 1 − ε, for scalars in range; relatively accurate."""
    if epsilon == 0.0:
        return 0.0
    if q == 0.0:
        low, high = at_zero(activation, 0)
        return 0.5 * (high - low) ** 2 * math.asin(math.sqrt(0.5 * epsilon)) * 2 / math.pi
    found = longest_useful_series(activation, 0, q, 1.0)
    if found is not None:
        value = mehler_decorrelation(found, epsilon)
        if value is not None:
            return value
    if epsilon > NEAR:
        c = 1.0 - epsilon
        # By quadrature: profiles, which are made of these, stand in for the table at one variance.
        product = covariance_at(activation, q, q, c, 0) if c in (0.0, -1.0) else covariance_alone(activation, q, q, c, 0)
        return float(moment_table(activation)(V, np.array([q]))[0]) - product
    return decorrelation_by_smoothing(activation, _partition(activation, 0), q, epsilon)


def is_quick(activation: Activation, q1: float, q2: float, c: float, order: int) -> bool:
    """Whether Mehler's series serves every correlation up to |c|: microseconds each, where smoothing takes milliseconds."""
    return not math.isnan(covariances_by_series(activation, q1, q2, np.array([c]), order)[0])


def decorrelations_at(activation: Activation, q: float, epsilon: Array) -> Array:
    """½E[(φ(u) − φ(v))²] at one q > 0 and an array of ε in (0, 2]: what they share is done once."""
    out = np.empty(epsilon.size)
    todo = np.ones(epsilon.size, dtype=bool)
    short = series(activation, 0, q)
    if short is not None:
        more = ~np.array(short.converged) & (short.decaying | (np.abs(1.0 - epsilon) <= DIES_OUT))
        for found, mine in ((short, ~more), (series(activation, 0, q, 1) if more.any() else None, more)):
            if found is not None and mine.any():
                out[mine], todo[mine] = _losses_by_series(found, epsilon[mine])
    partition = _partition(activation, 0)
    smoother = Smoother(activation, partition, 0, q) if todo.any() else None
    for i in np.flatnonzero(todo):
        if epsilon[i] <= NEAR and smoother is not None:
            out[i] = smoothed_decorrelation(smoother, q, float(epsilon[i]))
        else:
            out[i] = decorrelation_at(activation, q, float(epsilon[i]))
    return out


def _losses_by_series(found: HermiteSeries, epsilon: Array) -> tuple[Array, Mask]:
    """Σ aₙ²(1 − cⁿ), and where the terms at hand do not reach."""
    squares = found.coefficients**2
    n = np.arange(squares.size)
    c = 1.0 - epsilon
    powers = np.where(epsilon[:, None] < 1, -np.expm1(n * np.log1p(-np.minimum(epsilon, 1 - 1e-16))[:, None]), 1.0 - c[:, None] ** n)
    # Where cⁿ has died out before the series ends, the rest of Σ aₙ²(1 − cⁿ) is what Parseval's sum leaves.
    rest = 0.0 if found.converged else max(found.total - float(np.sum(squares)), 0.0)
    return powers @ squares + rest, ~(found.converged | (np.abs(c) ** squares.size <= 1e-16))
