"""Between our expression tree and SymPy, node by node; SymPy never sees text."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from meanfield.activations.activation import shortened
from meanfield.activations.formula.parse import MAX_DEPTH, MAX_TOKENS, MAX_TREE_DEPTH, exact
from meanfield.activations.formula.tree import ONE, PI, UNDEFINED, ZERO, E, Node, X, call, depth, neg, number
from meanfield.errors import ActivationError

_SAME_NAME = frozenset(["exp", "log", "sqrt", "sign", "sin", "cos", "tan", "sinh", "cosh", "tanh", "erf", "erfc"])


def to_sympy(tree: Node) -> Any:
    """The SymPy expression of a tree, in the symbol x."""
    done: dict[int, Any] = {}

    def visit(node: Node) -> Any:
        if id(node) not in done:
            done[id(node)] = _expression(node, [visit(arg) for arg in node.args])
        return done[id(node)]

    return visit(tree)


def _expression(node: Node, args: list[Any]) -> Any:
    import sympy

    op = node.op
    if node.number is not None:
        return sympy.Rational(node.number.numerator, node.number.denominator)
    if op in ("x", "pi", "e"):
        return {"x": sympy.Symbol("x"), "pi": sympy.pi, "e": sympy.E}[op]
    if op == "**":
        # SymPy would work out a power of two numbers exactly, however large.
        large = args[0].is_Rational and args[1].is_Rational and abs(args[1]) > 100
        return sympy.Pow(*args, evaluate=not large)
    if op in _SAME_NAME:
        return getattr(sympy, op)(*args)
    if op.startswith("arc"):
        return getattr(sympy, f"a{op[3:]}")(*args)
    if op == "where":
        return sympy.Piecewise((args[1], args[0]), (args[2], True))
    return _BUILD[op](sympy, *args)


_BUILD: dict[str, Callable[..., Any]] = {
    "+": lambda s, a, b: a + b,
    "*": lambda s, a, b: a * b,
    "/": lambda s, a, b: a / b,
    "neg": lambda s, a: -a,
    "abs": lambda s, a: s.Abs(a),
    "max": lambda s, a, b: s.Max(a, b),
    "min": lambda s, a, b: s.Min(a, b),
    "relu": lambda s, a: s.Max(a, 0),
    "heaviside": lambda s, a: s.Heaviside(a),
    "sigmoid": lambda s, a: 1 / (1 + s.exp(-a)),
    "softplus": lambda s, a: s.log(1 + s.exp(a)),
    "expm1": lambda s, a: s.exp(a) - 1,
    "log1p": lambda s, a: s.log(1 + a),
    "<": lambda s, a, b: s.StrictLessThan(a, b),
    "<=": lambda s, a, b: s.LessThan(a, b),
    ">": lambda s, a, b: s.StrictGreaterThan(a, b),
    ">=": lambda s, a, b: s.GreaterThan(a, b),
    "==": lambda s, a, b: s.Eq(a, b),
    "!=": lambda s, a, b: s.Ne(a, b),
    "and": lambda s, a, b: s.And(a, b),
    "or": lambda s, a, b: s.Or(a, b),
    "not": lambda s, a: s.Not(a),
}


def from_sympy(expression: Any) -> Node:
    """The tree of a SymPy expression in one real variable.

    Raises
    ------
    ActivationError
        Where the expression has another number of free symbols, or something in it is not known.
    """
    symbols = expression.free_symbols
    if len(symbols) != 1:
        names = ", ".join(sorted(map(str, symbols))) or "none"
        raise ActivationError(f"a SymPy activation must have exactly one free symbol, not {len(symbols)} ({names}): {_shown(expression)}")
    tree = _Reader(expression).node(expression, 0)
    if depth(tree) > MAX_TREE_DEPTH:
        raise ActivationError(f"can't read the SymPy expression {_shown(expression)}: nested more than {MAX_TREE_DEPTH} operations deep")
    return tree


def _shown(expression: Any) -> str:
    return shortened(str(expression)) if expression.count_ops() < 500 else f"a large {type(expression).__name__}"


_UNARY = {
    **{name: name for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "erf", "erfc", "sign")},
    **{f"a{name}": f"arc{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "Abs": "abs",
}
_RECIPROCAL = {"sec": "cos", "csc": "sin", "sech": "cosh", "csch": "sinh"}
_RELATIONS = {
    "StrictLessThan": "<",
    "LessThan": "<=",
    "StrictGreaterThan": ">",
    "GreaterThan": ">=",
    "Equality": "==",
    "Unequality": "!=",
}
_CHAINED = {"Add": "+", "Mul": "*", "Max": "max", "Min": "min", "And": "and", "Or": "or"}


class _Reader:
    def __init__(self, expression: Any) -> None:
        self.expression = expression
        self.count = 0

    def fail(self, what: str) -> ActivationError:
        return ActivationError(f"can't read the SymPy expression {_shown(self.expression)}: {what}")

    def node(self, part: Any, level: int) -> Node:
        self.count += 1
        if level > MAX_DEPTH or self.count > MAX_TOKENS:
            raise self.fail("too large or too deeply nested")
        kind = type(part).__name__
        if part.is_Symbol:
            return X
        if part.is_Number:
            return self.constant(part)
        if kind in ("Pi", "Exp1"):
            return PI if kind == "Pi" else E
        if kind == "Piecewise":
            return self.piecewise(part, level)
        if kind in ("BooleanTrue", "BooleanFalse"):
            return call("<", ZERO, ONE if kind == "BooleanTrue" else neg(ONE))
        args = [self.node(arg, level + 1) for arg in part.args]
        if kind in _CHAINED:
            result = args[0]
            for arg in args[1:]:
                result = call(_CHAINED[kind], result, arg)
            return result
        if kind == "Pow":
            if args[1] == number(-1):
                return call("/", ONE, args[0])
            return call("**", *args)
        if kind in _UNARY and len(args) == 1:
            return call(_UNARY[kind], *args)
        if kind in _RECIPROCAL:
            return call("/", ONE, call(_RECIPROCAL[kind], *args))
        if kind in ("cot", "coth"):
            top, bottom = ("cos", "sin") if kind == "cot" else ("cosh", "sinh")
            return call("/", call(top, *args), call(bottom, *args))
        if kind == "Heaviside":
            return call("heaviside", args[0])
        if kind in _RELATIONS:
            return call(_RELATIONS[kind], *args)
        if kind == "Not":
            return call("not", *args)
        raise self.fail(f"{kind} is not known")

    def constant(self, part: Any) -> Node:
        if part.is_Rational:
            value = Fraction(int(part.p), int(part.q))
        elif part.is_Float and part.is_finite:
            value = exact(float(part)) if part._prec <= 53 else Fraction(str(part))
        else:
            raise self.fail(f"{part} is not a finite real number")
        try:
            float(value)
        except OverflowError:
            raise self.fail("a number too large for double precision") from None
        return number(value)

    def piecewise(self, part: Any, level: int) -> Node:
        result = UNDEFINED
        for value, condition in reversed(part.args):
            piece = self.node(value, level + 1)
            result = piece if condition == True else call("where", self.node(condition, level + 1), piece, result)  # noqa: E712
        return result
