"""E[φ⁽ᵏ⁾(u)φ⁽ᵏ⁾(v)] at arrays of pairs: which series, closed form or table serves each of them.

One pair, and what no table serves: two_inputs.py.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import ActivationError
from meanfield.expectation.crowd import is_crowd
from meanfield.expectation.held_profiles import angle_profile, has_profile
from meanfield.expectation.moments import V, moment_table
from meanfield.expectation.piecewise_linear import arccosines, closed_covariances
from meanfield.expectation.two_inputs import covariances_by_series, mehler_series

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

MANY = 300  # correlations at one variance, from which on a profile of it may serve
FEW_LEFT = 30  # of these, which Mehler's series does not reach, that are no dearer one by one than the profile
MANY_PAIRS = 2_000  # of variances, from which on a table pays


def covariances_at(activation: Activation, q1: Array, q2: Array, c: Array, order: int) -> Array:
    """The same at arrays with q1, q2 > 0 and 0 < |c| < 1, by Mehler's series and by table; nan where neither serves.

    At one variance the series where it reaches; then closed forms of a piecewise linear φ. What is left is for the caller, pair by pair,
    but where it is much: of more than `MANY` c at one variance those left go by its profile, more than `MANY_PAIRS` pairs by the table,
    which costs seconds to make for a φ with narrow features.
    """
    out = np.full(c.shape, math.nan)
    same = q1 == q2
    if same.any():
        if np.all(q1 == q1[0]) and same.all():  # one variance, as a rule
            out = covariances_by_series(activation, float(q1[0]), float(q1[0]), c, order)
        else:
            for q in np.unique(q1[same]).tolist():
                mine = same & (q1 == q)
                out[mine] = covariances_by_series(activation, q, q, c[mine], order)
    rest = np.isnan(out)
    left = int(np.count_nonzero(rest))
    if order < 2 and is_crowd(left, MANY_PAIRS):
        from meanfield.expectation.pair_table import pair_table

        table = pair_table(activation, order)
        if table.usable:
            if rest.all():
                out = table.covariances(*(np.ascontiguousarray(a) for a in (q1, q2, c)))
            else:
                out[rest] = table.covariances(q1[rest], q2[rest], c[rest])
    if order == 0 and np.count_nonzero(ridge := same & np.isnan(out)) > FEW_LEFT:
        for q in np.unique(q1[ridge]).tolist():
            here = same & (q1 == q)
            mine = ridge & here
            if np.count_nonzero(mine) > FEW_LEFT and np.count_nonzero(here) > MANY:
                known = _by_profile(activation, q, c[mine])
                if known is not None:
                    out[mine] = known
    if order < 2 and left:
        rest = np.isnan(out)
        if rest.any():
            out[rest] = closed_covariances(activation, q1[rest], q2[rest], arccosines(c[rest]), order)
    return out


def many_by_profile(activation: Activation, q: float, c: Array, order: int) -> Array | None:
    """Many correlations in (−1, 1), none 0, at one variance, where Mehler's short series leaves more than a few of them.

    All are found by the profile of that variance then, at a third of the price. None for other questions, and where there is no profile.
    """
    if order or c.size <= MANY:
        return None
    from meanfield.expectation.half_sines_kernels import survey

    found = mehler_series(activation, q, q, order)
    inner, beyond, obtuse = survey(np.ascontiguousarray(c), -1.0 if found is None else found.short.reach)
    return _by_profile(activation, q, c, obtuse) if inner and beyond > FEW_LEFT else None


def _by_profile(activation: Activation, q: float, c: Array, obtuse: bool = True) -> Array | None:
    """V − D from the series in θ of one variance, which has no ridge; obtuse: whether some c < 0."""
    if not has_profile(activation):
        return None
    try:
        loss = angle_profile(activation, q).decorrelations(c, obtuse)
    except ActivationError:  # φ oscillates too often for a series
        return None
    return np.subtract(moment_table(activation).at(V, q), loss, out=loss)
