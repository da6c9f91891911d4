"""When the edge of chaos is a curve: the conditions of Hayou et al. (2019)."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.errors import AccuracyWarning
from meanfield.expectation.moments import DEFICIT, V1
from meanfield.result import Result, paged
from meanfield.solve.scan import with_extrema
from meanfield.theory.conditions.condition import SHOWN, Condition, all_of, as_known, condition_columns
from meanfield.theory.conditions.samples import FLOOR, Moments, moments, sample
from meanfield.theory.conditions.structure import structure

if TYPE_CHECKING:
    from meanfield.activations import Activation

STATEMENT_V = "V[φ] is non-decreasing"
STATEMENT_V1 = "V[φ'] is non-increasing"


@dataclass(frozen=True, eq=False, repr=False)
class ExistenceConditions(Result):
    """Whether the edge of chaos exists for all σ_b below σ_max.

    Attributes
    ----------
    activation : Activation
    variance_non_decreasing, slope_non_increasing : Condition
        The two conditions, on V[φ] and on V[φ'].
    sigma_max : float
        sup over q of √|q − V[φ](q)/V[φ'](q)|, as printed; inf where it grows with q.
    largest_sigma_b : float
        sup over q of √(q − V[φ]/V[φ']) where that is not negative: the largest σ_b that has a point; nan where none has.
    holds : bool or None
        Whether both conditions hold.
    """

    activation: Activation
    variance_non_decreasing: Condition
    slope_non_increasing: Condition
    sigma_max: float
    largest_sigma_b: float
    holds: bool | None

    def _columns(self) -> dict[str, Any]:
        return condition_columns([self.variance_non_decreasing, self.slope_non_increasing])

    def __str__(self) -> str:
        lines = [paged(f"Existence of the edge of chaos of {self.activation.name} [Hayou et al. 2019]")]
        for condition in (self.variance_non_decreasing, self.slope_non_increasing):
            lines.append(paged(f"{SHOWN[condition.holds]:<10}{condition.proof:<11}{condition.statement}: {condition.reason}", hang=21))
        lines.append(f"sigma_max = {self.sigma_max:.9g}; largest sigma_b with a point: {self.largest_sigma_b:.9g}")
        return "\n".join(lines)


def existence_conditions(activation: Any) -> ExistenceConditions:
    """The conditions of Hayou et al. (2019) under which every σ_b < σ_max has a point on the edge of chaos.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.

    Returns
    -------
    ExistenceConditions

    Raises
    ------
    ActivationError
        If the activation can't be understood or evaluated.

    Notes
    -----
    σ_b² = q − V[φ]/V[φ'] on the edge. The printed σ_max takes its modulus; where it is negative at every q (softplus) there is no point
    for all that, so the largest σ_b that has one is given beside it. Looked at for q in [2⁻³², 2²⁰].

    References
    ----------
    Hayou, Doucet, Rousseau (2019), On the impact of the activation function on deep neural networks training.

    Examples
    --------
    >>> import meanfield as mf
    >>> found = mf.existence_conditions("tanh")
    >>> found.holds, found.sigma_max
    (True, inf)
    """
    from meanfield.theory.conditions.at_zero import at_zero
    from meanfield.theory.conditions.closer_look import look_closer, with_what_was_found
    from meanfield.theory.conditions.condition_three import variance_rises

    given = find_activation(activation)
    closer = look_closer(given)
    act = with_what_was_found(given, closer)
    seen, values, shape = moments(act, closer), sample(act, closer), structure(act)
    rises, proof, reason, witness, evidence = variance_rises(act, seen, values, shape, at_zero(act).vanishes)
    first = as_known(Condition("V", STATEMENT_V, rises, proof, evidence, witness, reason), act)
    second = as_known(_slope_falls(seen), act)
    sigma_max, largest = _largest(seen)
    return ExistenceConditions(given, first, second, sigma_max, largest, all_of((first.holds, second.holds)))


def _slope_falls(seen: Moments) -> Condition:
    """Whether V[φ'] never rises, from its changes between samples and their extrema."""
    if seen.table.steep or seen.q.size < 16 or not np.isfinite(seen[V1][0]):
        return Condition("V1", STATEMENT_V1, False, "analytic", {}, 0.0, "V[φ'] is infinite")
    evidence: dict[str, Any] = {"q_range": (float(seen.q[0]), float(seen.q[-1]))}
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", AccuracyWarning)
        # A rise shorter than the distance of two samples begins and ends at extrema between them.
        at, slopes = with_extrema(seen.q, seen[V1], lambda q: seen.table(V1, q), seen.noise[V1][1:-1])
        change = np.diff(slopes)
        noise = np.interp(at[1:], seen.q, seen.noise[V1]) + FLOOR * slopes[:-1]
    rising = np.flatnonzero(change > noise)
    if rising.size:
        with np.errstate(divide="ignore"):  # from 0
            i = int(rising[int(np.argmax(change[rising] / slopes[rising]))])
        witness = float(math.sqrt(at[i] * at[i + 1]))
        reason = f"V[φ'] rises at q = {witness:.6g}"
        return Condition("V1", STATEMENT_V1, False, "numerical", evidence, witness, reason)
    if seen.unresolved:
        return Condition("V1", STATEMENT_V1, None, "numerical", evidence, None, seen.unresolved)
    reason = f"V[φ'] does not rise between samples of q in [{seen.q[0]:.1g}, {seen.q[-1]:.3g}]"
    return Condition("V1", STATEMENT_V1, True, "numerical", evidence, None, reason)


def _largest(seen: Moments) -> tuple[float, float]:
    """sup √|s| and sup √s of s = q − V/V[φ']."""
    if seen.table.steep or seen.q.size < 16 or not np.isfinite(seen[V1][0]):
        return math.nan, math.nan

    def square(q: Any) -> Any:
        return seen.table(DEFICIT, q) / seen.table(V1, q)

    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", AccuracyWarning)
        values = seen[DEFICIT] / seen[V1]
        usable = np.isfinite(values)
        q, values = seen.q[usable], values[usable]
        if values.size < 16:
            return math.nan, math.nan
        _, refined = with_extrema(q, values, square)
    last = values[q >= q[-1] * 2.0**-6]
    sizes = np.abs(last)
    grows = bool(np.all(np.diff(sizes) > 0)) and sizes[-1] > 1.2 * sizes[0] and not seen.infinite
    sigma_max = math.inf if grows else math.sqrt(float(np.max(np.abs(refined))))
    top = float(np.max(refined))
    largest = math.inf if grows and last[-1] > 0 else math.sqrt(top) if top >= 0 else math.nan
    return sigma_max, largest
