"""Whether values of φ at a few points tell what it does between them.

A narrow bell between two points leaves no trace in the values there, but the formula gives it away: the argument of the
exponential that makes it runs through hundreds of e-folds from one point to the next. So every function that acts on a
small part of its argument's range is asked for the range of its argument between the points. Arguments are smooth
where what they are made of hides nothing in its turn, so their values and slopes at the points bound them in between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from meanfield.activations.activation import Array
from meanfield.activations.formula.fields import Doubles
from meanfield.activations.formula.jets import jets
from meanfield.activations.formula.tree import Step

if TYPE_CHECKING:
    from meanfield.arrays import Mask

_DOUBLES = Doubles()


class _Zone(NamedTuple):
    """Where a function is not constant, linear or out of range, and the longest range of its argument that 16 points do for."""

    low: float
    high: float
    most: float


# 40: tanh and its kin are ±1 or linear to e⁻⁸⁰. exp is 0 below −745 and inf above 710. Each `most` puts points two to
# three widths apart in mid-interval: exp(−v²/2) with 256 e-folds to its ends, 1/cosh² with |v| ≤ 40, exp(−v²) with |v| ≤ 28.
_STEP, _ERROR_FUNCTION, _GROWTH = _Zone(-40.0, 40.0, 40.0), _Zone(-28.0, 28.0, 28.0), _Zone(-710.0, 710.0, 256.0)
_ZONES = {
    **dict.fromkeys(("tanh", "sigmoid", "sech2", "softplus", "logcosh", "tanhshrink"), _STEP),
    **dict.fromkeys(("erf", "erfc"), _ERROR_FUNCTION),
    **dict.fromkeys(("sinh", "cosh"), _GROWTH),
    "exp": _Zone(-745.0, 710.0, 256.0),
    "expm1": _Zone(-40.0, 710.0, 256.0),
}
_RATIO = 20.0  # by which the distance to a singular point may fall between two points
_SINGULAR = {"/": 1, "log": 0, "sqrt": 0, "**": 0}  # singular where that argument vanishes
_ROUNDED = frozenset(("arctan", "arcsinh", "softsign", "isru", "plusroot"))  # of u/√(k + u²) and the like


class _Question(NamedTuple):
    """A step of the tape to ask about: its operation, the step that is its argument, and what goes with it."""

    op: str
    argument: int
    constant: float


class BlindSpots:
    """What the tape of a formula may hide between points."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._questions = list(dict.fromkeys(_questions(steps)))
        self._steps = steps[: 1 + max((q.argument for q in self._questions), default=-1)]

    def between(self, points: Array) -> Mask:
        """For each row of ascending points, whether φ may do something between two of them that its values there do not tell."""
        found: Mask = np.zeros(len(points), dtype=np.bool_)
        if not self._questions or not len(points):
            return found
        with np.errstate(all="ignore"):
            held = jets(self._steps, points.ravel(), 1, _DOUBLES)
            for question in self._questions:
                jet = held[question.argument]
                u, slope = (
                    np.zeros(points.shape) if b is None else np.broadcast_to(b.value, points.size).reshape(points.shape) for b in jet
                )
                if question.op in _ZONES:
                    found |= _steps_over(_ZONES[question.op], points, u, slope)
                else:
                    found |= _passes(question, points, u, slope)
        return found


def _questions(steps: Sequence[Step]) -> list[_Question]:
    questions = []
    for step in steps:
        if step.constant or not step.args:
            continue
        argument = step.args[_SINGULAR.get(step.op, 0)]
        if steps[argument].constant:
            continue
        if step.op in _ZONES or step.op in _ROUNDED or step.op in ("/", "log", "sqrt"):
            constant = _number(steps, step.args[1]) if step.op in ("isru", "plusroot") else 1.0
            questions.append(_Question("rounded" if step.op in _ROUNDED else step.op, argument, constant))
        elif step.op in ("log1p", "sqrt1pm1"):
            questions.append(_Question("shifted", argument, 1.0))
        elif step.op == "**":
            exponent = _number(steps, step.args[1])
            if exponent < 0 or exponent != int(exponent):
                questions.append(_Question("**", argument, max(1.0, abs(exponent))))
    return questions


def _number(steps: Sequence[Step], index: int) -> float:
    """The value of a constant step."""
    with np.errstate(all="ignore"):  # steps before it may be infinite at 0
        ball = jets(steps[: index + 1], np.zeros(1), 0, _DOUBLES)[index][0]
    return 0.0 if ball is None else float(np.ravel(ball.value)[0])


def _extremes(points: Array, u: Array, slope: Array) -> tuple[Array, Array]:
    """Bounds of u in each gap between points: its values there, and where it turns round in between, where its tangents meet."""
    left, right, before, after = u[:, :-1], u[:, 1:], slope[:, :-1], slope[:, 1:]
    width = np.diff(points, axis=1)
    reach = np.clip((right - left - after * width) / (before - after), 0.0, width)
    turning = np.where(before * np.sign(after) < 0, left + before * reach, left)
    turning = np.where(np.isnan(turning), left, turning)
    return np.fmin(np.fmin(left, right), turning), np.fmax(np.fmax(left, right), turning)


def _steps_over(zone: _Zone, points: Array, u: Array, slope: Array) -> Mask:
    lows, highs = _extremes(points, u, slope)
    low, high = np.min(lows, axis=1), np.max(highs, axis=1)
    return np.asarray((high > zone.low) & (low < zone.high) & (high - low > zone.most))


def _passes(question: _Question, points: Array, u: Array, slope: Array) -> Mask:
    """Whether u comes much nearer to where the function is singular between two points than it does at them."""
    if question.op == "shifted":
        u = 1.0 + u
    low, high = _extremes(points, u, slope)
    nearest = np.maximum(np.maximum(low, -high), 0.0)  # 0 where u may vanish
    at = np.abs(u)
    if question.op == "rounded":
        nearest, at = np.hypot(nearest, math.sqrt(abs(question.constant))), np.hypot(at, math.sqrt(abs(question.constant)))
        crossing = np.zeros(low.shape, dtype=np.bool_)
    else:
        crossing = u[:, :-1] * np.sign(u[:, 1:]) <= 0  # a singular point: nobody misses that
    ratio = _RATIO ** (1.0 / question.constant) if question.op == "**" else _RATIO
    hidden: Mask = np.minimum(at[:, :-1], at[:, 1:]) > ratio * nearest
    # From an end to the point beside it the fall may be steady, and still no point sees it.
    for end, beside in ((0, 1), (-1, -2)):
        hidden[:, end] |= np.maximum(at[:, end], at[:, beside]) > ratio * np.minimum(at[:, end], at[:, beside])
    return np.asarray((hidden & ~crossing).any(axis=1))
