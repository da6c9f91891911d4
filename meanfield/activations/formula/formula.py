"""The activation of a formula."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from meanfield.activations.activation import Activation, Array, estimated, shortened
from meanfield.activations.formula.fields import Doubles
from meanfield.activations.formula.jets import Decisions, evaluate
from meanfield.activations.formula.parse import check_parameter_name, parse
from meanfield.activations.formula.rewrite import rewritten
from meanfield.activations.formula.tree import Node, tape
from meanfield.errors import AccuracyWarning, ActivationError

if TYPE_CHECKING:
    from meanfield.activations.formula.blind_spots import BlindSpots
    from meanfield.arrays import Mask

_Bounded: TypeAlias = tuple[Array, Array]  # values, and bounds of their errors

_DOUBLES = Doubles()
# Points that may have lost more than about three digits are evaluated again.
_LOST = 2.0**-52 * 2000.0
_STEPS = (1e-6, 1e-9, 1e-12)
_ULPS = 32.0
# An error that is this small beside |φ^(k)| at smaller |x|, where any Gaussian weighs more, changes no expectation.
_HARMLESS = 1e-11
# In a large array points with errors smaller still are left as they are; a few points are all worth their digits.
_UNSEEN = 2e-13
_LARGE = 256
_MANY = 4096  # in an array this large a few hundred points are a small part of any expectation
_OVERFLOWING = 16  # times as much work for points that double precision overflows at
_RUN = 8
_AROUND = 8  # points: with the 16 of a panel, about half a panel
_BLOCK = 16_384
_NEGLIGIBLE = 1e-300


def checked_parameters(text: str, parameters: Mapping[str, Any]) -> dict[str, float]:
    """The parameters of a formula as finite floats."""
    numbers = {}
    for name, value in parameters.items():
        check_parameter_name(text[:200], name)
        try:
            number = math.nan if isinstance(value, (str, bytes, bool)) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise ActivationError(f"the parameter {name} of the formula {shortened(text)!r} must be a finite number, not {value!r}")
        numbers[name] = number
    return numbers


class FormulaActivation(Activation):
    """An activation given by a formula in x."""

    has_formula = True

    def __init__(self, tree: Node, name: str, parameters: Mapping[str, float], origin: Any) -> None:
        from meanfield.activations.formula.singular_points import check_defined, find_breakpoints

        super().__init__(name, (), parameters)
        self._tree = tree
        self._origin = origin
        self._announced = False
        self._tape = tape(rewritten(tree))
        check_defined(self)
        self.breakpoints = find_breakpoints(self)

    @classmethod
    def from_text(cls, text: str, parameters: Mapping[str, float]) -> FormulaActivation:
        """The activation of a formula's text, its parameters checked already."""
        return cls(parse(text, parameters), text, parameters, None)

    @classmethod
    def from_sympy(cls, expression: Any) -> FormulaActivation:
        """The activation of a SymPy expression with one free symbol."""
        from meanfield.activations.formula.sympy_bridge import from_sympy

        return cls(from_sympy(expression), str(expression), {}, expression)

    @functools.cached_property
    def formula(self) -> Any:
        """The SymPy expression of φ in the symbol x."""
        from meanfield.activations.formula.sympy_bridge import to_sympy

        return to_sympy(self._tree)

    def _raw(self, x: Array, k: int) -> Array:
        return self.follow(x, k)

    def follow(self, x: Array, k: int, frozen: Decisions | None = None) -> Array:
        """φ^(k), or with `frozen` branches the analytic continuation of one of its pieces; NaN where undefined."""
        with np.errstate(all="ignore"):
            (found,) = self._evaluated(x, (k,), frozen)
        return self._settled(x, k, found, frozen)

    def several(self, x: Array, orders: tuple[int, ...]) -> tuple[Array, ...]:
        """The values of φ^(k) for several k, from one pass over the formula."""
        with np.errstate(all="ignore"):
            found = self._evaluated(x, orders, None)
            following = dict(zip(orders, found, strict=True))
            results = tuple(self._settled(x, k, f, None, following.get(k + 1)) for k, f in following.items())
        for k, y in zip(orders, results, strict=True):
            undefined = np.isnan(y)
            if undefined.any():
                raise self._undefined(float(x[int(np.argmax(undefined))]), k)
        return results

    @functools.cached_property
    def _blind_spots(self) -> BlindSpots:
        from meanfield.activations.formula.blind_spots import BlindSpots

        return BlindSpots(self._tape)

    def hides(self, points: Array) -> Mask:
        return self._blind_spots.between(points)

    def _settled(self, x: Array, k: int, found: _Bounded | None, frozen: Decisions | None, following: _Bounded | None = None) -> Array:
        """φ^(k) from values with bounds of their errors: where those are too wide, with more digits. `following`: φ^(k+1), if at hand."""
        with np.errstate(all="ignore"):
            if found is None:  # zero, but only where φ is defined
                return np.where(np.isnan(self.follow(x, 0, frozen)), np.nan, 0.0)
            y, error = found
            kept = np.isfinite(y) & (error <= _LOST * np.abs(y) + _NEGLIGIBLE)
        if not kept.all():
            doubtful = np.flatnonzero(~kept)
            slope = None if following is None else (following[0][doubtful], following[1][doubtful])
            doubtful = doubtful[~self._well_posed(x[doubtful], y[doubtful], error[doubtful], k, frozen, slope)]
            if doubtful.size and x.size > _LARGE:
                doubtful = doubtful[~(np.isfinite(y[doubtful]) & (error[doubtful] <= _errors_around(x, error, doubtful)))]
            if doubtful.size:
                self._refine(x, y, error, doubtful, k, frozen)
        return y

    def _evaluated(self, x: Array, orders: tuple[int, ...], frozen: Decisions | None) -> list[_Bounded | None]:
        """φ^(k) in double precision and the bound of its error, for each k; None where it is zero for every x.

        Large arrays go in blocks that stay in the cache: three times as fast.
        """
        found = [(np.zeros(x.shape), np.zeros(x.shape)) for _ in orders]
        zero = [True for _ in orders]
        for start in range(0, max(x.size, 1), _BLOCK):
            block = slice(start, start + _BLOCK) if x.size > _BLOCK else ...
            jet = evaluate(self._tape, x[block], max(orders), _DOUBLES, frozen)
            for i, k in enumerate(orders):
                ball = jet[k]
                if ball is not None:  # where nothing in the block is undefined, the derivative of a constant is None
                    zero[i] = False
                    found[i][0][block], found[i][1][block] = ball.value, ball.error
        return [None if nothing else pair for nothing, pair in zip(zero, found, strict=True)]

    def _well_posed(self, x: Array, y: Array, error: Array, k: int, frozen: Decisions | None, slope: _Bounded | None = None) -> Any:
        """Where the error is no more than a few ulp of x itself would cause, as at the zeros of sin(5 x).

        No double precision arithmetic does better there, and an integral over x sees it as a shift of the nodes. The
        next derivative gives the change; that of φ'' the steepest of some differences, the smaller ones for the poles.
        """
        with np.errstate(all="ignore"):
            if k < 2:
                if slope is None:
                    (slope,) = self._evaluated(x, (k + 1,), frozen)
                change = np.abs(x) * (0.0 if slope is None else np.fmax(0.0, np.abs(slope[0]) - slope[1]))
            else:
                change = np.zeros_like(x)
                for step in _STEPS:
                    (there,) = self._evaluated(x + step * np.abs(x), (k,), frozen)
                    change = np.fmax(change, np.abs((0.0 if there is None else there[0]) - y) / step)
            return np.isfinite(y) & (error <= _ULPS * 2.0**-52 * (np.abs(y) + change))

    def _refine(self, x: Array, y: Array, error: Array, doubtful: Any, k: int, frozen: Decisions | None) -> None:
        from meanfield.activations.formula.precise import WORK, precise

        # Undefined and overflowing points first: they can't wait; then the others as far as the work allowed goes.
        order = np.argsort(np.isfinite(y[doubtful]), kind="stable")
        doubtful = doubtful[order]
        if doubtful.size > _LARGE:
            doubtful = doubtful[~(np.isfinite(y[doubtful]) & (error[doubtful] <= _UNSEEN * _largest_inside(x, y)[doubtful]))]
        doubtful = doubtful[~self._overflows(x, y, k, frozen)[doubtful]]
        # Where most would be left anyway, only the points that an expectation would notice are worth the work, and not
        # even those if they are too many; undefined points get all of it.
        vital = int(np.count_nonzero(~np.isfinite(y[doubtful])))
        work = WORK if x.size <= _MANY else WORK // 4
        most = vital + 2 * work // (10 + len(self._tape))
        if len(doubtful) > most:
            harmless = np.isfinite(y[doubtful]) & (error[doubtful] <= _HARMLESS * _largest_inside(x, y)[doubtful])
            doubtful = doubtful[~harmless]
        hopeless = len(doubtful) > most
        better, done = precise(self._tape, x[doubtful[:vital]], k, frozen=frozen)
        y[doubtful[:done]] = better[:done]
        if done == vital and not hopeless:
            better, more = precise(self._tape, x[doubtful[vital:]], k, work, frozen)
            y[doubtful[vital : vital + more]] = better[:more]
            done += more
        if done < len(doubtful):
            left = doubtful[done:]
            if np.isinf(y[left]).any() and not np.isnan(y[left]).any():  # only a part of φ overflows, as x³ of 0.001*x**3
                overflowing, rest = left[np.isinf(y[left])], left[np.isfinite(y[left])]
                better, more = precise(self._tape, x[overflowing], k, _OVERFLOWING * WORK, frozen)
                y[overflowing[:more]] = better[:more]
                left = np.concatenate([rest, overflowing[more:]])
            if not np.isfinite(y[left]).all():
                raise ActivationError(f"{shortened(self.name)} can't be evaluated with reasonable effort at x = {float(x[left[0]])!r}")
            left = left[error[left] > _HARMLESS * _largest_inside(x, y)[left]]
            if left.size == 0 or self._announced or estimated.get():
                return
            self._announced = True  # once: one question takes many arrays of points
            warnings.warn(
                f"{shortened(self.name)} loses digits at {len(left)} of {len(x)} points, x = {float(x[left[0]])!r} among them, "
                "and evaluating them all with more digits would take too long",
                AccuracyWarning,
                stacklevel=4,
            )

    def _overflows(self, x: Array, y: Array, k: int, frozen: Decisions | None) -> Any:
        """Inner points of long runs of ±inf, when many digits at five points of the run find it infinite too.

        Where some of the five are finite, as for 0.001*x**3 where only x³ overflows, the parts between them are looked at alike.
        """
        from meanfield.activations.formula.precise import precise

        inside = np.zeros(x.shape, dtype=bool)
        order = np.argsort(x, kind="stable")
        sign = np.where(np.isinf(y[order]), np.sign(y[order]), 0.0)
        ends = np.flatnonzero(np.diff(sign, prepend=0.0, append=0.0))
        waiting = [(start, stop) for start, stop in pairwise(ends.tolist()) if sign[start] != 0]
        while waiting:
            start, stop = waiting.pop()
            if stop - start <= _RUN:
                continue
            places = np.linspace(start, stop - 1, 5).astype(int)
            values, done = precise(self._tape, x[order[places]], k, frozen=frozen)
            if done < len(places):
                continue
            infinite = values == y[order[start]]
            for i, j in pairwise(range(5)):
                if infinite[i] and infinite[j]:
                    inside[order[places[i] : places[j] + 1]] = True
                elif infinite[i] or infinite[j]:
                    waiting.append((int(places[i]), int(places[j]) + 1))
        return inside

    def _limit(self, x: float, side: int, k: int) -> float:
        from meanfield.activations.formula.singular_points import limit

        return limit(self, x, side, k)

    def _origins(self) -> tuple[Any, ...]:
        return (self.name, dict(self.parameters), self._origin)

    def __reduce__(self) -> Any:
        if self._origin is not None:
            return Activation._find, (self._origin,)
        return functools.partial(Activation._find, self.name, **self.parameters), ()


def _largest_inside(x: Array, y: Array) -> Array:
    """For each point the largest |y| among those with |x| up to its own."""
    order = np.argsort(np.abs(x), kind="stable")
    largest = np.empty_like(y)
    largest[order] = np.maximum.accumulate(np.abs(y[order]))
    return largest


def _errors_around(x: Array, error: Array, doubtful: Any) -> Array:
    """The largest error that stays at one of the few points on either side of each doubtful one.

    Where φ oscillates fast its steep points keep errors that are a shift of x; more digits at a peak between them would
    help nobody.
    """
    order = np.argsort(x, kind="stable")
    place = np.empty(x.size, dtype=np.intp)
    place[order] = np.arange(x.size)
    staying = error.copy()
    staying[doubtful] = 0.0
    padded = np.pad(staying[order], _AROUND)
    largest: Array = np.max(np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND + 1)[place[doubtful]], axis=1)
    return largest
