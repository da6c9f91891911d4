"""Derivatives of a function known by its values alone.

Around each x the function is interpolated at Chebyshev points of an interval that crosses no breakpoint and is halved
until the interpolant has converged; the interpolant is then differentiated. A series whose last coefficients are not small
against its others, or which misses φ(x) itself, says nothing yet: such intervals are halved on, down to the scale of the
function. Measured on smooth functions whose scale is not far below 1: φ' to about 1e-12 and φ'' to about 1e-9 of the size
of φ nearby, when φ is evaluated in double precision.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.polynomial import chebyshev

from meanfield.activations.activation import Array

Indices: TypeAlias = "np.ndarray[Any, np.dtype[np.intp]]"
Mask: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

DEGREE = 24
_HALVINGS = 40
_BATCH = 4_000
_PATIENCE = 3  # narrower intervals in a row that are no better
_UNDERFLOW = 1e-290  # smaller values lose their digits to denormal numbers
_LEFT_OUT = 100.0  # times the last coefficients
_LAYERS = 14  # places beside a breakpoint, each eight times nearer than the one before
_UNRESOLVED = 1e-3  # of a series: last coefficients larger than that are a step or a peak that it has not seen yet


@functools.cache
def _rules() -> tuple[Array, Array]:
    """The Chebyshev points on (−1, 1) and the matrix from values there to coefficients."""
    angles = np.pi * (np.arange(DEGREE) + 0.5) / DEGREE
    matrix = np.cos(np.outer(np.arange(DEGREE), angles)) * (2.0 / DEGREE)
    matrix[0] *= 0.5
    return np.cos(angles), matrix


def interpolant(f: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """The Chebyshev coefficients of f on each interval: one row each."""
    nodes, matrix = _rules()
    points = 0.5 * (low + high)[:, None] + 0.5 * (high - low)[:, None] * nodes
    # Rounding must not carry a point over the end of its interval, where a breakpoint may be.
    inside = np.clip(points, np.nextafter(low, high)[:, None], np.nextafter(high, low)[:, None])
    values = f(np.ascontiguousarray(inside.ravel())).reshape(points.shape)
    with np.errstate(all="ignore"):
        return np.asarray(values @ matrix.T)


def tail(coefficients: Array) -> tuple[Array, Array]:
    """The size of the last coefficients of each row, and of the largest."""
    size = np.abs(coefficients)
    return size[:, -5:].max(axis=1), size.max(axis=1)


class Derivative(NamedTuple):
    """A derivative at each x.

    Attributes
    ----------
    values : array
    noise : array
        What the rounding of f has been magnified to, absolute; 0 where more than that is uncertain.
    resolved : bool array
        Whether the series that it comes from can be believed.
    """

    values: Array
    noise: Array
    resolved: Mask


def differentiate(f: Callable[[Array], Array], x: Array, k: int, left: Array, right: Array, start: Array, noise: float) -> Derivative:
    """The k-th derivative of f at each x, from values between left ≤ x ≤ right (±inf where there is no breakpoint).

    `start` is the width of an interval about x on which f may be expected to be smooth.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is told by its noise
        parts = [
            _differentiate(f, x[part], k, left[part], right[part], start[part], noise)
            for part in (slice(begin, begin + _BATCH) for begin in range(0, len(x), _BATCH))
        ]
    if not parts:
        return Derivative(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.bool_))
    return Derivative(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def clear_beside(f: Callable[[Array], Array], walls: Array, noise: float) -> tuple[Array, Array]:
    """How far from each wall, to its left and to its right, f is smooth right up to the wall.

    inf where it is on the first interval tried, half as wide as the gap to the next wall; 0 where on none, as beside the 0 of √|x|.
    """
    found = np.zeros((2, len(walls)))
    gaps = np.diff(np.concatenate([[-np.inf], walls, [np.inf]]))
    for side, gap in enumerate((gaps[:-1], gaps[1:])):
        active = np.arange(len(walls))
        width = np.minimum(1.0 + 0.5 * np.abs(walls), 0.5 * gap)
        for halving in range(_HALVINGS):
            at = walls[active]
            low, high = at - width * (side == 0), at + width * (side == 1)
            with np.errstate(over="ignore", invalid="ignore"):
                fits = _fitted(f, low, high, noise)
            clear = fits.last <= 20.0 * fits.shaken
            told = np.flatnonzero(clear)
            if told.size:
                clear[told] = ~_layered(f, fits, told, at[told], (2 * side - 1) * width[told])
            found[side, active[clear]] = width[clear] if halving else np.inf
            going = ~clear & (width > 1e-15 * np.abs(at))
            active, width = active[going], 0.25 * width[going]
            if not len(active):
                break
    return found[0], found[1]


def _layered(f: Callable[[Array], Array], fits: _Fits, row: Indices, wall: Array, width: Array) -> Mask:
    """Whether f does something beside the wall that those series, whose nodes lie further off, have not seen: a steep step is one."""
    place = 8.0 ** -np.arange(1.0, _LAYERS + 1.0)
    x = wall[:, None] + width[:, None] * place
    position = np.broadcast_to(np.where(width > 0.0, -1.0, 1.0)[:, None] * (1.0 - 2.0 * place), x.shape)
    rows = np.broadcast_to(row[:, None], x.shape)
    series = _value(fits.coefficients, rows.ravel(), position.ravel()).reshape(x.shape)
    with np.errstate(invalid="ignore"):
        missed = np.abs(series - np.asarray(f(np.ascontiguousarray(x.ravel()))).reshape(x.shape))
        result: Mask = np.any((missed > _LEFT_OUT * (fits.last + fits.shaken)[rows]) & (x != wall[:, None]), axis=1)
    return result


class _Fits(NamedTuple):
    """The series on distinct intervals."""

    coefficients: Array
    width: Array
    last: Array  # the largest of the last coefficients
    shaken: Array  # the noise of the values
    small: Mask  # whether the last coefficients are small against those that vary
    terms: Indices  # how many coefficients there are above the noise

    def error(self, k: int) -> Array:
        """What is missing from the series and the noise, magnified as by a k-th derivative in mid-interval."""
        error = (10.0 * self.last + self.shaken) * self.magnified(k)
        return np.where(np.isfinite(error), error, np.inf)

    def magnified(self, k: int) -> Array:
        return np.asarray((2.0 * self.terms / self.width) ** k)

    def derivative(self, k: int, row: Indices, at: Array) -> Array:
        """The k-th derivative of that row's series at a place in [−1, 1] of its interval."""
        slopes = np.asarray(chebyshev.chebder(self.coefficients, k, axis=1), dtype=np.float64)
        return _value(slopes, row, at) * (2.0 / self.width[row]) ** k


def _fitted(f: Callable[[Array], Array], low: Array, high: Array, noise: float) -> _Fits:
    width = high - low
    coefficients = interpolant(f, low, high)
    last, largest = tail(coefficients)
    varying = np.abs(coefficients[:, 1:])
    slope, most = 2.0 * varying.sum(axis=1) / width, varying.max(axis=1)
    # A node lies where the next double does: off by half a unit in the last place, which moves f by its slope.
    shaken = noise * (np.maximum(largest, _UNDERFLOW) + 0.25 * np.abs(low + high) * slope)
    # Coefficients past the last one above the noise hold nothing else, and a derivative magnifies them most.
    above = np.abs(coefficients) > shaken[:, None]
    terms = DEGREE - np.argmax(above[:, ::-1], axis=1)
    coefficients[np.arange(DEGREE) >= terms[:, None]] = 0.0
    small = np.isfinite(shaken) & (last <= np.maximum(_UNRESOLVED * most, 16.0 * shaken))  # what overflows tells nothing
    return _Fits(coefficients, width, last, shaken, small, terms)


def _differentiate(f: Callable[[Array], Array], x: Array, k: int, left: Array, right: Array, start: Array, noise: float) -> Derivative:
    result, rounding = np.full(x.shape, np.nan), np.zeros(x.shape)
    best = np.full(x.shape, np.inf)
    # At the ends of its interval φ(x) may be the value from the other side.
    known = np.where((x > left) & (x < right), np.asarray(f(np.ascontiguousarray(x)), dtype=float), np.nan)
    settled = np.zeros(len(x), dtype=np.bool_)
    fallback = np.zeros((2, len(x)))  # the interval with the smallest error among those that can't be believed
    # Intervals of neighbouring x are the same ones: their widths are powers of two, their centres multiples of a quarter of that.
    wanted = np.exp2(np.floor(np.log2(np.minimum(1.0 + 0.5 * np.abs(x), start))))
    active = np.arange(len(x))
    stalled = np.zeros(len(x), dtype=np.int64)
    for _ in range(_HALVINGS):
        at = x[active]
        width = np.minimum(wanted[active], right[active] - left[active])
        step = 0.25 * wanted[active]
        low = np.clip(step * np.rint(at / step) - 0.5 * width, left[active], right[active] - width)
        high = low + width
        first, row = _distinct(low, high)
        fits = _fitted(f, low[first], high[first], noise)
        error = fits.error(k)[row]
        # The series must meet φ(x) where that is known: what it leaves out is some times its last coefficients, and a peak
        # between its nodes is more.
        told = np.flatnonzero(fits.small[row])
        position, its = (2.0 * at[told] - low[told] - high[told]) / width[told], row[told]
        with np.errstate(invalid="ignore"):
            missed = np.abs(_value(fits.coefficients, its, position) - known[active[told]])
            agrees = ~(missed > _LEFT_OUT * fits.last[its] + 160.0 * fits.shaken[its])
        told, position, its = told[agrees], position[agrees], its[agrees]
        # The first series that can be believed replaces those that could not, however small their errors seemed.
        who = active[told]
        better = (error[told] < best[who]) | (~settled[who] & (error[told] < np.inf))
        stalled[who] = np.where(better | ~settled[who], 0, stalled[who] + 1)
        settled[who] = True
        chosen, its = who[better], its[better]
        best[chosen] = error[told][better]
        result[chosen] = fits.derivative(k, its, position[better])
        exact = fits.last[its] <= 64.0 * fits.shaken[its]
        rounding[chosen] = np.where(exact, (fits.last + fits.shaken)[its] * fits.magnified(k)[its], 0.0)
        done = np.zeros(len(active), dtype=np.bool_)
        done[told] = (fits.last <= 4.0 * fits.shaken)[row[told]]
        lost = np.flatnonzero(~settled[active] & (error < best[active]))
        best[active[lost]] = error[lost]
        fallback[:, active[lost]] = low[lost], high[lost]
        unseen = np.ones(len(active), dtype=np.bool_)
        unseen[told] = False
        stalled[active[unseen & settled[active]]] += 1
        going = ~done & (stalled[active] < _PATIENCE) & (width > 1e-13 * (np.abs(at) + 1e-3))
        active = active[going]
        if not len(active):
            break
        wanted[active] = 0.5 * np.minimum(wanted[active], np.exp2(np.ceil(np.log2(width[going]))))
    lost = np.flatnonzero(~settled & (best < np.inf))
    if lost.size:
        low, high = fallback[:, lost]
        first, row = _distinct(low, high)
        fits = _fitted(f, low[first], high[first], noise)
        result[lost] = fits.derivative(k, row, (2.0 * x[lost] - low - high) / (high - low))
    return Derivative(result, rounding, settled)


def _distinct(low: Array, high: Array) -> tuple[Indices, Indices]:
    """Which intervals are the first of their kind, and of which of these kinds each is."""
    order = np.lexsort((high, low))
    new = np.ones(len(low), dtype=np.bool_)
    new[1:] = (np.diff(low[order]) != 0) | (np.diff(high[order]) != 0)
    kind = np.empty(len(low), dtype=np.intp)
    kind[order] = np.cumsum(new) - 1
    return order[new], kind


def _value(coefficients: Array, row: Indices, at: Array) -> Array:
    """The series of that row of coefficients at each point, by Clenshaw's recurrence."""
    used = np.flatnonzero(coefficients.any(axis=0))
    columns = np.ascontiguousarray(coefficients.T[: 1 + used.max(initial=0)])
    at = np.clip(at, -1.0, 1.0)
    double = 2.0 * at
    ahead, further = np.zeros(at.shape), np.zeros(at.shape)
    for column in columns[:0:-1]:
        ahead, further = column[row] + double * ahead - further, ahead
    return np.asarray(columns[0][row] + at * ahead - further)
