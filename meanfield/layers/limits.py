"""The correlation map where the variance is 0 or infinite: that of the slopes of φ there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.activations.kept import Kept
from meanfield.errors import DomainError
from meanfield.expectation.moments import V1, V, moment_table

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

VISIBLE = 2.0**-100  # below this variance, and above its inverse, φ shows its slopes at 0± or ∓∞ only: to √q = 1e-15
FAR = 1e12  # where the tail slopes of φ are read off
PLACES = np.array([1.0, 0.93, 0.81, 0.74, 0.67, 0.59, 0.47, 0.39])  # of which φ' is read at to see whether it settles
DEAREST = 20_000  # panels of φ
SAME, SAME_MEASURED = 1e-14, 1e-9  # relative difference up to which two slopes are the same: exact ones, and measured ones


_slopes: Kept[dict[bool, tuple[float, float]]] = Kept("limit slopes")  # at 0, and far out
_two_lines: Kept[bool] = Kept("two lines")  # at variances in between


def slopes(act: Activation, q: float) -> tuple[float, float]:
    """(β, λ): the slopes of φ on the left and on the right, at 0± for q = 0 and at ∓∞ for q = inf."""
    held = _slopes.setdefault(act, {})
    if (q == 0.0) not in held:
        held[q == 0.0] = _looked_up(act, q)
    return held[q == 0.0]


def _looked_up(act: Activation, q: float) -> tuple[float, float]:
    if q == 0.0:
        return act.one_sided(0.0, -1, 1), act.one_sided(0.0, 1, 1)
    if oscillates(act):  # φ' takes no value out there; the line that φ swings about has one, if there is one
        chords = [act.values(side * FAR * PLACES, 0) / (side * FAR * PLACES) for side in (-1.0, 1.0)]
        if all(float(np.ptp(chord)) <= SAME_MEASURED for chord in chords):
            left, right = (0.0 if abs(chord[0]) <= SAME_MEASURED else float(chord[0]) for chord in chords)
            return left, right
    ends = act.values(np.array([-FAR, FAR]), 1)
    nearer = act.values(np.array([-FAR, FAR]) / 16.0, 1)
    # Still growing out there: φ is steeper than linear, and its tail slope infinite.
    growing = np.abs(ends) > 1.1 * np.abs(nearer) + 1e-9
    left, right = np.where(growing, np.copysign(np.inf, ends), ends)
    return float(left), float(right)


def oscillates(act: Activation) -> bool:
    """Whether φ' goes up and down however far out, on either side, as that of sin(x) does."""
    for side in (-1.0, 1.0):
        with np.errstate(invalid="ignore"):
            slope = act.values(side * FAR * PLACES, 1)
            steps = np.diff(slope[np.isfinite(slope)])
        steps = steps[np.abs(steps) > 1e-6 * np.max(np.abs(slope))]
        if steps.size and float(np.max(np.abs(slope))) > SAME_MEASURED and np.count_nonzero(steps[1:] * steps[:-1] < 0) >= 2:
            return True
    return False


def growth(act: Activation) -> float:
    """V[φ]/q in the limit q → ∞."""
    left, right = slopes(act, math.inf)
    return 0.5 * (left * left + right * right)


def mean_square_slope(act: Activation, q: float) -> float:
    """V[φ'] in the limit q → 0⁺ or q → ∞: of the slopes there, or ½ for sin(x), whose slope has no limit but whose mean square has."""
    if q > 0.0 and oscillates(act):
        return settled(act, V1)
    left, right = slopes(act, q)
    return 0.5 * (left * left + right * right)


def settled(act: Activation, column: int) -> float:
    """A moment in the limit q → ∞ of φ that oscillates, by variances four times apart, until three agree; inf where it grows.

    Where none agree, as φ keeps a feature near 0 whose share falls like q^(−½), it is extrapolated.
    """
    table = moment_table(act)
    found: list[float] = []
    for k in range(2, 16):
        if len(found) > 2 and table.partition.count(k + 3) > DEAREST:
            break
        found.append(float(table(column, np.array([4.0**k]))[0]))
        if len(found) > 2 and max(abs(found[-1] - v) for v in found[-3:]) <= 1e-13 * abs(found[-1]) + 1e-30:
            return found[-1]
    first, second, third = found[-3:]
    if abs(third) > 1.5 * abs(second):
        return math.inf
    nearer, further = 2 * second - first, 2 * third - second  # a term in q^(−½) goes, and one in 1/q
    return (4 * further - nearer) / 3


def has_tail(act: Activation) -> bool:
    """Whether φ is no steeper than linear far out, so that the correlation map has a limit at infinite variance."""
    return all(math.isfinite(slope) for slope in slopes(act, math.inf))


def same_slopes(act: Activation, q: float) -> bool:
    """Whether the slopes on both sides agree, so that the correlation map there is the identity: it keeps every correlation.

    Examples
    --------
    >>> import math
    >>> from meanfield import activation
    >>> same_slopes(activation("tanh"), 0.0), same_slopes(activation("silu"), math.inf), same_slopes(activation("x + tanh(x)"), math.inf)
    (True, False, True)
    """
    left, right = slopes(act, q)
    if not 0.0 < max(abs(left), abs(right)) < math.inf:
        return False
    tolerance = SAME if act.has_formula and q == 0.0 else SAME_MEASURED
    return abs(right - left) <= tolerance * max(abs(left), abs(right))


def map_of_slopes(left: float, right: float, c: Array) -> Array:
    """f(c) of φ(x) = λx (x > 0), βx (x ≤ 0), at any variance and with σ_b = 0 [Hayou 2018, section 3.1; Cho, Saul 2009].

    φ = a|x| + bx with a = (λ − β)/2, b = (λ + β)/2, and E|u||v| = (2/π)(√(1 − c²) + c arcsin c).
    """
    a, b = 0.5 * (right - left), 0.5 * (right + left)
    total = a * a + b * b
    if not 0 < total < math.inf:
        raise DomainError("the correlation map has no limit there: the slopes of φ are 0 or infinite on both sides; give q")
    even = 2.0 / math.pi * (np.sqrt((1 - c) * (1 + c)) + c * np.arcsin(c))
    result: Array = (a * a * even + b * b * c) / total
    return result


def slope_of_slopes(left: float, right: float, c: Array) -> Array:
    """f'(c) of the same map: (a² (2/π) arcsin c + b²)/(a² + b²)."""
    a, b = 0.5 * (right - left), 0.5 * (right + left)
    map_of_slopes(left, right, np.zeros(1))
    result: Array = (a * a * 2.0 / math.pi * np.arcsin(c) + b * b) / (a * a + b * b)
    return result


def slope_covariance_of_slopes(left: float, right: float, epsilon: Array) -> Array:
    """C[φ'] of the same φ: a² (2/π) arcsin c + b², with arcsin(1 − ε) = π/2 − 2 arcsin √(ε/2)."""
    a, b = 0.5 * (right - left), 0.5 * (right + left)
    result: Array = a * a * (1.0 - 4.0 / math.pi * np.arcsin(np.sqrt(0.5 * epsilon))) + b * b
    return result


def loss_of_slopes(left: float, right: float, epsilon: Array) -> Array:
    """1 − f(1 − ε) of the same map, to relative accuracy.

    With ε = 2 sin²(θ/2): 1 − (2/π)(sin θ + (π/2 − θ) cos θ) = (1 − cos θ) − (2/π)(sin θ − θ cos θ).
    """
    a, b = 0.5 * (right - left), 0.5 * (right + left)
    map_of_slopes(left, right, np.zeros(1))
    theta = 2 * np.arcsin(np.sqrt(0.5 * epsilon))
    # sin θ − θ cos θ = θ³/3 − θ⁵/30 + …: its series below θ = 0.5, where the difference would lose digits.
    square = theta * theta
    term = theta * square
    series = np.zeros_like(theta)
    sign_factorial = 1.0
    for k in range(1, 10):
        sign_factorial *= (2 * k) * (2 * k + 1)
        series += (-1) ** (k + 1) * 2 * k * term / sign_factorial
        term = term * square
    difference = np.where(theta < 0.5, series, np.sin(theta) - theta * np.cos(theta))
    result: Array = epsilon - a * a / (a * a + b * b) * 2.0 / math.pi * difference
    return result


def is_two_lines(activation: Activation, q: float) -> bool:
    """Whether φ looks linear on both sides of 0 from variance q: at any q for ReLU-like φ, else near 0 or far out."""
    if VISIBLE < q < 1.0 / VISIBLE:
        if activation not in _two_lines:
            _two_lines[activation] = _is_two_lines(activation, 1.0)
        return _two_lines[activation]
    return _is_two_lines(activation, q)


def _is_two_lines(activation: Activation, q: float) -> bool:
    if VISIBLE < q < 1.0 / VISIBLE:
        if any(b.location != 0.0 for b in activation.breakpoints) or activation.one_sided(0.0, 1, 0) != 0.0:
            return False
        if slopes(activation, 0.0) != slopes(activation, math.inf):
            return False
        at = np.array([2.0**-20, 1.0, 2.0**20])
    else:
        at = np.array([q])
    left, right = slopes(activation, 0.0 if q < 1.0 else math.inf)
    slope = 0.5 * (left * left + right * right)
    if not 0.0 < slope < math.inf:
        return False
    if math.isinf(q):
        return True
    return bool(np.all(np.abs(moment_table(activation)(V, at) / (slope * at) - 1.0) <= 4e-15))


def is_line(activation: Activation, q: float) -> bool:
    """Whether φ looks like one line through 0 from variance q: the correlation map without bias is the identity."""
    return same_slopes(activation, 0.0) and is_two_lines(activation, q)
