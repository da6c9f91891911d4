"""Layers of a network as a function of two inputs' variances and of their decorrelation ε: for Gram matrices of data of any norms.

A matrix of N inputs has N variances, however many pairs, and the layers bring them together. Between two places in the network

    ε_out(q1, q2, ε) = Σ T_a(x(q1)) T_b(x(q2)) S_ab(ε),   x linear in log q,

with Chebyshev polynomials T_a, as many as the spread of the variances asks for, and S_ab tabulated in octaves of √(ε/2) and √(1 − ε/2),
as for one variance (one_variance.py). What is made once for a row of the matrix is summed over a; an entry costs a sum over b and a short
series.

An octave is made when a block brings enough entries for it, and depends on nothing but the layers and the range of variances. Where its
series do not decay, as beside a ridge at q1 = q2, ε = 0 that kinks leave, its entries are left to whoever asks.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from meanfield.expectation.chebyshev import chebyshev_nodes, chebyshev_series
from meanfield.theory.kernels.one_variance import TERMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from meanfield.arrays import Array, Integers

OCTAVES = 56  # of √(ε/2)
OPPOSITE = 12  # of √(1 − ε/2), of which a float64 ε near 2 knows enough
PARTS = (1, 2, 4, 8)  # panels an octave
ORDERS = (
    (1e-6, 3),
    (1e-4, 4),
    (3e-3, 5),
    (0.05, 7),
    (0.3, 10),
    (1.0, 13),
    (2.5, 17),
    (5.0, 23),
    (7.0, 30),
    (math.inf, 40),
)  # by the spread of log q
WIDEST = 9.0  # spread of log q
TRUE_TO = 3e-13  # last two coefficients along each axis, relative to the largest value on the octave
FLOOR = 3e-14  # the same for ε, absolute: what is 1 − C/√(V1 V2) has no more digits
WORTH = 4  # entries of an octave in a block, for each pair of orders, from which on it is made
NOTHING = 1e-14  # coefficients that are left away, relative to that
CHECKS = ((0.37, -0.61), (0.71, 0.66), (-0.93, -0.88))  # x(q1), x(q2) where the series are held against the layers


def orders_needed(spread: float) -> int:
    """Chebyshev polynomials that follow functions of log q over such a spread, if these change on the scale of e."""
    return next(count for limit, count in ORDERS if spread <= limit)


@dataclass(frozen=True)
class Octave:
    """Panels of equal width, (functions, parts, orders, TERMS, orders), the last filled up to fours; none where the series do not decay."""

    series: Array

    @property
    def parts(self) -> int:
        return int(self.series.shape[1])


class _Packed(NamedTuple):
    parts: Integers
    orders: Integers
    start: Integers
    coefficients: Array


class NormsTable:
    """functions(q1, q2, ε), q1 and q2 of shape (pairs, 1), ε (1, n) ↦ (number, pairs, n), for log q in [low, high]."""

    def __init__(self, functions: Callable[[Array, Array, Array], Array], number: int, low: float, high: float) -> None:
        self._functions, self.number = functions, number
        self.middle, self.half = 0.5 * (low + high), max(0.5 * (high - low), 1e-15)
        self.first_orders = orders_needed(high - low)
        self.worth = WORTH * self.first_orders * (self.first_orders + 1) // 2
        self._octaves: dict[int, Octave] = {}
        self._lock = threading.Lock()
        self._packed: _Packed | None = None

    def basis(self, q: Array) -> Array:
        """T_a(x(q)), one row for each q."""
        x = np.clip((np.log(q) - self.middle) / self.half, -1.0, 1.0)
        result: Array = np.ascontiguousarray(np.polynomial.chebyshev.chebvander(x, ORDERS[-1][1] - 1))
        return result

    def __call__(self, losses: Array, first: Array, second: Array, diagonal: int) -> Array:
        """All functions at a matrix of ε, (number, rows, columns), with the bases of rows and columns.

        nan where the table does not serve, and at ε = 0 and 2; but entries (i, i + diagonal), inputs with themselves, are 0
        (−1: there are none).
        """
        from meanfield.theory.kernels.pair_kernels import count_octaves, look_up_norms

        losses = np.ascontiguousarray(losses)
        seen = np.zeros(OCTAVES + OPPOSITE, dtype=np.int64)
        count_octaves(losses, OCTAVES, OPPOSITE, seen)
        few = (seen > 0) & (seen < self.worth)  # whatever other blocks have made: their order does not matter
        with self._lock:
            missing = [int(o) for o in np.flatnonzero(seen >= self.worth) if o not in self._octaves]
            if missing:
                self._make(missing)
                self._packed = None
            packed = self._pack()
        if few.any():
            packed = packed._replace(parts=np.where(few, 0, packed.parts))
        out = np.empty((self.number, *losses.shape))
        look_up_norms(losses, first, second, diagonal, OCTAVES, OPPOSITE, *packed, out)
        return out

    def _pack(self) -> _Packed:
        if self._packed is None:
            size = OCTAVES + OPPOSITE
            parts, orders, start = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)
            blocks, total = [np.zeros(1)], 1
            for number, octave in sorted(self._octaves.items()):
                parts[number], orders[number], start[number] = octave.parts, octave.series.shape[2], total
                # panel by panel; within it function, a, k, b
                block = np.ascontiguousarray(np.swapaxes(octave.series, 0, 1)).ravel()
                blocks.append(block)
                total += block.size
            self._packed = _Packed(parts, orders, start, np.concatenate(blocks))
        return self._packed

    def _make(self, missing: list[int]) -> None:
        """Octaves with as many panels and orders as each needs."""
        sizes = [count for _, count in ORDERS]
        tried = {number: (0, sizes.index(self.first_orders)) for number in missing}  # places in PARTS and in sizes
        while tried:
            again: dict[int, tuple[int, int]] = {}
            for place in sorted({place for _, place in tried.values()}):
                mine = {number: PARTS[part] for number, (part, at) in tried.items() if at == place}
                for number, (octave, more_parts, more_orders) in self._fit(mine, sizes[place]).items():
                    part, at = tried[number][0] + more_parts, place + more_orders
                    if octave is not None:
                        self._octaves[number] = octave
                    elif part >= len(PARTS) or at >= len(sizes):
                        self._octaves[number] = Octave(np.zeros((self.number, 0, 1, TERMS, 4)))
                    else:
                        again[number] = (part, at)
            tried = again

    def _fit(self, wanted: dict[int, int], orders: int) -> dict[int, tuple[Octave | None, bool, bool]]:
        """Each octave with a number of panels; where that is not enough, whether more panels and more orders are asked for."""
        a, b = np.triu_indices(orders)
        x = chebyshev_nodes(orders)
        x1 = np.concatenate([x[a], [one for one, _ in CHECKS]])
        x2 = np.concatenate([x[b], [two for _, two in CHECKS]])
        q1, q2 = (np.exp(self.middle + self.half * each)[:, None] for each in (x1, x2))
        epsilons = [_epsilons(number, parts) for number, parts in wanted.items()]
        values = self._functions(q1, q2, np.concatenate([e.ravel() for e in epsilons])[None, :])
        vander = np.polynomial.chebyshev.chebvander(np.array(CHECKS), orders - 1)
        found, at = {}, 0
        for number, parts in wanted.items():
            mine = values[:, :, at : at + parts * TERMS].reshape(self.number, x1.size, parts, TERMS)
            at += parts * TERMS
            found[number] = self._judged(mine, a, b, orders, vander)
        return found

    def _judged(self, values: Array, a: Integers, b: Integers, orders: int, vander: Array) -> tuple[Octave | None, bool, bool]:
        pairs = a.size
        if not np.isfinite(values).all():
            return None, True, True
        scale = np.max(np.abs(values), axis=(1, 2, 3))
        limit = TRUE_TO * scale
        limit[0] = max(limit[0], FLOOR)
        grid = np.empty((self.number, orders, orders, *values.shape[2:]))
        grid[:, a, b] = values[:, :pairs]
        grid[:, b, a] = values[:, :pairs]
        series = chebyshev_series(grid)
        along_b = np.moveaxis(chebyshev_series(np.ascontiguousarray(np.moveaxis(series, 2, -1))), -1, 2)
        whole = np.moveaxis(chebyshev_series(np.ascontiguousarray(np.moveaxis(along_b, 1, -1))), -1, 1)
        wide = limit[:, None, None, None, None]
        more_parts = bool(np.any(np.abs(whole[..., -2:]) > wide))
        more_orders = bool(np.any(np.abs(whole[:, -2:]) > wide) or np.any(np.abs(whole[:, :, -2:]) > wide))
        if not more_parts and not more_orders:
            there = chebyshev_series(np.ascontiguousarray(values[:, pairs:]))
            given = np.einsum("ca,cb,fabpk->fcpk", vander[:, 0], vander[:, 1], whole)
            more_orders = bool(np.any(np.abs(there - given) > 5.0 * wide[:, 0]))
        if more_parts or more_orders:
            return None, more_parts, more_orders
        # Orders that are nothing are left away: all but one for a φ that does not feel the norm.
        beyond = np.maximum.accumulate(np.max(np.abs(whole), axis=(2, 3, 4))[:, ::-1], axis=1)[:, ::-1]
        kept = max(int(np.max(np.sum(beyond > NOTHING * scale[:, None], axis=1))), 1)
        series = np.zeros((self.number, whole.shape[3], kept, TERMS, 4 * ((kept + 3) // 4)))
        series[..., :kept] = np.moveaxis(whole[:, :kept, :kept], (3, 4, 2), (1, 3, 4))
        return Octave(series), False, False


def _epsilons(number: int, parts: int) -> Array:
    """(parts, TERMS) nodes in ε on an octave: of √(ε/2), or, past OCTAVES, of √(1 − ε/2)."""
    octave = number if number < OCTAVES else number - OCTAVES
    top = math.sqrt(0.5) if octave == 0 else math.ldexp(1.0, -octave)
    width = (top - math.ldexp(0.5, -octave)) / parts
    high = top - width * np.arange(parts)
    x = high[:, None] - 0.5 * width * (1.0 - chebyshev_nodes(TERMS))
    result: Array = 2.0 * x * x if number < OCTAVES else 2.0 * (1.0 - x) * (1.0 + x)
    return result
