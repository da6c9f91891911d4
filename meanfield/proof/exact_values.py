"""Exact values of formulas without x, or at an exact x."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from meanfield.activations.formula.tree import COMPARISONS, Node
from meanfield.proof import exact
from meanfield.proof.exact import Exact

SIDES = {"abs", "sign", "heaviside", "relu", "max", "min"} | COMPARISONS
_AT_ZERO: dict[str, Fraction] = {
    **dict.fromkeys(("expm1", "log1p", "sin", "tan", "sinh", "tanh", "arcsin", "arctan", "arcsinh", "arctanh", "erf", "sqrt"), Fraction(0)),
    **dict.fromkeys(("exp", "cos", "cosh", "erfc"), Fraction(1)),
    "sigmoid": Fraction(1, 2),
}


def exact_value(node: Node, x: Exact | None, finite: Callable[[Node, Exact | None], bool]) -> Exact | None:
    """The value at an exact x, where it has a form that arithmetic with exact numbers reaches; else None.

    `finite` says whether the arguments of a node are finite numbers at x: 0 times anything else is not 0.
    """
    known: dict[int, Exact | None] = {}

    def value(part: Node) -> Exact | None:
        if id(part) not in known:
            known[id(part)] = at(part)
        return known[id(part)]

    def at(part: Node) -> Exact | None:
        op = part.op
        if op == "number":
            return Exact.of(part.number or 0)
        if op == "x":
            return x
        if op in ("pi", "e"):
            return exact.PI if op == "pi" else exact.E
        if op == "where" or op in SIDES:
            return None
        found = [value(arg) for arg in part.args]
        if op == "*" and any(one is not None and not one.terms for one in found) and finite(part, x):
            return exact.ZERO
        args = [one for one in found if one is not None]
        if len(args) != len(found):
            return None
        return _apply(op, args)

    return value(node)


def _apply(op: str, args: list[Exact]) -> Exact | None:
    if op == "+":
        return args[0] + args[1]
    if op == "*":
        return args[0] * args[1]
    if op == "neg":
        return -args[0]
    if op == "/":
        inverse = args[1].inverse()
        return None if inverse is None else args[0] * inverse
    if op == "**":
        return _exact_power(args[0], args[1].rational)
    if op == "sqrt":
        return args[0].root()
    if not args[0].terms:
        if op == "arccos":
            return exact.PI * Exact.of(Fraction(1, 2))
        return Exact.of(_AT_ZERO[op]) if op in _AT_ZERO else None
    if args[0] == exact.ONE:
        if op == "exp":
            return exact.E
        return exact.ZERO if op in ("log", "arccosh", "arccos") else None
    return None


def _exact_power(base: Exact, exponent: Fraction | None) -> Exact | None:
    if exponent is None:
        return None
    if exponent.denominator == 2:
        root = base.root()
        return None if root is None else _exact_power(root, Fraction(exponent.numerator))
    if exponent.denominator != 1 or abs(exponent) > 64:
        return None
    result = power(base, abs(int(exponent)))
    return result if exponent >= 0 else result.inverse()


def power(base: Exact, n: int) -> Exact:
    """baseⁿ."""
    result = exact.ONE
    for _ in range(n):
        result = result * base
    return result
