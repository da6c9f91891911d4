"""C[φ⁽ᵏ⁾](q1, q2, c) = E[φ⁽ᵏ⁾(u)φ⁽ᵏ⁾(v)], and the decorrelation ½E[(φ(u) − φ(v))²]."""

from __future__ import annotations

import math
import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.activations.activation import with_estimate
from meanfield.activations.kept import Kept
from meanfield.errors import AccuracyWarning
from meanfield.expectation.angle_series import AngleSeries
from meanfield.expectation.arguments import broadcast, correlation_argument, derivative_order, unwrap, variance, within
from meanfield.expectation.many_pairs import MANY, covariances_at, many_by_profile
from meanfield.expectation.moments import V1, V, moment_table
from meanfield.expectation.two_inputs import covariance_at, covariance_by_series, covariances_by_series, decorrelation_at, is_quick

if TYPE_CHECKING:
    from collections.abc import Callable

    from meanfield.activations import Activation
    from meanfield.arrays import Array, Indices

TOLERANCE = 1e-10  # an estimate of the relative error of V above it draws an AccuracyWarning
HELD = 16  # such interpolants kept per activation
_held: Kept[dict[tuple[float, float], AngleSeries]] = Kept("angle series")
_lock = threading.Lock()


def covariance(activation: Any, q1: Any, q2: Any, c: Any, derivative: int = 0) -> Any:
    """C[φ⁽ᵏ⁾](q1, q2, c) = E[φ⁽ᵏ⁾(u)φ⁽ᵏ⁾(v)] of two Gaussian inputs with variances q1, q2 and correlation c.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    q1, q2 : float or array
        Variances: 0, or in [1e-280, 1e280].
    c : float or array
        Correlation, in [−1, 1]. The arguments broadcast.
    derivative : {0, 1, 2}
        k: which derivative of φ, in the sense of distributions (the deltas at jumps included).

    Returns
    -------
    float or ndarray
        Of the broadcast shape; inf where the expectation diverges.

    Raises
    ------
    ActivationError
        If the activation can't be understood or evaluated.
    DomainError
        If an argument is out of range.

    Warns
    -----
    AccuracyWarning
        Where φ oscillates so fast within reach that the integral comes from samples.

    Notes
    -----
    The correlation map is f(c) = (σ_b² + σ_w² C[φ](q, q, c))/q and, by Price's theorem, f'(c) = σ_w² C[φ'](q, q, c)
    (Poole et al. 2016, eq. 6; Price 1958). Errors are relative to √(V(q1)V(q2)). Each element has the value, to the bit, that it has
    alone, but for more than 300 correlations at one variance where a short Mehler's series does not serve all but a few of them, and more
    than 2000 pairs of different variances: these are interpolated, to some 1e-14, the latter from a table that a φ with narrow features
    takes seconds to make.

    Examples
    --------
    >>> import meanfield as mf
    >>> round(mf.covariance("relu", 1.0, 1.0, 0.0), 12)  # 1/(2π)
    0.159154943092
    """
    act = find_activation(activation)
    k = derivative_order(derivative)
    first, second, correlation = variance("q1", q1), variance("q2", q2), correlation_argument("c", c)
    with with_estimate():
        found = _at_one_variance(act, first, second, correlation, k)
        if found is not None:
            return found
        first, second, correlation = broadcast(q1=first, q2=second, c=correlation)
        result = covariances(act, first, second, correlation, k)
        _warn_if_sampled(act, first, second, k, result)
    return unwrap(result)


def decorrelation(activation: Any, q: Any, epsilon: Any) -> Any:
    """D(q, ε) = ½E[(φ(u) − φ(v))²] = V[φ](q) − C[φ](q, q, 1 − ε), to relative accuracy however small ε is.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    q : float or array
        Variance of both inputs: 0, or in [1e-280, 1e280].
    epsilon : float or array
        Decorrelation ε = 1 − c, in [0, 2]. The arguments broadcast.

    Returns
    -------
    float or ndarray
        Of the broadcast shape.

    Raises
    ------
    ActivationError, DomainError
        As `covariance`.

    Warns
    -----
    AccuracyWarning
        As `covariance`.

    Notes
    -----
    1 − f(1 − ε) = (σ_w²/q) D(q, ε): the correlation map near c = 1 without the cancellation of 1 − c. More than 300 ε at one q are
    interpolated as in `covariance`, relative to D.

    Examples
    --------
    >>> import meanfield as mf
    >>> round(mf.decorrelation("linear", 1.0, 1e-12) / 1e-12, 12)
    1.0
    """
    act = find_activation(activation)
    variances, loss = broadcast(q=variance("q", q), epsilon=within("epsilon", epsilon, 0.0, 2.0))
    with with_estimate():
        result = decorrelations(act, variances, loss)
        _warn_if_sampled(act, variances, variances, 0, result)
    return unwrap(result)


def _warn_if_sampled(act: Activation, q1: Array, q2: Array, k: int, result: Array) -> None:
    """Say so where φ⁽ᵏ⁾ has more features within reach than the panels resolve, or is a callable of which nothing was seen."""
    table = moment_table(act, (2,) if k == 2 else (0, 1))
    if not table.partition.has_unresolved and not (act.narrowest and np.any(result == 0.0)):
        return
    worst = max((table.error(V1 if k == 1 else V, float(q))[0] for q in np.union1d(q1, q2) if q > 0), default=0.0)
    if worst > TOLERANCE:
        warnings.warn(
            f"E[φ(u)φ(v)] of {act.name}, derivative {k}: V[φ] has a relative error of about {worst:.1g}, above {TOLERANCE:g}",
            AccuracyWarning,
            stacklevel=3,
        )


def _at_one_variance(act: Activation, q1: Array, q2: Array, c: Array, k: int) -> Any:
    """What Mehler's series, or it and a profile, serve whole: most questions about one variance; None for other questions."""
    if q1.ndim or q2.ndim or not q1 == q2 > 0.0 or not c.size:
        return None
    q = float(q1)
    if c.ndim == 0:
        value = covariance_by_series(act, q, float(c), k) if 0.0 < abs(float(c)) < 1.0 else math.nan
        if math.isnan(value):
            return None
        _warn_if_sampled(act, q1, q2, k, np.asarray(value))
        return value
    out = many_by_profile(act, q, flat := c.ravel(), k)
    if out is None:
        if np.count_nonzero(c) < c.size or c.min() <= -1.0 or c.max() >= 1.0:
            return None
        out = covariances_by_series(act, q, q, flat, k)
        if np.isnan(out).any():
            return None
    _warn_if_sampled(act, q1, q2, k, out)
    return out.reshape(c.shape)


def covariances(act: Activation, q1: Array, q2: Array, c: Array, k: int) -> Array:
    """C[φ⁽ᵏ⁾] for broadcast, checked arrays."""
    flat1, flat2, flat_c = (np.ravel(a) for a in (q1, q2, c))
    if flat_c.size == 1:
        return np.array(covariance_at(act, float(flat1[0]), float(flat2[0]), float(flat_c[0]), k)).reshape(np.shape(c))
    inside = (flat1 > 0.0) & (flat2 > 0.0) & (flat_c != 0.0) & (np.abs(flat_c) < 1.0)
    if inside.all():
        out = covariances_at(act, flat1, flat2, flat_c, k)
    else:
        out = np.full(flat_c.shape, math.nan)
        out[inside] = covariances_at(act, flat1[inside], flat2[inside], flat_c[inside], k)
        themselves = (flat_c == 1.0) & (flat1 == flat2) & (flat1 > 0.0)  # as `covariance_at` has it, all at once
        orders, column = ((2,), 0) if k == 2 else ((0, 1), V1 if k else V)
        out[themselves] = moment_table(act, orders)(column, flat1[themselves])
    rest = np.flatnonzero(np.isnan(out))
    if rest.size:
        _fill(act, flat1[rest], flat2[rest], flat_c[rest], k, out, rest)
    return out.reshape(np.shape(c))


def _fill(act: Activation, q1: Array, q2: Array, c: Array, k: int, out: Array, where: Indices) -> None:
    """What neither series nor table serves, pair by pair."""

    def exact(a: float, b: float) -> Callable[[float], float]:
        return lambda x: covariance_at(act, a, b, x, k)

    pairs, mine = np.unique(np.stack([q1, q2], axis=1), axis=0, return_inverse=True)
    for number, (a, b) in enumerate(pairs.tolist()):
        here = mine.ravel() == number
        function = exact(a, b)
        distinct = np.unique(c[here])
        if distinct.size > MANY and min(a, b) > 0 and k == 0:
            out[where[here]] = _angle_series(act, a, b, function)(np.arccos(c[here]))
        else:
            known = {x: function(x) for x in distinct.tolist()}
            out[where[here]] = [known[x] for x in c[here].tolist()]


def _angle_series(act: Activation, a: float, b: float, function: Callable[[float], float]) -> AngleSeries:
    """C[φ](a, b, cos θ) as a series in θ ∈ [0, π], kept for the next question about these variances."""
    with _lock:
        held = _held.setdefault(act, {})
        if (a, b) in held:
            return held[a, b]
    square = function(1.0) ** 2 if a == b else covariance_at(act, a, a, 1.0, 0) * covariance_at(act, b, b, 1.0, 0)
    made = AngleSeries.fit(lambda theta: function(math.cos(theta)), 0.0, math.pi, math.sqrt(abs(square)))
    with _lock:
        while len(held) >= HELD:
            held.pop(next(iter(held)))
        held[a, b] = made
    return made


def decorrelations(act: Activation, q: Array, epsilon: Array) -> Array:
    """D(q, ε) for broadcast, checked arrays."""
    flat_q, flat_e = np.ravel(q), np.ravel(epsilon)
    out = np.empty(flat_e.shape)
    jumping = any(b.value_jump != 0.0 for b in act.breakpoints)

    def smooth(v: float) -> Callable[[float], float]:
        # h(θ) = D/(1 − cos θ) is smooth on [0, π], kinks or not; with jumps D/sin(θ/2) is. ε = 2 sin²(θ/2).
        def h(theta: float) -> float:
            loss = 2 * math.sin(0.5 * theta) ** 2
            return decorrelation_at(act, v, loss) / (math.sqrt(0.5 * loss) if jumping else loss)

        return h

    for v in {float(v) for v in flat_q}:
        mine = flat_q == v
        wanted = flat_e[mine]
        distinct = np.unique(wanted)
        if distinct.size > MANY and v > 0 and not is_quick(act, v, v, 1.0, 0):
            function = smooth(v)
            theta = 2 * np.arcsin(np.sqrt(0.5 * wanted))
            positive = theta[theta > 0]
            low, high = float(positive.min()), float(positive.max())
            ratio = AngleSeries.fit(function, low, high, None)(np.clip(theta, low, high))
            out[mine] = ratio * (np.sqrt(0.5 * wanted) if jumping else wanted)
        else:
            known = {float(x): decorrelation_at(act, v, float(x)) for x in distinct}
            out[mine] = [known[float(x)] for x in wanted]
    return out.reshape(np.shape(epsilon))
