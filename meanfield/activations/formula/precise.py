"""Re-evaluation with as many digits as it takes, where double precision is not enough."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from meanfield.activations.activation import Array
from meanfield.activations.formula.fields import Doubles, ManyDigits
from meanfield.activations.formula.jets import Decisions, evaluate
from meanfield.activations.formula.tree import Step

_lock = threading.Lock()
_PRECISIONS = (120, 260, 600, 1500, 3600, 9000)
_SMALLEST = -1060  # a value below 2^−1060 counts as 0
_ZERO_BITS, _LEAST = 1500, -3000
# Operations on many digits that one call may spend: some 15 µs each, so about a quarter of a second. A count and not a
# clock, so that the same input gives the same numbers on every machine.
WORK = 15_000
_SLOW = frozenset(("erf", "erfc"))  # their cost grows with the square of the digits
_MOST_AT_ONE_POINT = 100_000


@functools.cache
def _field() -> ManyDigits:
    return ManyDigits()


def precise(steps: Sequence[Step], points: Array, order: int, work: int = WORK, frozen: Decisions | None = None) -> tuple[Array, int]:
    """φ^(order) at each point to double precision, NaN where undefined, and how many points were done with that much work.

    The digits are raised until the running error bound is below the last bit of the result.
    """
    values = np.full(points.shape, np.nan)
    spent = 0
    with _lock:
        for index, x in enumerate(points):
            values[index], cost = _one(steps, float(x), order, _field(), frozen)
            spent += cost
            if spent > work:
                return values, index + 1
    return values, len(points)


def _one(steps: Sequence[Step], x: float, order: int, field: ManyDigits, frozen: Decisions | None) -> tuple[float, int]:
    """The value at one point, and the operations spent on it."""
    context = field.context
    value: Any = context.nan
    cost = 0
    slow = sum(step.op in _SLOW for step in steps)
    for bits in _PRECISIONS:
        more = (10 + len(steps)) * (1 + bits // 500) + slow * bits * bits // 40_000
        if cost + more > _MOST_AT_ONE_POINT:
            break
        cost += more
        field.set_precision(bits)
        ball = evaluate(steps, context.mpf(x), order, field, frozen)[order]
        if ball is None:
            return 0.0, cost
        value, error = ball
        if context.isnan(value) or not context.isfinite(error):
            if bits >= 260:
                return float("nan"), cost
            continue
        if context.isinf(value):
            return float("nan"), cost
        if error <= context.ldexp(abs(value), -54) or (_magnitude(context, value) < _SMALLEST and _magnitude(context, error) < _SMALLEST):
            break
    return float(value), cost


def _magnitude(context: Any, value: Any) -> float:
    return float("-inf") if value == 0 else int(context.mag(value))


def vanishes(steps: Sequence[Step]) -> bool:
    """Whether a formula without x is zero: not told from 0 by double precision, nor by 1500 bits."""
    with np.errstate(all="ignore"):
        ball = evaluate(steps, np.zeros(1), 0, Doubles())[0]
    if ball is None or not np.all(np.isfinite(ball.error)) or np.any(np.abs(ball.value) > ball.error):
        return ball is None
    with _lock:
        field = _field()
        field.set_precision(_ZERO_BITS)
        ball = evaluate(steps, field.context.mpf(0), 0, field)[0]
        if ball is None or not field.context.isfinite(ball.value) or not field.context.isfinite(ball.error):
            return ball is None
        # Of numbers beyond any double, like exp(-exp(9)), no digit may be lost: a logarithm may follow.
        return abs(ball.value) <= ball.error and (ball.error == 0 or _LEAST < _magnitude(field.context, ball.error) < _SMALLEST)


def affine_zero(steps: Sequence[Step]) -> float | None:
    """The zero of an affine function, correctly rounded; None where it is constant or the zero is no double."""
    with _lock:
        field = _field()
        field.set_precision(200)
        value, slope = evaluate(steps, field.context.mpf(0), 1, field)[:2]
        if slope is None or value is None or not field.context.isfinite(value.value) or abs(slope.value) <= 4 * slope.error:
            return None
        zero = float(-value.value / slope.value)
    return zero if np.isfinite(zero) else None


def polished_zero(steps: Sequence[Step], x: float, order: int) -> float | None:
    """The zero of the function near x (order 0), or of its slope if the function vanishes there too (order 1)."""
    with _lock:
        field = _field()
        field.set_precision(200)
        context = field.context
        point = context.mpf(x)
        for _ in range(6):
            jet = evaluate(steps, point, order + 1, field)
            value, slope = jet[order], jet[order + 1]
            if value is None or not context.isfinite(value.value):
                return x
            if slope is None or slope.value == 0 or not context.isfinite(slope.value):
                break
            step = value.value / slope.value
            if abs(point - step - x) > 1e-7 * (1e-9 + abs(x)):
                break
            point -= step
            if abs(step) <= context.ldexp(abs(point), -120):
                break
        if order == 1:
            ball = evaluate(steps, point, 0, field)[0]
            if ball is not None and abs(ball.value) > 1e-12 * abs(point) ** 2 * 1e-12 + 1e-30:
                return None
        nearest = float(point)
    return nearest if abs(nearest) > 1e-30 else 0.0
