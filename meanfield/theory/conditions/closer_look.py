"""What lies between samples: jumps and narrow features, searched on a fine grid of x and then at their own scale.

A callable is known by its values only, so what is found here is all that is known of it; and what is narrower than the grid stays hidden.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield.activations.black_box.black_box import BlackBoxActivation
from meanfield.errors import AccuracyWarning, MeanFieldError
from meanfield.expectation.rule import build_rule

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array, Indices
    from meanfield.expectation.moments import MomentTable

NEAR, FAR = -40, 20  # log₂|x|
LINEAR, STEP = 64.0, 2.0**-9  # evenly up to there: a feature of width 0.001 is met
PER_OCTAVE_NEAR, PER_OCTAVE_FAR = 256, 2048
OUTSTANDING = 50.0  # times the bend of φ around: a feature
AROUND = 12  # grid points on either side that it is compared with
NOISE = 1e3  # times the rounding noise: a jump
MOST = 20  # features
HUGE = 1e30  # what grows beyond this grows faster than the grid can follow
STEPS = 1e-9  # of x, far below the rounding of single precision
ENOUGH = 8  # nodes on a feature
CUTS = (-8.0, -4.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.0, 8.0)  # widths around a feature


@dataclass(frozen=True)
class CloserLook:
    """φ on the fine grid, and the x that deserve a look of their own: jumps, (middle, width) of narrow features, the largest |φ/x|."""

    x: Array
    y: Array

    jumps: tuple[float, ...]
    features: tuple[tuple[float, float], ...]
    largest: tuple[float, ...]

    @property
    def cuts(self) -> tuple[float, ...]:
        """The middles and flanks of the features."""
        return tuple(middle + width * c for middle, width in self.features for c in CUTS if middle + width * c != 0.0)

    @property
    def points(self) -> Array:
        """|x| of all."""
        beside = [math.nextafter(x, side * math.inf) for x in self.jumps for side in (-1, 1)]
        return np.unique(np.abs(np.array([*beside, *self.cuts, *self.largest])))


NOTHING = CloserLook(np.empty(0), np.empty(0), (), (), ())


def fine_grid() -> Array:
    """Some 230,000 points, symmetric about 0 and without it."""
    near = np.exp2(np.arange(NEAR * PER_OCTAVE_NEAR, 0) / PER_OCTAVE_NEAR)
    even = np.arange(1.0, LINEAR, STEP)
    far = np.exp2(np.arange(6 * PER_OCTAVE_FAR, FAR * PER_OCTAVE_FAR + 1) / PER_OCTAVE_FAR)
    side = np.unique(np.concatenate([near, np.arange(STEP, 1.0, STEP), even, far]))
    return np.concatenate([-side[::-1], side])


def look_closer(act: Activation) -> CloserLook:
    """Search φ for what the coarse samples and the quadrature may have stepped over."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", AccuracyWarning)
        try:
            return _look(act, fine_grid())
        except MeanFieldError:  # φ is not defined at some x: no more than the coarse samples can be had
            return NOTHING


def _look(act: Activation, x: Array) -> CloserLook:
    y = act.values(x, 0)
    with np.errstate(all="ignore"):
        ratio = np.abs(y / x)
    largest = tuple(float(x[i]) for i in _tops(ratio))
    scale = float(np.max(np.abs(y[np.abs(x) <= 1.0])))
    jumps: list[float] = []
    features: list[tuple[float, float]] = []
    for first, last in _outstanding(x, y, act.relative_noise, scale)[:MOST]:
        low, high = float(x[first]), float(x[last])
        if any(low <= b.location <= high for b in act.breakpoints):
            continue
        jump = _jump(act, low, high, scale)
        if jump is not None:
            jumps.append(jump)
        else:
            features.append(_middle(act, low, high))
    return CloserLook(x, y, tuple(jumps), tuple(features), largest)


def with_what_was_found(act: Activation, found: CloserLook) -> Activation:
    """A callable that is cut where something was found, so that quadrature meets it; a formula knows of its own points."""
    something = found.jumps or found.features
    return act.cut_at(found.jumps, found.cuts) if something and isinstance(act, BlackBoxActivation) else act


def unresolved(table: MomentTable, found: CloserLook) -> tuple[tuple[float, float], ...]:
    """The features with hardly a node of the quadrature on them, so that the moments miss them."""

    def nodes(middle: float, width: float) -> int:
        q = max(middle * middle, 2.0**-32)
        return int(np.count_nonzero(np.abs(build_rule(table.partition, q, q).x - middle) <= 2.0 * width))

    return tuple(feature for feature in found.features if nodes(*feature) < ENOUGH)


def missed(act: Activation, features: tuple[tuple[float, float], ...], q: Array) -> tuple[Array, Array]:
    """What such features add to E[φ²] and to q dE[φ²]/dq = ½E[φ²(Z² − 1)]: φ² above its chord, by the trapezoidal rule."""
    value, slope = np.zeros(q.shape), np.zeros(q.shape)
    for middle, width in features:
        x = middle + width * np.linspace(CUTS[0], CUTS[-1], 4001)
        y = act.values(x, 0)
        above = y**2 - (y[0] + (y[-1] - y[0]) * np.linspace(0.0, 1.0, x.size)) ** 2
        for i, variance in enumerate(q):
            square = x * x / variance
            mass = above * np.exp(-0.5 * square) / math.sqrt(2 * math.pi * variance) * (x[1] - x[0])
            value[i] += float(np.sum(mass))
            slope[i] += float(np.sum(0.5 * (square - 1.0) * mass))
    return value, slope


def sums(found: CloserLook, q: Array) -> tuple[Array, Array]:
    """E[φ²] and q dE[φ²]/dq = ½E[φ²(Z² − 1)] by the trapezoidal rule on the fine grid, to a percent where that holds the mass."""
    value, slope = np.zeros(q.shape), np.zeros(q.shape)
    steps = np.diff(found.x)
    weight = 0.5 * np.concatenate([steps[:1], steps[:-1] + steps[1:], steps[-1:]])
    for i, variance in enumerate(q):
        mass = found.y**2 * np.exp(-0.5 * found.x**2 / variance) / math.sqrt(2 * math.pi * variance) * weight
        value[i] = float(np.sum(mass))
        slope[i] = float(np.sum(0.5 * (found.x**2 / variance - 1.0) * mass))
    return value, slope


def _tops(ratio: Array) -> Indices:
    """The largest local maxima of |φ/x|."""
    inner = np.flatnonzero((ratio[1:-1] > ratio[:-2]) & (ratio[1:-1] >= ratio[2:])) + 1
    inner = inner[np.isfinite(ratio[inner])]
    result: Indices = inner[np.argsort(-ratio[inner], kind="stable")[:8]]
    return result


def _outstanding(x: Array, y: Array, relative: float, scale: float) -> list[tuple[int, int]]:
    """(first, last) of the stretches of the grid on which φ bends far more than around them, the strongest first."""
    with np.errstate(all="ignore"):
        before, after = x[1:-1] - x[:-2], x[2:] - x[1:-1]
        area = before * after
        bend = np.abs(np.diff(y)[1:] / after - np.diff(y)[:-1] / before) / (before + after)
        bend = np.where(np.isfinite(bend), bend, 0.0)
        noise = NOISE * relative * np.maximum(np.abs(y[1:-1]), scale) / area
        usual = np.maximum(_median_around(bend), noise) + np.finfo(float).tiny
    odd = np.flatnonzero((bend > OUTSTANDING * usual) & (np.abs(y[1:-1]) < HUGE))
    if odd.size == 0:
        return []
    groups = np.split(odd, np.flatnonzero(np.diff(odd) > AROUND) + 1)
    groups.sort(key=lambda group: -float(np.max(bend[group] / usual[group])))
    return [(int(g[0]), int(g[-1]) + 2) for g in groups]


def _median_around(values: Array) -> Array:
    """The smaller of the medians on both sides: beside a feature its own flank must not hide it."""
    from scipy.ndimage import median_filter

    size = 2 * AROUND + 1
    left = median_filter(values, size, origin=AROUND, mode="nearest")
    right = median_filter(values, size, origin=-AROUND, mode="nearest")
    result: Array = np.minimum(left, right)
    return result


def _jump(act: Activation, low: float, high: float, scale: float) -> float | None:
    """The x at which φ jumps in [low, high], or None: bisection towards the steeper half; a jump stays as large as it is."""
    x = np.linspace(low, high, 65)
    y = act.values(x, 0)
    i = int(np.argmax(np.abs(np.diff(y))))
    a, b, at_a, at_b = float(x[i]), float(x[i + 1]), float(y[i]), float(y[i + 1])
    start = abs(at_b - at_a) / (b - a)
    for _ in range(80):
        middle = 0.5 * (a + b)
        if not a < middle < b:
            break
        value = float(act.values(np.array([middle]), 0)[0])
        if abs(value - at_a) >= abs(at_b - value):
            b, at_b = middle, value
        else:
            a, at_a = middle, value
    size = abs(at_b - at_a)
    noise = NOISE * act.relative_noise * max(abs(at_a), abs(at_b), scale * min(1.0, abs(high)))
    return b if size > noise + NOISE * start * (b - a) and not _stairs(act, low, a, b, high) else None


def _stairs(act: Activation, low: float, a: float, b: float, high: float) -> bool:
    """Whether φ moves in steps around a jump at [a, b], as what was computed in single precision does: flat nearby, but not farther off."""
    steps = STEPS * abs(b) * np.arange(1.0, 17.0)
    below, above = act.values(a - steps, 0), act.values(b + steps, 0)
    ends = act.values(np.array([low, high]), 0)
    flat = bool(np.all(np.diff(below) == 0.0) and np.all(np.diff(above) == 0.0))
    return flat and bool(ends[0] != below[-1] or ends[1] != above[-1])


def _middle(act: Activation, low: float, high: float) -> tuple[float, float]:
    """Where φ is farthest from the chord over a feature, and half the width at half that height."""
    x = np.linspace(low, high, 4097)
    y = act.values(x, 0)
    size = np.abs(y - (y[0] + (y[-1] - y[0]) * (x - low) / (high - low)))
    top = int(np.argmax(size))
    width = 0.5 * float(np.count_nonzero(size > 0.5 * size[top])) * float(x[1] - x[0])
    return float(x[top]), max(width, float(x[1] - x[0]))
