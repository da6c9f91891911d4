"""Gaussian expectations of φ: one input, two inputs, error estimates; the only place that knows quadrature.

Lives here: panels, rules, moment tables in q, Hermite series, conditional smoothing, fourth moments.
Not here: what an activation is (meanfield.activations) and what σ_w and σ_b do with its moments (meanfield.theory).
"""

from __future__ import annotations

from meanfield._callable import make_callable
from meanfield.expectation.covariance import covariance, decorrelation
from meanfield.expectation.estimate import Expectation, estimate, expectation
from meanfield.expectation.second_moment import second_moment

__all__ = ["Expectation", "covariance", "decorrelation", "estimate", "expectation", "second_moment"]

make_callable(__name__)
