"""The kernel k(x) = x(φφ'(x) + ψψ'(x)), ψ(x) = φ(−x), whose Gaussian mean is 2q dV/dq: its balls, and what settles the sign for every q."""

from __future__ import annotations

import heapq
import itertools
import time
from fractions import Fraction
from typing import Any

import numpy as np

from meanfield.proof.balls import Ball, ProofError, ball, flint
from meanfield.proof.expansions import Expansion, Expansions
from meanfield.proof.function import Function, Tail
from meanfield.proof.jets import Jet, real
from meanfield.proof.pieces import Pieces

_MOST_CELLS = 12_000
_FINEST = Fraction(1, 4096)
_SAFE = 1 - 1e-6  # the search is in doubles, what it finds is verified in balls


class Clock:
    """Says when the time is over: time that this thread computes, so that an answer depends less on who else does."""

    def __init__(self, seconds: float) -> None:
        self.end = time.thread_time() + seconds

    def check(self) -> None:
        """Stop where it is."""
        if time.thread_time() > self.end:
            raise ProofError("the time limit is reached")


class Kernel:
    """Balls of k and of φ' on cells of (0, ∞)."""

    def __init__(self, function: Function, clock: Clock) -> None:
        self.function, self.clock = function, clock
        self.sides = (self._bounds(function.pieces), self._bounds(function.pieces.mirrored()))

    @staticmethod
    def _bounds(pieces: Pieces) -> list[tuple[Ball | None, Ball | None, Any]]:
        return [
            (None if p.low is None else p.low.ball(), None if p.high is None else p.high.ball(), p.tree)
            for p in pieces.pieces
            if p.high is None or p.high.ball() > 0 or p.high.ball().contains(0)
        ]

    def jets(self, low: Fraction, high: Fraction, side: int) -> list[Jet]:
        """The jets of φ(x), or of φ(−x), of every piece that meets the inside of the cell."""
        x = ball(low).union(ball(high))
        a, b = ball(low), ball(high)
        found = [
            real(tree, x, 1)
            for start, end, tree in self.sides[side]
            if (start is None or start < b) and (end is None or end > a) and not (end is not None and (end - a).is_zero())
        ]
        if not all(value.is_finite() for jet in found for value in jet):
            raise ProofError(f"φ or φ' is not shown to be finite near |x| = {float(high):.6g}")
        return found

    def over(self, low: Fraction, high: Fraction) -> Ball | None:
        """k on a cell; None where it is not finite."""
        self.clock.check()
        x = ball(low).union(ball(high))
        try:
            right, left = self.jets(low, high, 0), self.jets(low, high, 1)
        except ProofError:
            return None
        total = None
        for u, v in itertools.product(right, left):
            value = x * (u[0] * u[1] + v[0] * v[1])
            total = value if total is None else total.union(value)
        return total

    def beside_zero(self, high: Fraction) -> Ball:
        """k/x² on (0, high], by φ(x)/x = a mean of φ'."""
        right, left = self.jets(Fraction(0), high, 0), self.jets(Fraction(0), high, 1)
        if len(right) != 1 or len(left) != 1:
            raise ProofError("φ switches next to 0")
        (u,), (v,) = right, left
        return u[1] * u[1] + v[1] * v[1]


def far_out(right: Tail, left: Tail) -> Expansion:
    """k far out."""
    if right.start != left.start:
        raise ProofError("the two sides begin at different places")
    inner: Expansion = right.jet[0] * right.jet[1] + left.jet[0] * left.jet[1]
    return inner * Expansions(right.start).x


class Cells:
    """A partition of (0, X] with lower bounds of k, and from it what the positive and negative parts weigh."""

    def __init__(self, kernel: Kernel, end: int, marks: list[Fraction], finest: Fraction, fine: float, most: int = _MOST_CELLS) -> None:
        self.kernel, self.end = kernel, end
        first = min([Fraction(1, 16), *(m / 4 for m in marks)])
        beside = None
        for _ in range(40):
            try:
                beside = kernel.beside_zero(first)
                if beside > 0:
                    break
            except ProofError:
                beside = None
            first = first / 2
        if beside is None:
            raise ProofError("φ' is not shown to be finite next to 0")
        self.points = [first]
        self.least = [float(beside.lower())]
        edges = sorted({first, *(m for m in marks if first < m < end), *(Fraction(n) for n in range(1, end + 1)), Fraction(end)})
        edges = [e for e in edges if e >= first]
        for low, high in itertools.pairwise(edges):
            todo = [(low, high)]
            while todo:
                a, b = todo.pop()
                value = kernel.over(a, b)
                if value is None and b - a <= finest / 2**16:
                    raise ProofError(f"φ or φ' is not shown to be finite near |x| = {float(b):.6g}")
                good = value is not None and (value.lower() >= 0 or value.upper() < 0)
                if good and fine < 1 and value is not None:
                    good = bool(value.rad() <= fine * abs(value.mid()))
                if value is not None and (good or b - a <= finest):
                    self.points.append(b)
                    self.least.append(float(value.lower()))
                    if len(self.points) > most:
                        raise ProofError("the sign of φφ' needs too many cells")
                    continue
                middle = (a + b) / 2
                todo += [(middle, b), (a, middle)]
        edge = np.array([0.0, *map(float, self.points)])
        self.low, self.high, self.least_k = edge[:-1], edge[1:], np.array(self.least)
        self.width = self.high - self.low
        self.width[0] = self.high[0] ** 3 / 3
        self.negative = np.flatnonzero(~(self.least_k >= 0))

    def gain(self, q: float, first: int = 0, last: int | None = None) -> float:
        """The positive part, from below."""
        part = slice(first, last)
        return float(np.sum(np.maximum(self.least_k[part], 0) * self.width[part] * np.exp(-(self.high[part] ** 2) / (2 * q)))) * _SAFE

    def loss(self, q: float) -> float:
        """The negative part, from above; q = inf for weights 1."""
        weight = np.exp(-(self.low**2) / (2 * q)) if np.isfinite(q) else 1.0
        return float(np.sum(np.maximum(-self.least_k, 0) * self.width * weight)) / _SAFE


def settled_by_grid(cells: Cells, tail_sign: int | None, tail: Expansion) -> list[float]:
    """A grid of q between which, and beyond which, the positive part outweighs the negative one.

    Raises
    ------
    ProofError
        Where none is found.
    """

    def beyond(q: float) -> float:
        return 0.0 if tail_sign in (0, 1) else _tail_loss(tail, q)

    def loss(q: float) -> float:
        return cells.loss(q) + beyond(q)

    first = int(cells.negative[0]) if cells.negative.size else len(cells.least_k)
    q = 1.0
    while not cells.gain(q, 0, first) > loss(q):
        q /= 2
        if q < 2.0**-40:
            raise ProofError("F' at small q is not settled")
    grid = [q]
    last = int(cells.negative[-1]) + 1 if cells.negative.size else 0
    while True:
        cells.kernel.clock.check()
        a = grid[-1]
        gain = cells.gain(a)
        by_tail = tail_sign in (0, 1) and cells.gain(a, last) > loss(a)
        if by_tail or gain > _loss_everywhere(cells, tail_sign, tail):
            return grid
        for factor in (2.0, 1.5, 1.25, 1.1, 1.04, 1.015, 1.005):
            if gain > loss(a * factor):
                grid.append(a * factor)
                break
        else:
            raise ProofError(f"F' at q near {a:.6g} is too close to 0")
        if len(grid) > 1500 or grid[-1] > 2.0**60:
            raise ProofError("F' at large q is not settled")


def _loss_everywhere(cells: Cells, tail_sign: int | None, tail: Expansion) -> float:
    try:
        return cells.loss(np.inf) + (0.0 if tail_sign in (0, 1) else _tail_loss(tail, np.inf))
    except ProofError:
        return float("inf")


def _tail_loss(tail: Expansion, q: float) -> float:
    from meanfield.proof.expansions import Size, falls_from
    from meanfield.proof.function import decaying_bound

    start = flint.arb(tail.start)
    if np.isfinite(q):
        at = flint.arb(q)
        try:
            return float((decaying_bound(tail, at, start) * (2 * flint.arb.pi() * at).sqrt()).upper())
        except ProofError:
            return float("inf")
    total = flint.arb(0)
    for size, c in tail.terms:
        if not falls_from(size * Size(power=Fraction(2)), start):
            raise ProofError("the kernel is not integrable")
        total = total + c.ball.abs_upper() * size.at(start) * start
    return float(total.upper())


def cells_for_a_fall(kernel: Kernel, end: int, marks: list[Fraction], q: float, tail: Expansion, tail_sign: int | None) -> list[Fraction]:
    """Cells fine enough to see that E[k] < 0 at q."""
    first = min([Fraction(1, 64), *(m / 4 for m in marks)])
    near = None
    while near is None:
        try:
            near = kernel.beside_zero(first)
        except ProofError:
            first /= 2
            if first < Fraction(1, 2**40):
                raise
    edges = sorted({first, *(m for m in marks if first < m < end), *(Fraction(n) for n in range(1, end + 1)), Fraction(end)})
    total = float(near.abs_upper()) * float(first) ** 3 / 3
    if tail_sign not in (0, -1):
        total += _tail_loss(tail, q)
    heap: list[tuple[float, Fraction, Fraction, float]] = []

    def put(a: Fraction, b: Fraction) -> float:
        value = kernel.over(a, b)
        if value is None:
            high, spread = 1e300, 1e300
        else:
            x = ball(a).union(ball(b))
            weighed = value * (-(x * x) / (2 * flint.arb(q))).exp() * ball(b - a)
            high, spread = float(weighed.upper()), float(weighed.rad())
        heapq.heappush(heap, (-spread, a, b, high))
        return high

    for a, b in itertools.pairwise(e for e in edges if e >= first):
        total += put(a, b)
    while not total < 0 or total > -1e-300:
        kernel.clock.check()
        if len(heap) > 4 * _MOST_CELLS:
            raise ProofError("F' < 0 needs too many cells")
        _, a, b, high = heapq.heappop(heap)
        middle = (a + b) / 2
        total = total - high + put(a, middle) + put(middle, b)
        if len(heap) % 256 == 0:  # the sum anew: the differences of huge numbers are noise
            total = sum(item[3] for item in heap) + float(near.abs_upper()) * float(first) ** 3 / 3
            if tail_sign not in (0, -1):
                total += _tail_loss(tail, q)
    # A little finer, for the margin of another evaluation.
    for _ in range(len(heap) // 2):
        _, a, b, high = heapq.heappop(heap)
        middle = (a + b) / 2
        put(a, middle)
        put(middle, b)
    return [first, *sorted(b for _, _, b, _ in heap)]
