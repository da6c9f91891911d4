"""φ, φ' and φ'' of a tape by forward differentiation, each with a running bound of its rounding error.

A jet is a list (value, first, second derivative), as far as asked; each a `Ball` of a number and the bound of its error,
or None where it is zero for every x. The bound is of first order: good enough to tell where digits were lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from meanfield.activations.formula.fields import Field
from meanfield.activations.formula.tree import COMPARISONS, Step


class Ball(NamedTuple):
    """A number and the bound of its absolute error."""

    value: Any
    error: Any


class Condition(NamedTuple):
    """Whether a comparison holds, and whether what it compares is undefined."""

    holds: Any
    undefined: Any


Jet = list[Ball | None]
Decisions = dict[int, Any]


def evaluate(
    steps: Sequence[Step],
    x: Any,
    order: int,
    field: Field,
    frozen: Decisions | None = None,
    record: Decisions | None = None,
) -> Jet:
    """The jet of a tape at x.

    `frozen` fixes the branch that each switching step takes (abs, max, where …), so that a piece of φ can be followed
    up to its end and beyond; `record` collects the branches taken.
    """
    last: Jet = jets(steps, x, order, field, frozen, record)[-1]
    return last


def jets(
    steps: Sequence[Step],
    x: Any,
    order: int,
    field: Field,
    frozen: Decisions | None = None,
    record: Decisions | None = None,
) -> list[Any]:
    """As `evaluate`, of every step of the tape."""
    arithmetic = _Arithmetic(field, order)
    found: list[Any] = []
    for index, step in enumerate(steps):
        args = [found[arg] for arg in step.args]
        if step.op == "x":
            one = field.rational(_ONE)
            found.append([Ball(x, 0 * one), Ball(one, 0 * one), None][: order + 1])
        elif step.op == "number":
            value = field.rational(step.number or _ZERO)
            found.append(arithmetic.constant(value, 0 * value if _is_double(step.number or _ZERO) else abs(value) * field.eps))
        elif step.op in ("pi", "e"):
            value = field.constant(step.op)
            found.append(arithmetic.constant(value, value * field.eps))
        elif step.op in _SWITCHES:
            decision = frozen.get(index) if frozen is not None else None
            if decision is None:
                decision = _SWITCHES[step.op](args)
            if record is not None:
                record[index] = decision
            found.append(arithmetic.switched(step.op, decision, args))
        elif step.op in ("and", "or", "not"):
            found.append(_logic(step.op, args))
        else:
            found.append(arithmetic.apply(step.op, args))
    return found


_ZERO, _ONE = Fraction(0), Fraction(1)


def _is_double(value: Fraction) -> bool:
    """Whether a fraction is a double, so that it enters without error."""
    bottom = value.denominator
    return bottom & (bottom - 1) == 0 and bottom < 2**1000 and abs(value.numerator) < 2**53


def _sign_of(args: list[Any]) -> Any:
    v = args[0][0].value
    return (v > 0) * 1 - (v < 0) * 1


def _compare(op: str) -> Callable[[list[Any]], Any]:
    import operator

    function = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne}[op]
    return lambda args: function(args[0][0].value, args[1][0].value)


_SWITCHES: dict[str, Callable[[list[Any]], Any]] = {
    "abs": _sign_of,
    "sign": _sign_of,
    "softsign": _sign_of,
    "heaviside": lambda args: args[0][0].value > 0,
    "relu": lambda args: args[0][0].value > 0,
    "max": lambda args: args[0][0].value > args[1][0].value,
    "min": lambda args: args[0][0].value < args[1][0].value,
    **{op: _compare(op) for op in sorted(COMPARISONS)},
}
SWITCHES = frozenset(_SWITCHES)


def _logic(op: str, args: list[Condition]) -> Condition:
    if op == "not":
        return Condition(args[0].holds ^ True, args[0].undefined)
    first, second = args
    holds = first.holds & second.holds if op == "and" else first.holds | second.holds
    return Condition(holds, first.undefined | second.undefined)


def _undefined(args: list[Any]) -> Any:
    """Whether either of two values is not a number."""
    a, b = args[0][0].value, args[1][0].value
    return (a != a) | (b != b)


class _Arithmetic:
    """Sums, products, quotients and compositions of jets over a field."""

    def __init__(self, field: Field, order: int) -> None:
        self.field = field
        self.order = order
        self.eps = field.eps

    def constant(self, value: Any, error: Any) -> Jet:
        return [Ball(value, error), None, None][: self.order + 1]

    # Balls, None for zero.

    def add(self, a: Ball | None, b: Ball | None) -> Ball | None:
        if a is None or b is None:
            return a or b
        value = a.value + b.value
        return Ball(value, a.error + b.error + self.eps * abs(value))

    def mul(self, a: Ball | None, b: Ball | None) -> Ball | None:
        if a is None or b is None:
            return None
        value = a.value * b.value
        size = abs(value)
        error = abs(a.value) * b.error + abs(b.value) * a.error + a.error * b.error + self.eps * size + self.field.tiny
        return Ball(value, error)

    def neg(self, a: Ball | None) -> Ball | None:
        return None if a is None else Ball(-a.value, a.error)

    def scale(self, factor: int, a: Ball | None) -> Ball | None:
        return None if a is None else Ball(factor * a.value, factor * a.error)

    def div(self, a: Ball | None, b: Ball) -> Ball | None:
        if a is None:
            return None
        value = self._undefined_where(b.value == 0, self._quotient(a.value, b.value))
        error = self._quotient(a.error + abs(value) * b.error, abs(b.value)) + self.eps * abs(value) + self.field.tiny
        return Ball(value, error)

    def _quotient(self, a: Any, b: Any) -> Any:
        try:
            return a / b
        except ZeroDivisionError:  # many digits only; doubles give inf or nan
            return a * self.field.function("log")(b)  # ±inf, nan for 0/0

    def _undefined_where(self, pole: Any, value: Any) -> Any:
        """A quotient by 0 is no large number: what follows must not take it for one that has overflowed."""
        return self.field.select(pole, self.field.nan, value) if _any(pole) else value

    def select(self, condition: Any, a: Ball | None, b: Ball | None) -> Ball | None:
        if a is None and b is None:
            return None
        zero = Ball(self.field.rational(_ZERO), self.field.rational(_ZERO))
        first, second = a or zero, b or zero
        pick = self.field.select
        return Ball(pick(condition, first.value, second.value), pick(condition, first.error, second.error))

    # Jets.

    def apply(self, op: str, args: list[Any]) -> Jet:
        if op == "+":
            return [self.add(a, b) for a, b in zip(*args, strict=True)]
        if op == "neg":
            return [self.neg(a) for a in args[0]]
        if op == "*":
            return self.product(*args)
        if op == "/":
            return self.quotient(*args)
        if op == "where":
            return self.either(args[0], args[1], args[2])
        if op == "**":
            return self.power(*args)
        if op in ("plusroot", "isru"):
            return self.compose(_WITH_CONSTANT[op](self.field, args[0][0].value, args[1][0].value), args[0])
        jet = self.compose(_FUNCTIONS[op](self.field, args[0][0].value), args[0])
        return self.flat_far_out(_FLAT[op], args[0][0].value, jet) if op in _FLAT else jet

    def flat_far_out(self, ends: tuple[int, ...], v: Any, jet: Jet) -> Jet:
        """tanh(u) and the like where u is huge: derivatives fall exponentially in u, so they are 0 whatever u' is.

        Not 0 · ∞ where u overflows, and not 0 ± tiny · u'², which would ask for many digits all about a narrow bell.
        """
        flat = abs(v) > self.field.flat
        if len(ends) == 1:
            flat = flat & ((v < 0) if ends[0] < 0 else (v > 0))
        if not _any(flat):
            return jet
        value = jet[0]
        assert value is not None
        exact = Ball(value.value, 0 * value.value)
        overflown = flat & (abs(v) == math.inf)
        return [self.select(overflown, exact, value), *(self.select(flat, None, part) for part in jet[1:])]

    def product(self, a: Jet, b: Jet) -> Jet:
        jet = [self.mul(a[0], b[0])]
        if self.order > 0:
            jet.append(self.add(self.mul(a[1], b[0]), self.mul(a[0], b[1])))
        if self.order > 1:
            outer = self.add(self.mul(a[2], b[0]), self.mul(a[0], b[2]))
            jet.append(self.add(outer, self.scale(2, self.mul(a[1], b[1]))))
        return jet

    def quotient(self, a: Jet, b: Jet) -> Jet:
        bottom = b[0]
        assert bottom is not None
        jet = [self.div(a[0], bottom)]
        if self.order > 0:
            jet.append(self.div(self.add(a[1], self.neg(self.mul(jet[0], b[1]))), bottom))
        if self.order > 1:
            inner = self.add(self.scale(2, self.mul(jet[1], b[1])), self.mul(jet[0], b[2]))
            jet.append(self.div(self.add(a[2], self.neg(inner)), bottom))
        return jet

    def power(self, a: Jet, b: Jet) -> Jet:
        """a**b for a constant b; rewriting has turned the others into exponentials."""
        base, exponent = a[0], b[0]
        assert base is not None
        assert exponent is not None
        v, n = base.value, exponent.value
        power = self.field.function("power")
        values, factor = [], 1 + 0 * n
        for k in range(self.order + 2):
            values.append(factor * power(v, n - k) if factor != 0 else 0 * n)
            if k == 0 and n < 0:
                values[0] = self._undefined_where(v == 0, values[0])
            factor = factor * (n - k)
        if exponent.error != 0:  # the exponent's own rounding
            size = self.field.select(v == 0, 1 + 0 * v, abs(v))  # 0ⁿ is 0 whatever the last digits of n
            extra = abs(self.field.function("log")(size)) * exponent.error
            jet = self.compose(values, a)
            return [part and Ball(part.value, part.error + abs(part.value) * extra) for part in jet]
        return self.compose(values, a)

    def compose(self, f: Sequence[Any], u: Jet) -> Jet:
        """f(u) from f, f', … at the value of u; the last entry serves the error bound."""
        inner = u[0]
        assert inner is not None
        outer = []
        for k in range(self.order + 1):
            error = 2 * self.eps * abs(f[k]) + self.field.tiny
            if _some(inner.error):  # an exact argument adds nothing, even where f^(k+1) is infinite
                error = error + self.field.select(inner.error == 0, inner.error, abs(f[k + 1]) * inner.error)
            outer.append(Ball(f[k], error))
        jet: Jet = [outer[0]]
        if self.order > 0:
            jet.append(self.mul(outer[1], u[1]))
        if self.order > 1:
            jet.append(self.add(self.mul(outer[2], self.mul(u[1], u[1])), self.mul(outer[1], u[2])))
        return jet

    def switched(self, op: str, decision: Any, args: list[Any]) -> Any:
        if op in COMPARISONS:
            return Condition(decision, _undefined(args))
        pick = self.field.select
        if op == "abs":
            return [None if part is None else Ball(decision * part.value, part.error) for part in args[0]]
        if op == "sign":
            return self.constant(decision + 0 * args[0][0].value, 0 * args[0][0].value)
        if op == "heaviside":
            zero = 0 * args[0][0].value
            return self.constant(pick(decision, zero + 1, zero), zero)
        if op == "relu":
            return [None if part is None else self.select(decision, part, None) for part in args[0]]
        if op == "softsign":
            v = args[0][0].value
            w = 1 + decision * v
            return self.compose([v / w, 1 / w**2, -2 * decision / w**3, 6 / w**4], args[0])
        return self.either(Condition(decision, _undefined(args)), args[0], args[1])

    def either(self, condition: Condition, a: Jet, b: Jet) -> Jet:
        """a where the condition holds, else b; undefined where the condition is."""
        jet = [self.select(condition.holds, first, second) for first, second in zip(a, b, strict=True)]
        if not _any(condition.undefined):
            return jet
        undefined = Ball(self.field.nan, self.field.nan)
        return [self.select(condition.undefined, undefined, part) for part in jet]


def _any(flags: Any) -> bool:
    return bool(flags.any()) if hasattr(flags, "any") else bool(flags)


def _some(error: Any) -> bool:
    """Whether an error bound is not the plain 0 of an exact argument."""
    return getattr(error, "ndim", 0) > 0 or bool(error != 0)


# Functions that saturate exponentially, and the ends at which they do.
_FLAT: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("tanh", "sigmoid", "erf", "erfc"), (-1, 1)),
    **dict.fromkeys(("exp", "expm1", "softplus"), (-1,)),
}


# f, f', f'', f''' (or a bound of its size) at v.


def _exp(field: Field, v: Any) -> list[Any]:
    e = field.function("exp")(v)
    return [e, e, e, e]


def _expm1(field: Field, v: Any) -> list[Any]:
    e = field.function("exp")(v)
    return [field.function("expm1")(v), e, e, e]


def _log(field: Field, v: Any) -> list[Any]:
    log = field.function("log")(v)
    r = field.select(v >= 0, _inverse(v), log)  # nan below 0
    return [log, r, -r * r, 2 * r**3]


def _log1p(field: Field, v: Any) -> list[Any]:
    log = field.function("log1p")(v)
    r = field.select(v >= -1, _inverse(1 + v), log)
    return [log, r, -r * r, 2 * r**3]


def _sqrt(field: Field, v: Any) -> list[Any]:
    s = field.function("sqrt")(v)
    r = _inverse(s)
    return [s, r / 2, -r * r * r / 4, 3 * r**5 / 8]


def _sqrt1pm1(field: Field, v: Any) -> list[Any]:
    s = field.function("sqrt")(1 + v)
    r = _inverse(s)
    return [v / (1 + s), r / 2, -r * r * r / 4, 3 * r**5 / 8]


def _inverse(v: Any) -> Any:
    try:
        return 1 / v
    except ZeroDivisionError:  # many digits only
        return v.context.inf


def _sin(field: Field, v: Any) -> list[Any]:
    s, c = field.function("sin")(v), field.function("cos")(v)
    return [s, c, -s, -c]


def _cos(field: Field, v: Any) -> list[Any]:
    s, c = field.function("sin")(v), field.function("cos")(v)
    return [c, -s, -c, s]


def _tan(field: Field, v: Any) -> list[Any]:
    t = field.function("tan")(v)
    q = 1 + t * t
    return [t, q, 2 * t * q, 2 * q * (1 + 3 * t * t)]


def _sinh(field: Field, v: Any) -> list[Any]:
    s, c = field.function("sinh")(v), field.function("cosh")(v)
    return [s, c, s, c]


def _cosh(field: Field, v: Any) -> list[Any]:
    s, c = field.function("sinh")(v), field.function("cosh")(v)
    return [c, s, c, s]


def _tanh(field: Field, v: Any) -> list[Any]:
    t, s = field.function("tanh")(v), field.function("sech2")(v)
    return [t, s, -2 * t * s, 6 * s]


def _sech2(field: Field, v: Any) -> list[Any]:
    t, s = field.function("tanh")(v), field.function("sech2")(v)
    return [s, -2 * t * s, 2 * s * (2 * t * t - s), 16 * s]


def _tanhshrink(field: Field, v: Any) -> list[Any]:
    t, s = field.function("tanh")(v), field.function("sech2")(v)
    return [field.function("tanhshrink")(v), t * t, 2 * t * s, 6 * s]


def _logcosh(field: Field, v: Any) -> list[Any]:
    t, s = field.function("tanh")(v), field.function("sech2")(v)
    return [field.function("logcosh")(v), t, s, 2 * s]


def _sigmoid(field: Field, v: Any) -> list[Any]:
    slope = field.function("sigmoid_slope")(v)
    return [field.function("sigmoid")(v), slope, -slope * field.function("tanh")(v / 2), slope]


def _softplus(field: Field, v: Any) -> list[Any]:
    slope = field.function("sigmoid_slope")(v)
    return [field.function("softplus")(v), field.function("sigmoid")(v), slope, slope]


def _arcsin(field: Field, v: Any) -> list[Any]:
    r = _inverse(field.function("sqrt")((1 - v) * (1 + v)))
    return [field.function("arcsin")(v), r, v * r**3, (1 + 2 * v * v) * r**5]


def _arccos(field: Field, v: Any) -> list[Any]:
    r = _inverse(field.function("sqrt")((1 - v) * (1 + v)))
    return [field.function("arccos")(v), -r, -v * r**3, -(1 + 2 * v * v) * r**5]


def _arctan(field: Field, v: Any) -> list[Any]:
    q = 1 / (1 + v * v)
    return [field.function("arctan")(v), q, -2 * v * q * q, 8 * q * q]


def _arcsinh(field: Field, v: Any) -> list[Any]:
    r = 1 / field.function("hypot")(v, 1 + 0 * v)
    return [field.function("arcsinh")(v), r, -v * r**3, 3 * r**3]


def _arccosh(field: Field, v: Any) -> list[Any]:
    value = field.function("arccosh")(v)
    r = field.select(v >= 1, _inverse(field.function("sqrt")((v - 1) * (v + 1))), value)
    return [value, r, -v * r**3, (1 + 2 * v * v) * r**5]


def _arctanh(field: Field, v: Any) -> list[Any]:
    value = field.function("arctanh")(v)
    r = field.select(abs(v) <= 1, _inverse((1 - v) * (1 + v)), value)
    return [value, r, 2 * v * r * r, 8 * r**3]


def _erf(field: Field, v: Any) -> list[Any]:
    g = 2 / field.function("sqrt")(field.constant("pi")) * field.function("gauss")(v)
    return [field.function("erf")(v), g, -2 * v * g, (4 * v * v + 2) * g]


def _erfc(field: Field, v: Any) -> list[Any]:
    g = -2 / field.function("sqrt")(field.constant("pi")) * field.function("gauss")(v)
    return [field.function("erfc")(v), g, -2 * v * g, (4 * v * v + 2) * g]


_FUNCTIONS: dict[str, Callable[[Field, Any], list[Any]]] = {
    name[1:]: function
    for name, function in list(globals().items())
    if name
    in [
        "_exp",
        "_expm1",
        "_log",
        "_log1p",
        "_sqrt",
        "_sqrt1pm1",
        "_sin",
        "_cos",
        "_tan",
        "_sinh",
        "_cosh",
        "_tanh",
        "_sech2",
        "_tanhshrink",
        "_logcosh",
        "_sigmoid",
        "_softplus",
        "_arcsin",
        "_arccos",
        "_arctan",
        "_arcsinh",
        "_arccosh",
        "_arctanh",
        "_erf",
        "_erfc",
    ]
}


def _plusroot(field: Field, v: Any, c: Any) -> list[Any]:
    """v + √(v² + c)."""
    r = field.function("hypot")(v, field.function("sqrt")(c))
    f = field.select(v > 0, v + r, c / (r + abs(v)))
    q = 1 / r
    return [f, f * q, c * q**3, 3 * c * q**4]


def _isru(field: Field, v: Any, c: Any) -> list[Any]:
    """v/√(v² + c)."""
    q = 1 / field.function("hypot")(v, field.function("sqrt")(c))
    return [v * q, c * q**3, -3 * c * v * q**5, 15 * c * q**5]


_WITH_CONSTANT: dict[str, Callable[[Field, Any, Any], list[Any]]] = {"plusroot": _plusroot, "isru": _isru}
