"""Finding the kinks and jumps of a function known by its values alone.

The line is cut into panels, fine about 0 and growing to |x| = 10⁴. Where the Chebyshev coefficients of a panel have not
decayed to the noise, the panel is halved; an analytic function is soon resolved, a kink never is. Each stubborn panel is
then settled by the smooth pieces beside it: a jump by bisection to the last bit, a kink where the pieces, continued,
meet, a jump of a higher derivative where their derivatives do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from meanfield.activations.activation import Array
from meanfield.activations.black_box.differentiation import interpolant, tail

_log = logging.getLogger(__name__)

REACH = 1e4
_MOST_PANELS = 30_000
_MOST_KINKS = 400
_SPLIT = 0.4837  # off the middle, so that no cut falls on a round number
_OVERLAP = 0.03  # a kink between the outermost points of two panels would be seen by neither
_NARROW = 3e-6
_SLOW = 3


def find_kinks(f: Callable[[Array], Array], noise: float) -> list[float]:
    """The points of |x| ≤ 10⁴ where f is not smooth, ascending."""
    edges = np.sinh(np.linspace(-np.arcsinh(REACH), np.arcsinh(REACH), 364) + 0.00731)
    floor_x, floor = _noise_floor(f, noise)
    stubborn: list[tuple[float, float]] = []
    slopes: list[tuple[float, float]] = []
    low, high = edges[:-1], edges[1:]
    parent_tail = np.full(low.shape, np.inf)
    slow = parent_slow = np.full(low.shape, -2)  # halvings in a row after which the coefficients had hardly decayed
    for level in range(60):
        if not len(low):
            break
        if len(low) > _MOST_PANELS:
            _log.info("the search for kinks gave up: the function varies too fast")
            break
        overlap = _OVERLAP * (high - low)
        coefficients = interpolant(f, low - overlap, high + overlap)
        last, largest = tail(coefficients)
        steep = _steepness(coefficients, high - low)
        coarse = np.isfinite(steep) & (high - low > 1e-3 * (1.0 + np.abs(low)))
        slopes += zip(np.maximum(np.abs(low), np.abs(high))[coarse].tolist(), steep[coarse].tolist(), strict=True)
        expected = np.maximum(np.interp(low, floor_x, floor), np.interp(high, floor_x, floor))
        # A node's own rounding moves f by its slope times that.
        expected = expected + 4.0 * noise * np.maximum(np.abs(low), np.abs(high)) * steep
        rough = np.isfinite(last) & (last > 30.0 * noise * largest + expected)
        slow = np.where(last > parent_tail / 40.0, slow + 1, 0)
        if level:  # neighbours i and i + half are the two parts of one panel
            half = len(low) // 2
            faded = ~rough[:half] & ~rough[half:] & (parent_slow >= _SLOW)
            stubborn += zip(low[:half][faded].tolist(), high[half:][faded].tolist(), strict=True)
        narrow = high - low < _NARROW * (np.minimum(np.abs(low), np.abs(high)) + 0.03)
        done = rough & narrow
        stubborn += zip(low[done].tolist(), high[done].tolist(), strict=True)
        kept = rough & ~narrow
        low, high, last, parent_slow = low[kept], high[kept], last[kept], slow[kept]
        cut = low + _SPLIT * (high - low)
        low, high = np.concatenate([low, cut]), np.concatenate([cut, high])
        parent_tail, slow = np.tile(last, 2), np.tile(parent_slow, 2)
    brackets = _distinct(stubborn)
    sizes, steepest = _accumulated(slopes)
    if len(brackets) > _MOST_KINKS:
        _log.info("the search for kinks found %d places and kept %d", len(brackets), _MOST_KINKS)
        brackets = sorted(sorted(brackets, key=lambda pair: abs(pair[0]))[:_MOST_KINKS])
    kinks = []
    for index, (low_end, high_end) in enumerate(brackets):
        left = brackets[index - 1][1] if index else -np.inf
        right = brackets[index + 1][0] if index + 1 < len(brackets) else np.inf
        drift = float(np.interp(abs(low_end), sizes, steepest)) * abs(low_end)
        kink = _settled(f, low_end, high_end, (left, right), noise, drift)
        if kink is not None:
            kinks.append(kink)
    return kinks


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
    return np.asarray(2.0 * np.abs(coefficients[:, 1:]).sum(axis=1) / width)


def _accumulated(slopes: list[tuple[float, float]]) -> tuple[Array, Array]:
    """The largest slope met within each |x|."""
    table = np.array(sorted(slopes))
    return table[:, 0], np.maximum.accumulate(table[:, 1])


def _distinct(found: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The brackets, narrowest first: neighbours of like width are one, wider ones beside a narrow one are its echo."""
    kept: list[tuple[float, float]] = []
    for low, high in sorted(found, key=lambda pair: pair[1] - pair[0]):
        margin = 2.0 * _OVERLAP * (high - low)
        near = [pair for pair in kept if pair[0] <= high + margin and low - margin <= pair[1]]
        if not near:
            kept.append((low, high))
            continue
        narrowest = min(near, key=lambda pair: pair[1] - pair[0])
        if high - low <= 8.0 * (narrowest[1] - narrowest[0]):
            kept = [pair for pair in kept if pair not in near]
            kept.append((min(low, *(pair[0] for pair in near)), max(high, *(pair[1] for pair in near))))
    return sorted(kept)


def _settled(f: Callable[[Array], Array], low: float, high: float, gap: tuple[float, float], noise: float, drift: float) -> float | None:
    """The kink in a narrow bracket; None where there is none after all.

    `drift` is the size of what the rounding of x may have been magnified to inside f.
    """
    left, right = gap
    before = _side(f, low, -1, low - left, noise)
    after = _side(f, high, +1, right - high, noise)
    if before is None or after is None:
        return _by_roughness(f, low, high, noise)
    middle = 0.5 * (low + high)
    width = high - low
    gaps = [after.at(middle, k) - before.at(middle, k) for k in range(4)]
    scale = max(before.size, after.size, 0.1 * drift)
    reach = min(before.width, after.width)
    if abs(gaps[0]) > 1e3 * noise * scale and abs(gaps[0]) > 2.0 * abs(gaps[1]) * width:
        return _jump(f, low, high, before, after)
    for k in (0, 1, 2):  # the first derivative of the difference that is not lost in the noise has the kink as its root
        significant = abs(gaps[k + 1]) * reach ** (k + 1) > 1e4 * noise * scale * 8.0 ** (k + 1)
        if significant and abs(gaps[k]) <= 2.0 * abs(gaps[k + 1]) * width:
            return _meeting(before, after, middle, width, k, noise * scale)
    return None


class _Side(NamedTuple):
    """The smooth piece on one side of a bracket, as a Chebyshev series."""

    coefficients: Array
    centre: float
    width: float
    size: float

    def at(self, x: float, k: int = 0) -> float:
        local = np.array([2.0 * (x - self.centre) / self.width])
        c = np.polynomial.chebyshev.chebder(self.coefficients, k) if k else self.coefficients
        return float(np.polynomial.chebyshev.chebval(local, c)[0] * (2.0 / self.width) ** k)


def _side(f: Callable[[Array], Array], end: float, side: int, gap: float, noise: float) -> _Side | None:
    """The piece beside a bracket, on the widest interval on which it is resolved."""
    width = min(0.5 * (1.0 + abs(end)), 0.9 * gap)
    for _ in range(30):
        low, high = (end - width, end) if side < 0 else (end, end + width)
        coefficients = interpolant(f, np.array([low]), np.array([high]))
        last, largest = tail(coefficients)
        if last[0] <= 20.0 * noise * largest[0]:
            series = coefficients[0].copy()
            size = np.abs(series)
            kept = int(np.max(np.flatnonzero(size > 4.0 * noise * largest[0]), initial=0)) + 1
            return _Side(series[:kept], 0.5 * (low + high), high - low, float(largest[0]))
        width *= 0.5
        if width < 1e-9 * (1.0 + abs(end)):
            break
    return None


def _jump(f: Callable[[Array], Array], low: float, high: float, before: _Side, after: _Side) -> float:
    """Where the values change over from the left piece to the right one."""
    while True:
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        value = float(f(np.array([middle]))[0])
        if abs(value - before.at(middle)) < abs(value - after.at(middle)):
            low = middle
        else:
            high = middle
        if low < 0 < high and high - low < 1e-300:
            return 0.0
    if min(abs(low), abs(high)) < 1e-290:
        return 0.0
    return min((low, high), key=lambda x: len(repr(x)))


def _meeting(before: _Side, after: _Side, x: float, width: float, k: int, noise: float) -> float | None:
    """Where the k-th derivatives of the two pieces meet, by Newton's method; a round number within the error is preferred."""
    start = x
    slope = 1.0
    for _ in range(20):
        gap, slope = (after.at(x, j) - before.at(x, j) for j in (k, k + 1))
        if slope == 0.0:
            return None
        step = gap / slope
        x -= step
        if abs(x - start) > 3.0 * width:
            return None
        if abs(step) <= 1e-17 * (1.0 + abs(x)):
            break
    reach = min(before.width, after.width)
    doubt = 500.0 * noise * (16.0 / reach) ** k / abs(slope) + 4.0 * np.finfo(float).eps * abs(x)
    return _rounded(x, doubt)


def _rounded(x: float, doubt: float) -> float:
    """The shortest decimal within the doubt about x, where that is short."""
    if abs(x) <= doubt:
        return 0.0
    for digits in range(1, 13):
        short = float(f"{x:.{digits}g}")
        if abs(short - x) <= doubt:
            return short
    return x


def _by_roughness(f: Callable[[Array], Array], low: float, high: float, noise: float) -> float | None:
    """The singular point in a bracket, by halving towards the side whose coefficients decay worst."""
    for _ in range(200):
        if not high - low > 1e-15 * (abs(low) + abs(high)) or max(abs(low), abs(high)) < 1e-25:
            break
        width = high - low
        lows, highs = low + np.array([0.0, 0.2, 0.4]) * width, low + np.array([0.6, 0.8, 1.0]) * width
        last, largest = tail(interpolant(f, lows, highs))
        if not np.isfinite(last).all():
            break
        if np.all(last <= 30.0 * noise * largest.max()):
            # Resolved: a steep but smooth place, or a singularity too weak to be placed better.
            return None if width > 1e-7 * _NARROW * (1.0 + abs(low)) else _rounded(0.5 * (low + high), width)
        worst = int(np.argmax(last))
        margin = 0.06 * width  # the singular point may be at the very end
        low, high = float(lows[worst]) - margin, float(highs[worst]) + margin
    if low <= 0.0 <= high:
        return 0.0
    return _rounded(0.5 * (low + high), 2.0 * (high - low) + 1e-15 * abs(low))
