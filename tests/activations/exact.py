"""An independent evaluation in 60 digits: the text read by Python's own parser, each operation handed to mpmath.

Derivatives are mpmath's finite differences at high precision; nothing here uses the package.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import mpmath
from mpmath import mp, mpf

_FUNCTIONS = {
    "exp": mpmath.exp, "expm1": mpmath.expm1, "log": mpmath.log, "log1p": mpmath.log1p, "sqrt": mpmath.sqrt, "abs": abs,
    "sign": mpmath.sign, "heaviside": lambda u: mpf(1 if u > 0 else 0), "max": max, "min": min,
    "clip": lambda u, a, b: min(max(u, a), b), "sin": mpmath.sin, "cos": mpmath.cos, "tan": mpmath.tan, "sinh": mpmath.sinh,
    "cosh": mpmath.cosh, "tanh": mpmath.tanh, "arcsin": mpmath.asin, "arccos": mpmath.acos, "arctan": mpmath.atan,
    "arcsinh": mpmath.asinh, "arccosh": mpmath.acosh, "arctanh": mpmath.atanh, "erf": mpmath.erf, "erfc": mpmath.erfc,
    "sigmoid": lambda u: 1 / (1 + mpmath.exp(-u)), "softplus": lambda u: mpmath.log(1 + mpmath.exp(u)), "relu": lambda u: max(u, mpf(0)),
}  # fmt: skip


def value(text: str, x: Any, parameters: Mapping[str, float] | None = None) -> Any:
    """The formula at x in the working precision of mpmath."""
    names = {"pi": +mp.pi, "e": +mp.e, "x": x, **{name: mpf(repr(number)) for name, number in (parameters or {}).items()}}

    def visit(node: Any) -> Any:
        match node:
            case ast.Constant():
                return mpf(ast.get_source_segment(text, node))
            case ast.Name(id=name):
                return names[name]
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return -visit(inner)
            case ast.BinOp(left=left, op=op, right=right):
                a, b = visit(left), visit(right)
                if isinstance(op, ast.Pow):
                    return a ** int(b) if b == int(b) else a**b
                return {ast.Add: a + b, ast.Sub: a - b, ast.Mult: a * b}[type(op)] if not isinstance(op, ast.Div) else a / b
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                a, b = visit(left), visit(right)
                return {ast.Gt: a > b, ast.GtE: a >= b, ast.Lt: a < b, ast.LtE: a <= b}[type(op)]
            case ast.Call(func=ast.Name(id="where"), args=[condition, first, second]):
                return visit(first) if visit(condition) else visit(second)
            case ast.Call(func=ast.Name(id=name), args=args):
                return _FUNCTIONS[name](*map(visit, args))
        raise AssertionError(ast.dump(node))

    return visit(ast.parse(text, mode="eval").body)


def derivative(text: str, x: float, k: int, parameters: Mapping[str, float] | None = None, side: int = 0) -> Any:
    """The k-th derivative at x, or its limit from one side, in 60 digits or more whatever cancels."""
    digits = 60 + int(2 * min(abs(x), 900.0))
    with mp.workdps(digits + 300):
        if k == 0 and side == 0:
            return value(text, mpf(x), parameters)
        # Central differences, or one-sided ones of high order, with a step so small that their own error is far below.
        h = mpf(10) ** -60 * (1 + abs(mpf(x)) if side else max(abs(mpf(x)), mpf(10) ** -30))
        points = [mpf(x) + step * h for step in ((side * 1, side * 2, side * 3) if side else (-1, 0, 1))]
        f = [value(text, point, parameters) for point in points]
        if k == 0:
            return 3 * f[0] - 3 * f[1] + f[2]
        if side:
            return side * (-5 * f[0] + 8 * f[1] - 3 * f[2]) / (2 * h) if k == 1 else (f[0] - 2 * f[1] + f[2]) / h**2
        return (f[2] - f[0]) / (2 * h) if k == 1 else (f[0] - 2 * f[1] + f[2]) / h**2
