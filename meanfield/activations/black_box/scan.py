"""A dense scan of a function known by its values alone, for what is too narrow for the nodes of a panel.

The samples lie SPACING·√(1 + x²) apart for |x| ≤ 10⁴, so that whatever departs from its surroundings over a width of that
holds a sample, and beside 0 at distances that grow by `_RATIO`, as small variances see nothing else. Where the fourth
difference of the samples is more than noise, something is there: a feature, a kink, an oscillation, or noise after all.
Which of them it is the search for kinks tells, as its panels must meet these samples.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from meanfield.activations.activation import Array

REACH = 1e4
_CHUNK = 32_768  # all calls alike: what compiles for each shape, as JAX does, compiles once
_CHUNKS = 14
SPACING = 2.0 * float(np.arcsinh(REACH)) / (_CHUNK * _CHUNKS - 1)  # 4.3e-5
COARSER = 14  # times as wide for a function that takes one number at a time, or is as slow as one
_SLOW = 5e-7  # seconds for one value
_TIMED = 2_048
_RATIO = 1.004
_NEAREST, _BESIDE = 1e-9, 0.02
_UNDERFLOW = 1e-290  # smaller values lose their digits to denormal numbers
_BLOCK = 1_024  # samples whose median tells the noise: a feature that fills half of them is wide enough for the panels


class Samples(NamedTuple):
    """Values that the pieces of a function must meet: x ascending, and φ there."""

    x: Array
    values: Array


def scan(f: Callable[[Array], Array], noise: float, one_by_one: bool) -> tuple[Samples, float]:
    """The samples at which f departs from its neighbours, and the spacing of all, in units of √(1 + x²)."""
    chunks = _CHUNKS
    if one_by_one or _seconds(f) > _SLOW:
        chunks = max(1, _CHUNKS // COARSER)
    count = _CHUNK * chunks
    spacing = 2.0 * float(np.arcsinh(REACH)) / (count - 1)
    x = _grid(count, spacing)
    beside = np.asarray(_NEAREST * _RATIO ** np.arange(int(np.log(_BESIDE / _NEAREST) / np.log(_RATIO))), dtype=np.float64)
    values = np.concatenate([f(part) for part in np.split(x, chunks)])
    found = [_departing(x, values, noise)]
    for side in (-1.0, 1.0):
        found.append(_departing(side * beside, f(side * beside), noise))
    points, sizes = np.concatenate([s.x for s in found]), np.concatenate([s.values for s in found])
    order = np.argsort(points, kind="stable")
    return Samples(points[order], sizes[order]), spacing


@functools.lru_cache(maxsize=2)
def _grid(count: int, spacing: float) -> Array:
    # Off the middle by a third of a step: no sample falls on 0, where the sides of a jump at 0 would not be told apart.
    x: Array = np.sinh((np.arange(count) - 0.5 * count + 0.34) * spacing)
    return x


def _seconds(f: Callable[[Array], Array]) -> float:
    """The time for one value, in an array; the better of two tries, as the first may compile."""
    x = np.linspace(-3.0, 3.0, _TIMED)
    taken = []
    for _ in range(2):
        start = time.perf_counter()
        f(x)
        taken.append(time.perf_counter() - start)
    return min(taken) / _TIMED


def _departing(x: Array, values: Array, noise: float) -> Samples:
    """The samples whose fourth difference is more than rounding makes."""
    with np.errstate(all="ignore"):
        departure = values[4:] - 4.0 * values[3:-1] + 6.0 * values[2:-2] - 4.0 * values[1:-3] + values[:-4]
        np.abs(departure, out=departure)
        size = np.abs(values)
        rough = np.flatnonzero(departure > 64.0 * noise * size[2:-2] + _UNDERFLOW)
        usual = _block_medians(departure)[rough // _BLOCK]
        at, departure = rough + 2, departure[rough]
        near = np.maximum(np.maximum(size[at - 2], size[at + 2]), size[at])
        # A sample's own rounding, and what that of x makes of the slope.
        rounding = 64.0 * noise * (near + np.abs(x[at] / (x[at + 1] - x[at - 1]) * (values[at + 1] - values[at - 1])))
        usual = np.minimum(30.0 * usual, 1e6 * noise * size[at])
        # Where φ overflows there is no difference (NaN); what lies beside is left to the panels.
        which = at[departure > rounding + usual]
    which = which[np.isfinite(values[which])]
    return Samples(x[which], values[which])


def _block_medians(departure: Array) -> Array:
    """What the fourth difference usually is, for each block of samples: of every eighth, which tells as much."""
    padded = np.pad(departure, (0, -departure.size % _BLOCK), mode="edge").reshape(-1, _BLOCK)[:, ::8]
    middle = padded.shape[1] // 2
    medians = np.partition(np.where(np.isfinite(padded), padded, 0.0), middle, axis=1)[:, middle]
    return np.asarray(medians)
