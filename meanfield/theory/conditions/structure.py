"""What a formula's tree proves about φ without evaluating it: its range, how fast it grows, where it rises, its symmetry.

Bounds go up from the leaves, one rule for each operation, in time proportional to the size of the tree. Each bound is true but may be wide;
what can't be shown is left open.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from meanfield.errors import ActivationError

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.activations.formula.tree import Node

INF = math.inf
LARGEST_FORMULA = 200  # operations that SymPy is asked to differentiate
SLOW = 0.5  # any power above 0 bounds a logarithm


@dataclass(frozen=True)
class Shape:
    """Facts about a function of x that hold for all real x where it is defined.

    Attributes
    ----------
    low, high : bounds of its values
    growth : an exponent g with |f(x)| ≤ K (1 + |x|)^g; inf where none is known
    rate : the same for log(1 + |f|)
    rises, falls : f' ≥ 0, f' ≤ 0 wherever f' exists
    odd, even : its symmetry
    """

    low: float = -INF
    high: float = INF
    growth: float = INF
    rate: float = INF
    rises: bool = False
    falls: bool = False
    odd: bool = False
    even: bool = False


UNKNOWN = Shape()


def structure(act: Activation) -> Shape | None:
    """The shape of φ as far as its formula shows it; None for φ without a formula."""
    from meanfield.activations.formula.sympy_bridge import from_sympy

    expression = act.formula
    if expression is None:
        return None
    if not expression.free_symbols:
        return _number(float(expression))
    try:
        tree = from_sympy(expression)
    except (ActivationError, RecursionError):  # a function that trees don't know, or too deep
        return None
    return _within(tree, -INF, INF)


def ratio_bound(act: Activation) -> float:
    """A bound of |φ(x)/x| that the formula shows, for φ(0) = 0: that of φ/x, or of |φ'|; inf where it shows none.

    Examples
    --------
    >>> from meanfield import activation
    >>> [ratio_bound(activation(f)) for f in ("tanh", "x*(1 + 5*exp(-((x - 50.3)/0.001)**2))", "x**2")]
    [1.0, 6.0, inf]
    """
    from meanfield.activations.formula.sympy_bridge import from_sympy

    expression = act.formula
    if expression is None or not expression.free_symbols or expression.count_ops() > LARGEST_FORMULA:
        return INF
    (x,) = expression.free_symbols
    found = INF
    jumps = any(b.value_jump for b in act.breakpoints)  # of which φ' knows nothing
    for derive in (False,) if jumps else (False, True):
        try:
            shape = _within(from_sympy(expression.diff(x) if derive else expression / x), -INF, INF)
        except (ActivationError, RecursionError, ArithmeticError, ValueError, TypeError, AttributeError, NotImplementedError):
            continue
        found = min(found, max(-shape.low, shape.high))
    return found


def piecewise_linear(act: Activation) -> bool:
    """Whether the formula of φ is made of lines only, so that it is linear between its breakpoints.

    Examples
    --------
    >>> from meanfield import activation
    >>> [piecewise_linear(activation(f)) for f in ("relu", "max(x, 0.1*x) + abs(x)", "x*heaviside(x)", "x + 1e-9*sin(x)")]
    [True, True, True, False]
    """
    from meanfield.activations.formula.sympy_bridge import from_sympy

    if act.formula is None:
        return False
    try:
        return _pieces(from_sympy(act.formula)) <= 1
    except (ActivationError, RecursionError):
        return False


def _pieces(node: Node) -> float:
    """The degree of the polynomials that a function is made of; inf where it is made of others."""
    if node.number is not None or node.op in ("pi", "e"):
        return 0
    if node.op == "x":
        return 1
    degrees = [_pieces(arg) for arg in node.args]
    if node.op in ("+", "max", "min", "neg", "abs"):
        kinked = node.op in ("max", "min", "abs") and max(degrees) > 1  # its kinks are not where a line's are
        return INF if kinked else max(degrees)
    if node.op == "*":
        return sum(degrees)
    if node.op == "/" and degrees[1] == 0 and node.args[1].number is not None:
        return degrees[0]
    if node.op in ("sign", "heaviside"):
        return 0 if degrees[0] <= 1 else INF
    if node.op == "where":
        return max(degrees[1:]) if degrees[0] <= 1 else INF
    if node.op in ("<", "<=", ">", ">="):
        return max(degrees)
    return INF


def _within(tree: Node, low: float, high: float) -> Shape:
    """The shape for x in [low, high]."""
    done: dict[int, Shape] = {}

    def visit(node: Node) -> Shape:
        if id(node) not in done:
            found = _known_sigmoid(node) or _shape(node, visit, low, high)
            if math.isfinite(found.low) and math.isfinite(found.high):
                found = replace(found, growth=0.0, rate=0.0)
            done[id(node)] = found
        return done[id(node)]

    return visit(tree)


def _number(value: float) -> Shape:
    return Shape(value, value, 0.0, 0.0, True, True, value == 0.0, True)


def _known_sigmoid(node: Node) -> Shape | None:
    """x/(k + |x|) and x/√(k + x²), whose rise the bounds of their factors don't show."""
    if node.op != "*" or not any(arg.op == "x" for arg in node.args):
        return None
    other = node.args[1] if node.args[0].op == "x" else node.args[0]
    power = Fraction(-1) if other.op == "/" else other.args[1].number if other.op == "**" else None
    inner = other.args[1] if other.op == "/" and other.args[0].number == 1 else other.args[0] if other.op == "**" else None
    if inner is None or inner.op != "+" or power not in (Fraction(-1), Fraction(-1, 2)):
        return None
    constant = next((arg.number for arg in inner.args if arg.number is not None), None)
    rest = next((arg for arg in inner.args if arg.number is None), None)
    if constant is None or constant <= 0 or rest is None:
        return None
    factor = Fraction(1)
    if rest.op == "*" and rest.args[0].number is not None:
        factor, rest = rest.args[0].number, rest.args[1]
    wanted = rest.op == "abs" if power == -1 else rest.op == "**" and rest.args[1].number == 2
    if not wanted or rest.args[0].op != "x" or factor <= 0:
        return None
    top = 1.0 / float(factor) if power == -1 else 1.0 / math.sqrt(factor)
    return Shape(-top, top, 0.0, 0.0, True, False, True, False)


def _branches(node: Node, low: float, high: float) -> tuple[Shape, Shape]:
    """The two sides of a where, each on the x where it holds if the condition is x < a number or its like."""
    condition, first, second = node.args
    sides = ((low, high), (low, high))
    if condition.op in ("<", "<=", ">", ">=") and condition.args[0].op == "x" and condition.args[1].number is not None:
        cut = min(max(float(condition.args[1].number), low), high)
        sides = ((low, cut), (cut, high)) if condition.op in ("<", "<=") else ((cut, high), (low, cut))
    return _within(first, *sides[0]), _within(second, *sides[1])


def _shape(node: Node, visit: Callable[[Node], Shape], low: float, high: float) -> Shape:
    if node.number is not None:
        return _number(float(node.number))
    if node.op == "x":
        growth, rate = (1.0, SLOW) if low == -INF or high == INF else (0.0, 0.0)
        return Shape(low, high, growth, rate, True, False, low == -high, False)
    if node.op in ("pi", "e"):
        return _number(math.pi if node.op == "pi" else math.e)
    if node.op == "where":
        return _either(*_branches(node, low, high))
    args = [visit(arg) for arg in node.args]
    if node.op in _BINARY:
        return _BINARY[node.op](*args)
    if node.op == "**":
        exponent = node.args[1].number
        return UNKNOWN if exponent is None else _power(args[0], float(exponent))
    rule = _UNARY.get(node.op)
    return rule(args[0]) if rule else UNKNOWN


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0.0 or b == 0.0 else a * b  # the values themselves are finite: 0 times them is 0


def _sum(a: Shape, b: Shape) -> Shape:
    return Shape(
        a.low + b.low,
        a.high + b.high,
        max(a.growth, b.growth),
        max(a.rate, b.rate),
        a.rises and b.rises,
        a.falls and b.falls,
        a.odd and b.odd,
        a.even and b.even,
    )


def _product(a: Shape, b: Shape) -> Shape:
    corners = [_times(s, t) for s in (a.low, a.high) for t in (b.low, b.high)]

    def way(s: bool, t: bool, flipped_s: bool, flipped_t: bool) -> bool:
        """(fg)' = f'g + fg' ≥ 0, from the signs of f and g; s, t: f' and g' have the sign wanted where g, f ≥ 0."""
        first = (s and b.low >= 0) or (flipped_s and b.high <= 0)
        second = (t and a.low >= 0) or (flipped_t and a.high <= 0)
        constant_a, constant_b = a.rises and a.falls, b.rises and b.falls
        return (first or constant_a) and (second or constant_b)

    return Shape(
        min(corners),
        max(corners),
        a.growth + b.growth,
        max(a.rate, b.rate),
        way(a.rises, b.rises, a.falls, b.falls),
        way(a.falls, b.falls, a.rises, b.rises),
        (a.odd and b.even) or (a.even and b.odd),
        (a.even and b.even) or (a.odd and b.odd),
    )


def _negative(a: Shape) -> Shape:
    return replace(a, low=-a.high, high=-a.low, rises=a.falls, falls=a.rises)


def _reciprocal(a: Shape) -> Shape:
    if not (a.low > 0 or a.high < 0):
        return replace(UNKNOWN, odd=a.odd, even=a.even)
    return Shape(1.0 / a.high, 1.0 / a.low, 0.0, 0.0, a.falls, a.rises, a.odd, a.even)


def _power(a: Shape, n: float) -> Shape:
    if n == 0.0:
        return _number(1.0)
    if n < 0:
        return _reciprocal(_power(a, -n))
    whole = n == math.floor(n)
    if not whole:
        if a.low < 0:
            return UNKNOWN
        return Shape(a.low**n, _raised(a.high, n), a.growth * n, a.rate, a.rises, a.falls, False, a.even)
    if n % 2:
        return Shape(_raised(a.low, n), _raised(a.high, n), a.growth * n, a.rate, a.rises, a.falls, a.odd, a.even)
    ends = [_raised(abs(a.low), n), _raised(abs(a.high), n)]
    above, below = a.low >= 0, a.high <= 0
    return Shape(
        min(ends) if above or below else 0.0,
        max(ends),
        a.growth * n,
        a.rate,
        (a.rises and above) or (a.falls and below),
        (a.falls and above) or (a.rises and below),
        False,
        a.odd or a.even,
    )


def _raised(value: float, n: float) -> float:
    try:
        return float(value**n)
    except OverflowError:
        return math.copysign(INF, value) if n % 2 else INF


def _either(a: Shape, b: Shape) -> Shape:
    """Here a, there b: what both have in common. Jumps between them are for the caller to look at."""
    return Shape(
        min(a.low, b.low), max(a.high, b.high), max(a.growth, b.growth), max(a.rate, b.rate), a.rises and b.rises, a.falls and b.falls
    )


def _extreme(take: Callable[[float, float], float]) -> Callable[[Shape, Shape], Shape]:
    def rule(a: Shape, b: Shape) -> Shape:
        return replace(_either(a, b), low=take(a.low, b.low), high=take(a.high, b.high), even=a.even and b.even)

    return rule


def _absolute(a: Shape) -> Shape:
    if a.low >= 0:
        return a
    if a.high <= 0:
        return _negative(a)
    return Shape(0.0, max(-a.low, a.high), a.growth, a.rate, False, False, False, a.odd or a.even)


def _exponential(a: Shape) -> Shape:
    high = _guarded(math.exp, a.high, INF)
    return Shape(_guarded(math.exp, a.low, 0.0), high, 0.0 if high < INF else INF, a.growth, a.rises, a.falls, False, a.even)


def _logarithm(a: Shape) -> Shape:
    if not a.low > 0:
        return UNKNOWN
    growth = 0.0 if a.high < INF else a.rate
    return Shape(math.log(a.low), math.log(a.high) if a.high < INF else INF, growth, SLOW, a.rises, a.falls, False, a.even)


def _guarded(function: Callable[[float], float], value: float, otherwise: float) -> float:
    try:
        return function(value)
    except OverflowError:
        return otherwise


def _bounded(function: Callable[[float], float], odd: bool, rising: bool) -> Callable[[Shape], Shape]:
    """A bounded monotone function of f."""

    def rule(a: Shape) -> Shape:
        ends = sorted((function(a.low), function(a.high)))
        rises, falls = (a.rises, a.falls) if rising else (a.falls, a.rises)
        return Shape(ends[0], ends[1], 0.0, 0.0, rises, falls, odd and a.odd, a.even)

    return rule


def _wave(odd: bool) -> Callable[[Shape], Shape]:
    def rule(a: Shape) -> Shape:
        even = a.even or (a.odd and not odd)
        return Shape(-1.0, 1.0, 0.0, 0.0, odd=odd and a.odd, even=even)

    return rule


def _step(low: float, odd: bool) -> Callable[[Shape], Shape]:
    def rule(a: Shape) -> Shape:
        return Shape(low, 1.0, 0.0, 0.0, True, True, odd and a.odd, a.even)

    return rule


def _sinh(a: Shape) -> Shape:
    bounded = max(-a.low, a.high) < 700
    ends = [_guarded(math.sinh, v, math.copysign(INF, v)) for v in (a.low, a.high)]
    return Shape(ends[0], ends[1], 0.0 if bounded else INF, a.growth, a.rises, a.falls, a.odd, a.even)


def _cosh(a: Shape) -> Shape:
    bounded = max(-a.low, a.high) < 700
    return Shape(
        1.0, math.cosh(max(-a.low, a.high)) if bounded else INF, 0.0 if bounded else INF, a.growth, False, False, False, a.odd or a.even
    )


def _arcsinh(a: Shape) -> Shape:
    return Shape(
        math.asinh(a.low), math.asinh(a.high), min(SLOW, a.growth) if a.growth < INF else a.rate, SLOW, a.rises, a.falls, a.odd, a.even
    )


_BINARY: dict[str, Callable[[Shape, Shape], Shape]] = {
    "+": _sum,
    "*": _product,
    "/": lambda a, b: _product(a, _reciprocal(b)),
    "max": _extreme(max),
    "min": _extreme(min),
}
_UNARY: dict[str, Callable[[Shape], Shape]] = {
    "neg": _negative,
    "abs": _absolute,
    "exp": _exponential,
    "log": _logarithm,
    "sqrt": lambda a: _power(a, 0.5),
    "tanh": _bounded(math.tanh, True, True),
    "arctan": _bounded(math.atan, True, True),
    "erf": _bounded(math.erf, True, True),
    "erfc": _bounded(math.erfc, False, False),
    "sin": _wave(True),
    "cos": _wave(False),
    "sign": _step(-1.0, True),
    "heaviside": _step(0.0, False),
    "sinh": _sinh,
    "cosh": _cosh,
    "arcsinh": _arcsinh,
}
