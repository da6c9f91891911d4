"""The value and the first two derivatives of an analytic expression over real balls, complex balls, or expansions far out.

One chain rule serves all three: a field gives, for each function f of the grammar, f, f' and f'' at a point, each in a form where nothing
cancels (tanh' is sech², not 1 − tanh²).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Protocol

from meanfield.activations.formula.tree import Node, tape
from meanfield.proof.balls import Ball, ProofError, ball, flint
from meanfield.proof.exact import Exact
from meanfield.proof.exact_values import exact_value

Jet = list[Any]
_ONE = Exact.of(1)
_ZERO = Exact()


class Field(Protocol):
    """What the chain rule needs of numbers."""

    def constant(self, value: Exact | None, at: Ball) -> Any:
        """A real number: its ball, and its exact form where it has one."""

    def function(self, op: str, g: Any, order: int) -> Jet:
        """[f(g), f'(g), f''(g)] up to the order."""

    def power(self, g: Any, exponent: Fraction | None, at: Ball) -> Any:
        """g to a constant power."""

    def divided(self, a: Any, b: Any) -> Any:
        """a / b."""


class Program:
    """An expression ready for evaluation: its steps, and the numbers among them."""

    def __init__(self, tree: Node) -> None:
        self.steps = tape(tree)
        nodes: list[Node] = []
        self.exact: list[Exact | None] = []
        for step in self.steps:
            nodes.append(Node(step.op, tuple(nodes[arg] for arg in step.args), step.number))
            self.exact.append(exact_value(nodes[-1], None, finite) if step.constant else None)
        self._balls: tuple[int, list[Ball]] = (0, [])

    def numbers(self) -> list[Ball]:
        """The balls of the steps without x, at the current precision."""
        if self._balls[0] != flint.ctx.prec:
            balls: list[Ball] = []
            for step, known in zip(self.steps, self.exact, strict=True):
                if not step.constant:
                    balls.append(None)
                elif known is not None:
                    balls.append(known.ball())
                else:
                    balls.append(_step(step.op, [[balls[arg]] for arg in step.args], [None] * len(step.args), REALS)[0])
            self._balls = (flint.ctx.prec, balls)
        return self._balls[1]

    def run(self, x: Any, order: int, field: Field) -> Jet:
        """The jet at x."""
        numbers = self.numbers()
        zero = field.constant(_ZERO, flint.arb(0))
        found: list[Jet] = []
        for index, step in enumerate(self.steps):
            if step.constant:
                found.append([field.constant(self.exact[index], numbers[index]), *[zero] * order])
            elif step.op == "x":
                found.append([x, field.constant(_ONE, flint.arb(1)), zero][: order + 1])
            else:
                found.append(_step(step.op, [found[arg] for arg in step.args], [self._constant(arg, numbers) for arg in step.args], field))
        return found[-1]

    def _constant(self, index: int, numbers: list[Ball]) -> tuple[Exact | None, Ball] | None:
        return (self.exact[index], numbers[index]) if self.steps[index].constant else None


_programs: dict[Node, Program] = {}


def program(tree: Node) -> Program:
    """The program of an expression, kept for the next call."""
    if tree not in _programs:
        if len(_programs) > 256:
            _programs.clear()
        _programs[tree] = Program(tree)
    return _programs[tree]


def evaluate(tree: Node, x: Any, order: int, field: Field) -> Jet:
    """[φ, φ', φ''] at x, up to the order."""
    return program(tree).run(x, order, field)


def finite(node: Node, x: Exact | None) -> bool:
    """Whether the arguments of a node are finite numbers at x."""
    here = flint.arb(0) if x is None else x.ball()
    return all(evaluate(arg, here, 0, Reals())[0].is_finite() for arg in node.args)


def _step(op: str, args: list[Jet], constants: list[Any], field: Field) -> Jet:
    if op == "+":
        return [a + b for a, b in zip(*args, strict=True)]
    if op == "neg":
        return [-a for a in args[0]]
    if op == "*":
        return product(args[0], args[1])
    if op == "/":
        return _quotient(args[0], args[1], field)
    if op == "**":
        return _to_a_power(args, constants[1], field)
    return _composed(field.function(op, args[0][0], len(args[0]) - 1), args[0])


def product(f: Jet, g: Jet) -> Jet:
    """The jet of fg."""
    jet = [f[0] * g[0]]
    if len(f) > 1:
        jet.append(f[1] * g[0] + f[0] * g[1])
    if len(f) > 2:
        cross = f[1] * g[1]
        jet.append(f[2] * g[0] + (cross + cross) + f[0] * g[2])
    return jet


def _quotient(f: Jet, g: Jet, field: Field) -> Jet:
    jet = [field.divided(f[0], g[0])]
    if len(f) > 1:
        jet.append(field.divided(f[1] - jet[0] * g[1], g[0]))
    if len(f) > 2:
        cross = jet[1] * g[1]
        jet.append(field.divided(f[2] - (cross + cross) - jet[0] * g[2], g[0]))
    return jet


def _composed(outer: Jet, g: Jet) -> Jet:
    jet = [outer[0]]
    if len(g) > 1:
        jet.append(outer[1] * g[1])
    if len(g) > 2:
        jet.append(outer[2] * (g[1] * g[1]) + outer[1] * g[2])
    return jet


def _to_a_power(args: list[Jet], exponent: Any, field: Field) -> Jet:
    base = args[0]
    if exponent is None and len(args[1]) > 1:  # g^h = exp(h log g)
        log = _composed(field.function("log", base[0], len(base) - 1), base)
        return _composed(field.function("exp", (args[1][0] * log[0]), len(base) - 1), product(args[1], log))
    known, at = (None, args[1][0]) if exponent is None else exponent
    p = None if known is None else known.rational
    outer, factor, exact_factor = [], flint.arb(1), None if p is None else Fraction(1)
    for k in range(len(base)):
        if exact_factor == 0:
            outer.append(field.constant(_ZERO, flint.arb(0)))
            continue
        power = field.power(base[0], None if p is None else p - k, at - k)
        scale = field.constant(None if exact_factor is None else Exact.of(exact_factor), factor)
        outer.append(power if k == 0 else scale * power)
        factor = factor * (at - k)
        exact_factor = None if exact_factor is None or p is None else exact_factor * (p - k)
    return _composed(outer, base)


def whole_power(g: Any, n: int) -> Any:
    """gⁿ by products: python-flint's own power of a ball around 0 is not finite."""
    result, square = None, g
    while n:
        if n & 1:
            result = square if result is None else result * square
        n >>= 1
        square = square * square if n else square
    return 1 + 0 * g if result is None else result


def _square(g: Any) -> Any:
    return g * g


class _Balls:
    """What real and complex balls share: functions by the methods of python-flint."""

    def constant(self, value: Exact | None, at: Ball) -> Any:
        return at

    def divided(self, a: Any, b: Any) -> Any:
        return a / b

    def power(self, g: Any, exponent: Fraction | None, at: Ball) -> Any:
        if exponent is not None and exponent.denominator == 1:
            n = int(exponent)
            return whole_power(g, n) if n >= 0 else 1 / whole_power(g, -n)
        if exponent is not None and exponent.denominator == 2:
            root = whole_power(self.root(g), abs(exponent.numerator))
            return root if exponent > 0 else 1 / root
        return self.real_power(g, at)

    def root(self, g: Any) -> Any:
        raise NotImplementedError

    def real_power(self, g: Any, at: Ball) -> Any:
        raise NotImplementedError

    def checked(self, op: str, g: Any) -> Any:
        """g, or something not finite where f is not analytic at all of g."""
        return g

    def function(self, op: str, g: Any, order: int) -> Jet:
        return _FUNCTIONS[op](self, self.checked(op, g))[: order + 1] if order else [_VALUES[op](self, self.checked(op, g))]

    def log(self, g: Any) -> Any:
        raise NotImplementedError


class Reals(_Balls):
    """Real balls; not finite where φ is not defined on all of one."""

    def root(self, g: Any) -> Any:
        return g.sqrt()

    def real_power(self, g: Any, at: Ball) -> Any:
        return (g.log() * at).exp()

    def log(self, g: Any) -> Any:
        return g.log()


class Complexes(_Balls):
    """Complex balls, with every branch cut refused: what is finite is analytic on the ball."""

    def __init__(self, analytic: bool) -> None:
        self.analytic = analytic

    def constant(self, value: Exact | None, at: Ball) -> Any:
        return flint.acb(at)

    def root(self, g: Any) -> Any:
        return g.sqrt(analytic=self.analytic)

    def real_power(self, g: Any, at: Ball) -> Any:
        return (self.log(g) * at).exp()

    def log(self, g: Any) -> Any:
        return g.log(analytic=self.analytic)

    def checked(self, op: str, g: Any) -> Any:
        if not self.analytic or op not in _CUTS:
            return g
        real, imaginary = (g.imag, g.real) if op in ("arctan", "arcsinh") else (g.real, g.imag)
        far = not abs(real) < 1 if op != "arccosh" else not real > 1
        return flint.acb(flint.arb.nan()) if far and imaginary.contains(0) else g


_CUTS = frozenset(("arctan", "arcsinh", "arcsin", "arccos", "arctanh", "arccosh"))
REALS = Reals()


def _sigmoid(g: Any) -> Any:
    return ((g / 2).tanh() + 1) / 2 if g.real > -8 else g.exp() / (1 + g.exp())


def _softplus(field: Any, g: Any) -> Any:
    if g.real > 0:
        return g + (-g).exp().log1p()  # |exp(−g)| < 1: off the cut
    found = _log_of_one_plus(field, g.exp())
    if found.is_finite() or field is not REALS or not g.is_finite():
        return found
    # The ball of exp on a long stretch reaches below -1: softplus rises from one end to the other.
    low, high = (_softplus(field, end) if end.rad().is_zero() else found for end in (g.lower(), g.upper()))
    return low.union(high)


def _exp(field: Any, g: Any) -> Jet:
    e = g.exp()
    return [e, e, e]


def _log(field: Any, g: Any) -> Jet:
    r = 1 / g
    return [field.log(g), r, -r * r]


def _sin(field: Any, g: Any) -> Jet:
    s, c = g.sin(), g.cos()
    return [s, c, -s]


def _cos(field: Any, g: Any) -> Jet:
    s, c = g.sin(), g.cos()
    return [c, -s, -c]


def _tan(field: Any, g: Any) -> Jet:
    t = g.tan()
    s = 1 / (g.cos() * g.cos())
    return [t, s, 2 * t * s]


def _sinh(field: Any, g: Any) -> Jet:
    s, c = g.sinh(), g.cosh()
    return [s, c, s]


def _cosh(field: Any, g: Any) -> Jet:
    s, c = g.sinh(), g.cosh()
    return [c, s, c]


def _tanh(field: Any, g: Any) -> Jet:
    t, s = g.tanh(), _square(g.sech())
    return [t, s, -2 * t * s]


def _arctan(field: Any, g: Any) -> Jet:
    r = 1 / (1 + (g * g))
    return [g.atan(), r, -2 * g * (r * r)]


def _arcsin(field: Any, g: Any) -> Jet:
    r = 1 / field.root(1 - (g * g))
    return [g.asin(), r, g * (r * r * r)]


def _arccos(field: Any, g: Any) -> Jet:
    r = 1 / field.root(1 - (g * g))
    return [g.acos(), -r, -g * (r * r * r)]


def _arcsinh(field: Any, g: Any) -> Jet:
    r = 1 / field.root(1 + (g * g))
    return [g.asinh(), r, -g * (r * r * r)]


def _arccosh(field: Any, g: Any) -> Jet:
    r = 1 / field.root((g * g) - 1)
    return [g.acosh(), r, -g * (r * r * r)]


def _arctanh(field: Any, g: Any) -> Jet:
    r = 1 / (1 - (g * g))
    return [g.atanh(), r, 2 * g * (r * r)]


def _bell(g: Any) -> Any:
    """2 exp(−g²)/√π."""
    return 2 * (-(g * g)).exp() / flint.arb.pi().sqrt()


def _erf(field: Any, g: Any) -> Jet:
    d = _bell(g)
    return [g.erf(), d, -2 * g * d]


def _erfc(field: Any, g: Any) -> Jet:
    d = _bell(g)
    return [g.erfc(), -d, 2 * g * d]


def _sigmoid_jet(field: Any, g: Any) -> Jet:
    d = _square((g / 2).sech()) / 4
    return [_sigmoid(g), d, -d * (g / 2).tanh()]


def _softplus_jet(field: Any, g: Any) -> Jet:
    return [_softplus(field, g), _sigmoid(g), _square((g / 2).sech()) / 4]


def _sqrt(field: Any, g: Any) -> Jet:
    r = field.root(g)
    return [r, 1 / (2 * r), -1 / (4 * r * g)]


def _expm1(field: Any, g: Any) -> Jet:
    e = g.exp()
    return [g.expm1(), e, e]


def _log1p(field: Any, g: Any) -> Jet:
    r = 1 / (1 + g)
    return [_log_of_one_plus(field, g), r, -r * r]


def _log_of_one_plus(field: Any, g: Any) -> Any:
    if isinstance(g, flint.acb) and field.analytic and not (g.real > -1 or g.imag > 0 or g.imag < 0):
        return flint.acb(flint.arb.nan())
    return g.log1p()


_FUNCTIONS: dict[str, Any] = {
    "exp": _exp,
    "expm1": _expm1,
    "log": _log,
    "log1p": _log1p,
    "sqrt": _sqrt,
    "sin": _sin,
    "cos": _cos,
    "tan": _tan,
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _tanh,
    "arctan": _arctan,
    "arcsin": _arcsin,
    "arccos": _arccos,
    "arcsinh": _arcsinh,
    "arccosh": _arccosh,
    "arctanh": _arctanh,
    "erf": _erf,
    "erfc": _erfc,
    "sigmoid": _sigmoid_jet,
    "softplus": _softplus_jet,
}
_VALUES: dict[str, Any] = {
    "exp": lambda field, g: g.exp(),
    "expm1": lambda field, g: g.expm1(),
    "log": lambda field, g: field.log(g),
    "log1p": _log_of_one_plus,
    "sqrt": lambda field, g: field.root(g),
    "sin": lambda field, g: g.sin(),
    "cos": lambda field, g: g.cos(),
    "tan": lambda field, g: g.tan(),
    "sinh": lambda field, g: g.sinh(),
    "cosh": lambda field, g: g.cosh(),
    "tanh": lambda field, g: g.tanh(),
    "arctan": lambda field, g: g.atan(),
    "arcsin": lambda field, g: g.asin(),
    "arccos": lambda field, g: g.acos(),
    "arcsinh": lambda field, g: g.asinh(),
    "arccosh": lambda field, g: g.acosh(),
    "arctanh": lambda field, g: g.atanh(),
    "erf": lambda field, g: g.erf(),
    "erfc": lambda field, g: g.erfc(),
    "sigmoid": lambda field, g: _sigmoid(g),
    "softplus": _softplus,
}
assert _FUNCTIONS.keys() == _VALUES.keys()


def real(tree: Node, x: Ball, order: int) -> Jet:
    """[φ, φ', φ''] over a real ball."""
    jet = evaluate(tree, x, order, REALS)
    if any(not isinstance(value, flint.arb) for value in jet):
        raise ProofError("an expression that is no real number")
    return jet


def point(value: Fraction) -> Ball:
    """The ball of a rational point."""
    return ball(value)
