"""The root search of the edge of chaos: solutions q of q − V[φ](q)/V[φ'](q) = σ_b², by ascending q.

The left side is sampled on stretches of q that are the same whatever σ_b is asked for, and kept. So each σ_b has the answer,
to the bit, that it has alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield.activations.kept import Kept
from meanfield.expectation.moments import DEFICIT, GROUP, READY, V1, MomentTable
from meanfield.expectation.octaves import without_kernels
from meanfield.solve.scan import PER_OCTAVE, polish, with_extrema
from meanfield.theory import edge_of_chaos_roots

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array, Integers, Mask

LOWEST, HIGHEST = -100, 20  # log₂ of the q between which solutions are searched
FROM_ZERO = -30  # the octave in which the search begins for σ_b = 0
ROUNDING = 1e-13  # of σ_b² = q − V/V[φ'], relative to q
FAINTEST = 1e-305  # V[φ'] below is a sum of numbers that are no longer normal, and σ_w = V[φ']^(−1/2) beyond use
SAME = 1e-9  # roots this close are one, seen from both sides of a sample


@dataclass(frozen=True)
class Stretch:
    """σ_b² = q − V/V[φ'] at ascending q, extrema between samples included, wherever V[φ'] ≥ FAINTEST."""

    q: Array
    square: Array
    ready: Mask  # by octave, from `first` on: whether it is one short series
    first: int
    ends: bool  # whether φ overflows inside: nothing is searched beyond

    def begins(self, low: Array) -> Integers:
        """The index from which on q ≥ low, and one sample before: rounding may have a root on the sample seen there."""
        result: Integers = np.maximum(np.searchsorted(self.q, low) - 1, 0)
        return result


_stretches: Kept[dict[tuple[int, int], Stretch]] = Kept("stretches of the edge of chaos")


def start_octaves(targets: Array) -> Integers:
    """log₂ of where the search begins: as σ_b² ≤ q on the edge, there is no solution below the octave of σ_b²."""
    octaves = np.maximum(np.frexp(targets)[1] - 1, LOWEST)
    result: Integers = np.where(targets > 0, octaves, FROM_ZERO).astype(np.int64)
    return result


def smallest_roots(act: Activation, table: MomentTable, targets: Array) -> Array:
    """For each σ_b² the smallest q > 0 with q − V/V[φ'] = σ_b²; nan where there is none up to 2^HIGHEST."""
    if without_kernels(targets.size, table.asked):
        from meanfield.theory.edge_of_chaos_roots import first_brackets, solve
    else:
        from meanfield.theory.edge_of_chaos_kernels import first_brackets, solve

    roots = np.full(targets.shape, math.nan)
    starts = start_octaves(targets)
    low = np.exp2(starts.astype(float))
    waiting = np.flatnonzero(starts < HIGHEST)
    block = LOWEST // GROUP - 1
    first_blocks = starts // GROUP
    while waiting.size:
        block = max(block + 1, int(first_blocks[waiting].min()))
        for first, last in _stretches_of(block):
            mine = waiting[first_blocks[waiting] < (block if last - first == 2 else block + 1)]
            if not mine.size:
                continue
            stretch = _stretch(act, table, first, last)
            if stretch.q.size > 1:
                found = np.empty(mine.size, dtype=np.int64)
                first_brackets(targets[mine], stretch.begins(low[mine]), stretch.q, stretch.square, found)
                hit = found >= 0
                if hit.any():
                    roots[mine[hit]] = _solved(table, stretch, targets[mine[hit]], found[hit], solve)
            waiting = np.setdiff1d(waiting, mine) if stretch.ends else waiting[np.isnan(roots[waiting])]
        if (block + 1) * GROUP >= HIGHEST:
            break
    return roots


def all_roots(act: Activation, table: MomentTable, target: float) -> Array:
    """Every such q for one σ_b², the first of them that of `smallest_roots`."""
    start = start_octaves(np.array([target]))
    roots: list[float] = []
    for block in range(int(start[0]) // GROUP, -(-HIGHEST // GROUP)):
        for first, last in _stretches_of(block):
            if last - first == 2 and block == start[0] // GROUP:
                continue
            stretch = _stretch(act, table, first, last)
            begin = int(stretch.begins(np.exp2(start.astype(float)))[0]) if stretch.q.size else 0
            excess = stretch.square[begin:] - target
            found = begin + np.flatnonzero(edge_of_chaos_roots.crossed(excess[:-1], excess[1:]))
            for root in _solved(table, stretch, np.full(found.shape, target), found, edge_of_chaos_roots.solve):
                if not any(abs(root - other) <= SAME * other for other in roots):
                    roots.append(float(root))
            if stretch.ends:
                return np.array(sorted(roots))
    return np.array(sorted(roots))


def hidden(act: Activation, table: MomentTable, targets: Array) -> tuple[Mask, float]:
    """For which σ_b² there is a solution where V[φ'] is too small for float64, and the q below which that is.

    q − V/V[φ'] is at most σ_b² at q = σ_b²; where it has passed σ_b² by the first q that can be seen, it crossed it unseen.
    """
    nowhere: Mask = np.zeros(targets.shape, dtype=bool)
    inside = (targets > 0) & (start_octaves(targets) < HIGHEST)
    if not inside.any():
        return nowhere, math.nan
    for block in range(int(start_octaves(targets[inside]).min()) // GROUP, -(-HIGHEST // GROUP)):
        stretch = _stretch(act, table, *_stretches_of(block)[1])
        if stretch.q.size or stretch.ends:
            break
    if not stretch.q.size:
        return nowhere, math.nan
    seen_from = float(stretch.q[0])
    return inside & (targets < seen_from) & (targets < stretch.square[0]), seen_from


def _stretches_of(block: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last samples of the joint with the block below, and of the block.

    A block has the octaves that share a rule, and no more, so that no others are built for it; the joint is for those that come
    from below: an extremum at the border, and a root between the last number below it and the first above.
    """
    first = block * GROUP * PER_OCTAVE
    return (first - 1, first + 1), (first, min(first + GROUP * PER_OCTAVE, HIGHEST * PER_OCTAVE))


def _stretch(act: Activation, table: MomentTable, first: int, last: int) -> Stretch:
    held = _stretches.setdefault(act, {})
    if (first, last) not in held:
        held[first, last] = _sampled(table, first, last)
    return held[first, last]


def _sampled(table: MomentTable, first: int, last: int) -> Stretch:
    """The samples 2^(k/8) for k = first … last."""
    grid = np.exp2(np.arange(first, last + 1) / PER_OCTAVE)
    if last - first > 2:
        grid[-1] = np.nextafter(grid[-1], 0.0)  # still in the last octave of the block
    low, high = math.frexp(grid[0])[1] - 1, math.frexp(grid[-1])[1] - 1
    table.ensure(low, high)
    slopes = table(V1, grid)
    faint = slopes < FAINTEST
    if faint[0]:  # φ is flat as far as N(0, q) reaches: V/V[φ'] is 0/0
        begin = grid.size if faint.all() else int(np.argmin(faint))
        if 0 < begin < grid.size:
            begin -= 1
            grid[begin] = _seen_from(table, grid[begin], grid[begin + 1])
        grid = grid[begin:]
    values = sigma_b_squared(table, grid)
    finite = np.isfinite(values)
    ends = not finite.all()
    if ends:  # φ overflows from some q on
        stop = int(np.argmin(finite))
        grid, values = grid[:stop], values[:stop]
    if grid.size > 2:
        grid, values = with_extrema(grid, values, lambda q: sigma_b_squared(table, q), ROUNDING * grid[1:-1])
    begun, state, *_ = table.snapshot()
    ready = state[DEFICIT, low - begun : high + 1 - begun] == READY
    return Stretch(grid, np.ascontiguousarray(values), ready, low, ends)


def _seen_from(table: MomentTable, low: float, high: float) -> float:
    """The q between two samples from which on V[φ'] ≥ FAINTEST."""
    for _ in range(30):
        middle = math.sqrt(low * high)
        if float(table(V1, np.array([middle]))[0]) < FAINTEST:
            low = middle
        else:
            high = middle
    return high


def sigma_b_squared(table: MomentTable, q: Array) -> Array:
    """q − V[φ](q)/V[φ'](q)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return table(DEFICIT, q) / table(V1, q)


def _solved(table: MomentTable, stretch: Stretch, targets: Array, found: Integers, solve: Callable[..., None]) -> Array:
    """The roots in the brackets [q_k, q_{k+1}], k = found."""
    roots = np.empty(targets.size)
    if not found.size:
        return roots
    low, high = stretch.q[found], stretch.q[found + 1]
    tabled = stretch.ready[np.frexp(low)[1] - 1 - stretch.first] & stretch.ready[np.frexp(high)[1] - 1 - stretch.first]
    if tabled.any():
        first, _, start, pieces, block = table.snapshot()
        columns = np.ascontiguousarray(block[[DEFICIT, V1]])
        out = np.empty(int(tabled.sum()))
        solve(np.ascontiguousarray(targets[tabled]), np.ascontiguousarray(found[tabled]), stretch.q, first, start, pieces, columns, out)
        roots[tabled] = out
    if not tabled.all():  # octaves that no short series represents
        k, rest = found[~tabled], targets[~tabled]
        sides = stretch.square[k] - rest, stretch.square[k + 1] - rest
        roots[~tabled] = polish(lambda q, i: sigma_b_squared(table, q) - rest[i], stretch.q[k], stretch.q[k + 1], *sides)
    return roots
