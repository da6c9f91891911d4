"""Mean and variance of φ(√q Z), the variance by differences from the mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.estimate import _diverging_poles, _weights
from meanfield.expectation.moments import moment_table

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.expectation.rule import Rule


def mean_and_variance(act: Activation, q: float) -> tuple[float, float]:
    """E φ and E(φ − E φ)²; the second is inf where φ² has no mean, and so is the first where φ has none.

    Examples
    --------
    >>> from meanfield import activation
    >>> mean, spread = mean_and_variance(activation("sigmoid"), 1e-8)
    >>> mean, round(spread / (1e-8 / 16), 7)
    (0.5, 1.0)
    """
    if q == 0.0:
        return 0.5 * (act.one_sided(0.0, -1, 0) + act.one_sided(0.0, 1, 0)), _half_jump(act) ** 2
    if _diverging_poles(act):
        from meanfield.expectation.estimate import _estimate_one

        return _estimate_one(act, q)[0], math.inf
    rule = _rule(act, q)
    if rule.infinite[0]:
        from meanfield.expectation.estimate import _estimate_one

        return _estimate_one(act, q)[0], math.inf
    weights = _weights(rule, q)
    mean = float(np.sum(weights * rule.values[0]))
    rest = rule.values[0] - mean
    return mean, float(np.sum(weights * rest * rest))


def _half_jump(act: Activation) -> float:
    return 0.5 * (act.one_sided(0.0, 1, 0) - act.one_sided(0.0, -1, 0))


def _rule(act: Activation, q: float) -> Rule:
    from meanfield.expectation.rule import build_rule

    return build_rule(moment_table(act).partition, q, q)
