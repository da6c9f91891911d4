"""Where the function of a formula is not analytic.

The candidates are the zeros of what the formula's switching and singular operations depend on: u in abs(u), a − b in
max(a, b) and in a comparison, the denominator of a quotient, u in sqrt(u) and log(u). Zeros of affine expressions are
exact; others are searched for over |x| ≤ 10⁶, those of periodic functions over |x| ≤ 10³ and at most 1,000 of them.
"""

from __future__ import annotations

import bisect
import logging
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations.activation import Array, shortened
from meanfield.activations.breakpoint import Breakpoint
from meanfield.activations.formula.fields import Doubles
from meanfield.activations.formula.jets import SWITCHES, Decisions, evaluate
from meanfield.activations.formula.rewrite import rewritten
from meanfield.activations.formula.tree import COMPARISONS, ONE, Node, call, has_x, minus, tape, walk
from meanfield.errors import ActivationError

if TYPE_CHECKING:
    from meanfield.activations.formula.formula import FormulaActivation

_log = logging.getLogger(__name__)
_DOUBLES = Doubles()
MOST = 1_000
_MOST_SWITCHES = 200
# Counts, not clocks, so that the same formula has the same breakpoints on every machine.
_POLISHED = 100  # zeros of one function, those nearest to 0, that are found with many digits; the others to a few ulp
_WORK = 20_000  # breakpoints times operations of the formula
_SINGULAR = 60  # singular points, whose limits often take many digits
_POLE_WIDTH = 1e-13  # relative distance within which a zero is taken to be the pole beside it
_NEAR = 64.0  # units in the last place of x within which an infinite slope makes a jump out of rounding
_TRIGONOMETRIC = frozenset(("sin", "cos", "tan"))
_PROBES = (0.0137, 0.31, 0.83, 1.73, 4.9, 17.3, 61.7)


def check_defined(act: FormulaActivation) -> None:
    """Refuse a formula that is not defined for all x, single points aside."""
    points = np.array([sign * x for x in _PROBES for sign in (1.0, -1.0)])
    if not np.isfinite(act.values(points, 0)).any():
        raise ActivationError(
            f"{shortened(act.name)} is too large for double precision wherever it was tried, x = {_PROBES[0]!r} among them"
        )


def find_breakpoints(act: FormulaActivation) -> tuple[Breakpoint, ...]:
    """The points where φ is not analytic, with their jumps."""
    tree = rewritten(act._tree)
    found: dict[float, bool] = {}
    functions = dict.fromkeys(_vanishing(tree))
    if len(functions) > _MOST_SWITCHES:
        raise ActivationError(f"{shortened(act.name)} has {len(functions)} switching operations; at most {_MOST_SWITCHES} are searched")
    for function, singular in functions:
        for x in _zeros(rewritten(function)):
            found[x] = found.get(x, False) or singular
    locations = _nearest(act, _merged(found))
    act.breakpoints = tuple(Breakpoint(x) for x, _ in locations)  # `limit` keeps clear of the neighbours
    found_points = []
    for x, singular in locations:
        if singular or _changes(act, x):
            point = _with_jumps(act, x)
            found_points.append(_as_pole(act, point) if singular else point)
    return tuple(sorted(found_points))


def _nearest(act: FormulaActivation, locations: list[tuple[float, bool]]) -> list[tuple[float, bool]]:
    """The points nearest to 0, as many as can be settled with reasonable work, ascending."""
    most = min(MOST, _WORK // len(act._tape) + 1)
    kept: list[tuple[float, bool]] = []
    singular = 0
    for point in sorted(locations, key=lambda point: abs(point[0])):
        singular += point[1]
        if len(kept) >= most or singular > _SINGULAR:
            _log.info("%s has more breakpoints than are settled; those from |x| = %g on are left out", shortened(act.name), abs(point[0]))
            break
        kept.append(point)
    return sorted(kept)


def limit(act: FormulaActivation, x: float, side: int, k: int) -> float:
    """φ^(k)(x±): the piece next to x, followed up to x."""
    return _limits(act, x, side, (k,))[0]


def _limits(act: FormulaActivation, x: float, side: int, orders: tuple[int, ...]) -> list[float]:
    frozen = _branches(act, x, side)
    if x != 0 and frozen == _branches(act, x, -side):
        # No branch tells the sides apart (arcsin(sin x) at π/2): a point clearly on this side does.
        x += side * 8 * float(np.spacing(abs(x)))
    with np.errstate(all="ignore"):
        jet = evaluate(act._tape, np.float64(x), max(orders), _DOUBLES, frozen)
    limits = []
    for k in orders:
        ball = jet[k]
        value = 0.0 if ball is None else float(ball.value)
        if ball is not None and not (math.isfinite(value) and ball.error <= 1e-12 * abs(value) + 1e-300):
            value = _followed(act, x, side, k, frozen)
        limits.append(value + 0.0)
    return limits


def _followed(act: FormulaActivation, x: float, side: int, k: int, frozen: Decisions) -> float:
    try:
        with np.errstate(all="ignore"):
            value = float(act.follow(np.array([x]), k, frozen)[0])
    except ActivationError:
        value = math.nan
    return value if math.isfinite(value) else _approached(act, x, side, k, frozen)


def _approached(act: FormulaActivation, x: float, side: int, k: int, frozen: Decisions) -> float:
    """The limit where φ^(k) can't be evaluated at x itself: from points ever nearer."""
    nearest = 1e-140 if x == 0 else abs(x) * 2.0**-51
    points = x + side * nearest * np.array([1.0, 2.0**8 if x else 1e20])
    try:
        near, far = map(float, act.follow(points, k, frozen))
    except ActivationError:
        return math.nan
    if math.isnan(near) or math.isnan(far):
        return math.nan
    if abs(near) < 1e-60:
        return 0.0
    if abs(near) > 1.5 * abs(far) and abs(near) > 1e3 * (1.0 + abs(_typical(act, x, side, k))):
        return math.copysign(math.inf, near)
    if x == 0 and abs(near) > 0 and k == 0 and abs(near - far) > 40.0 * 1e-3:  # logarithmic growth
        return math.copysign(math.inf, near)
    return float(near)


def _typical(act: FormulaActivation, x: float, side: int, k: int) -> float:
    try:
        return float(act.follow(np.array([x + side * _clearance(act, x)]), k)[0])
    except ActivationError:
        return 0.0


def _gap(act: FormulaActivation, x: float) -> float:
    """The distance from x to the nearest other breakpoint."""
    points = act.breakpoints
    index = bisect.bisect_left(points, x, key=lambda point: point.location)
    near = points[max(index - 1, 0) : index + 2]
    return min((abs(point.location - x) for point in near if point.location != x), default=math.inf)


def _clearance(act: FormulaActivation, x: float) -> float:
    """A distance from x that reaches no other breakpoint."""
    return min(1e-6 * (1.0 + abs(x)), _gap(act, x) / 4)


def _branches(act: FormulaActivation, x: float, side: int) -> Decisions:
    """The branches that the formula takes just beside x."""
    record: Decisions = {}
    with np.errstate(all="ignore"):
        evaluate(act._tape, np.float64(x + side * _clearance(act, x)), 0, _DOUBLES, record=record)
    return {index: decision.item() if hasattr(decision, "item") else decision for index, decision in record.items()}


def _changes(act: FormulaActivation, x: float) -> bool:
    """Whether the piece left of x, continued to the right, differs from the piece there, or the other way round."""
    left, right = _branches(act, x, -1), _branches(act, x, +1)
    if left == right:
        return False
    reach = min(0.25 * (1.0 + abs(x)), _gap(act, x) / 2)
    points = x + reach * np.array([-1.0, -0.6, -0.25, 0.25, 0.6, 1.0])
    try:
        with np.errstate(all="ignore"):
            a, b = act.follow(points, 0, left), act.follow(points, 0, right)
            same = np.abs(a - b) <= 1e-13 * np.maximum(np.abs(a), np.abs(b))
    except ActivationError:
        return True
    return not bool(same.all())


def _with_jumps(act: FormulaActivation, x: float) -> Breakpoint:
    right, left = (_limits(act, x, side, (0, 1, 2)) for side in (+1, -1))
    value, slope = (_jump(right[k], left[k], abs(right[k + 1]) + abs(left[k + 1]), x) for k in (0, 1))
    if value and math.isfinite(value) and math.isinf(slope) and abs(value) <= _unsettled(act, x, right[0], left[0]):
        value = 0.0
    return Breakpoint(x, value, slope)


def _unsettled(act: FormulaActivation, x: float, right: float, left: float) -> float:
    """How far φ moves within a few units of rounding of x: much beside √|x − t|, whose value at t itself is as uncertain as that."""
    found = 0.0
    for side, limit_there in ((1.0, right), (-1.0, left)):
        try:
            near = float(act.values(np.array([x + side * min(_NEAR * math.ulp(x), _gap(act, x) / 2)]), 0)[0])
        except ActivationError:
            continue
        found = max(found, abs(near - limit_there))
    return found


def _as_pole(act: FormulaActivation, point: Breakpoint) -> Breakpoint:
    """The point as a pole, if it is one: at π/2, which is no double, tan is large but finite."""
    x = point.location
    nearest = min(1e-9 * max(abs(x), 1e-3), _gap(act, x) / 5_000)
    signs = []
    for side in (-1.0, 1.0):
        try:
            values = act.values(x + side * nearest * np.array([1.0, 2.0**5, 2.0**10]), 0)
        except ActivationError:
            continue
        size = np.abs(values)
        if size[0] > size[1] > size[2] > 0 and np.isfinite(size[0]):
            powers = np.log2(size[:2] / size[1:]) / 5
            if powers.min() > 0.1 and np.ptp(powers) < 0.1 * powers.max():
                signs.append(math.copysign(math.inf, values[0] * side))
    if not signs:
        return point
    return Breakpoint(x, signs[-1] if len(set(signs)) == 1 else math.inf, math.inf)


def _jump(right: float, left: float, steepness: float, x: float) -> float:
    """right − left; 0 where that is only the rounding of x, inf where both sides are infinite alike."""
    jump = right - left
    if math.isnan(jump):
        return math.inf if math.isinf(right) or math.isinf(left) else 0.0
    noise = 2.0**-50 * (abs(right) + abs(left) + (abs(x) * steepness if math.isfinite(steepness) else 0.0))
    return 0.0 if math.isfinite(jump) and abs(jump) <= noise else jump


def _vanishing(tree: Node) -> Iterator[tuple[Node, bool]]:
    """What each switching or singular operation depends on, and whether it is singular where that vanishes."""
    for node in walk(tree):
        op, args = node.op, node.args
        if not has_x(node) and op not in COMPARISONS:
            continue
        if op in ("max", "min") or op in COMPARISONS:
            yield minus(*args), False
        elif op in SWITCHES:
            yield args[0], False
        elif op == "/":
            yield _inside(args[1]), True
        elif op in ("sqrt", "log"):
            yield _inside(args[0]), True
        elif op in ("log1p", "sqrt1pm1"):
            yield call("+", ONE, args[0]), True
        elif op == "tan":
            yield call("cos", args[0]), True
        elif op in ("arcsin", "arccos", "arctanh"):
            yield minus(ONE, args[0]), True
            yield call("+", ONE, args[0]), True
        elif op == "arccosh":
            yield minus(args[0], ONE), True
        elif op == "**" and not _whole(args[1]):
            yield _inside(args[0]), True


def _inside(node: Node) -> Node:
    """What vanishes where the node does: its zeros are easier to find."""
    while node.op in ("abs", "neg"):
        node = node.args[0]
    return node


def _whole(exponent: Node) -> bool:
    n = exponent.number
    return n is not None and n.denominator == 1 and n >= 0


def _degree(node: Node) -> int:
    """0 for a constant, 1 for an affine expression, 2 for anything else."""
    if not has_x(node):
        return 0
    if node.op == "x":
        return 1
    if node.op in ("+", "neg"):
        return max(map(_degree, node.args))
    if node.op == "*":
        return min(sum(map(_degree, node.args)), 2)
    if node.op == "/" and _degree(node.args[1]) == 0:
        return _degree(node.args[0])
    return 2


def _zeros(function: Node) -> list[float]:
    from meanfield.activations.formula.precise import affine_zero, polished_zero

    degree = _degree(function)
    if degree == 0:
        return []
    steps = tape(function)
    if degree == 1:
        x = affine_zero(steps)
        return [] if x is None else [x]
    periodic = any(node.op in _TRIGONOMETRIC for node in walk(function))
    zeros: list[float] = []
    for order, x in sorted(_crossings(steps, periodic), key=lambda pair: abs(pair[1])):
        if len(zeros) >= _POLISHED:
            zeros.append(x)
            continue
        better = polished_zero(steps, x, order)
        if better is not None:
            zeros.append(better)
    return zeros


def _grid(periodic: bool) -> Array:
    """Points that are dense about 0 and reach to ±10⁶."""
    side = np.concatenate([np.logspace(-12, -2, 101), np.sinh(np.linspace(0.0, math.asinh(1e6), 3001)[1:])])
    if periodic:
        side = np.concatenate([side[side < 50], np.linspace(0.05, 1000.0, 20_001)])
    side = np.unique(side)
    return np.concatenate([-side[::-1], [0.0], side])


def _crossings(steps: Any, periodic: bool) -> list[tuple[int, float]]:
    """Zeros of the function (order 0) and of its derivative where it may touch zero (order 1), to the last bits."""
    x = _grid(periodic)
    with np.errstate(all="ignore"):
        value, slope = _sampled(steps, x)
        found = [(0, float(point)) for point in x[_isolated(value == 0)]]
        low, high = _bracket(x, value)
        found += [(0, point) for point in _bisected(steps, low, high, 0)]
        turning_low, turning_high = _bracket(x, slope)
        for point in _bisected(steps, turning_low, turning_high, 1):
            at, _ = _sampled(steps, np.array([point]))
            index = int(np.searchsorted(x, point))
            around = value[max(index - 1, 0) : index + 1]
            scale = float(np.nanmax(np.abs(around))) if np.isfinite(around).any() else 0.0
            if abs(at[0]) <= 1e-9 * scale or abs(at[0]) < 1e-15:
                found.append((1, point))
            elif len(around) == 2 and np.all(np.sign(around) == -np.sign(at[0])):
                ends = np.array([x[index - 1], point]), np.array([point, x[index]])
                found += [(0, zero) for zero in _bisected(steps, *ends, 0)]
    return found


def _sampled(steps: Any, x: Array) -> tuple[Array, Array]:
    jet = evaluate(steps, x, 1, _DOUBLES)
    value, slope = (np.zeros_like(x) if ball is None else np.broadcast_to(ball.value, x.shape) for ball in jet)
    return np.asarray(value), np.asarray(slope)


def _isolated(zero: Any) -> Any:
    """The entries that are true between two that are not."""
    padded = np.concatenate([[False], zero, [False]])
    return zero & ~padded[:-2] & ~padded[2:]


def _bracket(x: Array, value: Array) -> tuple[Array, Array]:
    change = np.flatnonzero(value[:-1] * np.sign(value[1:]) < 0)[: 2 * MOST]
    return x[change], x[change + 1]


def _bisected(steps: Any, low: Array, high: Array, order: int) -> list[float]:
    """The sign changes of the function or its slope in each bracket, halving all brackets together."""
    if not len(low):
        return []
    low, high = low.copy(), high.copy()
    sign = np.sign(_sampled(steps, low)[order])
    for _ in range(70):
        middle = 0.5 * (low + high)
        same = np.sign(_sampled(steps, middle)[order]) == sign
        low, high = np.where(same, middle, low), np.where(same, high, middle)
        if np.all(np.abs(high - low) <= 4e-16 * np.abs(high)):
            break
    return [float(x) for x in high]


def _merged(found: dict[float, bool]) -> list[tuple[float, bool]]:
    """The points ascending, those that differ by rounding alone made one.

    A change of sign through a pole also looks like a zero, a few ulp off: the pole itself takes it in.
    """
    singular = sorted(x for x, is_singular in found.items() if is_singular)
    merged: list[tuple[float, bool]] = []
    for x, is_singular in sorted(found.items()):
        if not is_singular:
            index = bisect.bisect_left(singular, x)
            if any(abs(x - pole) <= _POLE_WIDTH * abs(pole) + 1e-30 for pole in singular[max(index - 1, 0) : index + 1]):
                continue
        if merged and x - merged[-1][0] <= 1e-15 * abs(x):
            merged[-1] = (merged[-1][0], merged[-1][1] or is_singular)
        else:
            merged.append((x + 0.0, is_singular))
    return merged
