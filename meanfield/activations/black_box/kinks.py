"""Finding the kinks and jumps of a function known by its values alone.

Each panel that no halving resolves (see pieces.py) is settled by the smooth pieces beside it: a jump by bisection to the
last bit, a kink where the pieces, continued, meet, a jump of a higher derivative where their derivatives do. Plain jumps are
bisected all at once, as a staircase has thousands.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from meanfield.activations.activation import Array
from meanfield.activations.black_box.differentiation import Mask, interpolant, tail
from meanfield.activations.black_box.pieces import NARROW, OVERLAP, Pieces

_log = logging.getLogger(__name__)

_MOST_KINKS = 400  # that are not plain jumps
_MOST_JUMPS = 4_000
_FAINT = 1e-6  # of φ: of more than _MOST_KINKS jumps, those below are what rounding to few digits makes, at every x
_CROWD, _BESIDE = 12, 8.0  # brackets, no further apart than so many of their widths or half of the crowd
_GATHERED = 512


def find_kinks(f: Callable[[Array], Array], noise: float, pieces: Pieces) -> list[float]:
    """The points of |x| ≤ 10⁴ where f is not smooth, ascending: those of the stubborn panels of `pieces` that hold one."""
    inside = np.array(sorted(pieces.stubborn, key=lambda pair: abs(pair[0]))).reshape(-1, 2)
    jumps, explained = _plain_jumps(f, inside, noise, pieces)
    left_over = [(low, high) for low, high in inside[~explained][: 8 * _MOST_KINKS].tolist()]  # a kink may have several brackets
    brackets, crowds = _crowded(_distinct(left_over))
    if len(brackets) > _MOST_KINKS:
        _log.info("the search for kinks found %d places and kept %d", len(brackets), _MOST_KINKS)
        brackets = sorted(sorted(brackets, key=lambda pair: abs(pair[0]))[:_MOST_KINKS])
    kinks = [_gathering(f, low, high, noise) for low, high in crowds]
    walls = np.concatenate([[-np.inf], jumps, [np.inf]])
    for index, (low_end, high_end) in enumerate(brackets):
        before, after = np.searchsorted(walls, low_end, side="right") - 1, np.searchsorted(walls, high_end)
        left = max(float(walls[before]), brackets[index - 1][1] if index else -np.inf)
        right = min(float(walls[after]), brackets[index + 1][0] if index + 1 < len(brackets) else np.inf)
        drift = float(np.interp(abs(low_end), pieces.sizes, pieces.steepest)) * abs(low_end)
        kink = _settled(f, low_end, high_end, (left, right), noise, drift)
        if kink is not None:
            kinks.append(kink)
    return sorted({*kinks, *jumps.tolist()})


def _plain_jumps(f: Callable[[Array], Array], brackets: Array, noise: float, pieces: Pieces) -> tuple[Array, Mask]:
    """The jumps between flat sides, ascending, and which brackets they explain: bisected to the last bit, all at once.

    A bracket that holds 0, where bisection would go on down to denormal numbers, is left to `_settled`.
    """
    margin = OVERLAP * (brackets[:, 1] - brackets[:, 0])
    begin, end = brackets[:, 0] - margin, brackets[:, 1] + margin
    which = np.flatnonzero((begin > 0.0) | (end < 0.0))
    explained = np.zeros(len(brackets), dtype=np.bool_)
    if not which.size:
        return np.zeros(0), explained
    a, b = begin[which].copy(), end[which].copy()
    first, last = f(a), f(b)
    at_a, at_b = first.copy(), last.copy()
    with np.errstate(invalid="ignore", over="ignore"):
        while True:
            middle = 0.5 * (a + b)
            going = np.flatnonzero((a < middle) & (middle < b))
            if not going.size:
                break
            value = f(middle[going])
            below = np.abs(value - at_a[going]) >= np.abs(at_b[going] - value)
            low, high = going[~below], going[below]
            a[low], at_a[low] = middle[low], value[~below]
            b[high], at_b[high] = middle[high], value[below]
        step = np.abs(at_b - at_a)
        drift = np.interp(np.abs(a), pieces.sizes, pieces.steepest) * np.abs(a)
        scale = np.maximum(np.maximum(np.abs(at_a), np.abs(at_b)), 0.1 * drift)
        plain = (step > 1e3 * noise * scale) & (np.abs(at_a - first) + np.abs(last - at_b) <= 0.1 * step)
    if np.count_nonzero(plain) > _MOST_KINKS:
        plain &= step > _FAINT * scale
    explained[which[plain]] = True
    found = np.unique(np.array([min(pair, key=lambda x: len(repr(x))) for pair in zip(a[plain].tolist(), b[plain].tolist(), strict=True)]))
    # Others about the same jump are its echo.
    explained |= np.searchsorted(found, end, side="right") > np.searchsorted(found, begin, side="left")
    if found.size > _MOST_JUMPS:
        _log.info("the search for kinks found %d jumps and kept %d", found.size, _MOST_JUMPS)
        found = np.sort(found[np.argsort(np.abs(found), kind="stable")[:_MOST_JUMPS]])
    return found, explained


def _distinct(found: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The brackets, narrowest first: neighbours of like width are one, wider ones beside a narrow one are its echo."""
    kept: list[tuple[float, float]] = []
    for low, high in sorted(found, key=lambda pair: pair[1] - pair[0]):
        margin = 2.0 * OVERLAP * (high - low)
        near = [pair for pair in kept if pair[0] <= high + margin and low - margin <= pair[1]]
        if not near:
            kept.append((low, high))
            continue
        narrowest = min(near, key=lambda pair: pair[1] - pair[0])
        if high - low <= 8.0 * (narrowest[1] - narrowest[0]):
            kept = [pair for pair in kept if pair not in near]
            kept.append((min(low, *(pair[0] for pair in near)), max(high, *(pair[1] for pair in near))))
    return sorted(kept)


def _crowded(brackets: list[tuple[float, float]]) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """The brackets that stand alone, and the ends of crowds of them: so many side by side are an oscillation like sin(1/x)."""
    runs: list[list[tuple[float, float]]] = []
    for low, high in brackets:
        if runs and low - runs[-1][-1][1] <= max(_BESIDE * (high - low), 0.5 * (runs[-1][-1][1] - runs[-1][0][0])):
            runs[-1].append((low, high))
        else:
            runs.append([(low, high)])
    alone = [bracket for run in runs if len(run) < _CROWD for bracket in run]
    return alone, [(run[0][0], run[-1][1]) for run in runs if len(run) >= _CROWD]


def _gathering(f: Callable[[Array], Array], low: float, high: float, noise: float) -> float:
    """The point about which an oscillation is so fast that no panel resolves it: the middle of what is left of the crowd."""
    while not low <= 0.0 <= high:
        edges = np.linspace(low, high, _GATHERED + 1)
        last, largest = tail(interpolant(f, edges[:-1], edges[1:]))
        rough = np.flatnonzero(last > 30.0 * noise * largest)
        if not rough.size or (edges[rough[-1] + 1] - edges[rough[0]]) > 0.7 * (high - low):
            break
        low, high = float(edges[rough[0]]), float(edges[rough[-1] + 1])
    return 0.0 if low <= 0.0 <= high else _rounded(0.5 * (low + high), 0.5 * (high - low))


def _settled(f: Callable[[Array], Array], low: float, high: float, gap: tuple[float, float], noise: float, drift: float) -> float | None:
    """The kink in a narrow bracket; None where there is none after all.

    `drift` is the size of what the rounding of x may have been magnified to inside f.
    """
    left, right = gap
    before = _side(f, low, -1, low - left, noise)
    after = _side(f, high, +1, right - high, noise)
    # A piece no wider than the bracket follows a singularity rather than a smooth function beside it.
    if before is None or after is None or min(before.width, after.width) < 2.0 * (high - low):
        return _by_roughness(f, low, high, noise)
    middle = 0.5 * (low + high)
    width = high - low
    gaps = [after.at(middle, k) - before.at(middle, k) for k in range(4)]
    scale = max(before.size, after.size, 0.1 * drift)
    reach = min(before.width, after.width)
    if abs(gaps[0]) > 1e3 * noise * scale and abs(gaps[0]) > 2.0 * abs(gaps[1]) * width:
        found = _jump(f, low, high, before, after)
        return found if _continued(f, (low, found, high), before, after, 0.1 * abs(gaps[0])) else _by_roughness(f, low, high, noise)
    for k in (0, 1, 2):  # the first derivative of the difference that is not lost in the noise has the kink as its root
        significant = abs(gaps[k + 1]) * reach ** (k + 1) > 1e4 * noise * scale * 8.0 ** (k + 1)
        if significant and abs(gaps[k]) <= 2.0 * abs(gaps[k + 1]) * width:
            met = _meeting(before, after, middle, width, k, noise * scale)
            # What the change of the k + 1st derivative comes to within the bracket, or what noise the pieces carry there.
            allowed = max(0.3 * abs(gaps[k + 1]) * width ** (k + 1), 1e4 * noise * scale)
            return met if met is None or _continued(f, (low, met, high), before, after, allowed) else None
    return None


def _continued(f: Callable[[Array], Array], ends: tuple[float, float, float], before: _Side, after: _Side, allowed: float) -> bool:
    """Whether f follows the two pieces all the way from the ends of the bracket to the kink: an oscillation between does not."""
    low, kink, high = ends
    part = (np.arange(16) + 0.5) / 16
    for piece, x in ((before, low + part * (kink - low)), (after, high + part * (kink - high))):
        if float(np.median(np.abs(f(x) - [piece.at(point) for point in x.tolist()]))) > allowed:
            return False
    return True


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
        # Nodes are off by half a unit in the last place, which moves f by its slope.
        slope = 2.0 * float(np.abs(coefficients[0, 1:]).sum()) / width
        shaken = noise * (float(largest[0]) + 0.5 * abs(end) * slope)
        if last[0] <= 20.0 * shaken:
            series = coefficients[0].copy()
            size = np.abs(series)
            kept = int(np.max(np.flatnonzero(size > 4.0 * shaken), initial=0)) + 1
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
            return None if width > 1e-7 * NARROW * (1.0 + abs(low)) else _rounded(0.5 * (low + high), width)
        worst = int(np.argmax(last))
        margin = 0.06 * width  # the singular point may be at the very end
        low, high = float(lows[worst]) - margin, float(highs[worst]) + margin
    if low <= 0.0 <= high:
        return 0.0
    return _rounded(0.5 * (low + high), 2.0 * (high - low) + 1e-15 * abs(low))
