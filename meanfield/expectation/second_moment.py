"""V[φ⁽ᵏ⁾](q) = E[φ⁽ᵏ⁾(√q Z)²]."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.activations.activation import with_estimate
from meanfield.errors import AccuracyWarning
from meanfield.expectation.arguments import LARGEST, SMALLEST, derivative_order, unwrap, variance
from meanfield.expectation.estimate import TOLERANCE, nothing_seen
from meanfield.expectation.moments import V1, V, moment_table
from meanfield.expectation.two_inputs import at_zero

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array


def second_moment(activation: Any, q: Any, derivative: int = 0) -> Any:
    """V[φ⁽ᵏ⁾](q) = E[φ⁽ᵏ⁾(√q Z)²], the second moment of φ or of a derivative.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    q : float or array
        Variance of the pre-activation: 0, or in [1e-280, 1e280]. At 0 the limit q → 0⁺.
    derivative : {0, 1, 2}
        k: which derivative of φ, in the sense of distributions.

    Returns
    -------
    float or ndarray
        Shaped like q. inf where the expectation diverges: φ² grows faster than the Gaussian falls, or φ⁽ᵏ⁻¹⁾ jumps (the
        square of a delta).

    Raises
    ------
    ActivationError
        If the activation can't be understood or evaluated.
    DomainError
        If q or derivative is out of range.

    Warns
    -----
    AccuracyWarning
        If the relative error estimate exceeds 1e-10.

    Notes
    -----
    V[φ] gives the variance map F(q) = σ_b² + σ_w² V[φ](q) of Poole et al. (2016), eq. 3; V[φ'] the gradient's χ₁.

    Examples
    --------
    >>> import meanfield as mf
    >>> round(mf.second_moment("tanh", 1.0), 12)
    0.394294490398
    >>> mf.second_moment("relu", 1.0, derivative=2)
    inf
    """
    act = find_activation(activation)
    k = derivative_order(derivative)
    if isinstance(q, float) and SMALLEST <= q <= LARGEST:  # the usual number needs no array
        table, column = (moment_table(act, (2,)), 0) if k == 2 else (moment_table(act), V1 if k else V)
        if table.has_octave(q) and table.largest_error(column, q, q) <= TOLERANCE:
            return table.at(column, q)
    with with_estimate():
        usual = isinstance(q, np.ndarray) and q.dtype == np.float64 and q.size > 0
        values = second_moments(act, q, k, checked=False) if usual else second_moments(act, variance("q", q), k)
    return unwrap(values)


def second_moments(act: Activation, q: Array, k: int, checked: bool = True) -> Array:
    """V[φ⁽ᵏ⁾] at an array of variances; those not checked yet are, by the ends that are looked up anyway."""
    table, column = (moment_table(act, (2,)), 0) if k == 2 else (moment_table(act), V1 if k else V)
    if not q.size:
        return np.empty(q.shape)
    low, high = float(q.min()), float(q.max())
    if not (checked or (low >= SMALLEST and high <= LARGEST)):
        variance("q", q)
    positive = q
    if low == 0.0:
        zero = q == 0
        positive = q[~zero]
        values = np.empty(q.shape)
        if not zero.all():
            values[~zero] = table(column, q[~zero])
        before, after = at_zero(act, k)
        jumps = [
            b for b in act.breakpoints if b.location == 0.0 and ((k == 1 and b.value_jump) or (k == 2 and (b.value_jump or b.slope_jump)))
        ]
        values[zero] = math.inf if jumps else 0.5 * (before * before + after * after)
        low = float(positive.min()) if positive.size else math.inf
    else:
        values = table(column, q)
    if positive.size:
        # The estimate belongs to the octave, not to the point. Octaves in between that nobody asked for do not count.
        worst = table.largest_error(column, low, high)
        if worst > TOLERANCE:
            worst = table.worst_error(column, positive.ravel())
        if worst > TOLERANCE:
            unseen = nothing_seen(act) if np.any(values == 0.0) else ""
            text = f"V[φ] of {act.name}, derivative {k}: relative error about {worst:.1g}, above {TOLERANCE:g}{unseen}"
            warnings.warn(text, AccuracyWarning, stacklevel=3)
    return values
