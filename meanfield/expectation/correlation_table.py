"""The correlation map as a function of the variance too: angle profiles at Chebyshev nodes in log q.

One piece covers two octaves of q with 20 profiles; on it h(s; q) (angle_profile.py) is a two-dimensional Chebyshev series
on a few panels in s. Pieces are built when first asked for and kept with the activation, so that a phase diagram needs no
quadrature per cell.
"""

from __future__ import annotations

import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield.activations.kept import Kept
from meanfield.errors import ActivationError
from meanfield.expectation.angle_profile import angle_of, ratio
from meanfield.expectation.angle_ratios import NOISE, AngleRatios, jumps
from meanfield.expectation.chebyshev import TERMS, chebyshev_nodes, chebyshev_series

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array, Integers

NODES = 20  # profiles on a piece: the map is smooth in log q on the scale of e, so errors fall like 9⁻ⁿ or faster
DEEPEST = 10
MOST_THREADS = 4
TOLERANCE = 2e-14
UNEVEN = 5.0  # times that h grows over a piece, past which its series is that of h over its size: e^x, a dead zone
NEAREST, FURTHEST = 2.0**-40, 64.0  # between them a piece costs little more than a single variance does
UNRESOLVED = 1e-11  # last coefficients in log q, relative to the largest: such a piece is refused


@dataclass(frozen=True)
class Piece:
    """4^p ≤ q < 4^(p + 1): panel edges in s, and coefficients of shape (panels, NODES, TERMS + 1).

    The last column is the series in log q of the logarithm that all others are to be multiplied by the exponential of. nan where φ has
    too many features, or changes its size too fast.
    """

    edges: Array
    coefficients: Array


@dataclass(frozen=True)
class PackedPieces:
    """All pieces in flat arrays for a kernel: piece p is number p − first, with rows start … start + count of panels."""

    first: int
    start: Integers
    count: Integers
    low: Array
    high: Array
    coefficients: Array


_REFUSED = Piece(np.array([0.0, 1.0]), np.full((1, NODES, TERMS + 1), math.nan))


def _sizes(values: Array) -> Array | None:
    """What to divide each row by; None where some are lost to underflow or overflow and others aren't."""
    middle = np.abs(values[:, TERMS // 2])
    if not np.isfinite(middle).all() or (np.any(middle == 0.0) and np.any(middle > 0.0)):
        return None
    even = np.max(middle) <= UNEVEN * np.min(middle)
    return np.ones_like(middle) if even else middle


class CorrelationTable:
    """h(θ; q) of one activation (g where it jumps), for θ in [0, π/2] and any q."""

    def __init__(self, activation: Activation) -> None:
        self.activation = activation
        self.jumping = jumps(activation)
        self._pieces: dict[int, Piece] = {}
        self._dear: set[int] = set()  # pieces that only quadratures at each q and angle give: twenty times the price of one q
        self._lock = threading.RLock()

    def ensure(self, pieces: list[int]) -> None:
        """Build the pieces that are missing, two at a time: NumPy and the kernels let go of the interpreter's lock."""
        with self._lock:
            missing = sorted({p for p in pieces if p not in self._pieces}, reverse=True)  # the dearest first
            if not missing:
                return
            # A callable of the user's own need not bear two threads.
            workers = min(len(missing), os.cpu_count() or 1, MOST_THREADS) if self.activation.has_formula else 1
            if workers == 1:
                for p in missing:
                    self._pieces[p] = self._build(p)
                return
            with ThreadPoolExecutor(workers) as pool:  # map gives up what has not begun when Ctrl-C ends it
                self._pieces.update(zip(missing, pool.map(self._build, missing), strict=True))

    def _build(self, p: int) -> Piece:
        piece = self._affordable(p)
        if piece is None:
            try:
                return self._fitted(self._ratios(p), chebyshev_nodes())
            except ActivationError:
                return _REFUSED
        return piece

    def _affordable(self, p: int) -> Piece | None:
        """The piece, where one table for all its variances gives it; None, and noted, where each q and angle would be a quadrature."""
        try:
            ratios = self._ratios(p)
            if ratios.usable:
                return self._fitted(ratios, chebyshev_nodes())
        except ActivationError:  # too many features, or φ overflows within reach of the largest q
            return _REFUSED
        self._dear.add(p)
        return None

    def _ratios(self, p: int) -> AngleRatios:
        return AngleRatios(self.activation, np.exp(math.log(4.0) * (p + 0.5 + 0.5 * chebyshev_nodes(NODES))))

    def row(self, q: float) -> tuple[Array, Array] | None:
        """h (or g) at one variance: panel edges in s and the Chebyshev series on each; None where that q is better sampled by itself."""
        from meanfield.expectation.angle_kernels import row_of_piece

        if not NEAREST <= q < FURTHEST:
            return None
        p = math.floor(math.log2(q) * 0.5)
        with self._lock:
            if p not in self._pieces and p not in self._dear and (made := self._affordable(p)) is not None:
                self._pieces[p] = made
            if p in self._dear:
                return None
            piece = self._pieces[p]
        if np.isnan(piece.coefficients[0, 0, 0]):
            return None
        series = np.empty((len(piece.coefficients), TERMS))
        row_of_piece(q, p + 0.5, piece.coefficients, series)
        return piece.edges, series

    def _fitted(self, ratios: AngleRatios, s_nodes: Array) -> Piece:
        variances = ratios.variances
        done: list[tuple[float, float, Array]] = []
        waiting = [(0.0, 1.0, 0, math.inf)]
        size = None
        while waiting:
            a, b, depth, parent = waiting.pop()
            s = 0.5 * (a + b) + 0.5 * (b - a) * s_nodes
            theta = np.stack([angle_of(s, float(q)) for q in variances])
            if ratios.usable:
                values = ratios(theta)
            else:
                ratios.quadratures(theta.size)
                values = np.stack([ratio(self.activation, float(q), angles) for q, angles in zip(variances, theta, strict=True)])
            if size is None:  # what the whole of [0, 1] shows of each row
                size = _sizes(values)
                if size is None:
                    return _REFUSED
            values = values / size[:, None]
            series = chebyshev_series(values)  # along s
            tail = float(np.max(np.abs(series[:, -3:]))) / (float(np.max(np.abs(values))) or 1.0)
            if tail <= TOLERANCE or (tail <= NOISE and tail > 0.3 * parent) or depth == DEEPEST:
                both = chebyshev_series(np.ascontiguousarray(series.T)).T
                if not np.max(np.abs(both[-2:])) <= UNRESOLVED * np.max(np.abs(both)):
                    return _REFUSED
                done.append((a, b, both))
            else:
                middle = 0.5 * (a + b)
                waiting += [(middle, b, depth + 1, tail), (a, middle, depth + 1, tail)]
        done.sort(key=lambda item: item[0])
        assert size is not None
        scale = np.broadcast_to(chebyshev_series(np.log(size))[:, None], (len(done), NODES, 1))
        series = np.concatenate([np.stack([c for _, _, c in done]), scale], axis=2)
        return Piece(np.array([a for a, _, _ in done] + [1.0]), np.ascontiguousarray(series))

    def decorrelation(self, q: Array, theta: Array) -> Array:
        """D at flat arrays of q > 0 and θ in [0, π/2]; nan where φ has too many features. Equal q side by side are cheap."""
        from meanfield.expectation.angle_kernels import evaluate_piece

        out = np.empty(q.size)
        number = np.floor(np.log2(q) * 0.5).astype(np.int64)
        asked = np.unique(number).tolist()
        self.ensure(asked)
        with self._lock:
            pieces = {p: self._pieces[p] for p in asked}
        for p, piece in pieces.items():
            mine = slice(None) if len(asked) == 1 else np.flatnonzero(number == p)
            found = np.empty(q[mine].size)
            evaluate_piece(
                np.ascontiguousarray(theta[mine]),
                np.ascontiguousarray(q[mine]),
                p + 0.5,
                self.jumping,
                piece.edges,
                piece.coefficients,
                found,
            )
            out[mine] = found
        return out

    def refused(self, pieces: list[int]) -> list[int]:
        """Those of the pieces on which φ has too many features."""
        with self._lock:
            return [p for p in pieces if np.isnan(self._pieces[p].coefficients[0, 0, 0])]

    def packed(self, pieces: list[int]) -> PackedPieces:
        """The pieces as flat arrays; those not asked for have no panels."""
        self.ensure(pieces)
        with self._lock:
            chosen = {p: self._pieces[p] for p in pieces}
        first, last = (min(chosen), max(chosen)) if chosen else (0, 0)
        start, count = np.zeros(last - first + 1, dtype=np.int64), np.zeros(last - first + 1, dtype=np.int64)
        rows = 0
        low, high, blocks = [], [], []
        for p, piece in sorted(chosen.items()):
            start[p - first], count[p - first] = rows, len(piece.coefficients)
            rows += len(piece.coefficients)
            low.append(piece.edges[:-1])
            high.append(piece.edges[1:])
            blocks.append(piece.coefficients)
        if not blocks:
            return PackedPieces(first, start, count, np.zeros(0), np.zeros(0), np.zeros((0, NODES, TERMS + 1)))
        return PackedPieces(first, start, count, np.concatenate(low), np.concatenate(high), np.concatenate(blocks))


_tables: Kept[CorrelationTable] = Kept("correlation table")
_tables_lock = threading.Lock()


def correlation_table(activation: Activation) -> CorrelationTable:
    """The table that belongs to an activation; kept for as long as the activation lives."""
    with _tables_lock:
        if activation not in _tables:
            _tables[activation] = CorrelationTable(activation)
        return _tables[activation]
