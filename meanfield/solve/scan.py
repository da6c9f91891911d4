"""All solutions of g(q) = t for a function g that is smooth in log q, each found once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from meanfield.arrays import Array, Integers

PER_OCTAVE = 8  # samples; the moments have one short series for each octave


def octave_grid(low: float, high: float) -> Array:
    """Points in [low, high], PER_OCTAVE for each factor of two, the ends included."""
    count = max(2, math.ceil(PER_OCTAVE * math.log2(high / low)) + 1)
    grid: Array = np.exp2(np.linspace(math.log2(low), math.log2(high), count))
    grid[0], grid[-1] = low, high
    return grid


def with_extrema(q: Array, values: Array, function: Callable[[Array], Array], noise: Array | float = 0.0) -> tuple[Array, Array]:
    """Add the local extrema of g between samples, so that two roots between samples are not lost.

    Golden-section search on all brackets at once; flat stretches have none: samples that are equal, or that differ from both
    neighbours by no more than the noise at q[1:-1].
    """
    inner = values[1:-1]
    with np.errstate(invalid="ignore"):
        top = (inner > values[:-2]) & (inner >= values[2:])
        bottom = (inner < values[:-2]) & (inner <= values[2:])
        seen = np.maximum(np.abs(inner - values[:-2]), np.abs(inner - values[2:])) > noise
    there = (top | bottom) & seen
    sign = np.where(top, 1.0, -1.0)[there]
    at = np.flatnonzero(there) + 1
    if at.size == 0:
        return q, values
    low, high = np.log(q[at - 1]), np.log(q[at + 1])
    golden = 0.5 * (math.sqrt(5.0) - 1.0)
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = sign * function(np.exp(left)), sign * function(np.exp(right))
    for _ in range(45):  # one new value a step: the other inner point is one of the last step's
        better = at_left > at_right
        low, high = np.where(better, low, left), np.where(better, right, high)
        fresh = np.where(better, high - golden * (high - low), low + golden * (high - low))
        at_fresh = sign * function(np.exp(fresh))
        left, right = np.where(better, fresh, right), np.where(better, left, fresh)
        at_left, at_right = np.where(better, at_fresh, at_right), np.where(better, at_left, at_fresh)
    extra = np.exp(0.5 * (low + high))
    points = np.concatenate([q, extra])
    found = np.concatenate([values, function(extra)])
    order = np.argsort(points, kind="stable")
    return points[order], found[order]


def polish(function: Callable[[Array, Integers], Array], low: Array, high: Array, at_low: Array, at_high: Array) -> Array:
    """Roots of an array of brackets by regula falsi (Illinois) in log q, safeguarded by bisection, to the last digits.

    function(q, i): the values at q of the functions that belong to brackets i. Each stops where it would stop alone.
    """
    a, b = np.log(low), np.log(high)
    fa, fb = at_low, at_high
    # A root on a sample: rounding may give both ends the same sign, and the nearer one is the root.
    settled = (fa == 0) | (fb == 0) | (np.sign(fa) == np.sign(fb))
    roots = np.where(np.abs(fa) < np.abs(fb), low, high)
    left = np.flatnonzero(~settled)
    a, b, fa, fb = (v[left] for v in (a, b, fa, fb))
    for step in range(120):
        if not left.size:
            break
        with np.errstate(divide="ignore", invalid="ignore"):
            c = (a * fb - b * fa) / (fb - fa)
        c = np.where(np.isfinite(c) & (c > np.minimum(a, b)) & (c < np.maximum(a, b)) & (step % 3 != 2), c, 0.5 * (a + b))
        fc = function(np.exp(c), left)
        same = np.sign(fc) == np.sign(fb)
        fa = np.where(same, 0.5 * fa, fb)
        a = np.where(same, a, b)
        b, fb = c, fc
        roots[left] = np.exp(b)
        going = (np.abs(b - a) > 1e-15 * np.maximum(1.0, np.abs(b))) & (fb != 0)
        left, a, b, fa, fb = (v[going] for v in (left, a, b, fa, fb))
    return roots
