"""The line cut into panels on each of which a function known by its values alone is a polynomial.

Panels are fine about 0 and grow to |x| = 10⁴. Where the Chebyshev coefficients of a panel have not decayed to the noise, or
the series misses a sample of the scan, the panel is halved; an analytic function is soon resolved, a kink never is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from meanfield.activations.activation import Array
from meanfield.activations.black_box.differentiation import Mask, interpolant, tail
from meanfield.activations.black_box.scan import REACH, Samples
from meanfield.activations.feature import Feature

_log = logging.getLogger(__name__)

_UNDERFLOW = 1e-290  # smaller values lose their digits to denormal numbers
_MOST_PANELS = 8_000  # halved at once, the innermost ones
_SPLIT = 0.4837  # off the middle, so that no cut falls on a round number
OVERLAP = 0.03  # a kink between the outermost points of two panels would be seen by neither
NARROW = 3e-6
_SLOW = 3
_MISSED = 1e3  # units of noise by which a resolved series may miss a sample
_AT_ONCE = 20_000  # samples compared at a time
_NOTABLE, _STEP = 2, 2  # halvings from which on panels make a feature, and from one feature to the next inside it
_MOST_FEATURES = 100


@dataclass(frozen=True)
class Pieces:
    """Panels that tile |x| ≤ 10⁴, and what the search for them met.

    Attributes
    ----------
    lower, upper : arrays of shape (m,), ascending
    halvings : integers of shape (m,): how often the first panel was halved
    stubborn : the brackets that hold something which halving does not resolve
    sizes, steepest : the largest slope met within each |x|
    """

    lower: Array
    upper: Array
    halvings: Array
    stubborn: list[tuple[float, float]]
    sizes: Array
    steepest: Array

    def width(self, x: Array) -> Array:
        """The width of the panel at each x; inf further out and where the first panel was not halved."""
        index = np.searchsorted(self.upper, x, side="right")
        found = np.where(self.halvings > 0, self.upper - self.lower, np.inf)[np.minimum(index, len(self.upper) - 1)]
        result: Array = np.where((index < len(self.upper)) & (x >= self.lower[0]), found, np.inf)
        return result

    def features(self) -> tuple[Feature, ...]:
        """The places where the panels are narrow, wider ones with the narrower ones inside."""
        found: list[Feature] = []
        for least in range(_NOTABLE, int(self.halvings.max(initial=0.0)) + 1, _STEP):
            fine = np.concatenate([[False], self.halvings >= least, [False]])
            starts, stops = np.flatnonzero(fine[1:] & ~fine[:-1]), np.flatnonzero(fine[:-1] & ~fine[1:]) - 1
            if len(starts) > _MOST_FEATURES:  # an oscillation, which no panel steps over
                continue
            found += [
                Feature(0.5 * (low + high), 0.5 * (high - low))
                for low, high in zip(self.lower[starts].tolist(), self.upper[stops].tolist(), strict=True)
            ]
        return tuple(sorted(found))


def cut(f: Callable[[Array], Array], noise: float, samples: Samples, walls: Array) -> Pieces:
    """The panels of f; none crosses a wall, a point where f is known not to be smooth."""
    edges = np.sinh(np.linspace(-np.arcsinh(REACH), np.arcsinh(REACH), 364) + 0.00731)
    walls = walls[(walls > edges[0]) & (walls < edges[-1])]
    edges = np.unique(np.concatenate([edges, walls]))
    floor_x, floor = _noise_floor(f, noise)
    stubborn: list[tuple[float, float]] = []
    slopes: list[tuple[float, float]] = []
    tiles: list[tuple[Array, Array, int]] = []
    low, high = edges[:-1], edges[1:]
    parent_tail = np.full(low.shape, np.inf)
    slow = parent_slow = np.full(low.shape, -2)  # halvings in a row after which the coefficients had hardly decayed
    for level in range(60):
        if not len(low):
            break
        overlap = OVERLAP * (high - low)
        begin = low - np.where(np.isin(low, walls), 0.0, overlap)
        end = high + np.where(np.isin(high, walls), 0.0, overlap)
        coefficients = interpolant(f, begin, end)
        last, largest = tail(coefficients)
        steep = _steepness(coefficients, high - low)
        coarse = np.isfinite(steep) & (high - low > 1e-3 * (1.0 + np.abs(low)))
        slopes += zip(np.maximum(np.abs(low), np.abs(high))[coarse].tolist(), steep[coarse].tolist(), strict=True)
        expected = np.maximum(np.interp(low, floor_x, floor), np.interp(high, floor_x, floor))
        # A node's own rounding moves f by its slope times that.
        expected = _UNDERFLOW + expected + 4.0 * noise * np.maximum(np.abs(low), np.abs(high)) * steep
        rough = np.isfinite(last) & (last > 30.0 * noise * largest + expected)
        told = np.flatnonzero(~rough & np.isfinite(last))
        allowed = _MISSED * noise * largest[told] + 10.0 * expected[told]
        rough[told] = _missing(coefficients[told], begin[told], end[told], allowed, samples)
        slow = np.where(last > parent_tail / 40.0, slow + 1, 0)
        if level:  # neighbours i and i + half are the two parts of one panel
            half = len(low) // 2
            faded = ~rough[:half] & ~rough[half:] & (parent_slow >= _SLOW)
            stubborn += zip(low[:half][faded].tolist(), high[half:][faded].tolist(), strict=True)
        narrow = high - low < NARROW * (np.minimum(np.abs(low), np.abs(high)) + 0.03)
        done = rough & narrow
        stubborn += zip(low[done].tolist(), high[done].tolist(), strict=True)
        kept = rough & ~narrow
        if np.count_nonzero(kept) > _MOST_PANELS:
            _log.info("the search for kinks gave up far out: the function varies too fast")
            far = np.flatnonzero(kept)[np.argsort(np.abs(low[kept]), kind="stable")[_MOST_PANELS:]]
            kept[far] = False
        tiles.append((low[~kept], high[~kept], level))
        low, high, last, parent_slow = low[kept], high[kept], last[kept], slow[kept]
        middle = low + _SPLIT * (high - low)
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
        parent_tail, slow = np.tile(last, 2), np.tile(parent_slow, 2)
    lower = np.concatenate([part for part, _, _ in tiles])
    order = np.argsort(lower)
    table = np.array(sorted(slopes))
    return Pieces(
        lower[order],
        np.concatenate([part for _, part, _ in tiles])[order],
        np.concatenate([np.full(len(part), float(level)) for part, _, level in tiles])[order],
        stubborn,
        table[:, 0],
        np.maximum.accumulate(table[:, 1]),
    )


def _missing(coefficients: Array, begin: Array, end: Array, allowed: Array, samples: Samples) -> Mask:
    """Whether the series of each panel misses one of the samples in it by more than is allowed."""
    result = np.zeros(len(begin), dtype=np.bool_)
    start, stop = np.searchsorted(samples.x, begin, side="right"), np.searchsorted(samples.x, end, side="left")
    for part in np.split(np.arange(len(begin)), np.flatnonzero(np.diff(np.cumsum(stop - start) // _AT_ONCE)) + 1):
        count = (stop - start)[part]
        if not count.sum():
            continue
        panel = np.repeat(part, count)
        sample = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(start[part], count)
        at = (2.0 * samples.x[sample] - begin[panel] - end[panel]) / (end[panel] - begin[panel])
        series = np.polynomial.chebyshev.chebval(at, coefficients[panel].T, tensor=False)
        result[panel[np.abs(series - samples.values[sample]) > allowed[panel]]] = True
    return result


def _noise_floor(f: Callable[[Array], Array], noise: float) -> tuple[Array, Array]:
    """The absolute noise to expect at x: digits lost inside the function don't make a kink.

    It is measured, by third differences over a few units in the last place, where only rounding is left; and it is
    never taken below the rounding of the largest values nearer to 0.
    """
    side = np.sinh(np.linspace(0.0, np.arcsinh(1.1 * REACH), 300)) * 1.00137 + 1e-3
    x = np.concatenate([-side[::-1], side])
    close = x[:, None] + np.abs(x)[:, None] * 2.0**-47 * np.arange(14)
    with np.errstate(invalid="ignore"):
        measured = np.abs(np.diff(f(close.ravel()).reshape(close.shape), 3, axis=1)).max(axis=1)
    further = 1.5 * side + 0.1
    size = np.maximum(np.abs(f(further)), np.abs(f(-further)))
    size[~np.isfinite(size)] = 0.0
    measured[~np.isfinite(measured)] = 0.0
    padded = np.concatenate([measured[:1], measured, measured[-1:]])
    measured = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    rounding = np.maximum.accumulate(size)
    return x, np.maximum(4.0 * measured, 8.0 * noise * np.concatenate([rounding[::-1], rounding]))


def _steepness(coefficients: Array, width: Array) -> Array:
    """About the largest slope on each panel."""
    with np.errstate(over="ignore"):
        return np.asarray(2.0 * np.abs(coefficients[:, 1:]).sum(axis=1) / width)
