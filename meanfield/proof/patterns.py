"""Signs of kernels on (0, ∞): for every q, whether points of the edge attract, how many fixed points F has, and how χ₁ goes.

Gaussian means of a kernel, as a function of q, have at most as many zeros as the kernel has changes of sign (docs/proofs.md, "Theorem 8").
The search here has derivatives from power series; the check writes them out as formulas.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from meanfield.proof.balls import Ball, ProofError, ball, flint, sign
from meanfield.proof.exact import Exact
from meanfield.proof.expansions import Expansion, Expansions
from meanfield.proof.function import STARTS, Function, tail
from meanfield.proof.jets import real
from meanfield.proof.kernel import Clock
from meanfield.proof.piece import Piece
from meanfield.proof.taylor import taylor

KERNELS = ("stability", "fixed_points", "chi_1")
_FINEST = Fraction(1, 2**11)  # below this a kernel that rises or falls through 0 is left to its slope
_SMALLEST = Fraction(1, 2**18)
_MOST = 3000
_ORDER = 8
Coefficients = list[Ball]


def _weight(x: float, q: float) -> float:
    return math.exp(-x * x / (2 * q))


def kernel(name: str, x: Any, f: list[Any]) -> Any:
    """The kernel's part of one side, from f, f' and f'': numbers, balls or expansions."""
    if name == "stability":
        return f[0] * f[2]  # F' − 1 = E[φφ'']/E[φ'²] on the edge
    if name == "fixed_points":
        return x * (f[1] * f[1] + f[0] * f[2]) - f[0] * f[1]  # d²/d(x²)² of φ²
    return x * (f[1] * f[2])  # 2q d/dq E[φ'²] is the mean of twice this


def _slope(name: str, x: Any, f: list[Any]) -> Any:
    if name == "stability":
        return f[1] * f[2] + f[0] * f[3]
    if name == "fixed_points":
        return x * (3 * (f[1] * f[2]) + f[0] * f[3])
    return f[1] * f[2] + x * (f[2] * f[2] + f[1] * f[3])


@dataclass(frozen=True)
class _Cell:
    low: Fraction
    high: Fraction
    kind: str  # "+", "-", "0", "rising", "falling", "open"
    upper: Ball
    clear: bool = False  # the sign with room to spare


class Pattern:
    """The signs of one kernel of a function."""

    def __init__(self, name: str, function: Function, clock: Clock, marks: list[Fraction]) -> None:
        self.name, self.function, self.clock, self.marks = name, function, clock, marks
        self.sides = (function.pieces.pieces, function.pieces.mirrored().pieces)

    def claim(self) -> tuple[dict[str, Any], str]:
        """What the check needs, and the evidence in words.

        Raises
        ------
        ProofError
            Where the signs are not shown.
        """
        if any(cut.at.rational is None for cut in self.function.pieces.cuts):
            raise ProofError("φ switches at a place that a certificate can't name exactly")
        start, last = self.far_out()
        width, order, near = self.beside_zero()
        cells = self.cells(width, start)
        kinks = {t: self.kink(t) for t in self.marks if t < start}
        signs = self.in_order(near, cells, kinks, last)
        data: dict[str, Any] = {"start": start, "order": order, "signs": signs}
        said = ""
        if self.name == "stability" and signs == "+-" and last != "+":
            for _ in range(4):
                q = self.negative_mean(width, order, cells, kinks)
                if q is not None:
                    data["q"] = str(Fraction(q))
                    said = f"; the mean is negative at q = {q:.6g}"
                    break
                cells = self.halved(cells)
        points = self.refined(cells)
        data["points"] = [str(p) for p in points]
        return data, f"signs {signs} on {len(points)} cells of (0, {start}] and beyond{said}"

    # -- the three regions

    def far_out(self) -> tuple[int, str]:
        """Where the tails begin, and the sign there."""
        why: ProofError | None = None
        for start in STARTS:
            self.clock.check()
            if self.function.last_cut() >= start:
                continue
            try:
                field = Expansions(start)
                total = Expansion(start)
                for pieces in (self.function.pieces, self.function.pieces.mirrored()):
                    total = total + kernel(self.name, field.x, tail(pieces, 2, (start,)).jet)
                found = total.sign()
            except ProofError as error:
                why = error
                continue
            if found is not None:
                return start, "-0+"[found + 1]
            why = ProofError("the kernel's sign far out is not shown")
        raise why or ProofError("the formula switches too far out")

    def piece(self, side: int, low: Fraction, high: Fraction) -> Piece:
        """The piece of φ(x) or φ(−x) that holds on a cell."""
        for p in self.sides[side]:
            below = p.low is None or not p.low.ball() > ball(low)
            above = p.high is None or not p.high.ball() < ball(high)
            if below and above and not (p.high is not None and (p.high - Exact.of(low)).sign() == 0):
                return p
        raise ProofError("a switch inside a cell")

    def beside_zero(self) -> tuple[Fraction, int | None, str]:
        """The width of the first cell, the order of the kernel's first coefficient at 0, and its sign."""
        width = min([Fraction(1, 2), *(t / 2 for t in self.marks)])
        trees = [self.piece(side, Fraction(0), width).tree for side in (0, 1)]
        smooth = not any(cut.at.sign() == 0 for cut in self.function.pieces.cuts)
        at_zero = [taylor(tree, _ORDER + 3) for tree in trees]
        order = None
        for n in range(_ORDER):
            parity = n % 2 == (0 if self.name == "fixed_points" else 1)
            c = sum((self.coefficient(a, flint.arb(0), n) for a in at_zero), flint.arb(0))
            if (smooth and parity) or c.is_zero():
                continue
            if sign(c) is None:
                raise ProofError(f"the coefficient of x^{n} in a kernel may be 0")
            order = n
            break
        if order is None:
            if self.cell(Fraction(0), width).kind != "0":
                raise ProofError("a kernel vanishes to high order at 0")
            return width, None, "0"
        for _ in range(20):
            x = ball(Fraction(0)).union(ball(width))
            try:
                c = sum((self.coefficient(taylor(tree, order + 3, x), x, order) for tree in trees), flint.arb(0))
                if c > 0 or c < 0:
                    return width / 4, order, "+" if c > 0 else "-"
            except (ProofError, ZeroDivisionError, ValueError):
                pass
            width /= 2
        raise ProofError("the sign of a kernel next to 0 is not shown")

    def coefficient(self, a: Coefficients, x: Ball, n: int) -> Ball:
        """The n-th coefficient of one side's kernel at x."""

        def product(f: Coefficients, g: Coefficients, m: int) -> Ball:
            return sum((f[i] * g[m - i] for i in range(m + 1)), flint.arb(0))

        first = [(j + 1) * a[j + 1] for j in range(len(a) - 1)]
        second = [(j + 1) * first[j + 1] for j in range(len(first) - 1)]
        if self.name == "stability":
            return product(a, second, n)
        if self.name == "fixed_points":  # φ² = Σ s x^j: x(φ²)''/2 − (φ²)'/2
            return x * (n + 2) * (n + 1) * product(a, a, n + 2) / 2 + (n * n - 1) * product(a, a, n + 1) / 2
        half = product(first, first, n)  # φ'² = Σ t x^j: x(φ'²)'/2
        return x * (n + 1) * product(first, first, n + 1) / 2 + n * half / 2

    def cell(self, low: Fraction, high: Fraction) -> _Cell:
        """The sign on a cell, or how the kernel goes there."""
        self.clock.check()
        x, middle = ball(low).union(ball(high)), ball((low + high) / 2)
        naive = slope = there = flint.arb(0)
        for side in (0, 1):
            tree = self.piece(side, low, high).tree
            a = taylor(tree, 3, x)
            f = [a[0], a[1], 2 * a[2], 6 * a[3]]
            b = taylor(tree, 2, middle)
            naive = naive + kernel(self.name, x, f)
            slope = slope + _slope(self.name, x, f)
            there = there + kernel(self.name, middle, [b[0], b[1], 2 * b[2]])
        around = there + slope * (x - middle)
        upper = naive.upper().min(around.upper())
        for value in (naive, around):
            if value > 0 or value < 0:
                return _Cell(low, high, "+" if value > 0 else "-", upper, bool(2 * value.rad() < abs(value.mid())))
        if slope.is_zero() and there.is_zero():
            return _Cell(low, high, "0", upper)
        kind = "rising" if slope > 0 else "falling" if slope < 0 else "open"
        return _Cell(low, high, kind, upper)

    def cells(self, first: Fraction, end: int) -> list[_Cell]:
        """Cells with a sign each, but for those where the kernel goes through 0."""
        inner = {2**n * first for n in range(20) if 2**n * first < 1}
        edges = sorted({*inner, *(t for t in self.marks if t < end), *(Fraction(n) for n in range(1, end + 1))})
        found: list[_Cell] = []
        for low, high in itertools.pairwise(edges):
            todo = [(low, high)]
            while todo:
                a, b = todo.pop()
                try:
                    made = self.cell(a, b)
                except (ProofError, ZeroDivisionError, ValueError) as error:
                    self.clock.check()
                    if b - a <= _SMALLEST:
                        raise ProofError("a derivative is not shown to be finite") from error
                    made = _Cell(a, b, "open", flint.arb(0))
                if made.kind in ("+", "-", "0") or (made.kind != "open" and b - a <= _FINEST):
                    found.append(made)
                    if len(found) > _MOST:
                        raise ProofError("the sign of a kernel needs too many cells")
                    continue
                if b - a <= _SMALLEST:
                    raise ProofError(f"the sign of a kernel is open near x = {float(a):.6g}")
                middle = (a + b) / 2
                todo += [(middle, b), (a, middle)]
        return found

    def kink(self, t: Fraction) -> Ball:
        """What a jump of φ' at ±t adds."""
        total = flint.arb(0)
        for side in (0, 1):
            pieces = self.sides[side]
            for left, right in itertools.pairwise(pieces):
                if left.high is None or (left.high - Exact.of(t)).sign() != 0:
                    continue
                before, after = (real(p.tree, ball(t), 1) for p in (left, right))
                if self.name == "chi_1":
                    total = total + ball(t) * (after[1] * after[1] - before[1] * before[1]) / 2
                else:
                    total = total + after[0] * (after[1] - before[1]) * (ball(t) if self.name == "fixed_points" else 1)
        return flint.arb(0) if total.contains(0) else total  # whether it is 0 is for the check to see

    # -- together

    def in_order(self, near: str, cells: list[_Cell], kinks: dict[Fraction, Ball], last: str) -> str:
        steps = [near]
        before = ""
        for made in cells:
            if made.low in kinks:
                steps.append("-0+"[(sign(kinks[made.low]) or 0) + 1])
            if made.kind == "rising":
                steps += ["+"] if before == "rising" and made.low not in kinks else ["-", "+"]
            elif made.kind == "falling":
                steps += ["-"] if before == "falling" and made.low not in kinks else ["+", "-"]
            else:
                steps.append(made.kind)
            before = made.kind
        steps.append(last)
        return "".join(s for s, _ in itertools.groupby(s for s in steps if s != "0"))

    def halved(self, cells: list[_Cell]) -> list[_Cell]:
        found = []
        for made in cells:
            if made.kind in ("+", "-"):
                middle = (made.low + made.high) / 2
                found += [self.cell(made.low, middle), self.cell(middle, made.high)]
            else:
                found.append(made)
        return found

    @staticmethod
    def refined(cells: list[_Cell]) -> list[Fraction]:
        """The ends of the cells, halved where the sign is just seen: a margin for the check's own evaluation."""
        points = [cells[0].low]
        for made in cells:
            if made.kind in ("+", "-") and not made.clear:
                points.append((made.low + made.high) / 2)
            points.append(made.high)
        return points

    def negative_mean(self, width: Fraction, order: int | None, cells: list[_Cell], kinks: dict[Fraction, Ball]) -> float | None:
        """A q where the mean over cells is negative with room."""
        x = ball(Fraction(0)).union(ball(width))
        trees = [self.piece(side, Fraction(0), width).tree for side in (0, 1)]
        near = 0.0
        if order is not None:
            c = sum((self.coefficient(taylor(tree, order + 3, x), x, order) for tree in trees), flint.arb(0))
            near = float(c.upper()) * float(width) ** (order + 1) / (order + 1)
        for q in (4.0**n for n in range(-6, 16)):
            total, size = near, near
            for made in cells:
                upper = float(made.upper)
                at = float(made.high if upper < 0 else made.low)
                term = upper * float(made.high - made.low) * _weight(at, q)
                total, size = total + term, size + abs(term)
            for t, jump in kinks.items():
                total += float(jump.upper()) * _weight(float(t), q)
            if total < -0.02 * size:
                return float(q)
        return None
