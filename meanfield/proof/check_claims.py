"""The claims of a certificate, each verified again: part of the check of a certificate (check.py), and nothing of the prover.

It has its own arithmetic throughout: formulas as nested lists, values and slopes over balls with both branches where a switch is open,
Taylor coefficients at 0, and comparison of terms far out. docs/proofs.md has the theorem behind each claim.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from fractions import Fraction
from functools import cmp_to_key
from typing import Any

from meanfield.proof.balls import flint

_MOST_BRANCHES = 12
_MOST_CELLS = 60_000
_TERMS = 9
_SERIES = 5
_MEETING = ("abs", "relu", "max", "min")  # switches whose branches meet where they switch
_OPS = {
    *("x", "number", "pi", "e", "+", "*", "/", "neg", "**", "abs", "sign", "heaviside", "relu", "max", "min", "where"),
    *("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan"),
    *("arcsinh", "arccosh", "arctanh", "erf", "erfc", "sigmoid", "softplus", "<", "<=", ">", ">=", "==", "!=", "and", "or", "not"),
}


class _Refused(Exception):
    """A claim that can't be confirmed."""


_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


def _in_time() -> None:
    if time.thread_time() > _deadline.get():
        raise _Refused("the time is over")


# ------------------------------------------------------------------ formulas


def _read(data: Any, depth: int = 0) -> tuple[Any, ...]:
    if depth > 250 or not isinstance(data, list) or not data or data[0] not in _OPS:
        raise _Refused("not a formula")
    if data[0] == "number":
        text = data[1]
        if not isinstance(text, str) or len(text) > 4000:
            raise _Refused("not a number")
        return ("number", Fraction(text))
    return (data[0], *(_read(part, depth + 1) for part in data[1:]))


def _rational(text: Any) -> Fraction:
    if not isinstance(text, str) or len(text) > 400:
        raise _Refused("not a rational number")
    return Fraction(text)


def _arb(value: Fraction | int) -> Any:
    value = Fraction(value)
    return flint.arb(value.numerator) / value.denominator


def _hull(low: Fraction, high: Fraction) -> Any:
    """A ball that holds [low, high]."""
    return _arb(low).union(_arb(high))


# ------------------------------------------------- values and slopes on balls

_Pair = tuple[Any, Any]


class _Evaluator:
    """All (value, slope) pairs that the branches of φ may have on a ball; and what the switches did."""

    def __init__(self, low: Fraction, high: Fraction) -> None:
        self.low, self.high = low, high
        self.x = _arb(low) if low == high else _hull(low, high)
        self.open: list[tuple[str, tuple[Any, ...], Any]] = []  # switches left open: op, argument's formula, its slope
        self.seen: dict[int, tuple[Any, list[_Pair]]] = {}  # with the formula, so that its id stays its own

    def at(self, tree: tuple[Any, ...]) -> list[_Pair]:
        key = id(tree)
        if key not in self.seen:
            found = self._at(tree)
            if len(found) > _MOST_BRANCHES:
                raise _Refused("too many branches at one place")
            self.seen[key] = tree, found
        return self.seen[key][1]

    def _at(self, tree: tuple[Any, ...]) -> list[_Pair]:
        op, zero = tree[0], flint.arb(0)
        if op == "x":
            return [(self.x, flint.arb(1))]
        if op == "number":
            return [(_arb(tree[1]), zero)]
        if op in ("pi", "e"):
            return [(flint.arb.pi() if op == "pi" else flint.arb(1).exp(), zero)]
        if op == "where":
            found = []
            for holds in sorted(self.holds(tree[1])):
                found += self.at(tree[2] if holds else tree[3])
            return found
        args = [self.at(part) for part in tree[1:]]
        if op == "+":
            return [(a + b, da + db) for a, da in args[0] for b, db in args[1]]
        if op == "neg":
            return [(-a, -da) for a, da in args[0]]
        if op == "*":
            return [(a * b, da * b + a * db) for a, da in args[0] for b, db in args[1]]
        if op == "/":
            return [(a / b, (da - a / b * db) / b) for a, da in args[0] for b, db in args[1]]
        if op == "**":
            return [_powered(a, b, tree[2]) for a in args[0] for b in args[1]]
        if op in ("abs", "sign", "heaviside", "relu"):
            found = []
            for a, da in args[0]:
                for side in self.sides(op, tree[1], a, da):
                    found.append(_switched(op, side, a, da))
            return found
        if op in ("max", "min"):
            found = []
            for a, da in args[0]:
                for b, db in args[1]:
                    for side in self.sides(op, ("+", tree[1], ("neg", tree[2])), a - b, da - db):
                        found.append((a, da) if (side > 0) == (op == "max") else (b, db))
            return found
        return [_function(op, a, da) for a, da in args[0]]

    def sides(self, op: str, argument: tuple[Any, ...], g: Any, slope: Any) -> list[int]:
        if g > 0:
            return [1]
        if g < 0:
            return [-1]
        # g of one branch and monotone, with its zero at an end of the cell or outside: the branch of the inside.
        if self.low < self.high and (slope > 0 or slope < 0) and len(self.at(argument)) == 1:
            start, end = (self.low, self.high) if slope > 0 else (self.high, self.low)
            if all(value >= 0 for value, _ in _Everything(start).at(argument)):
                return [1]
            if all(value <= 0 for value, _ in _Everything(end).at(argument)):
                return [-1]
        if g.is_zero() and slope.is_zero():
            return [1] if op in _MEETING else [0]
        self.open.append((op, argument, slope))
        return [-1, 1] if op in _MEETING else [-1, 0, 1]

    def holds(self, condition: tuple[Any, ...]) -> set[bool]:
        op = condition[0]
        if op in ("and", "or"):
            a, b = self.holds(condition[1]), self.holds(condition[2])
            return {(p and q) if op == "and" else (p or q) for p in a for q in b}
        if op == "not":
            return {not p for p in self.holds(condition[1])}
        difference = ("+", condition[1], ("neg", condition[2]))
        found = set()
        for a, da in self.at(condition[1]):
            for b, db in self.at(condition[2]):
                for side in self.sides("where", difference, a - b, da - db):
                    found.add(_outcome(op, side))
        return found


def _holds(condition: tuple[Any, ...], compared: Callable[[Any, Any], int]) -> bool:
    """A condition where every comparison has one outcome."""
    op = condition[0]
    if op == "and":
        return _holds(condition[1], compared) and _holds(condition[2], compared)
    if op == "or":
        return _holds(condition[1], compared) or _holds(condition[2], compared)
    if op == "not":
        return not _holds(condition[1], compared)
    return _outcome(op, compared(condition[1], condition[2]))


def _outcome(op: str, side: int) -> bool:
    """A comparison by the sign of the difference."""
    return {"<": side < 0, "<=": side <= 0, ">": side > 0, ">=": side >= 0, "==": side == 0, "!=": side != 0}[op]


def _switched(op: str, side: int, a: Any, da: Any) -> _Pair:
    zero = flint.arb(0)
    if op == "abs":
        return (a, da) if side > 0 else (-a, -da)
    if op == "relu":
        return (a, da) if side > 0 else (zero, zero)
    if op == "sign":
        return flint.arb(side), zero
    return flint.arb(1 + side) / 2, zero


def _product_of(a: Any, n: int) -> Any:
    """aⁿ, n ≥ 0, factor by factor."""
    result = flint.arb(1)
    for bit in bin(n)[2:]:
        result = result * result
        if bit == "1":
            result = result * a
    return result


def _powered(base: _Pair, exponent: _Pair, written: tuple[Any, ...]) -> _Pair:
    (a, da), (p, dp) = base, exponent
    n = _constant(written)
    if n is not None and n.denominator == 1 and abs(n) <= 10**6:
        whole = int(n)
        if whole == 0:
            return flint.arb(1), flint.arb(0)
        if whole > 0:
            return _product_of(a, whole), whole * _product_of(a, whole - 1) * da
        return 1 / _product_of(a, -whole), whole * da / _product_of(a, 1 - whole)
    if n is not None and n.denominator == 2:
        root = a.sqrt()
        if n > 1:
            return _product_of(root, n.numerator), p * _product_of(root, n.numerator - 2) * da
        value = root if n > 0 else 1 / _product_of(root, -n.numerator)
        return value, p * value / a * da
    value = (p * a.log()).exp()
    return value, value * (dp * a.log() + p * da / a)


def _constant(tree: tuple[Any, ...]) -> Fraction | None:
    """A rational number written without x."""
    if tree[0] == "number":
        found: Fraction = tree[1]
        return found
    if tree[0] in ("neg", "+", "*", "/"):
        parts = [_constant(part) for part in tree[1:]]
        if None in parts:
            return None
        values = [part for part in parts if part is not None]
        if tree[0] == "neg":
            return -values[0]
        if tree[0] == "/":
            return values[0] / values[1] if values[1] else None
        return values[0] + values[1] if tree[0] == "+" else values[0] * values[1]
    return None


def _function(op: str, a: Any, da: Any) -> _Pair:
    if op in ("exp", "expm1"):
        e = a.exp()
        return (e if op == "exp" else a.expm1()), e * da
    if op == "log":
        return a.log(), da / a
    if op == "log1p":
        return a.log1p(), da / (1 + a)
    if op == "sqrt":
        root = a.sqrt()
        return root, da / (2 * root)
    if op == "sin":
        return a.sin(), a.cos() * da
    if op == "cos":
        return a.cos(), -a.sin() * da
    if op == "tan":
        return a.tan(), da / (a.cos() * a.cos())
    if op == "sinh":
        return a.sinh(), a.cosh() * da
    if op == "cosh":
        return a.cosh(), a.sinh() * da
    if op == "tanh":
        return a.tanh(), a.sech() * a.sech() * da
    if op == "arctan":
        return a.atan(), da / (1 + (a * a))
    if op == "arcsin":
        return a.asin(), da / (1 - (a * a)).sqrt()
    if op == "arccos":
        return a.acos(), -da / (1 - (a * a)).sqrt()
    if op == "arcsinh":
        return a.asinh(), da / (1 + (a * a)).sqrt()
    if op == "arccosh":
        return a.acosh(), da / ((a * a) - 1).sqrt()
    if op == "arctanh":
        return a.atanh(), da / (1 - (a * a))
    if op in ("erf", "erfc"):
        bell = 2 * (-(a * a)).exp() / flint.arb.pi().sqrt()
        return (a.erf(), bell * da) if op == "erf" else (a.erfc(), -bell * da)
    gate = ((a / 2).tanh() + 1) / 2 if a > -4 else a.exp() / (1 + a.exp())
    if op == "sigmoid":
        return gate, (a / 2).sech() * (a / 2).sech() / 4 * da
    return (a + (-a).exp().log1p() if a > 0 else a.exp().log1p()), gate * da  # softplus


class _Everything(_Evaluator):
    """At one point, where a switch whose argument may be 0 takes every branch."""

    def __init__(self, at: Fraction) -> None:
        super().__init__(at, at)

    def sides(self, op: str, argument: tuple[Any, ...], g: Any, slope: Any) -> list[int]:
        if g.contains(0) and not (g.is_zero() and slope.is_zero()):
            self.open.append((op, argument, slope))
            return [-1, 0, 1] if op not in _MEETING else [-1, 1]
        return super().sides(op, argument, g, slope)


def _everywhere(tree: tuple[Any, ...], low: Fraction, high: Fraction | None = None) -> tuple[list[_Pair], _Evaluator]:
    _in_time()
    evaluator = _Everything(low) if high is None else _Evaluator(low, high)
    found = evaluator.at(tree)
    if not all(v.is_finite() and s.is_finite() for v, s in found):
        raise _Refused("φ or φ' is not shown to be finite somewhere")
    return found, evaluator


# --------------------------------------------------------------------- claims


def _zero(tree: Any, claim: Any, confirmed: Any) -> bool:
    found, _ = _everywhere(tree, Fraction(0))
    if not all(value.is_zero() for value, _ in found):
        raise _Refused("φ(0) is not exactly 0")
    return True


def _away_from_zero(tree: Any, claim: Any, confirmed: Any) -> bool:
    found = _Everything(Fraction(0)).at(tree)
    if not all(value.is_finite() and (value > 0 or value < 0) for value, _ in found):
        raise _Refused("φ(0) may be 0")
    return True


def _halves(tree: Any, width: Fraction) -> tuple[list[_Pair], list[_Pair]]:
    right, _ = _everywhere(tree, Fraction(0), width)
    left, _ = _everywhere(tree, -width, Fraction(0))
    return right, left


def _slopes(tree: Any, claim: Any, confirmed: Any) -> bool:
    right, left = _halves(tree, _positive(claim["width"]))
    if len(right) > 1 or len(left) > 1:
        raise _Refused("the branches beside 0 are open")
    if right[0][1].contains(0) and left[0][1].contains(0):
        raise _Refused("both slopes at 0 may vanish")
    return True


def _flat_at_zero(tree: Any, claim: Any, confirmed: Any) -> bool:
    for side in (1, -1):
        jet = _Taylor(tree, side, 2).coefficients
        if not jet[1].is_zero():
            raise _Refused("a slope at 0 is not exactly 0")
    return True


def _positive(text: Any) -> Fraction:
    value = _rational(text)
    if value <= 0:
        raise _Refused("not a positive number")
    return value


def _points(claim: Any) -> list[Fraction]:
    points = [_rational(text) for text in claim["points"]]
    if len(points) > _MOST_CELLS or points != sorted(set(points)) or not points or points[0] <= 0:
        raise _Refused("cells that are not ascending")
    return points


def _regular(tree: Any, claim: Any, confirmed: Any) -> Fraction:
    """φ is continuous, and Lipschitz, on [−X, X].

    On every cell each branch has a finite slope. A switch whose branches need not meet is settled on the cell, or switches there once, at a
    listed place where all branches agree exactly. Where cells meet, all branches agree too.
    """
    points = [Fraction(0), *_points(claim)]
    cuts = [_rational(text) for text in claim["cuts"]]
    for low, high in itertools.pairwise(points):
        for a, b in ((low, high), (-high, -low)):
            _, evaluator = _everywhere(tree, a, b)
            for op, argument, slope in evaluator.open:
                if op in _MEETING:
                    continue
                inside = [t for t in cuts if a <= t <= b]
                if slope.contains(0) or len(inside) != 1:
                    raise _Refused("a switch without a listed place")
                if not all(value.is_zero() for value, _ in _Everything(inside[0]).at(argument)):
                    raise _Refused("a switch elsewhere than listed")
    for t in (*points, *(-t for t in points), *cuts):
        _meet(tree, t)
    return points[-1]


def _meet(tree: Any, t: Fraction) -> None:
    """At t all branches agree exactly, or only switches whose branches meet are open."""
    evaluator = _Everything(t)
    values = [value for value, _ in evaluator.at(tree)]
    if all(op in _MEETING for op, _, _ in evaluator.open):
        return
    if not all(value.is_exact() and (value - values[0]).is_zero() for value in values):
        raise _Refused(f"branches that are not shown to meet at {float(t):.6g}")


def _jumps(tree: Any, claim: Any, confirmed: Any) -> bool:
    """|φ(b) − φ(a)| > (b − a) sup|φ'|: no continuous φ with these slopes."""
    a, b = _rational(claim["low"]), _rational(claim["high"])
    if not a < b:
        raise _Refused("not an interval")
    found, _ = _everywhere(tree, a, b)
    steepest = flint.arb(0)
    for _, slope in found:
        steepest = steepest.max(slope.abs_upper())
    ends = []
    for t in (a, b):
        values, evaluator = _everywhere(tree, t)
        if len(values) != 1 or evaluator.open:
            raise _Refused("an end at a switch")
        ends.append(values[0][0])
    if not abs(ends[1] - ends[0]) > _arb(b - a) * steepest:
        raise _Refused("no jump")
    return True


def _not_two_lines(tree: Any, claim: Any, confirmed: Any) -> bool:
    a = _rational(claim["at"])
    values = [_everywhere(tree, t)[0] for t in (a, 2 * a)]
    if any(len(found) != 1 for found in values) or (values[1][0][0] - 2 * values[0][0][0]).contains(0):
        raise _Refused("φ(2a) may be 2φ(a)")
    return True


def _two_lines(tree: Any, claim: Any, confirmed: Any) -> bool:
    for side in (1, -1):
        _Line(side).slope(tree)
    return True


class _Line:
    """φ on x > 0 or x < 0 as c·x exactly (kind 1) or a constant (kind 0), by its form."""

    def __init__(self, side: int) -> None:
        self.side = side

    def slope(self, tree: tuple[Any, ...]) -> Any:
        kind, c = self.form(tree)
        if kind != 1 and not c.is_zero():
            raise _Refused("not a line through 0")
        return c

    def form(self, tree: tuple[Any, ...]) -> tuple[int, Any]:
        op = tree[0]
        if op == "x":
            return 1, flint.arb(1)
        if op == "where":
            return self.form(tree[2] if self.holds(tree[1]) else tree[3])
        if op in ("number", "pi", "e"):
            return 0, _Everything(Fraction(1)).at(tree)[0][0]
        parts = [self.form(part) for part in tree[1:]]
        (kind, c), rest = parts[0], parts[1:]
        if op == "neg":
            return kind, -c
        if op in ("abs", "relu"):
            sign = self.sign(kind, c)
            return (kind, c * sign) if op == "abs" else (kind, c if sign > 0 else flint.arb(0))
        if op in ("sign", "heaviside"):
            sign = self.sign(kind, c)
            return 0, flint.arb(sign) if op == "sign" else flint.arb(1 + sign) / 2
        if rest:
            other, d = rest[0]
            if op == "*" and kind + other <= 1:
                return kind + other, c * d
            if op == "/" and other == 0 and not d.contains(0):
                return kind, c / d
            if op in ("+", "max", "min"):
                if kind != other and not c.is_zero() and not d.is_zero():
                    raise _Refused("not a line through 0")
                both = max(kind, other)
                if op == "+":
                    return both, c + d
                if (c - d).is_zero():
                    return both, c
                return both, (c if (self.sign(both, c - d) > 0) == (op == "max") else d)
        if kind == 0 and all(k == 0 for k, _ in rest):
            found = _function(op, c, flint.arb(0))[0] if not rest else None
            if found is not None and found.is_finite():
                return 0, found
        raise _Refused("not a line through 0 by its form")

    def sign(self, kind: int, c: Any) -> int:
        if c.is_zero():
            return 0
        if not (c > 0 or c < 0):
            raise _Refused("a sign that is not known")
        sign = 1 if c > 0 else -1
        return sign * self.side if kind == 1 else sign

    def holds(self, condition: tuple[Any, ...]) -> bool:
        return _holds(condition, self.compared)

    def compared(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> int:
        return self.sign(*self.form(("+", a, ("neg", b))))


# -------------------------------------------------------- Taylor series at 0


class _Taylor:
    """Taylor coefficients of φ(side·t) at t = 0+, as balls; or at all t of (0, width] at once."""

    def __init__(self, tree: tuple[Any, ...], side: int, order: int, width: Fraction | None = None) -> None:
        self.side, self.order = side, order
        near = width or Fraction(1, 2**20)
        self.centre = flint.arb(0) if width is None else side * _hull(Fraction(0), width)
        self.probe = _Evaluator(Fraction(0), near) if side > 0 else _Evaluator(-near, Fraction(0))
        series = self.at(tree)
        self.coefficients = [series[n] for n in range(order)]
        if not all(c.is_finite() for c in self.coefficients):
            raise _Refused("φ has no Taylor series at 0")

    def at(self, tree: tuple[Any, ...]) -> Any:
        op = tree[0]
        if op == "x":
            return flint.arb_series([self.centre, self.side], prec=self.order)
        if op in ("number", "pi", "e"):
            return flint.arb_series([_Everything(Fraction(0)).at(tree)[0][0]], prec=self.order)
        if op == "where":
            holds = self.probe.holds(tree[1])
            if len(holds) != 1:
                raise _Refused("a switch beside 0")
            return self.at(tree[2] if holds == {True} else tree[3])
        if op in ("abs", "sign", "heaviside", "relu"):
            side = self.one(op, tree[1])
            if op in ("sign", "heaviside"):
                return flint.arb_series([flint.arb(side) if op == "sign" else flint.arb(1 + side) / 2], prec=self.order)
            inner = self.at(tree[1])
            return inner if side > 0 else -inner if op == "abs" else inner * 0
        if op in ("max", "min"):
            side = self.one(op, ("+", tree[1], ("neg", tree[2])))
            return self.at(tree[1] if (side > 0) == (op == "max") else tree[2])
        args = [self.at(part) for part in tree[1:]]
        if op == "+":
            return args[0] + args[1]
        if op == "*":
            return args[0] * args[1]
        if op == "/":
            return args[0] / args[1]
        if op == "neg":
            return -args[0]
        if op == "**":
            n = _constant(tree[2])
            if n is None or n.denominator not in (1, 2) or abs(n) > 64:
                return (args[1] * args[0].log()).exp()
            base = args[0] if n.denominator == 1 else args[0].sqrt()
            result = flint.arb_series([1], prec=self.order)
            for _ in range(abs(n.numerator)):
                result = result * base
            return result if n > 0 else 1 / result
        return self.function(op, args[0])

    def one(self, op: str, argument: tuple[Any, ...]) -> int:
        found = {side for g, slope in self.probe.at(argument) for side in self.probe.sides(op, argument, g, slope)}
        if len(found) != 1:
            raise _Refused("a switch beside 0")
        return found.pop()

    def function(self, op: str, g: Any) -> Any:
        if op in ("exp", "log", "sqrt", "sin", "cos", "tan", "erf", "erfc"):
            return getattr(g, op)()
        if op == "expm1":
            return g.exp() - 1
        if op == "log1p":
            return (g + 1).log()
        if op == "softplus":
            return (g.exp() + 1).log()
        if op == "sigmoid":
            return 1 / ((-g).exp() + 1)
        if op in ("sinh", "cosh"):
            return (g.exp() - (-g).exp()) / 2 if op == "sinh" else (g.exp() + (-g).exp()) / 2
        if op == "tanh":
            e = (g * 2).exp()
            return (e - 1) / (e + 1)
        if op in ("arctan", "arcsin", "arccos"):
            return {"arctan": g.atan, "arcsin": g.asin, "arccos": g.acos}[op]()
        if op == "arcsinh":
            return (g + (g * g + 1).sqrt()).log()
        if op == "arctanh":
            return ((1 + g) / (1 - g)).log() / 2
        return (g + (g * g - 1).sqrt()).log()  # arccosh


def _near_zero(tree: Any, claim: Any, confirmed: Any) -> tuple[int, bool]:
    """The sign of the first coefficient of φφ'' and of φ², both summed over both sides, that does not vanish."""
    if "zero" not in confirmed:
        raise _Refused("needs φ(0) = 0")
    order = int(claim["order"])
    if not 3 <= order <= 9:
        raise _Refused("an order out of range")
    a, b = _Taylor(tree, 1, order + 2).coefficients, _Taylor(tree, -1, order + 2).coefficients
    _, evaluator = _everywhere(tree, Fraction(-1, 2**20), Fraction(1, 2**20))
    smooth = not evaluator.open  # one analytic expression: odd coefficients cancel
    stability = _first_sign([_curved(a, n) + _curved(b, n) for n in range(order)], smooth, 1)
    square = [_convolved(a, n) + _convolved(b, n) for n in range(order + 2)]
    bending = _first_sign(square, smooth, 3)
    if stability is None:
        raise _Refused("every coefficient that was looked at may vanish")
    if stability != claim["stability"]:
        raise _Refused("another sign")
    return stability, bending is not None


def _curved(a: list[Any], n: int) -> Any:
    """The n-th coefficient of φφ''."""
    return sum((a[i] * a[j] * (j * (j - 1)) for i in range(n + 1) if (j := n - i + 2) < len(a)), flint.arb(0))


def _convolved(a: list[Any], n: int) -> Any:
    return sum((a[i] * a[n - i] for i in range(n + 1)), flint.arb(0))


def _first_sign(coefficients: list[Any], smooth: bool, start: int) -> int | None:
    for n in range(start, len(coefficients)):
        c = coefficients[n]
        if (smooth and n % 2) or c.is_zero():
            continue
        if c > 0 or c < 0:
            return 1 if c > 0 else -1
        return None
    return None


# -------------------------------------------------------------------- far out


@dataclass(frozen=True)
class _Rate:
    """x^power exp(Σ c x^j), c = Σ r √s π^(k/2) as sorted pairs."""

    exponent: tuple[tuple[Fraction, tuple[Any, ...]], ...] = ()
    power: Fraction = Fraction(0)
    logs: int = 0


def _number_ball(terms: tuple[Any, ...]) -> Any:
    total = flint.arb(0)
    for (s, k), r in terms:
        total = total + _arb(r) * flint.arb(s).sqrt() * flint.arb.pi().sqrt() ** k
    return total


def _number_sum(*many: tuple[Any, ...]) -> tuple[Any, ...]:
    total: dict[Any, Fraction] = {}
    for terms in many:
        for key, r in terms:
            total[key] = total.get(key, Fraction(0)) + r
    return tuple(sorted((key, r) for key, r in total.items() if r))


def _number_product(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    found = []
    for (s, k), r in a:
        for (t, m), u in b:
            g = math.gcd(s, t)
            found.append((((((s // g) * (t // g)), k + m), r * u * g),))
    return _number_sum(*found)


def _number_inverse(a: tuple[Any, ...]) -> tuple[Any, ...] | None:
    if len(a) != 1:
        return None
    (((s, k), r),) = a
    return (((s, -k), 1 / (r * s)),)


def _number_root(a: tuple[Any, ...]) -> tuple[Any, ...] | None:
    if len(a) != 1:
        return None
    (((s, k), r),) = a
    if s != 1 or k % 2 or r <= 0 or r.numerator * r.denominator > 10**9:
        return None
    n, square = r.numerator * r.denominator, 1
    for d in range(2, math.isqrt(n) + 1):
        while n % (d * d) == 0:
            n //= d * d
            square *= d
    return (((n, k // 2), Fraction(square, r.denominator)),)


def _times(a: _Rate, b: _Rate, sign: int = 1) -> _Rate:
    total: dict[Fraction, tuple[Any, ...]] = dict(a.exponent)
    for j, c in b.exponent:
        turned = c if sign > 0 else tuple((key, -r) for key, r in c)
        total[j] = _number_sum(total.get(j, ()), turned)
    kept = tuple(sorted(((j, c) for j, c in total.items() if c), key=lambda pair: -pair[0]))
    return _Rate(kept, a.power + sign * b.power, a.logs + sign * b.logs)


def _faster(a: _Rate, b: _Rate) -> int:
    ratio = _times(a, b, -1)
    for _, c in ratio.exponent:
        size = _number_ball(c)
        if size > 0 or size < 0:
            return 1 if size > 0 else -1
        raise _Refused("two rates that can't be told apart")
    return (ratio.power > 0) - (ratio.power < 0) or (ratio.logs > 0) - (ratio.logs < 0)


def _value(rate: _Rate, x: Any) -> Any:
    total = (x.log() * _arb(rate.power)).exp() * x.log() ** rate.logs
    for j, c in rate.exponent:
        total = total * (_number_ball(c) * (x.log() * _arb(j)).exp()).exp()
    return total


def _never_rises(rate: _Rate, x: Any) -> bool:
    """Whether the rate does not rise from x ≥ 3 on: every part of x·d log/dx that is positive is outweighed by its fastest part."""
    parts = [(j, _number_ball(c) * _arb(j)) for j, c in rate.exponent]
    flat = _arb(rate.power) + (flint.arb(rate.logs) / x.log() if rate.logs > 0 else 0)
    parts = [(j, c) for j, c in [*parts, (Fraction(0), flat)] if not c.is_zero()]
    if not parts:
        return True
    top = parts[0][0]
    total = parts[0][1]
    for j, c in parts[1:]:
        if not c < 0:
            total = total + c.abs_upper() * (x.log() * _arb(j - top)).exp()
    return bool(total <= 0)


def _later(a: Any, b: Any) -> int:
    return _faster(b[0], a[0])


_One = _Rate()
_Sum = list[tuple[_Rate, tuple[Any, Any]]]  # rate, (ball, exact number or None), largest first


class _Far:
    """φ and φ' on [start, ∞) of one side as sums of rates; a ball may stand for a function with values in it."""

    def __init__(self, start: int, side: int) -> None:
        self.start, self.side = flint.arb(start), side
        self.seen: dict[int, tuple[_Sum, _Sum]] = {}

    def at(self, tree: tuple[Any, ...]) -> tuple[_Sum, _Sum]:
        if id(tree) not in self.seen:
            self.seen[id(tree)] = self._at(tree)
        return self.seen[id(tree)]

    def exact(self, value: Fraction | int) -> _Sum:
        value = Fraction(value)
        return [(_One, (_arb(value), (((1, 0), value),)))] if value else []

    def rough(self, ball: Any) -> _Sum:
        if not ball.is_finite():
            raise _Refused("not finite far out")
        return [(_One, (ball, None))] if not ball.is_zero() else []

    def tidy(self, terms: _Sum) -> _Sum:
        total: dict[_Rate, tuple[Any, Any]] = {}
        for rate, (ball, number) in terms:
            if rate in total:
                other, known = total[rate]
                both = None if number is None or known is None else _number_sum(number, known)
                total[rate] = (ball + other if both is None else _number_ball(both), both)
            else:
                total[rate] = (ball, number)
        kept = [(r, c) for r, c in total.items() if not (c[0].is_zero() if c[1] is None else not c[1])]
        kept.sort(key=cmp_to_key(_later))
        if len(kept) > _TERMS:
            last = kept[_TERMS - 1][0]
            kept = [*kept[: _TERMS - 1], (last, (kept[_TERMS - 1][1][0] + self.beside(kept[_TERMS:], last), None))]
        return kept

    def beside(self, terms: _Sum, rate: _Rate) -> Any:
        """A ball of the sum over the rate on all of [start, ∞)."""
        total = flint.arb(0)
        for other, (ball, _) in terms:
            ratio = _times(other, rate, -1)
            if ratio == _One:
                total = total + ball
            elif _never_rises(ratio, self.start):
                total = total + ball * (_value(ratio, self.start) * flint.arb(0.5, 0.5))
            else:
                raise _Refused("terms far out that can't be compared from there on")
        return total

    def plus(self, a: _Sum, b: _Sum, sign: int = 1) -> _Sum:
        turned = b if sign > 0 else self.minus(b)
        return self.tidy([*a, *turned])

    def minus(self, a: _Sum) -> _Sum:
        return [(r, (-ball, None if number is None else tuple((k, -v) for k, v in number))) for r, (ball, number) in a]

    def product(self, a: _Sum, b: _Sum) -> _Sum:
        _in_time()
        found = []
        for r, (c, m) in a:
            for s, (d, n) in b:
                both = None if m is None or n is None else _number_product(m, n)
                found.append((_times(r, s), (c * d if both is None else _number_ball(both), both)))
        return self.tidy(found)

    def small(self, a: _Sum) -> Any:
        """A ball inside (−1, 1) of something that vanishes at ∞."""
        if any(_faster(r, _One) >= 0 for r, _ in a):
            raise _Refused("something that does not vanish far out")
        bound = self.beside(a, _One)
        if not bound.abs_upper() < 1:
            raise _Refused("something that is not small from there on")
        return bound

    def powers(self, coefficients: list[Any], remainder: Any, small: _Sum) -> _Sum:
        total: _Sum = []
        power = self.exact(1)
        for c in coefficients:
            total = self.plus(total, self.product(self.exact(c) if isinstance(c, (int, Fraction)) else self.rough(c), power))
            power = self.product(power, small)
        return self.plus(total, self.product(self.rough(remainder), power))

    def raised(self, a: _Sum, p: Fraction) -> _Sum:
        """a^p."""
        if not a:
            if p > 0:
                return []
            raise _Refused("a power of 0 far out")
        rate, (c, number) = a[0]
        if p.denominator == 1 and 0 <= p <= 40:
            result = self.exact(1)
            for _ in range(int(p)):
                result = self.product(result, a)
            return result
        if not (c > 0 or (p.denominator == 1 and c < 0)) or (rate.logs and p.denominator != 1):
            raise _Refused("a power that is not defined far out")
        inverse = None if number is None else _number_inverse(number)
        unit = (1 / c, None) if inverse is None else (_number_ball(inverse), inverse)
        small = self.product(a[1:], [(_times(_One, rate, -1), unit)])
        bound = self.small(small)
        coefficients, factor = [], Fraction(1)
        for j in range(_SERIES):
            coefficients.append(factor)
            factor = factor * (p - j) / (j + 1)
        remainder = _arb(factor) * ((1 + bound).log() * _arb(p - _SERIES)).exp()
        outer = _Rate(tuple((j, tuple((k, v * p) for k, v in n)) for j, n in rate.exponent), rate.power * p, int(rate.logs * p))
        known = self.number_power(number, p)
        head = c ** int(p) if p.denominator == 1 and p > 0 else 1 / c ** int(-p) if p.denominator == 1 else (c.log() * _arb(p)).exp()
        front = (head if known is None else _number_ball(known), known)
        return self.product([(outer, front)], self.powers(coefficients, remainder, small))

    def number_power(self, number: Any, p: Fraction) -> Any:
        if number is None or p.denominator > 2:
            return None
        base = number if p.denominator == 1 else _number_root(number)
        if base is None:
            return None
        result = (((1, 0), Fraction(1)),)
        for _ in range(abs(p.numerator)):
            result = _number_product(result, base)
        return result if p > 0 else _number_inverse(result)

    def exp(self, a: _Sum) -> _Sum:
        growing = [(r, c) for r, c in a if _faster(r, _One) > 0]
        level = [c for r, c in a if r == _One]
        small = [(r, c) for r, c in a if _faster(r, _One) < 0]
        bound = self.small(small)
        if any(r.exponent or r.logs or c[1] is None for r, c in growing):
            return self.buried(growing, (level[0][0] if level else flint.arb(0)) + bound)
        front = _Rate(tuple((r.power, c[1]) for r, c in growing))
        coefficients, factor = [], Fraction(1)
        for j in range(_SERIES):
            coefficients.append(factor)
            factor = factor / (j + 1)
        tail = self.powers(coefficients, _arb(factor) * bound.exp(), small)
        head = (level[0][0].exp(), None) if level else (flint.arb(1), (((1, 0), Fraction(1)),))
        return self.product([(front, head)], tail)

    def buried(self, growing: _Sum, rest: Any) -> _Sum:
        """exp of something below −n x: between 0 and exp(rest − n x)."""
        x = _Rate(power=Fraction(1))
        top = growing[0][0]
        ratio = self.beside(growing, top)
        if not ratio < 0 or not _never_rises(_times(x, top, -1), self.start):
            raise _Refused("an exponential that is not followed far out")
        n = math.floor(float((-ratio * _value(_times(top, x, -1), self.start)).lower()))
        if n < 1:
            raise _Refused("an exponential that falls too slowly")
        return [(_Rate(((Fraction(1), (((1, 0), Fraction(-n)),)),)), (rest.exp().upper() * flint.arb(0.5, 0.5), None))]

    def log(self, a: _Sum) -> _Sum:
        if not a or not a[0][1][0] > 0 or a[0][0].logs:
            raise _Refused("a logarithm that is not followed far out")
        rate, (c, number) = a[0]
        inverse = None if number is None else _number_inverse(number)
        unit = (1 / c, None) if inverse is None else (_number_ball(inverse), inverse)
        small = self.product(a[1:], [(_times(_One, rate, -1), unit)])
        bound = self.small(small)
        terms: _Sum = [(_Rate(power=j), (_number_ball(n), n)) for j, n in rate.exponent]
        if rate.power:
            terms.append((_Rate(logs=1), (_arb(rate.power), (((1, 0), rate.power),))))
        if number != (((1, 0), Fraction(1)),):
            terms.append((_One, (c.log(), None)))
        coefficients = [Fraction(0), *(Fraction((-1) ** (j + 1), j) for j in range(1, _SERIES))]
        remainder = flint.arb((-1) ** (_SERIES + 1)) / (_SERIES * (1 + bound) ** _SERIES)
        return self.plus(self.tidy(terms), self.powers(coefficients, remainder, small))

    def direction(self, a: _Sum) -> int:
        """Where a goes: ±1 for ±∞, 0 for a finite limit."""
        if not a or _faster(a[0][0], _One) <= 0:
            return 0
        return self.sign(a)

    def sign(self, a: _Sum) -> int:
        """The sign on all of [start, ∞)."""
        if not a:
            return 0
        ratio = self.beside(a, a[0][0])
        if not (ratio > 0 or ratio < 0):
            raise _Refused("a sign far out that is not shown")
        return 1 if ratio > 0 else -1

    def _at(self, tree: tuple[Any, ...]) -> tuple[_Sum, _Sum]:
        op = tree[0]
        if op == "x":
            sign = self.side
            return [(_Rate(power=Fraction(1)), (flint.arb(sign), (((1, 0), Fraction(sign)),)))], self.exact(sign)
        if op == "number":
            return self.exact(tree[1]), []
        if op == "pi":
            return [(_One, (flint.arb.pi(), (((1, 2), Fraction(1)),)))], []
        if op == "e":
            return self.rough(flint.arb(1).exp()), []
        if op == "where":
            return self.at(tree[2] if self.holds(tree[1]) else tree[3])
        if op in ("max", "min"):
            (a, da), (b, db) = self.at(tree[1]), self.at(tree[2])
            side = self.sign(self.plus(a, b, -1))
            return (a, da) if (side >= 0) == (op == "max") else (b, db)
        f, df = self.at(tree[1])
        if op in ("abs", "sign", "heaviside", "relu"):
            side = self.sign(f)
            if op == "abs":
                return (f, df) if side >= 0 else (self.minus(f), self.minus(df))
            if op == "relu":
                return (f, df) if side > 0 else ([], [])
            return self.exact(side if op == "sign" else Fraction(1 + side, 2)), []
        if op == "neg":
            return self.minus(f), self.minus(df)
        if op in ("+", "*", "/", "**"):
            g, dg = self.at(tree[2])
            if op == "+":
                return self.plus(f, g), self.plus(df, dg)
            if op == "*":
                return self.product(f, g), self.plus(self.product(df, g), self.product(f, dg))
            if op == "/":
                r = self.raised(g, Fraction(-1))
                value = self.product(f, r)
                return value, self.product(self.plus(df, self.product(value, dg), -1), r)
            p = _constant(tree[2])
            if p is None:
                raise _Refused("a power with another exponent than a rational number")
            if p == 0:
                return self.exact(1), []
            return self.raised(f, p), self.product(self.product(self.exact(p), self.raised(f, p - 1)), df)
        value, slope = self.function(op, f)
        return value, self.product(slope, df)

    def holds(self, condition: tuple[Any, ...]) -> bool:
        return _holds(condition, self.compared)

    def compared(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> int:
        return self.sign(self.plus(self.at(a)[0], self.at(b)[0], -1))

    def limit(self, f: _Sum) -> tuple[Any, _Sum]:
        level = [c[0] for r, c in f if r == _One]
        return (level[0] if level else flint.arb(0)), [(r, c) for r, c in f if r != _One]

    def by_series(self, f: _Sum, h: Any) -> _Sum:
        c, small = self.limit(f)
        bound = self.small(small)
        here = h(flint.arb_series([c, 1], prec=_SERIES))
        around = h(flint.arb_series([c + bound, 1], prec=_SERIES + 1))
        return self.powers([here[j] for j in range(_SERIES)], around[_SERIES], small)

    def function(self, op: str, f: _Sum) -> tuple[_Sum, _Sum]:
        one, side = self.exact(1), None
        if op in ("exp", "expm1"):
            e = self.exp(f)
            return (e if op == "exp" else self.plus(e, one, -1)), e
        if op == "log":
            return self.log(f), self.raised(f, Fraction(-1))
        if op == "log1p":
            g = self.plus(f, one)
            return self.log(g), self.raised(g, Fraction(-1))
        if op == "sqrt":
            half = Fraction(1, 2)
            return self.raised(f, half), self.product(self.exact(half), self.raised(f, -half))
        side = self.direction(f)
        if op in ("sin", "cos"):
            if side:
                wave = self.rough(flint.arb(0, 1))
                return wave, wave
            s, c = self.by_series(f, lambda t: t.sin()), self.by_series(f, lambda t: t.cos())
            return (s, c) if op == "sin" else (c, self.minus(s))
        if op in ("sinh", "cosh"):
            a, b = self.exp(f), self.exp(self.minus(f))
            by_two = self.exact(Fraction(1, 2))
            s, c = self.product(by_two, self.plus(a, b, -1)), self.product(by_two, self.plus(a, b))
            return (s, c) if op == "sinh" else (c, s)
        if op == "tanh":
            way = side or -1
            e = self.exp(self.product(self.exact(-2 * way), f))
            r = self.raised(self.plus(one, e), Fraction(-1))
            value = self.product(self.exact(way), self.plus(one, self.product(self.exact(2), self.product(e, r)), -1))
            return value, self.product(self.exact(4), self.product(e, self.product(r, r)))
        if op in ("sigmoid", "softplus"):
            way = side or 1
            e = self.exp(self.product(self.exact(-way), f))
            r = self.raised(self.plus(one, e), Fraction(-1))
            gate = r if way > 0 else self.product(e, r)
            if op == "sigmoid":
                return gate, self.product(e, self.product(r, r))
            bend = self.log(self.plus(one, e))
            return (self.plus(f, bend) if way > 0 else bend), gate
        if op == "arctan":
            slope = self.raised(self.plus(one, self.product(f, f)), Fraction(-1))
            if not side:
                return self.by_series(f, lambda t: t.atan()), slope
            small = self.raised(f, Fraction(-1))
            bound = self.small(small)
            coefficients = [Fraction((-1) ** (j // 2), j) if j % 2 else Fraction(0) for j in range(_SERIES)]
            around = flint.arb_series([bound, 1], prec=_SERIES + 1).atan()[_SERIES]
            quarter = [(_One, (flint.arb.pi() * side / 2, (((1, 2), Fraction(side, 2)),)))]
            return self.plus(quarter, self.powers(coefficients, around, small), -1), slope
        if op in ("erf", "erfc"):
            return self.errors(op, f, side)
        if op == "arcsinh":
            root = self.raised(self.plus(one, self.product(f, f)), Fraction(1, 2))
            slope = self.raised(self.plus(one, self.product(f, f)), Fraction(-1, 2))
            if not side:
                return self.by_series(f, lambda t: (t + (t * t + 1).sqrt()).log()), slope
            size = f if side > 0 else self.minus(f)
            value = self.log(self.plus(size, root))
            return (value if side > 0 else self.minus(value)), slope
        if side:
            raise _Refused(f"{op} is not followed far out")
        table = {
            "tan": (lambda t: t.tan(), lambda t: 1 / t.cos() ** 2),
            "arcsin": (lambda t: t.asin(), lambda t: 1 / (1 - t * t).sqrt()),
            "arccos": (lambda t: t.acos(), lambda t: -1 / (1 - t * t).sqrt()),
            "arctanh": (lambda t: ((1 + t) / (1 - t)).log() / 2, lambda t: 1 / (1 - t * t)),
        }
        if op not in table:
            raise _Refused(f"{op} is not followed far out")
        return self.by_series(f, table[op][0]), self.by_series(f, table[op][1])

    def errors(self, op: str, f: _Sum, side: int) -> tuple[_Sum, _Sum]:
        root = flint.arb.pi().sqrt()
        square = self.product(f, f)
        bell = self.product([(_One, (1 / root, (((1, -1), Fraction(1)),)))], self.exp(self.minus(square)))
        slope = self.product(self.exact(2 if op == "erf" else -2), bell)
        if not side:
            return self.by_series(f, (lambda t: t.erf()) if op == "erf" else (lambda t: t.erfc())), slope
        # erfc z = exp(−z²)/(√π z) (1 − θ/(2z²)), 0 ≤ θ ≤ 1, z > 0
        size = f if side > 0 else self.minus(f)
        theta = [(_One, (flint.arb(-0.25, 0.25), None))]
        bracket = self.plus(self.exact(1), self.product(theta, self.raised(square, Fraction(-1))))
        tail = self.product(self.product(bell, self.raised(size, Fraction(-1))), bracket)
        value = tail if side > 0 else self.plus(self.exact(2), tail, -1)
        return (value if op == "erfc" else self.plus(self.exact(1), value, -1)), slope


def _far(tree: Any, start: int) -> list[tuple[_Far, _Sum, _Sum]]:
    found = []
    for side in (1, -1):
        far = _Far(start, side)
        value, slope = far.at(tree)
        found.append((far, value, slope))
    return found


def _start(claim: Any, points_end: Fraction | None = None) -> int:
    start = claim["start"]
    if not isinstance(start, int) or isinstance(start, bool) or not 3 <= start <= 10**6:
        raise _Refused("no start far out")
    if points_end is not None and points_end < start:
        raise _Refused("the cells end before the tails begin")
    return start


def _tails(tree: Any, claim: Any, confirmed: Any) -> int:
    """φ = O(x), and φ' is no larger than powers: E[φ'²] < ∞ at every q."""
    if "regular" not in confirmed:
        raise _Refused("needs the cells")
    start = _start(claim, confirmed["regular"])
    for _, value, slope in _far(tree, start):
        if value and _faster(value[0][0], _Rate(power=Fraction(1))) > 0:
            raise _Refused("φ grows faster than x")
        if slope and _faster(slope[0][0], _Rate(power=Fraction(100))) > 0:
            raise _Refused("φ' grows too fast")
    return start


def _grows(tree: Any, claim: Any, confirmed: Any) -> bool:
    """The fastest term of φ on one side has a coefficient that is not 0 and is faster than x: all others are slower."""
    for side in (1, -1):
        try:
            value = _Far(_start(claim), side).at(tree)[0]
        except _Refused:
            continue
        if value and _faster(value[0][0], _Rate(power=Fraction(1))) > 0 and not value[0][1][0].contains(0):
            return True
    raise _Refused("φ is not shown to grow faster than x")


# ------------------------------------------------------------- F' for every q


def _kernel(tree: Any, low: Fraction, high: Fraction) -> Any:
    """A ball of x(φφ'(x) + ψψ'(x)), ψ(x) = φ(−x), over a cell: every branch."""
    x = _hull(low, high)
    right, _ = _everywhere(tree, low, high)
    left, _ = _everywhere(tree, -high, -low)
    total = None
    for v, s in right:
        for w, t in left:
            value = x * (v * s - w * t)
            total = value if total is None else total.union(value)
    return total


def _near(tree: Any, high: Fraction) -> Any:
    """A ball of the kernel over x², on (0, high]: φ(x)/x is a mean of φ'."""
    right, left = _halves(tree, high)
    if len(right) > 1 or len(left) > 1:
        raise _Refused("the branches beside 0 are open")
    return right[0][1] * right[0][1] + left[0][1] * left[0][1]


def _kernel_far(tree: Any, start: int) -> tuple[_Far, _Sum]:
    (far, v, s), (_, w, t) = _far(tree, start)
    inner = far.plus(far.product(v, s), far.product(w, t))  # the slope on the left is that of φ(−x) already
    return far, far.product(inner, [(_Rate(power=Fraction(1)), (flint.arb(1), (((1, 0), Fraction(1)),)))])


class _Mass:
    """Bounds of the positive and negative parts of ∫₀^∞ k(x) exp(−x²/2q) dx."""

    def __init__(self, tree: Any, points: list[Fraction], start: int) -> None:
        self.points = points
        near = _near(tree, points[0])
        self.cells: list[tuple[Any, Any, Any, Any]] = [(flint.arb(0), _arb(points[0]), near.lower(), True)]
        for low, high in itertools.pairwise(points):
            self.cells.append((_arb(low), _arb(high), _kernel(tree, low, high).lower(), False))
        self.far, self.tail = _kernel_far(tree, start)
        self.tail_sign: int | None
        try:
            self.tail_sign = self.far.sign(self.tail)
        except _Refused:
            self.tail_sign = None

    def gain(self, q: Any, first: int = 0, last: int | None = None) -> Any:
        """A lower bound of the positive part over some cells, weights exp(−x²/2q)."""
        total = flint.arb(0)
        for low, high, least, near in self.cells[first:last]:
            if least > 0:
                width = high**3 / 3 if near else high - low
                total = total + least * width * (-(high**2) / (2 * q)).exp()
        return total.lower()

    def loss(self, q: Any) -> Any:
        """An upper bound of the negative part, q = None for weights 1."""
        total = flint.arb(0)
        for low, high, least, near in self.cells:
            if not least >= 0:
                width = high**3 / 3 if near else high - low
                weight = flint.arb(1) if q is None else (-(low**2) / (2 * q)).exp()
                total = total + (-least).upper() * width * weight
        if self.tail_sign not in (0, 1):
            total = total + self.tail_loss(q)
        return total.upper()

    def tail_loss(self, q: Any) -> Any:
        """A bound of ∫_start^∞ |k| exp(−x²/2q) dx."""
        total, x = flint.arb(0), self.far.start
        for rate, (ball, _) in self.tail:
            if q is None:  # by x^−2: rate·x² falls, ∫ x^−2 = 1/x
                if not _never_rises(_times(rate, _Rate(power=Fraction(2))), x):
                    raise _Refused("the kernel is not integrable far out")
                total = total + ball.abs_upper() * _value(rate, x) * x
            else:  # half of the Gaussian makes the rate fall: exp(−x²/4q) integrates to √(πq) erfc(x/2√q)
                if not _log_slope(rate, x) <= x**2 / (2 * q) or any(j > 2 for j, _ in rate.exponent):
                    raise _Refused("no bound of the kernel far out")
                size = _value(rate, x) * (-(x**2) / (4 * q)).exp()
                total = total + ball.abs_upper() * size * (flint.arb.pi() * q).sqrt() * (x / (2 * q.sqrt())).erfc()
        return total


def _log_slope(rate: _Rate, x: Any) -> Any:
    """The positive parts of x·d log/dx: of powers up to 2, so that beside x² they are largest at x itself."""
    total = _arb(rate.power).max(flint.arb(0)) + flint.arb(max(rate.logs, 0)) / x.log()
    for j, c in rate.exponent:
        total = total + (_number_ball(c) * _arb(j) * (x.log() * _arb(j)).exp()).max(flint.arb(0))
    return total


def _rises(tree: Any, claim: Any, confirmed: Any) -> bool:
    """E[xφφ'] > 0 at every q > 0 (docs/proofs.md, "F rises")."""
    if "tails" not in confirmed or "zero" not in confirmed:
        raise _Refused("needs φ(0) = 0 and the tails")
    points = _points(claim)
    start = _start(claim, points[-1])
    if points[-1] != start:
        raise _Refused("the cells must end where the tails begin")
    mass = _Mass(tree, points, start)
    negative = [i for i, cell in enumerate(mass.cells) if not cell[2] >= 0]
    if not negative and mass.tail_sign in (0, 1):
        if not mass.gain(flint.arb(1)) > 0:
            raise _Refused("the kernel is not shown to be positive anywhere")
        return True
    qs = [_arb(_positive(text)) for text in claim["q"]]
    if not qs or len(qs) > 2000:
        raise _Refused("no grid of q")
    first = negative[0] if negative else len(mass.cells)
    if not mass.gain(qs[0], 0, first) > mass.loss(qs[0]):
        raise _Refused("small q are not settled")
    for a, b in itertools.pairwise(qs):
        _in_time()
        if not (a < b and mass.gain(a) > mass.loss(b)):
            raise _Refused("a stretch of q is not settled")
    last = qs[-1]
    beyond = negative[-1] + 1 if negative else 0
    by_tail = mass.tail_sign in (0, 1) and mass.gain(last, beyond) > mass.loss(last)
    if not by_tail and not mass.gain(last) > mass.loss(None):
        raise _Refused("large q are not settled")
    return True


def _falls(tree: Any, claim: Any, confirmed: Any) -> bool:
    """E[xφφ'] < 0 at one q, by sums over cells."""
    if "tails" not in confirmed:
        raise _Refused("needs the tails")
    points, q = _points(claim), _arb(_positive(claim["q"]))
    start = _start(claim, points[-1])
    if points[-1] != start:
        raise _Refused("the cells must end where the tails begin")
    near = _near(tree, points[0])
    total = near.abs_upper() * _arb(points[0]) ** 3 / 3
    for low, high in itertools.pairwise(points):
        x = _hull(low, high)
        total = total + (_kernel(tree, low, high) * (-(x * x) / (2 * q)).exp() * _arb(high - low)).upper()
    mass = _Mass.__new__(_Mass)
    mass.far, mass.tail = _kernel_far(tree, start)
    try:
        below = mass.far.sign(mass.tail) <= 0
    except _Refused:
        below = False
    if not below:
        total = total + mass.tail_loss(q)
    if not total < 0:
        raise _Refused("E[xφφ'] is not shown to be negative")
    return True


# ------------------------------------------------------------------ two shapes


def _waves(tree: Any, claim: Any, confirmed: Any) -> dict[str, tuple[str, bool]]:
    """φ = ax + T with waves T, even where a ≠ 0: V' = a² − Σ c ω²/2 exp(−ω²q/2) over the cosines c cos ωx of T², and that is positive.

    With all c ≤ 0 the sum falls: V is concave. The same for T'² tells how V[φ'] = a² + E[T'²] goes.
    """
    slope, rest = _line_and_waves(tree)
    wave = _wave_sum(*map(_wave, rest))
    if slope and any(kind == "sin" for _, kind in wave):
        raise _Refused("a line and odd waves")
    square = _wave_product(wave, wave)
    weights = [(w, c) for (w, kind), c in square.items() if kind == "cos" and w > 0]
    falling = sum((c * w * w / 2 for w, c in weights if c > 0), Fraction(0))
    if falling > slope * slope or not (slope or any(c < 0 for _, c in weights)):
        raise _Refused("a cosine with the other sign")
    found: dict[str, tuple[str, bool]] = {}
    if weights and all(c <= 0 for _, c in weights):
        found |= {"stability": ("-", True), "fixed_points": ("-", True)}
    derived = _wave_sum(
        *({(w, "sin"): -c * w} if kind == "cos" else {(w, "cos"): c * w} for (w, kind), c in wave.items() if w),
    )
    steep = [c for (w, kind), c in _wave_product(derived, derived).items() if kind == "cos" and w > 0]
    if steep and (all(c >= 0 for c in steep) or all(c <= 0 for c in steep)):
        found["chi_1"] = ("-" if steep[0] > 0 else "+", True)
    return found


def _line_and_waves(tree: tuple[Any, ...]) -> tuple[Fraction, list[tuple[Any, ...]]]:
    """a and the terms of T."""
    if tree[0] == "+":
        (a, first), (b, second) = _line_and_waves(tree[1]), _line_and_waves(tree[2])
        return a + b, first + second
    try:
        return _frequency(tree), []
    except _Refused:
        return Fraction(0), [tree]


_Wave = dict[tuple[Fraction, str], Fraction]


def _wave(tree: tuple[Any, ...]) -> _Wave:
    op = tree[0]
    number = _constant(tree)
    if number is not None:
        return {(Fraction(0), "cos"): number} if number else {}
    if op in ("sin", "cos"):
        w = _frequency(tree[1])
        if op == "cos":
            return {(abs(w), "cos"): Fraction(1)}
        return {(abs(w), "sin"): Fraction(1 if w > 0 else -1)} if w else {}
    if op == "neg":
        return {key: -c for key, c in _wave(tree[1]).items()}
    if op == "+":
        return _wave_sum(_wave(tree[1]), _wave(tree[2]))
    if op == "*":
        return _wave_product(_wave(tree[1]), _wave(tree[2]))
    if op == "/":
        bottom = _constant(tree[2])
        if bottom:
            return {key: c / bottom for key, c in _wave(tree[1]).items()}
    if op == "**":
        n = _constant(tree[2])
        if n is not None and n.denominator == 1 and 1 <= n <= 8:
            base = result = _wave(tree[1])
            for _ in range(int(n) - 1):
                result = _wave_product(result, base)
            return result
    raise _Refused("not a sum of waves")


def _frequency(tree: tuple[Any, ...]) -> Fraction:
    """w where the argument is w·x."""
    if tree[0] == "x":
        return Fraction(1)
    if tree[0] == "neg":
        return -_frequency(tree[1])
    if tree[0] in ("*", "/"):
        a, b = _constant(tree[1]), _constant(tree[2])
        if tree[0] == "*" and (a is not None or b is not None):
            return a * _frequency(tree[2]) if a is not None else (b or Fraction(0)) * _frequency(tree[1])
        if tree[0] == "/" and b:
            return _frequency(tree[1]) / b
    if tree[0] == "+":
        return _frequency(tree[1]) + _frequency(tree[2])
    raise _Refused("not a wave of x")


def _wave_sum(*many: _Wave) -> _Wave:
    total: _Wave = {}
    for wave in many:
        for key, c in wave.items():
            total[key] = total.get(key, Fraction(0)) + c
    return {key: c for key, c in total.items() if c}


def _wave_product(a: _Wave, b: _Wave) -> _Wave:
    found = []
    for (w, kind), c in a.items():
        for (v, other), d in b.items():
            half = c * d / 2
            if kind == other:
                sign = 1 if kind == "cos" else -1
                found.append({(abs(w - v), "cos"): half})
                found.append({(w + v, "cos"): sign * half})
            else:  # sin s cos c = (sin(s + c) + sin(s − c))/2
                s, k = (w, v) if kind == "sin" else (v, w)
                found.append({(s + k, "sin"): half})
                if s != k:
                    found.append({(abs(s - k), "sin"): half if s > k else -half})
    return _wave_sum(*found)


def _concave(tree: Any, claim: Any, confirmed: Any) -> bool:
    """φ is piecewise linear, and k(x)/x² = Σ over sides of β(α/x + β) never rises: V is concave."""
    if "regular" not in confirmed or "zero" not in confirmed:
        raise _Refused("needs φ(0) = 0 and the cells")
    marks = [Fraction(0), *(_positive(text) for text in claim["marks"])]
    if marks != sorted(set(marks)) or len(marks) > 60:
        raise _Refused("marks that are not ascending")
    before = None
    strict = False
    for i, low in enumerate(marks):
        high = marks[i + 1] if i + 1 < len(marks) else None
        lines = [_Affine(side, low, high).form(tree) for side in (1, -1)]
        for a, b in lines:
            if a * b < 0:
                raise _Refused("k/x² rises on a piece")
            strict = strict or a * b > 0
        slope = [b * b for _, b in lines]
        offset = [a * b for a, b in lines]
        if before is not None:
            here = sum(slope) + sum(offset) / low
            there = sum(before[0]) + sum(before[1]) / low
            if here > there:
                raise _Refused("k/x² jumps up")
            strict = strict or here < there
        before = (slope, offset)
    if not strict:
        raise _Refused("V is linear")
    return True


class _Affine:
    """φ(side·x) = α + βx for low < x < high with rational α, β, by its form."""

    def __init__(self, side: int, low: Fraction, high: Fraction | None) -> None:
        self.side, self.low, self.high = side, low, high

    def form(self, tree: tuple[Any, ...]) -> tuple[Fraction, Fraction]:
        op = tree[0]
        zero = Fraction(0)
        if op == "x":
            return zero, Fraction(self.side)
        if op == "number":
            return tree[1], zero
        if op == "where":
            return self.form(tree[2] if self.holds(tree[1]) else tree[3])
        if op not in ("neg", "+", "*", "/", "abs", "relu", "sign", "heaviside", "max", "min"):
            raise _Refused("not piecewise linear by its form")
        (a, b), *rest = [self.form(part) for part in tree[1:]]
        if op == "neg":
            return -a, -b
        if op in ("abs", "relu", "sign", "heaviside"):
            sign = self.sign(a, b)
            if op == "abs":
                return sign * a, sign * b
            if op == "relu":
                return (a, b) if sign > 0 else (zero, zero)
            return (Fraction(sign) if op == "sign" else Fraction(1 + sign, 2)), zero
        c, d = rest[0]
        if op == "+":
            return a + c, b + d
        if op == "*" and (b == 0 or d == 0):
            return a * c, a * d + b * c
        if op == "/" and d == 0 and c:
            return a / c, b / c
        if op in ("max", "min"):
            return (a, b) if (self.sign(a - c, b - d) >= 0) == (op == "max") else (c, d)
        raise _Refused("not piecewise linear by its form")

    def sign(self, a: Fraction, b: Fraction) -> int:
        """The one sign of a + bx inside (low, high)."""
        ends = [a + b * self.low, (b if self.high is None else a + b * self.high)]
        if self.high is None and b == 0:
            ends[1] = a
        signs = {(end > 0) - (end < 0) for end in ends}
        if {1, -1} <= signs:
            raise _Refused("a switch inside a piece")
        return 1 if 1 in signs else -1 if -1 in signs else 0

    def holds(self, condition: tuple[Any, ...]) -> bool:
        return _holds(condition, self.compared)

    def compared(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> int:
        (p, r), (q, s) = self.form(a), self.form(b)
        return self.sign(p - q, r - s)
