"""Hermite coefficients of φ, and two-input expectations as Mehler's series.

With h_n the normalised Hermite polynomials and aₙ(q) = E[φ(√q Z) hₙ(Z)],
    E[φ(u)φ(v)] = Σ aₙ(q1) aₙ(q2) cⁿ                                              (Mehler)
    ½E[(φ(u) − φ(v))²] = Σ aₙ² (1 − cⁿ) at q1 = q2: every term positive, so it keeps its relative accuracy at any c.
Fast wherever it converges: smooth φ at moderate q, or any φ (kinks and jumps included) at moderate |c|.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.panels import sample
from meanfield.expectation.rule import select

if TYPE_CHECKING:
    from collections.abc import Callable

    from meanfield.activations import Activation
    from meanfield.arrays import Array
    from meanfield.expectation.panels import Partition

# Terms, and the width of a panel in standard deviations on which h_n of that degree makes 1.8 oscillations.
SIZES = ((128, 1.0), (512, 0.5))
CONVERGED = 1e-17  # of Σ aₙ²; the last terms n aₙ² of a series that has converged at every c
DECAYING = 1e-7  # of Σ aₙ²: a kink leaves n aₙ² ~ n^(−3/2), 7e-4 at n = 128
FEW = 8  # correlations that are summed as Python's floats
NOTHING = 1e-17  # of √(V1 V2): the sum of last terms that are left away
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
    terms, width = SIZES[size]
    nodes = _sampled(activation, partition, order, q, q, width)
    if nodes is None:
        return None
    coefficients, total, delta = _coefficients(activation, order, q, terms, *nodes)
    if not (np.isfinite(coefficients).all() and math.isfinite(total)):
        return None
    last = np.arange(terms - 8, terms) * coefficients[-8:] ** 2
    converged = not delta and _has_ended(coefficients, total)
    decaying = not delta and bool(np.all(last <= DECAYING * total))
    return HermiteSeries(coefficients, math.inf if delta else total, converged, decaying)


def _projection(terms: int) -> Callable[[Array, Array, Array, Array], None]:
    """The compiled projection; for a process's first few coefficients NumPy's, as loading the compiler takes longer."""
    if "meanfield.jit" not in sys.modules and terms <= SIZES[0][0]:
        return project_without_kernels
    from meanfield.expectation.hermite_kernels import project

    return project


def project_without_kernels(z: Array, weighted: Array, half: Array, coefficients: Array) -> None:
    """As hermite_kernels.project: the same operations in the same order, so the same bits."""
    before, now = np.zeros(z.size), half
    for n in range(coefficients.size):
        coefficients[n] += np.cumsum(weighted * now)[-1]  # one by one, where sum() would add in pairs
        before, now = now, (1.0 / math.sqrt(n + 1.0)) * z * now - math.sqrt(n / (n + 1.0)) * before


def _coefficients(
    activation: Activation, order: int, q: float, terms: int, x: Array, masses: Array, phi: Array
) -> tuple[Array, float, bool]:
    """The coefficients from values φ⁽ᵏ⁾(x), E[φ⁽ᵏ⁾²] without deltas, and whether there are deltas."""
    project = _projection(terms)
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
    return coefficients, total, delta


def hermite_rows(activation: Activation, partition: Partition, order: int, variances: Array) -> tuple[Array, bool] | None:
    """The first 128 coefficients of φ⁽ᵏ⁾ at variances near each other, and whether they have decayed at all of them; None for overflow."""
    terms, width = SIZES[0]
    nodes = _sampled(activation, partition, order, float(np.min(variances)), float(np.max(variances)), width)
    if nodes is None:
        return None
    rows, ended = np.empty((variances.size, terms)), True
    x, masses, phi = nodes
    for i, q in enumerate(variances.tolist()):
        alive = np.abs(x) < 54.0 * math.sqrt(q)  # exp(−z²/4) underflows beyond
        rows[i], total, delta = _coefficients(activation, order, q, terms, x[alive], masses[alive], phi[alive])
        ended = ended and _has_ended(rows[i], total) and not delta
    return (rows, ended) if np.isfinite(rows).all() else None


def _has_ended(coefficients: Array, total: float) -> bool:
    """Whether the last coefficients are nothing, and Parseval's sum is complete: sin at q = 10⁶ has its mass at n ~ 10⁶."""
    last = np.arange(coefficients.size - 8, coefficients.size) * coefficients[-8:] ** 2
    complete = total - float(coefficients @ coefficients) <= COMPLETE * total
    return complete and bool(np.all(last <= CONVERGED * total))


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


@dataclass(frozen=True)
class MehlerPair:
    """Σ aₙ(q1) aₙ(q2) cⁿ of two series, and up to which |c| it is right.

    Attributes
    ----------
    products : array
        aₙ(q1) aₙ(q2), without the last ones where they are nothing at any c.
    reach : float
        The largest |c| at which the terms at hand reach 1e-16 of √(V1 V2); negative where they never do.
    """

    products: Array
    reach: float

    @staticmethod
    def of(first: HermiteSeries, second: HermiteSeries) -> MehlerPair:
        terms = min(first.coefficients.size, second.coefficients.size)
        short, long = sorted((first, second), key=lambda series: series.coefficients.size)
        scale = math.sqrt(first.total * second.total)
        products = first.coefficients[:terms] * second.coefficients[:terms]
        if math.isinf(scale):
            # Deltas: the coefficients grow no faster than n^(1/2) (jump of φ, order 2), so |c|ⁿ n/(1 − |c|) decides.
            return MehlerPair(products, _delta_reach(terms))
        beyond = first.remainder * second.remainder
        if first.converged and second.converged:
            beyond = short.remainder * float(np.sqrt(np.sum(long.coefficients[terms:] ** 2)))
            beside = np.cumsum(np.abs(products)[::-1])[::-1]
            products = products[: max(int(np.sum(beside > NOTHING * scale)), 1)]
        # |c|ⁿ · beyond ≤ 1e-16 · scale
        reach = 1.0 if beyond <= 1e-16 * scale else (1e-16 * scale / beyond) ** (1.0 / terms)
        return MehlerPair(products, reach)

    @cached_property
    def _falling(self) -> list[float]:
        falling: list[float] = self.products[::-1].tolist()
        return falling

    def at(self, c: float) -> float:
        """The sum at one c, with the bits of the kernel."""
        if abs(c) > self.reach:
            return math.nan
        total = 0.0
        for product in self._falling:
            total = total * c + product
        return total

    def __call__(self, c: Array) -> Array:
        """The sums at an array of c; nan out of reach."""
        if c.size <= FEW:
            return np.array([self.at(value) for value in c.tolist()])
        from meanfield.expectation.hermite_kernels import power_series

        out = np.empty(c.size)
        inside = np.abs(c) <= self.reach
        if inside.all():
            power_series(np.ascontiguousarray(c), self.products, out)
            return out
        near = c[inside]
        found = np.empty(near.size)
        power_series(near, self.products, found)
        out.fill(math.nan)
        out[inside] = found
        return out


@lru_cache(maxsize=2)
def _delta_reach(terms: int) -> float:
    """The largest |c| with |c|ⁿ n/(1 − |c|) ≤ 1e-17."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if middle**terms * terms <= 1e-17 * (1.0 - middle) else (low, middle)
    return low


def mehler_decorrelation(series: HermiteSeries, epsilon: float) -> float | None:
    """Σ aₙ² (1 − cⁿ) at c = 1 − ε, or None where the series has not converged."""
    if not series.converged:
        return None
    n = np.arange(series.coefficients.size)
    loss = -np.expm1(n * math.log1p(-epsilon)) if epsilon < 1 else 1.0 - (1.0 - epsilon) ** n
    return float((series.coefficients**2) @ loss)
