"""The check of signs of kernels on (0, ∞): part of the check of a certificate (check.py), and nothing of the prover.

Derivatives are written out as formulas and evaluated like any other; the prover has them from power series. docs/proofs.md, "Theorem 8".
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from meanfield.proof import check_claims as base
from meanfield.proof.balls import flint

Tree = tuple[Any, ...]
_REFUSED = base._Refused
_BESIDE = Fraction(1, 2**40)  # how far beside a kink its slopes are taken


def _number(value: Fraction | int) -> Tree:
    return ("number", Fraction(value))


def _is(tree: Tree, value: int) -> bool:
    return bool(tree[0] == "number" and tree[1] == value)


def _plus(a: Tree, b: Tree) -> Tree:
    return b if _is(a, 0) else a if _is(b, 0) else ("+", a, b)


def _times(a: Tree, b: Tree) -> Tree:
    if _is(a, 0) or _is(b, 0):
        return _number(0)
    return b if _is(a, 1) else a if _is(b, 1) else ("*", a, b)


def _over(a: Tree, b: Tree) -> Tree:
    return a if _is(a, 0) or _is(b, 1) else ("/", a, b)


def _minus(a: Tree) -> Tree:
    return a if _is(a, 0) else ("neg", a)


class _Derived:
    """Formulas of derivatives, almost everywhere where φ switches; parts that occur again are kept as one."""

    def __init__(self) -> None:
        self.seen: dict[int, tuple[Tree, Tree]] = {}

    def of(self, tree: Tree) -> Tree:
        if id(tree) not in self.seen:
            self.seen[id(tree)] = tree, self._of(tree)
        return self.seen[id(tree)][1]

    def _of(self, tree: Tree) -> Tree:
        op = tree[0]
        if op == "x":
            return _number(1)
        if op in ("number", "pi", "e", "sign", "heaviside"):
            return _number(0)
        if op == "where":
            return self.switch(tree[1], self.of(tree[2]), self.of(tree[3]))
        f, df = tree[1], self.of(tree[1])
        if op == "neg":
            return _minus(df)
        if op in ("+", "*", "/", "max", "min"):
            g, dg = tree[2], self.of(tree[2])
            if op == "+":
                return _plus(df, dg)
            if op == "*":
                return _plus(_times(df, g), _times(f, dg))
            if op == "/":
                return _over(_plus(df, _minus(_times(tree, dg))), g)
            return self.switch((">" if op == "max" else "<", f, g), df, dg)
        if op == "**":
            return self.power(tree, f, df)
        if op == "abs":
            return _times(("sign", f), df)
        if op == "relu":
            return _times(("heaviside", f), df)
        return _times(df, self.outer(tree))

    @staticmethod
    def switch(condition: Tree, a: Tree, b: Tree) -> Tree:
        return a if a == b else ("where", condition, a, b)

    def power(self, tree: Tree, f: Tree, df: Tree) -> Tree:
        n = base._constant(tree[2])
        if n is None:
            rate = _plus(_times(self.of(tree[2]), ("log", f)), _over(_times(tree[2], df), f))
            return _times(tree, rate)
        if n == 0:
            return _number(0)
        lower = _number(1) if n == 1 else f if n == 2 else ("**", f, _number(n - 1))
        return _times(_number(n), _times(lower, df))

    @staticmethod
    def outer(tree: Tree) -> Tree:
        """f'(g) of f(g), in forms where nothing cancels."""
        op, g = tree[0], tree[1]
        one, square = _number(1), ("*", g, g)
        if op == "exp":
            return tree
        if op == "expm1":
            return ("exp", g)
        if op in ("log", "log1p"):
            return ("/", one, g if op == "log" else ("+", one, g))
        if op == "sqrt":
            return ("/", _number(Fraction(1, 2)), tree)
        if op in ("sin", "cos"):
            return ("cos", g) if op == "sin" else ("neg", ("sin", g))
        if op == "tan":
            return ("/", one, ("*", ("cos", g), ("cos", g)))
        if op in ("sinh", "cosh"):
            return ("cosh" if op == "sinh" else "sinh", g)
        if op == "tanh":  # 1 − tanh² = 4 σ(2g) σ(−2g)
            two = ("*", _number(2), g)
            return ("*", _number(4), ("*", ("sigmoid", two), ("sigmoid", ("neg", two))))
        if op == "sigmoid":
            return ("*", tree, ("sigmoid", ("neg", g)))
        if op == "softplus":
            return ("sigmoid", g)
        if op in ("erf", "erfc"):
            bell = ("*", ("/", _number(2), ("sqrt", ("pi",))), ("exp", ("neg", square)))
            return bell if op == "erf" else ("neg", bell)
        if op == "arctan":
            return ("/", one, ("+", one, square))
        if op == "arctanh":
            return ("/", one, ("+", one, ("neg", square)))
        under = {"arcsinh": ("+", one, square), "arccosh": ("+", square, _number(-1))}.get(op, ("+", one, ("neg", square)))
        slope: Tree = ("/", one, ("sqrt", under))
        return ("neg", slope) if op == "arccos" else slope


# Kernels of one side, from x and f, f', f'', f''' there; a kernel is the sum over φ(x) and φ(−x). With it its derivative.


def _stability(x: Any, f: list[Any]) -> tuple[Any, Any]:
    """φφ''."""
    return f[0] * f[2], f[1] * f[2] + f[0] * f[3]


def _bend(x: Any, f: list[Any]) -> tuple[Any, Any]:
    """x(φφ')' − φφ': the sign of the second derivative of φ² in x²."""
    return x * (f[1] * f[1] + f[0] * f[2]) - f[0] * f[1], x * (3 * f[1] * f[2] + f[0] * f[3])


def _slope(x: Any, f: list[Any]) -> tuple[Any, Any]:
    """xφ'φ''."""
    return x * f[1] * f[2], f[1] * f[2] + x * (f[2] * f[2] + f[1] * f[3])


_KERNELS = {"stability": _stability, "fixed_points": _bend, "chi_1": _slope}
_ODD = {"fixed_points"}  # the kernels that are odd where φ is smooth; the others are even


@dataclass(frozen=True)
class _Part:
    """One stretch of (0, ∞): its sign, or how the kernel goes through 0 there; and a bound from above."""

    kind: str  # "+", "-", "0", "rising", "falling"
    upper: Any


class _Kernel:
    """One kernel of a formula on (0, ∞)."""

    def __init__(self, name: str, tree: Tree) -> None:
        derived = _Derived()
        first = derived.of(tree)
        self.name, self.of = name, _KERNELS[name]
        self.trees = [tree, first, derived.of(first)]

    def side(self, low: Fraction, high: Fraction, side: int) -> list[Any]:
        """f, f', f'', f''' of φ(side·x) on a cell, where one branch holds on all of its inside."""
        evaluator = base._Evaluator(low, high) if side > 0 else base._Evaluator(-high, -low)
        base._in_time()
        pairs = [evaluator.at(tree) for tree in self.trees]
        if any(len(found) != 1 for found in pairs) or evaluator.open:
            raise _REFUSED("a switch inside a cell")
        f = [pairs[0][0][0], pairs[1][0][0], pairs[2][0][0], pairs[2][0][1]]
        if not all(value.is_finite() for value in f):
            raise _REFUSED("a derivative is not shown to be finite")
        return f if side > 0 else [f[0], -f[1], f[2], -f[3]]

    def both(self, low: Fraction, high: Fraction) -> tuple[Any, Any]:
        x = base._hull(low, high) if low < high else base._arb(low)
        (a, da), (b, db) = (self.of(x, self.side(low, high, side)) for side in (1, -1))
        return a + b, da + db

    def cell(self, low: Fraction, high: Fraction) -> _Part:
        """The sign on a cell: of its ball, of the ball around its middle, or by its slope."""
        naive, slope = self.both(low, high)
        middle = (low + high) / 2
        there, _ = self.both(middle, middle)
        around = there + slope * (base._hull(low, high) - base._arb(middle))
        upper = naive.upper().min(around.upper())
        for value in (naive, around):
            if value > 0 or value < 0:
                return _Part("+" if value > 0 else "-", upper)
        if slope.is_zero() and there.is_zero():
            return _Part("0", flint.arb(0))
        if slope > 0 or slope < 0:
            return _Part("rising" if slope > 0 else "falling", upper)
        raise _REFUSED(f"the sign is open between {float(low):.6g} and {float(high):.6g}")

    def beside_zero(self, width: Fraction, order: Any) -> tuple[_Part, Any]:
        """The sign on (0, width] by the first coefficient at 0 that does not vanish, with Lagrange's remainder; and that coefficient."""
        if order is None:
            part = self.cell(Fraction(0), width)
            if part.kind != "0":
                raise _REFUSED("not 0 next to 0")
            return part, flint.arb(0)
        if not isinstance(order, int) or isinstance(order, bool) or not 0 <= order <= 8:
            raise _REFUSED("an order out of range")
        _, evaluator = base._everywhere(self.trees[0], Fraction(-1, 2**20), Fraction(1, 2**20))
        smooth = not evaluator.open
        at_zero = [base._Taylor(self.trees[0], side, order + 4).coefficients for side in (1, -1)]
        for n in range(order):
            vanishes = smooth and n % 2 == (0 if self.name in _ODD else 1)
            if not vanishes and not self.coefficient(at_zero, flint.arb(0), n).is_zero():
                raise _REFUSED("a lower coefficient at 0 may not vanish")
        around = [base._Taylor(self.trees[0], side, order + 4, width).coefficients for side in (1, -1)]
        first = self.coefficient(around, base._hull(Fraction(0), width), order)
        if not (first > 0 or first < 0):
            raise _REFUSED("the sign next to 0 is open")
        return _Part("+" if first > 0 else "-", first.upper()), first

    def coefficient(self, sides: list[list[Any]], x: Any, n: int) -> Any:
        """The n-th Taylor coefficient of the kernel at x, from those of φ(±x)."""
        total = flint.arb(0)
        for a in sides:
            slope = [j * a[j] for j in range(1, len(a))]
            if self.name == "stability":
                total = total + base._curved(a, n)
            elif self.name == "fixed_points":  # x S'' − S' with S = φ²/2
                s = [base._convolved(a, j) / 2 for j in range(n + 3)]
                total = total + x * (n + 2) * (n + 1) * s[n + 2] + (n + 1) * (n - 1) * s[n + 1]
            else:  # x T' with T = φ'²/2
                t = [base._convolved(slope, j) / 2 for j in range(n + 2)]
                total = total + x * (n + 1) * t[n + 1] + n * t[n]
        return total

    def kink(self, t: Fraction) -> tuple[Any, bool]:
        """What a jump of φ' at ±t adds at t, and whether φ is analytic through both."""
        total, smooth = flint.arb(0), True
        for at in (t, -t):
            evaluator = base._Everything(at)
            values = [evaluator.at(tree) for tree in self.trees]
            if not evaluator.open:
                continue
            smooth = False
            slopes = [value for value, _ in values[1]]
            if all(s.is_exact() and (s - slopes[0]).is_zero() for s in slopes):
                continue
            heights = [value for value, _ in values[0]]
            height = heights[0]
            for other in heights[1:]:
                height = height.union(other)
            left, right = (self.one_slope(a, b) for a, b in ((at - _BESIDE, at), (at, at + _BESIDE)))
            if self.name == "chi_1":
                jump = right * right - left * left
                total = total + base._arb(at) * jump / 2
            else:
                total = total + height * (right - left) * (base._arb(t) if self.name == "fixed_points" else 1)
        if not (total > 0 or total < 0 or total.is_zero()):
            raise _REFUSED(f"the sign of a kink at {float(t):.6g} is open")
        return total, smooth

    def one_slope(self, low: Fraction, high: Fraction) -> Any:
        evaluator = base._Evaluator(low, high)
        found = evaluator.at(self.trees[1])
        if len(found) != 1 or evaluator.open or not found[0][0].is_finite():
            raise _REFUSED("a slope beside a kink is open")
        return found[0][0]

    def far_out(self, start: int) -> str:
        """The sign on [start, ∞), and that the kernel grows no faster than powers."""
        total: Any = []
        for side in (1, -1):
            far = base._Far(start, side)
            (v, s), (_, w) = far.at(self.trees[0]), far.at(self.trees[1])
            if side < 0:
                w = far.minus(w)  # the formula of φ' gives φ'(−x), and ψ' = −φ'(−x)
            if any(part and base._faster(part[0][0], base._Rate(power=Fraction(100))) > 0 for part in (v, s, w)):
                raise _REFUSED("a derivative grows too fast")
            x = [(base._Rate(power=Fraction(1)), (flint.arb(1), (((1, 0), Fraction(1)),)))]
            if self.name == "stability":
                part = far.product(v, w)
            elif self.name == "fixed_points":
                part = far.plus(far.product(x, far.plus(far.product(s, s), far.product(v, w))), far.product(v, s), -1)
            else:
                part = far.product(x, far.product(s, w))
            total = far.plus(total, part)
        return "-0+"[far.sign(total) + 1]


def signs(name: str, tree: Tree, claim: Any, confirmed: Any) -> tuple[str, bool]:
    """The signs of a kernel in their order, and whether its mean is shown to have the last of them at some q."""
    if not all(needed in confirmed for needed in ("zero", "regular", "tails")):
        raise _REFUSED("needs φ(0) = 0, the cells and the tails")
    kernel = _Kernel(name, tree)
    points = base._points(claim)
    start = base._start(claim, points[-1])
    if points[-1] != start:
        raise _REFUSED("the cells must end where the tails begin")
    near, coefficient = kernel.beside_zero(points[0], claim["order"])
    parts, kinks = [near], []
    for low, high in itertools.pairwise(points):
        kinks.append(kernel.kink(low))
        parts.append(kernel.cell(low, high))
    kinks.append(kernel.kink(points[-1]))
    last = kernel.far_out(start)
    found = _in_order(parts, kinks, last)
    if found != claim["signs"]:
        raise _REFUSED(f"the signs are {found}")
    if "q" not in claim:
        return found, len(found) == 1
    if last == "+" or not found.endswith("-"):
        raise _REFUSED("the mean can't be bounded from above over cells")
    q = base._arb(base._positive(claim["q"]))
    if not _upper_mean(points, parts, kinks, coefficient, claim["order"], q) < 0:
        raise _REFUSED("the mean is not shown to be negative at q")
    return found, True


def _in_order(parts: list[_Part], kinks: list[tuple[Any, bool]], last: str) -> str:
    """At most these signs follow each other on (0, ∞), and the first is the first for certain."""
    order: list[str] = []

    def put(sign: str) -> None:
        if sign != "0" and (not order or order[-1] != sign):
            order.append(sign)

    for i, part in enumerate(parts):
        if part.kind in ("rising", "falling"):
            if not order:
                raise _REFUSED("the first sign is open")
            joined = kinks[i - 1][1] and parts[i - 1].kind == part.kind  # then it is monotone over both
            if not joined:
                put("-" if part.kind == "rising" else "+")
            put("+" if part.kind == "rising" else "-")
        else:
            put(part.kind)
        if i < len(kinks):
            jump = kinks[i][0]
            put("+" if jump > 0 else "-" if jump < 0 else "0")
    put(last)
    if not order:
        raise _REFUSED("the kernel vanishes")
    return "".join(order)


def _upper_mean(points: list[Fraction], parts: list[_Part], kinks: list[tuple[Any, bool]], coefficient: Any, order: Any, q: Any) -> Any:
    """An upper bound of the integral of the kernel times exp(−x²/2q), for a kernel that is not positive beyond the cells."""

    def weight(x: Fraction) -> Any:
        return (-(base._arb(x) ** 2) / (2 * q)).exp()

    total = flint.arb(0)
    if order is not None:
        reach = base._arb(points[0]) ** (order + 1) / (order + 1)
        total = coefficient.upper() * reach * (weight(points[0]) if coefficient < 0 else 1)
    for (low, high), part in zip(itertools.pairwise(points), parts[1:], strict=True):
        total = total + part.upper * base._arb(high - low) * weight(high if part.upper < 0 else low)
    for t, (jump, _) in zip(points, kinks, strict=True):
        total = total + jump * weight(t)
    return total.upper()
