"""Which σ_w make variances, and correlations, converge for every σ_b and every start."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.errors import AccuracyWarning, ActivationError
from meanfield.expectation.moments import DEFICIT, Q_DV, V1, V
from meanfield.result import Result, paged
from meanfield.solve.scan import with_extrema
from meanfield.theory.conditions.samples import Moments, moments

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array


AGREEING = 0.02  # the relative difference of a slope far out and dV/dq at the end of the range that lets the slope count


@dataclass(frozen=True, eq=False, repr=False)
class ConvergenceDomains(Result):
    """Bounds on σ_w below which the recursion converges whatever σ_b and the start, and the exact ones.

    Attributes
    ----------
    activation : Activation
    M : float
        sup over x ≥ 0 of |E[φ'(xZ)² + φ''(xZ)φ(xZ)]| = sup over q of |dV[φ]/dq|.
    C : float
        sup over x of E[φ'(xZ)²].
    sigma_w_variance : float
        1/√M: below it variances have one limit.
    sigma_w_correlation : float
        min(1/√M, 1/√C): below it correlations converge to 1 as well.
    exact_variance : float
        The largest σ_w below which F has one attracting fixed point for every σ_b; inf where every σ_w does.
    exact_correlation : float
        The largest σ_w below which, moreover, χ₁ < 1 at that fixed point for every σ_b.
    q_range : tuple of float
        The variances that were looked at.
    """

    activation: Activation
    M: float
    C: float
    sigma_w_variance: float
    sigma_w_correlation: float
    exact_variance: float
    exact_correlation: float
    q_range: tuple[float, float]

    def __str__(self) -> str:
        lines = [
            f"Domains of convergence of {self.activation.name}, for every sigma_b",
            f"variance:    sigma_w < {self.sigma_w_variance:.9g} (M = {self.M:.9g}); exactly sigma_w < {self.exact_variance:.9g}",
            f"correlation: sigma_w < {self.sigma_w_correlation:.9g} (C = {self.C:.9g}); exactly sigma_w < {self.exact_correlation:.9g}",
        ]
        return "\n".join(paged(line, hang=13 if number else 0) for number, line in enumerate(lines))


def convergence_domains(activation: Any) -> ConvergenceDomains:
    """The σ_w for which variances and correlations converge, by the bounds of Hayou et al. (2018) and exactly.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.

    Returns
    -------
    ConvergenceDomains

    Raises
    ------
    ActivationError
        If the activation can't be understood or evaluated.

    Notes
    -----
    As F'(q) = σ_w² dV/dq, M is sup|dV/dq| and σ_w² < 1/M makes F a contraction. The paper's M has the modulus inside the
    expectation, sup E|φ'² + φφ''|; this one is at most that, so that the domain is at least as large. Exactly: a second fixed
    point, for some σ_b ≥ 0, first appears where F touches the diagonal with a σ_b² = q − V/V' ≥ 0, so the bound is
    1/sup{V'(q): qV' ≥ V}, and 1/limsup V/q keeps F from diverging. Then χ₁ reaches 1 first at the lowest σ_w of the edge of
    chaos, 1/sup{V[φ']: qV[φ'] ≥ V[φ]}. Suprema are taken over q in [2⁻³², 2²⁰] and the limits of φ's slopes.

    References
    ----------
    Hayou, Doucet, Rousseau (2018), Proposition 1.

    Examples
    --------
    >>> import meanfield as mf
    >>> found = mf.convergence_domains("tanh")
    >>> round(found.sigma_w_variance, 9), found.exact_variance, round(found.sigma_w_correlation, 9)
    (1.0, inf, 1.0)
    """
    act = find_activation(activation)
    seen = moments(act)
    if seen.unknown or seen.q.size < 2:
        raise ActivationError(f"no convergence domains for {act.name}: {seen.unknown or 'V[φ] has no finite values'}")
    if seen.infinite:  # F is infinite from some q on, at any σ_w > 0
        return ConvergenceDomains(act, math.inf, math.inf, 0.0, 0.0, 0.0, 0.0, (0.0, 0.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        slope, slopes = seen[Q_DV] / seen.q, seen[V1]
        ends = _ends(act, seen)
        M = max(_largest(seen, lambda q: np.abs(seen.table(Q_DV, q)) / q, np.abs(slope)), *ends)
        C = max(_largest(seen, lambda q: seen.table(V1, q), slopes), *ends)
        tangent = _largest(seen, lambda q: seen.table(Q_DV, q) / q, slope, lambda q: seen.table(Q_DV, q) - (1 - 1e-12) * seen.table(V, q))
        on_edge = _largest(seen, lambda q: seen.table(V1, q), slopes, lambda q: seen.table(DEFICIT, q) + 1e-13 * seen.table(V, q))
    on_edge = max(on_edge, ends[0])  # where φ(0) = 0 the edge begins at q → 0, which no sample reaches
    far = ends[1]  # limsup V/q
    if _still_growing(seen, seen[V] / seen.q):
        far = math.inf
    variance, correlation = _bound(M), min(_bound(M), _bound(C))
    exact_variance = _bound(max(tangent, far))
    exact_correlation = min(exact_variance, _bound(on_edge)) if not seen.table.steep else 0.0
    return ConvergenceDomains(act, M, C, variance, correlation, exact_variance, exact_correlation, (float(seen.q[0]), float(seen.q[-1])))


def _bound(square: float) -> float:
    """σ_w with σ_w² = 1/square."""
    return math.inf if square <= 0.0 else 0.0 if math.isinf(square) else 1.0 / math.sqrt(square)


def _ends(act: Activation, seen: Moments) -> tuple[float, float]:
    """V/q, which is also dV/dq and V[φ'], in the limits q → 0 (0 where φ(0) ≠ 0) and q → ∞."""
    from meanfield.layers import limits

    left, right = (act.one_sided(0.0, side, 1) for side in (-1, 1))
    near = 0.5 * (left * left + right * right) if act.one_sided(0.0, 1, 0) == 0 == act.one_sided(0.0, -1, 0) else 0.0
    left, right = limits.slopes(act, math.inf)
    far = 0.5 * (left * left + right * right)
    # φ that oscillates has no slope far out, and one that bends late not yet: the end of the range must agree with it.
    slope = seen[Q_DV] / seen.q
    last, before = float(slope[-1]), float(slope[max(slope.size - 65, 0)])
    if far < math.inf and abs(far - last) <= AGREEING * far:
        return near, far
    return near, max(last, 0.0) if last > 0.5 * before else 0.0


def _still_growing(seen: Moments, values: Array) -> bool:
    """Whether values go on growing at the end of the range."""
    last = values[seen.q >= seen.q[-1] * 2.0**-8]
    return bool(last.size > 2 and np.all(np.diff(last) > 0) and last[-1] > 1.5 * last[0])


def _largest(seen: Moments, function: Any, values: Array, allowed: Any = None) -> float:
    """sup of a function of q, with its maxima between samples; where `allowed` ≥ 0."""
    if np.isinf(values).any():
        return math.inf
    q, found = with_extrema(seen.q, values, function)
    if _still_growing(seen, values):
        return math.inf
    if allowed is not None:
        good = allowed(q) >= 0
        found = np.where(good, found, 0.0)
        # The constraint's own boundary, between samples.
        edges = np.flatnonzero(good[1:] != good[:-1])
        if edges.size:
            from meanfield.solve.scan import polish

            roots = polish(lambda x, _: allowed(x), q[edges], q[edges + 1], allowed(q[edges]), allowed(q[edges + 1]))
            found = np.concatenate([found, function(roots)])
    return float(np.max(found))
