"""One-input moments of ψ(Z) = φ(αZ + β), and what is left of them without the part of ψ that is linear in Z.

With ψ = Σ aₙ Heₙ/√n!, the quantities that activation shaping asks for are small differences of large ones: E ψ'² − Var ψ = Σ (n − 1) aₙ²
and Cov(ψ, ψ'') are of order α⁴ beside a₁² ~ α². Two ways to them, neither with that cancellation:

- φ smooth within reach: the Hermite coefficients cₙ of ψ'' (aₙ₊₂ = cₙ/√((n+1)(n+2))), by the trapezoidal rule, which converges
  geometrically; then E ψ'² − Var ψ = Σ cₙ²/(n+2), at any α.
- otherwise e = ψ − a₀ − a₁Z by Gauss–Legendre panels cut where φ breaks, (t − β)/α, and Stein's identity in place of ψ''.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from meanfield.errors import ActivationError
from meanfield.expectation import shifted_kernels
from meanfield.expectation.panels import gauss_legendre, within_sight

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array, Integers

REACH = 10.0  # standard deviations: e⁻⁵⁰ beyond, and φ̂ grows no faster than a power where shaping has an answer
STEP, PANEL = 0.5, 2.5  # of the rules of level 0; each level halves them
TERMS = 32  # Hermite coefficients: the rule of level 0 has those to 1e-20
TAIL = 3e-9  # of the last coefficients beside the largest: its square is what the series leave out
DEEPEST = 5  # levels


class ShiftedMoments(NamedTuple):
    """Moments of ψ(Z) = φ(αZ + β), each an array over the pairs (α, β).

    Attributes
    ----------
    mean : E ψ
    slope : E ψ' = E ψZ
    variance : Var ψ
    slopes : E ψ'²
    excess : E ψ'² − Var ψ = Σ (n − 1) aₙ², never negative (Poincaré)
    coupling : Cov(ψ, ψ''), slope jumps of φ included as deltas
    bend : E ψ''
    bends : E ψ''²; inf where φ' jumps within reach
    """

    mean: Array
    slope: Array
    variance: Array
    slopes: Array
    excess: Array
    coupling: Array
    bend: Array
    bends: Array


@lru_cache(maxsize=16)
def _trapezoid(level: int) -> tuple[Array, Array, Array]:
    """Nodes, weights of E, and a row for each node that takes values to Hermite coefficients."""
    half = round(REACH / STEP) << level
    nodes = np.arange(-half, half + 1, dtype=np.float64) * (STEP / (1 << level))
    weights = np.exp(-0.5 * nodes * nodes) * (STEP / (1 << level) / math.sqrt(2.0 * math.pi))
    rows = np.empty((TERMS, nodes.size))
    rows[0], rows[1] = 1.0, nodes
    for n in range(1, TERMS - 1):  # Heₙ/√n!
        rows[n + 1] = (nodes * rows[n] - math.sqrt(n) * rows[n - 1]) / math.sqrt(n + 1)
    return nodes, weights, np.ascontiguousarray((rows * weights).T)


def hidden(act: Activation, alpha: Array, beta: Array) -> list[Array]:
    """Further points to cut at, where φ(αZ + β) within reach holds something too narrow for the nodes to see; none as a rule.

    Examples
    --------
    >>> import numpy as np
    >>> from meanfield import activation
    >>> narrow = activation("tanh(x) + exp(-((x - 0.5)/0.001)**2)")
    >>> alpha, beta = np.array([0.1]), np.array([0.5])
    >>> len(hidden(activation("tanh"), alpha, beta)[0]), len(hidden(narrow, alpha, beta)[0]) > 10
    (0, True)
    """
    edges = beta[:, None] + alpha[:, None] * np.arange(-REACH, REACH + 0.25, 0.5)
    each = edges.shape[1] - 1
    low, high, source, _ = within_sight(act, edges[:, :-1].ravel(), edges[:, 1:].ravel(), np.arange(alpha.size * each))
    extra: list[list[Array]] = [[] for _ in alpha]
    for index in np.flatnonzero(np.bincount(source // each, minlength=alpha.size) > each):
        extra[index] = [low[source // each == index], high[source // each == index]]
    for feature in act.features:
        sides = feature.scale * np.exp2(np.arange(0.0, 12.0))
        for index in np.flatnonzero((np.abs(feature.centre - beta) < REACH * alpha) & (feature.scale < 0.25 * alpha)):
            extra[index].append(feature.centre + np.concatenate([-sides, sides]))
    return [np.unique(np.concatenate(points)) if points else np.empty(0) for points in extra]


def _cuts(act: Activation, alpha: Array, beta: Array, extra: Array | None = None) -> tuple[Array, Array]:
    """Where φ breaks, on the axis of Z and within reach, and the widths between: shapes (pairs, breakpoints), (pairs, breakpoints + 1).

    A width is (t' − t)/α, which the difference of two cuts knows only to the rounding of these: for large α that may be all there is.
    """
    places = np.array([b.location for b in act.breakpoints])
    if extra is not None and extra.size:
        places = np.unique(np.concatenate([places, extra]))
    if not places.size:
        return np.empty((alpha.size, 0)), np.empty((alpha.size, 1))
    cuts = (places - beta[:, None]) / alpha[:, None]
    inside = np.abs(cuts) < REACH
    near = inside.any(axis=0)
    cuts, inside, places = np.clip(cuts[:, near], -REACH, REACH), inside[:, near], places[near]
    widths = np.diff(cuts, axis=1, prepend=-REACH, append=REACH)
    if places.size > 1:
        both = inside[:, :-1] & inside[:, 1:]
        widths[:, 1:-1] = np.where(both, np.diff(places) / alpha[:, None], widths[:, 1:-1])
    return cuts, widths


def _panels(cuts: Array, widths: Array, level: int) -> tuple[Array, Array]:
    """Gauss–Legendre nodes and weights of E between the cuts, row by row."""
    unit, unit_weights = gauss_legendre()
    ends = np.concatenate([np.full((len(cuts), 1), -REACH), cuts], axis=1)
    middles, halves = [], []
    for left, width in zip(ends.T, widths.T, strict=True):
        pieces = max(1, math.ceil(float(np.max(width)) / PANEL)) << level
        half = width[:, None] * (0.5 / pieces)
        middles.append(left[:, None] + half * np.arange(1, 2 * pieces, 2))
        halves.append(np.broadcast_to(half, (len(cuts), pieces)))
    middle, half = np.concatenate(middles, axis=1), np.concatenate(halves, axis=1)
    nodes = middle[..., None] + half[..., None] * unit
    weights = half[..., None] * unit_weights * np.exp(-0.5 * nodes * nodes) / math.sqrt(2.0 * math.pi)
    return nodes.reshape(len(cuts), -1), weights.reshape(len(cuts), -1)


def shifted_moments(
    act: Activation, alpha: Array, beta: Array, level: int = 0, curvature: bool = True, extra: Array | None = None
) -> ShiftedMoments:
    """The moments of φ(αZ + β) for arrays of α > 0 and β, by the rules of one level.

    Parameters
    ----------
    act : Activation
        Without jumps or poles.
    alpha, beta : ndarray of shape (n,)
    level : int
        How often the rule of level 0 is halved.
    curvature : bool
        Whether `bends` is wanted where the series of ψ'' do not serve; nan else.
    extra : ndarray, optional
        Further points of x to cut at, as `hidden` gives them.

    Examples
    --------
    >>> import numpy as np
    >>> from meanfield import activation
    >>> found = shifted_moments(activation("sin"), np.array([1.0]), np.array([0.0]))
    >>> round(float(found.variance[0] - 0.5 * (1 - np.exp(-2.0))), 15), round(float(found.coupling[0] + found.variance[0]), 15)
    (0.0, 0.0)
    """
    return ShiftedMoments(*_found(act, alpha, beta, level, curvature, extra, rates=False)[0])


def moments_and_rates(
    act: Activation, alpha: Array, beta: Array, level: int = 0, curvature: bool = True, extra: Array | None = None
) -> tuple[ShiftedMoments, ShiftedMoments]:
    """The moments, and their derivatives by log α and by β/α as arrays (2, n): from the same values of φ, by Stein's identity.

    Examples
    --------
    >>> import numpy as np
    >>> from meanfield import activation
    >>> moments, rates = moments_and_rates(activation("sin"), np.array([1.5]), np.array([0.2]))
    >>> mean = np.exp(-0.5 * 1.5**2) * np.sin(0.2)  # E sin(αZ + β) = exp(−α²/2) sin β
    >>> bool(abs(moments.mean[0] - mean) < 1e-14), bool(abs(rates.mean[0, 0] + 1.5**2 * mean) < 1e-14)
    (True, True)
    >>> bool(abs(rates.mean[1, 0] - 1.5 * mean / np.tan(0.2)) < 1e-14)
    True
    """
    found = _found(act, alpha, beta, level, curvature, extra, rates=True)
    return ShiftedMoments(*found[0]), ShiftedMoments(*found[1:].swapaxes(0, 1))


def _found(act: Activation, alpha: Array, beta: Array, level: int, curvature: bool, extra: Array | None, rates: bool) -> Array:
    """Moments (8, n), with their derivatives (3, 8, n) where they are asked for, else (1, 8, n)."""
    cuts, widths = _cuts(act, alpha, beta, extra)
    if not cuts.shape[1]:
        return _uncut(act, alpha, beta, level, curvature, rates)
    whole = np.all(np.abs(cuts) >= REACH, axis=1)
    if whole.any():
        found = _room(alpha.size, rates)
        found[:, :, whole] = _uncut(act, alpha[whole], beta[whole], level, curvature, rates)
        found[:, :, ~whole] = _found(act, alpha[~whole], beta[~whole], level, curvature, extra, rates)
        return found
    return _node_by_node(act, alpha, beta, *_panels(cuts, widths, level), curvature, rates)


def _room(places: int, rates: bool) -> Array:
    return np.empty((3 if rates else 1, len(ShiftedMoments._fields), places))


def _uncut(act: Activation, alpha: Array, beta: Array, level: int, curvature: bool, rates: bool) -> Array:
    """By the series of ψ'' where its tail is short, node by node elsewhere."""
    nodes, weights, basis = _trapezoid(level)
    if act.costly:
        return _node_by_node(act, alpha, beta, nodes[None], weights[None], curvature, rates)
    with np.errstate(all="ignore"):
        values, slopes, bends = act.several((beta[:, None] + alpha[:, None] * nodes).ravel(), (0, 1, 2))
        found, short, series = _room(alpha.size, rates), np.empty(alpha.size, dtype=np.bool_), np.empty((alpha.size, TERMS))
        shifted_kernels.moments_by_series(values, slopes, bends, weights, basis, alpha, TAIL, short, series, found[0])
        if rates:
            shifted_kernels.rates_by_series(series, found[0], found[1:])
        if not short.all():
            long = np.flatnonzero(~short)
            found[:, :, long] = _by_rests((values, slopes, bends), nodes.size * long, nodes[None], weights[None], alpha[long], rates)
    return found


def _node_by_node(act: Activation, alpha: Array, beta: Array, nodes: Array, weights: Array, curvature: bool, rates: bool) -> Array:
    x = (beta[:, None] + alpha[:, None] * nodes).ravel()
    kinked = curvature and _kinked(act, alpha, beta)
    with np.errstate(all="ignore"):
        values, slopes = act.several(x, (0, 1))
        bends = act.values(x, 2) if curvature and not kinked else np.full(x.size, math.inf if kinked else math.nan)
        return _by_rests((values, slopes, bends), nodes.shape[1] * np.arange(alpha.size), nodes, weights, alpha, rates)


def _by_rests(table: tuple[Array, Array, Array], start: Integers, nodes: Array, weights: Array, alpha: Array, rates: bool) -> Array:
    """From φ, φ', φ'' at the nodes of all columns, one after the other."""
    found = _room(alpha.size, rates)
    shifted_kernels.moments_by_rests(*table, start, 1, nodes, weights, alpha, found[0])
    if rates:
        shifted_kernels.rates_by_rests(*table, start, nodes, weights, alpha, found[0], found[1:])
    return found


def _kinked(act: Activation, alpha: Array, beta: Array) -> bool:
    return any(b.slope_jump != 0.0 and np.any(np.abs(b.location - beta) < REACH * alpha) for b in act.breakpoints)


def slope_noise(act: Activation, x: Array) -> Array:
    """How far φ' is off at x, relative, where derivatives are numerical; else 0.

    Examples
    --------
    >>> import numpy as np
    >>> from meanfield import activation
    >>> slope_noise(activation("tanh"), np.array([0.0, 1.0]))
    array([0., 0.])
    """
    if not act.costly:
        return np.zeros(x.size)
    try:
        with np.errstate(all="ignore"):
            return np.nan_to_num(np.abs(act.noise(x, 1) / act.values(x, 1)), nan=0.0, posinf=1.0)
    except ActivationError:
        return np.zeros(x.size)


def fourth_moments(
    act: Activation, alpha: Array, beta: Array, gamma: Array, delta: Array, level: int = 1, extra: Array | None = None
) -> tuple[Array, Array]:
    """E φ̂⁴ and Q''(1) = ¼E[φ̂² He₄(Z)] of φ̂(Z) = γ(φ(αZ + β) + δ): what a finite width acts through.

    Examples
    --------
    >>> import numpy as np
    >>> from meanfield import activation
    >>> one, none = np.ones(1), np.zeros(1)
    >>> fourth, curvature = fourth_moments(activation("linear"), one, none, one, none)
    >>> round(float(fourth[0]), 12), bool(abs(curvature[0]) < 1e-14)
    (3.0, True)
    """
    cuts, widths = _cuts(act, alpha, beta, extra)
    if cuts.shape[1]:
        z, weights = _panels(cuts, widths, level)
    else:
        z, weights = (np.broadcast_to(row, (alpha.size, row.size)) for row in _trapezoid(level)[:2])
    with np.errstate(all="ignore"):
        values = act.values((beta[:, None] + alpha[:, None] * z).ravel(), 0).reshape(z.shape)
        square = (gamma[:, None] * (values + delta[:, None])) ** 2
        return np.sum(weights * square * square, axis=1), np.sum(weights * square * ((z * z - 6.0) * z * z + 3.0), axis=1) / 4.0
