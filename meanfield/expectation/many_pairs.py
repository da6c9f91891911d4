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
from meanfield.expectation.two_inputs import covariances_by_series

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array, Mask

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
                out[mine] = _by_profile(activation, q, c[mine])
    if order < 2 and left:
        rest = np.isnan(out)
        if rest.any():
            out[rest] = closed_covariances(activation, q1[rest], q2[rest], arccosines(c[rest]), order)
    return out


def fill_by_profile(activation: Activation, q: float, c: Array, order: int, out: Array, rest: Mask) -> bool:
    """As `covariances_at` does for many c at one variance: fill in what Mehler's series has left; whether that is all."""
    left = int(np.count_nonzero(rest))
    if order or c.size <= MANY or left <= FEW_LEFT or is_crowd(left, MANY_PAIRS):
        return False
    out[rest] = found = _by_profile(activation, q, c[rest])
    return not np.isnan(found).any()


def _by_profile(activation: Activation, q: float, c: Array) -> Array:
    """V − D from the series in θ of one variance, which has no ridge; nan where there is none."""
    if not has_profile(activation):
        return np.full(c.shape, math.nan)
    try:
        loss = angle_profile(activation, q).decorrelation(np.arccos(c))
    except ActivationError:  # φ oscillates too often for a series
        return np.full(c.shape, math.nan)
    return moment_table(activation).at(V, q) - loss
