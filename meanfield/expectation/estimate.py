"""E[g(√q Z)] of any function, with an error estimate."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.activations.activation import with_estimate
from meanfield.activations.kept import Kept
from meanfield.errors import AccuracyWarning, ActivationError
from meanfield.expectation.arguments import unwrap, variance
from meanfield.expectation.panels import Partition, gauss_legendre
from meanfield.expectation.poles import divergent_sides
from meanfield.expectation.rule import Rule, build_rule
from meanfield.result import Result

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

TOLERANCE = 1e-10  # relative to E|g|; an estimate above it draws an AccuracyWarning

_partitions: Kept[Partition] = Kept("partition of φ")
_diverging: Kept[tuple[tuple[float, float], ...]] = Kept("divergent sides")


@dataclass(frozen=True, eq=False, repr=False)
class Expectation(Result):
    """A Gaussian expectation and how far off it may be.

    Attributes
    ----------
    value : float or ndarray
        E[g(√q Z)]; ±inf where it diverges.
    error : float or ndarray
        Estimate of the absolute error: the change when every panel of the rule is halved, plus what the panels leave
        unresolved, plus rounding. 0 where the value is known to be infinite. For a callable that is 0 at every value asked for, what
        a feature of height 1 would add that is just narrow enough to be missed.
    reason : str
        Why a value is infinite; "" where all are finite.
    """

    value: Any
    error: Any
    reason: str = ""

    def _columns(self) -> dict[str, Any]:
        return {"value": np.ravel(self.value), "error": np.ravel(self.error)}

    def __str__(self) -> str:
        pairs = zip(np.ravel(self.value).tolist(), np.ravel(self.error).tolist(), strict=True)
        shown = [_rounded(value, error) for value, error in pairs]
        more = [*shown[:3], "…", shown[-1]] if len(shown) > 6 else shown
        text = "\n".join(more)
        return f"{text} ({self.reason})" if self.reason else text


def _rounded(value: float, error: float) -> str:
    """The value to the digits that its error leaves it.

    Examples
    --------
    >>> _rounded(-6.8e-19, 3e-16), _rounded(1.23456789, 2e-4), _rounded(2.0, 0.0)
    ('0 ± 3e-16', '1.2346 ± 0.0002', '2 ± 0')
    """
    if not (math.isfinite(value) and 0.0 < error < math.inf):
        return f"{value:.16g} ± {error:.1g}"
    place = math.floor(math.log10(error))  # of the error's first digit
    digits = math.floor(math.log10(abs(value))) - place + 1 if abs(value) > 0.0 else 0
    # Less than half a unit of that place is 0; NumPy's + 0.0 takes the sign away.
    rounded = 0.0 if digits < 0 or abs(value) < 0.5 * 10.0**place else float(f"{value:.{min(max(digits, 1), 17) - 1}e}")
    return f"{rounded:.16g} ± {error:.1g}"


def estimate(g: Any, q: Any = 1.0) -> Expectation:
    """E[g(√q Z)], Z ~ N(0, 1), with an error estimate.

    Parameters
    ----------
    g : str, callable or Activation
        Anything `meanfield.activation` accepts.
    q : float or array
        Variance: 0, or in [1e-280, 1e280].

    Returns
    -------
    Expectation
        value and error, shaped like q.

    Raises
    ------
    ActivationError
        If g can't be understood or evaluated, or its expectation is not defined (1/x).
    DomainError
        If q is out of range.

    Examples
    --------
    >>> import meanfield as mf
    >>> found = mf.estimate("x**4", q=2.0)
    >>> round(found.value, 12), found.error < 1e-13
    (12.0, True)
    >>> mf.estimate("exp(x**2)").value
    inf
    """
    act = find_activation(g)
    variances = variance("q", q)
    values, errors = np.empty(variances.shape), np.empty(variances.shape)
    reasons = []
    with with_estimate():
        for index in np.ndindex(variances.shape):
            values[index], errors[index], reason = _estimate_one(act, float(variances[index]))
            if reason and reason not in reasons:
                reasons.append(reason)
    return Expectation(unwrap(values), unwrap(errors), "; ".join(reasons))


def expectation(g: Any, q: Any = 1.0) -> Any:
    """E[g(√q Z)], Z ~ N(0, 1).

    Parameters
    ----------
    g : str, callable or Activation
        Anything `meanfield.activation` accepts.
    q : float or array
        Variance: 0, or in [1e-280, 1e280].

    Returns
    -------
    float or ndarray
        Shaped like q; ±inf where the expectation diverges (`estimate` says why).

    Raises
    ------
    ActivationError, DomainError
        As `estimate`.

    Warns
    -----
    AccuracyWarning
        If the error estimate exceeds 1e-10 of E|g|.

    Examples
    --------
    >>> import meanfield as mf
    >>> round(mf.expectation("cos(x)", q=2.0), 12)
    0.367879441171
    """
    act = find_activation(g)
    variances = variance("q", q)
    values = np.empty(variances.shape)
    worst = 0.0
    with with_estimate():
        for index in np.ndindex(variances.shape):
            values[index], error, _ = _estimate_one(act, float(variances[index]))
            if math.isfinite(values[index]):
                worst = max(worst, error / (_mean_size(act, float(variances[index])) or 1.0))
    if worst > TOLERANCE:
        unseen = nothing_seen(act) if np.any(values == 0.0) else ""
        warnings.warn(f"E[g] of {act.name}: relative error about {worst:.1g}, above {TOLERANCE:g}{unseen}", AccuracyWarning, stacklevel=2)
    return unwrap(values)


def nothing_seen(act: Activation) -> str:
    """What a warning says of a 0 from a callable that is 0 at every value asked for; "" for others."""
    if not act.narrowest:
        return ""
    return f": it is 0 wherever it was looked at, and what is narrower than {act.narrowest:.1g}·√(1 + x²) may have been missed"


def _partition(act: Activation) -> Partition:
    if act not in _partitions:
        _partitions[act] = Partition(act, (0,))
    return _partitions[act]


def _diverging_poles(act: Activation) -> tuple[tuple[float, float], ...]:
    if act not in _diverging:
        _diverging[act] = divergent_sides(act)
    return _diverging[act]


def _weights(rule: Rule, q: float) -> Array:
    result: Array = rule.weights * np.exp(-rule.x * rule.x / (2 * q)) / math.sqrt(2 * math.pi * q)
    return result


def _mean_size(act: Activation, q: float) -> float:
    """E|g|, to a few digits."""
    if q == 0.0:
        return abs(0.5 * (act.one_sided(0.0, -1, 0) + act.one_sided(0.0, 1, 0)))
    rule = build_rule(_partition(act), q, q, power=1)
    return float(_weights(rule, q) @ np.abs(rule.values[0])) + sum(float(np.sum(tail.masses(q, 1)[1])) for tail in rule.beyond)


def _estimate_one(act: Activation, q: float) -> tuple[float, float, str]:
    if q == 0.0:
        value = 0.5 * (act.one_sided(0.0, -1, 0) + act.one_sided(0.0, 1, 0))
        if math.isnan(value):
            raise ActivationError(f"{act.name} is not defined at x = 0, which is all that q = 0 sees")
        return value, act.relative_noise * abs(value), "" if math.isfinite(value) else f"{act.name} is infinite at x = 0"
    diverging = _diverging_poles(act)
    if diverging:
        signs = {sign for _, sign in diverging}
        reason = f"{act.name} is not integrable at its pole x = {diverging[0][0]:.6g}"
        if len(signs) != 1:
            raise ActivationError(f"the expectation of {act.name} is not defined: {reason}, with both signs")
        return math.copysign(math.inf, signs.pop()), 0.0, reason
    partition = _partition(act)
    rule = build_rule(partition, q, q, power=1)
    if rule.infinite[0]:
        return _infinite_sign(act, rule), 0.0, rule.infinite[0]
    weights = _weights(rule, q)
    g = rule.values[0]
    with np.errstate(over="ignore", invalid="ignore"):
        value = float(weights @ g)
        size = float(weights @ np.abs(g))
    if not math.isfinite(size):
        return math.copysign(math.inf, value) if value == value else math.inf, 0.0, f"the expectation of {act.name} overflows"
    error = abs(value - _halved(act, partition, rule, q)) + float(weights @ rule.tail[0]) + 2 * act.relative_noise * size
    for tail in rule.beyond:  # where g overflows and the Gaussian makes up for it
        _, mass, off, *_ = tail.masses(q, 1)
        value, error = value + tail.sign * float(np.sum(mass)), error + float(np.sum(off))
    return value, error, ""


def _halved(act: Activation, partition: Partition, rule: Rule, q: float) -> float:
    """The same integral with every panel cut in two."""
    unit, unit_weights = gauss_legendre()
    nodes = rule.x.reshape(-1, unit.size)
    half = (nodes[:, -1] - nodes[:, 0]) / (unit[-1] - unit[0])
    middle = 0.5 * (nodes[:, -1] + nodes[:, 0])
    x = np.concatenate([(middle + s * 0.5 * half)[:, None] + 0.5 * half[:, None] * unit for s in (-1.0, 1.0)])
    # On panels a few floats wide rounding must not carry a node onto their end: φ may be infinite there.
    narrow = np.tile(half <= 1e4 * np.spacing(np.abs(middle)), 2)
    x[narrow] = np.tile(nodes, (2, 1))[narrow]
    weights = np.concatenate([0.5 * half[:, None] * unit_weights] * 2)
    flat = np.ascontiguousarray(x.ravel())
    values = act.values(flat, 0)
    return float(np.sum(weights.ravel() * values * np.exp(-flat * flat / (2 * q)))) / math.sqrt(2 * math.pi * q)


def _infinite_sign(act: Activation, rule: Rule) -> float:
    """+inf or −inf where only one sign diverges; an error where both do."""
    signs = {math.copysign(1.0, s) for s in rule.divergent_signs}
    if len(signs) != 1:
        raise ActivationError(f"the expectation of {act.name} is not defined: {rule.infinite[0]}, with both signs")
    return math.copysign(math.inf, signs.pop())
