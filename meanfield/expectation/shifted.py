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

from meanfield.expectation.panels import gauss_legendre, within_sight

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

REACH = 10.0  # standard deviations: e⁻⁵⁰ beyond, and φ̂ grows no faster than a power where shaping has an answer
STEP, PANEL = 0.5, 1.5  # of the rules of level 0; each level halves them
TERMS = 32  # Hermite coefficients: the rule of level 0 has those to 1e-20
TAIL = 3e-9  # of the last coefficients beside the largest: its square is what the series leave out
DEEPEST = 5  # levels
AGREEMENT = 2e-14  # of two levels, relative: rounding leaves no less


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
    """Nodes, weights of E, and rows that take values at the nodes to Hermite coefficients."""
    half = round(REACH / STEP) << level
    nodes = np.arange(-half, half + 1, dtype=np.float64) * (STEP / (1 << level))
    weights = np.exp(-0.5 * nodes * nodes) * (STEP / (1 << level) / math.sqrt(2.0 * math.pi))
    rows = np.empty((TERMS, nodes.size))
    rows[0], rows[1] = 1.0, nodes
    for n in range(1, TERMS - 1):  # Heₙ/√n!
        rows[n + 1] = (nodes * rows[n] - math.sqrt(n) * rows[n - 1]) / math.sqrt(n + 1)
    return nodes, weights, rows * weights


def hidden(act: Activation, alpha: float, beta: float) -> Array:
    """Further points to cut at, where φ(αZ + β) within reach holds something too narrow for the nodes to see; none as a rule.

    Examples
    --------
    >>> from meanfield import activation
    >>> narrow = activation("tanh(x) + exp(-((x - 0.5)/0.001)**2)")
    >>> len(hidden(activation("tanh"), 0.1, 0.5)), len(hidden(narrow, 0.1, 0.5)) > 10
    (0, True)
    """
    edges = beta + alpha * np.arange(-REACH, REACH + 0.25, 0.5)
    low, high, source, _ = within_sight(act, edges[:-1], edges[1:], np.arange(edges.size - 1))
    extra = [low, high] if source.size > edges.size - 1 else []
    for feature in act.features:
        if abs(feature.centre - beta) < REACH * alpha and feature.scale < 0.25 * alpha:
            extra.append(feature.centre + feature.scale * np.concatenate([-np.exp2(np.arange(0.0, 12.0)), np.exp2(np.arange(0.0, 12.0))]))
    return np.unique(np.concatenate(extra)) if extra else np.empty(0)


def _cuts(act: Activation, alpha: Array, beta: Array, extra: Array | None = None) -> Array:
    """Where φ breaks, on the axis of Z and within reach: shape (pairs, breakpoints)."""
    places = np.array([b.location for b in act.breakpoints])
    if extra is not None and extra.size:
        places = np.unique(np.concatenate([places, extra]))
    if not places.size:
        return np.empty((alpha.size, 0))
    cuts = (places - beta[:, None]) / alpha[:, None]
    near = (np.abs(cuts) < REACH).any(axis=0)
    return np.clip(cuts[:, near], -REACH, REACH)


def _panels(cuts: Array, level: int) -> tuple[Array, Array]:
    """Gauss–Legendre nodes and weights of E between the cuts, row by row."""
    unit, unit_weights = gauss_legendre()
    ends = np.concatenate([np.full((len(cuts), 1), -REACH), cuts, np.full((len(cuts), 1), REACH)], axis=1)
    lower, upper = [], []
    for left, right in zip(ends.T[:-1], ends.T[1:], strict=True):
        pieces = max(1, math.ceil(float(np.max(right - left)) / PANEL)) << level
        steps = left[:, None] + (right - left)[:, None] * (np.arange(pieces + 1) / pieces)
        lower.append(steps[:, :-1])
        upper.append(steps[:, 1:])
    low, high = np.concatenate(lower, axis=1), np.concatenate(upper, axis=1)
    half = 0.5 * (high - low)
    nodes = (0.5 * (high + low))[..., None] + half[..., None] * unit
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
    cuts = _cuts(act, alpha, beta, extra)
    with np.errstate(all="ignore"):
        if not cuts.shape[1] and not act.costly:
            nodes, weights, rows = _trapezoid(level)
            x = beta[:, None] + alpha[:, None] * nodes
            slopes, bends = (v.reshape(x.shape) for v in act.several(x.ravel(), (1, 2)))
            series = (alpha**2)[:, None] * (bends @ rows.T)
            size = np.max(np.abs(series), axis=1)
            if np.all(np.max(np.abs(series[:, -4:]), axis=1) <= TAIL * size):
                values = act.values(x.ravel(), 0).reshape(x.shape)
                return _from_series(values @ weights, alpha * (slopes @ weights), series)
            weights = np.broadcast_to(weights, x.shape)
            nodes = np.broadcast_to(nodes, x.shape)
        else:
            if cuts.shape[1]:
                nodes, weights = _panels(cuts, level)
            else:
                nodes, weights = (np.broadcast_to(row, (alpha.size, row.size)) for row in _trapezoid(level)[:2])
            x = beta[:, None] + alpha[:, None] * nodes
            slopes, bends = act.values(x.ravel(), 1).reshape(x.shape), None
        values = act.values(x.ravel(), 0).reshape(x.shape)
        found = _from_rests(nodes, weights, values, alpha[:, None] * slopes)
        if curvature:
            if _kinked(act, alpha, beta):
                return found._replace(bends=np.full(alpha.size, math.inf))
            if bends is None:
                bends = act.values(x.ravel(), 2).reshape(x.shape)
            found = found._replace(bends=alpha**4 * np.sum(weights * bends * bends, axis=1))
        return found


def _kinked(act: Activation, alpha: Array, beta: Array) -> bool:
    return any(b.slope_jump != 0.0 and np.any(np.abs(b.location - beta) < REACH * alpha) for b in act.breakpoints)


def _from_series(mean: Array, slope: Array, c: Array) -> ShiftedMoments:
    """From a₀, a₁ and the Hermite coefficients cₙ of ψ'': aₙ₊₂ = cₙ/√((n+1)(n+2))."""
    n = np.arange(TERMS)
    squares = c * c
    over = np.sqrt(n[2:] * (n[2:] - 1.0))
    return ShiftedMoments(
        mean,
        slope,
        slope**2 + squares @ (1.0 / ((n + 1.0) * (n + 2.0))),
        slope**2 + squares @ (1.0 / (n + 1.0)),
        squares @ (1.0 / (n + 2.0)),
        slope * c[:, 1] + np.sum(c[:, :-2] * c[:, 2:] / over, axis=1),  # Σ aₙcₙ, n ≥ 1
        c[:, 0],
        np.sum(squares, axis=1),
    )


def _from_rests(z: Array, weights: Array, values: Array, slopes: Array) -> ShiftedMoments:
    """From e = ψ − a₀ − a₁Z and e' = ψ' − a₁ node by node; ψ'' by Stein: E[gψ''] = E[Zgψ'] − E[g'ψ']."""
    mean = np.sum(weights * values, axis=1)
    slope = np.sum(weights * slopes, axis=1)
    rest = values - mean[:, None] - slope[:, None] * z
    steep = slopes - slope[:, None]
    rests, steeps = np.sum(weights * rest * rest, axis=1), np.sum(weights * steep * steep, axis=1)
    radial = np.sum(weights * rest * steep * z, axis=1)
    return ShiftedMoments(
        mean,
        slope,
        slope**2 + rests,
        slope**2 + steeps,
        steeps - rests,
        slope * np.sum(weights * (z * z - 1.0) * steep, axis=1) + radial - steeps,
        np.sum(weights * z * steep, axis=1),
        np.full(mean.size, math.nan),
    )


def fourth_moments(act: Activation, alpha: float, beta: float, gamma: float, delta: float, level: int = 1) -> tuple[float, float]:
    """E φ̂⁴ and Q''(1) = ¼E[φ̂² He₄(Z)] of φ̂(Z) = γ(φ(αZ + β) + δ): what a finite width acts through.

    Examples
    --------
    >>> from meanfield import activation
    >>> fourth, curvature = fourth_moments(activation("linear"), 1.0, 0.0, 1.0, 0.0)
    >>> round(fourth, 12), abs(curvature) < 1e-14
    (3.0, True)
    """
    a, b = np.array([alpha]), np.array([beta])
    cuts = _cuts(act, a, b)
    z, weights = (row[0] for row in _panels(cuts, level)) if cuts.shape[1] else _trapezoid(level)[:2]
    with np.errstate(all="ignore"):
        square = (gamma * (act.values(np.ascontiguousarray(beta + alpha * z), 0) + delta)) ** 2
        return float(np.sum(weights * square * square)), float(np.sum(weights * square * ((z * z - 6.0) * z * z + 3.0))) / 4.0


def level_for(act: Activation, alpha: float, beta: float) -> int:
    """The first level whose moments the next one confirms.

    Examples
    --------
    >>> from meanfield import activation
    >>> level_for(activation("tanh"), 0.1, 0.5), level_for(activation("tanh"), 20.0, 0.5) > 2
    (0, True)
    """
    a, b = np.array([alpha]), np.array([beta])
    coarse = shifted_moments(act, a, b, 0)
    for level in range(DEEPEST):
        fine = shifted_moments(act, a, b, level + 1)
        if agree(coarse, fine) <= AGREEMENT:
            return level
        coarse = fine
    return DEEPEST


def agree(coarse: ShiftedMoments, fine: ShiftedMoments) -> float:
    """How far two rules differ, relative: what one of them leaves out of the small quantities."""
    with np.errstate(all="ignore"):
        size = np.abs(fine.excess) + np.abs(fine.coupling)
        # a_1² is what e and e' are differences of where the series does not serve: its rounding is the least there is.
        noise = fine.slopes * 1e-3
        changes = (
            np.abs(coarse.excess - fine.excess) / (size + noise),
            np.abs(coarse.coupling - fine.coupling) / (size + noise),
            np.abs(coarse.variance / fine.variance - 1.0),
            np.where(np.isfinite(fine.bends), np.abs(coarse.bends / fine.bends - 1.0), 0.0),
        )
    return float(np.max(np.nan_to_num(np.array(changes), nan=math.inf)))
