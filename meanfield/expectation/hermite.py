"""Hermite coefficients of φ, and two-input expectations as Mehler's series.

With h_n the normalised Hermite polynomials and aₙ(q) = E[φ(√q Z) hₙ(Z)],
    E[φ(u)φ(v)] = Σ aₙ(q1) aₙ(q2) cⁿ                                              (Mehler)
    ½E[(φ(u) − φ(v))²] = Σ aₙ² (1 − cⁿ) at q1 = q2: every term positive, so it keeps its relative accuracy at any c.
Fast wherever it converges: smooth φ at moderate q, or any φ (kinks and jumps included) at moderate |c|.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.panels import sample
from meanfield.expectation.rule import select

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array, Mask
    from meanfield.expectation.panels import Partition

# Terms, and the width of a panel in standard deviations on which h_n of that degree makes 1.8 oscillations.
SIZES = ((128, 1.0), (512, 0.5))
CONVERGED = 1e-17  # of Σ aₙ²; the last terms n aₙ² of a series that has converged at every c
DECAYING = 1e-7  # of Σ aₙ²: a kink leaves n aₙ² ~ n^(−3/2), 7e-4 at n = 128
COMPLETE = 1e-14  # of Σ aₙ²: what rounding leaves of E[φ²] − Σ aₙ²


@dataclass(frozen=True)
class HermiteSeries:
    """The first coefficients of φ⁽ᵏ⁾ at one q.

    Attributes
    ----------
    coefficients : array of shape (128,) or (512,)
    total : E[φ⁽ᵏ⁾²] by the same rule; inf where φ⁽ᵏ⁾ holds a delta
    converged : the series has decayed: it holds at every c
    decaying : it falls fast enough that more terms may do; kinks and jumps leave a power law instead
    """

    coefficients: Array
    total: float
    converged: bool
    decaying: bool

    @property
    def remainder(self) -> float:
        """√ of the sum of the squares left out."""
        return math.sqrt(max(self.total - float(self.coefficients @ self.coefficients), 1e-15 * self.total))


def hermite_series(activation: Activation, partition: Partition, order: int, q: float, size: int = 0) -> HermiteSeries | None:
    """The first SIZES[size] coefficients of φ⁽ᵏ⁾, deltas at the jumps of φ⁽ᵏ⁻¹⁾ included; None where φ overflows."""
    from meanfield.expectation.hermite_kernels import project

    terms, width = SIZES[size]
    nodes = _sampled(activation, partition, order, q, q, width)
    if nodes is None:
        return None
    x, masses, phi = nodes
    root = math.sqrt(q)
    z, mass = x / root, masses / root
    coefficients = np.zeros(terms)
    # φ hₙ N(z) = (φ √N · weight) · (hₙ √N)
    half = np.exp(-0.25 * z * z) / (2 * math.pi) ** 0.25
    project(z, phi * half * mass, half, coefficients)
    total = float(np.sum((phi * half) ** 2 * mass))
    delta = False
    for point in activation.breakpoints:
        t = point.location / root
        density = math.exp(-0.25 * t * t) / (2 * math.pi) ** 0.25
        for jump, distance in ((point.value_jump, order), (point.slope_jump, order - 1)):
            if jump == 0.0 or distance not in (1, 2):
                continue
            delta = True
            functional = np.zeros(terms + 1)
            project(np.array([t]), np.array([density]), np.array([density]), functional)
            if distance == 1:  # ∫ δ(x − t) hₙ N dx
                coefficients += jump / root * functional[:terms]
            else:  # ∫ δ'(x − t) hₙ N dx = √(n+1) hₙ₊₁ N / q
                coefficients += jump / q * np.sqrt(np.arange(1, terms + 1)) * functional[1:]
    if not (np.isfinite(coefficients).all() and math.isfinite(total)):
        return None
    last = np.arange(terms - 8, terms) * coefficients[-8:] ** 2
    # Small last terms are not enough (sin at q = 10⁶ has its mass at n ~ 10⁶): Parseval's sum must be complete too.
    complete = total - float(coefficients @ coefficients) <= COMPLETE * total
    converged = not delta and complete and bool(np.all(last <= CONVERGED * total))
    decaying = not delta and bool(np.all(last <= DECAYING * total))
    return HermiteSeries(coefficients, math.inf if delta else total, converged, decaying)


def _sampled(
    activation: Activation, partition: Partition, order: int, q_low: float, q_high: float, width: float
) -> tuple[Array, Array, Array] | None:
    """Nodes x, weights of ∫ dx and φ⁽ᵏ⁾ there, on panels at most width·√q_low wide; None where φ overflows."""
    panels, smallest, _ = select(partition, q_low, q_high, ((1, 2.0),))
    # All of |z| < 9.5 even where φ is 0: its mean may be subtracted.
    kept = np.isfinite(smallest) | (panels.near < 9.5 * math.sqrt(q_high))
    index = partition.orders.index(order)
    if not np.isfinite(panels.values[index][kept]).all():
        return None
    panels = panels.take(kept)
    count = np.maximum(1, np.ceil((panels.upper - panels.lower) / (width * math.sqrt(q_low)))).astype(int)
    whole = count == 1
    number = np.arange(count[~whole].sum()) - np.repeat(np.cumsum(count[~whole]) - count[~whole], count[~whole])
    start = np.repeat(panels.lower[~whole], count[~whole])
    step = np.repeat((panels.upper[~whole] - panels.lower[~whole]) / count[~whole], count[~whole])
    nodes, weights, (values,) = sample(activation, (order,), start + number * step, start + (number + 1) * step)
    return (
        np.concatenate([panels.nodes[whole].ravel(), nodes.ravel()]),
        np.concatenate([panels.weights[whole].ravel(), weights.ravel()]),
        np.concatenate([panels.values[index][whole].ravel(), values.ravel()]),
    )


def projections(activation: Activation, partition: Partition, variances: Array) -> tuple[Array, Array] | None:
    """The first 128 coefficients of φ at many variances from one set of nodes, (variances, 128), and Var φ at each.

    The mean is taken out first: at small q with φ(0) ≠ 0 the others are many digits smaller.
    """
    from meanfield.expectation.hermite_kernels import project

    terms, width = SIZES[0]
    nodes = _sampled(activation, partition, 0, float(np.min(variances)), float(np.max(variances)), width)
    if nodes is None:
        return None
    x, masses, phi = nodes
    coefficients, totals = np.zeros((variances.size, terms)), np.empty(variances.size)
    for i, q in enumerate(variances.tolist()):
        root = math.sqrt(q)
        alive = np.abs(x) < 54.0 * root  # exp(−z²/4) underflows beyond
        z, mass = x[alive] / root, masses[alive] / root
        half = np.exp(-0.25 * z * z) / (2 * math.pi) ** 0.25
        mean = float(np.sum(phi[alive] * half * half * mass)) / float(np.sum(half * half * mass))
        rest = phi[alive] - mean
        project(z, rest * half * mass, half, coefficients[i])
        coefficients[i, 0] = mean
        totals[i] = float(np.sum((rest * half) ** 2 * mass))
    return (coefficients, totals) if np.isfinite(coefficients).all() and np.isfinite(totals).all() else None


def mehler(first: HermiteSeries, second: HermiteSeries, c: float) -> float | None:
    """E[φ⁽ᵏ⁾(u)φ⁽ᵏ⁾(v)], or None where the terms at hand do not reach 1e-16 of √(V1 V2)."""
    if not reaches(first, second, np.array([abs(c)]))[0]:
        return None
    return float(mehler_sum(first, second, np.array([c]))[0])


def mehler_sum(first: HermiteSeries, second: HermiteSeries, c: Array) -> Array:
    """Σ aₙ(q1) aₙ(q2) cⁿ."""
    terms = min(first.coefficients.size, second.coefficients.size)
    result: Array = np.asarray(np.polynomial.polynomial.polyval(c, first.coefficients[:terms] * second.coefficients[:terms]), dtype=float)
    return result


def reaches(first: HermiteSeries, second: HermiteSeries, size: Array) -> Mask:
    """Whether the terms at hand reach 1e-16 of √(V1 V2) at correlations of these sizes |c|."""
    terms = min(first.coefficients.size, second.coefficients.size)
    short, long = sorted((first, second), key=lambda series: series.coefficients.size)
    scale = math.sqrt(first.total * second.total)
    last = size**terms
    result: Mask
    if first.converged and second.converged:
        beyond = float(np.sqrt(np.sum(long.coefficients[terms:] ** 2)))
        result = last * short.remainder * beyond <= 1e-16 * scale
    elif math.isinf(scale):
        # Deltas: the coefficients grow no faster than n^(1/2) (jump of φ, order 2), so |c|ⁿ decides.
        result = last * terms / np.where(size < 1, 1 - size, 1e-300) <= 1e-17
    else:
        result = last * first.remainder * second.remainder <= 1e-16 * scale
    return result


def mehler_decorrelation(series: HermiteSeries, epsilon: float) -> float | None:
    """Σ aₙ² (1 − cⁿ) at c = 1 − ε, or None where the series has not converged."""
    if not series.converged:
        return None
    n = np.arange(series.coefficients.size)
    loss = -np.expm1(n * math.log1p(-epsilon)) if epsilon < 1 else 1.0 - (1.0 - epsilon) ** n
    return float((series.coefficients**2) @ loss)
