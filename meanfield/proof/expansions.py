"""Expressions far out: Σ C_i x^a (log x)^l exp(−p(x)), for all x ≥ X at once.

Each coefficient is an exact real number, a ball that holds a real number, or a ball that holds every value of some function of x ≥ X. The
terms are kept in falling order of size, so that the first one tells the sign. What is dropped is put into the ball of the last one kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cmp_to_key
from typing import Any

from meanfield.proof.balls import Ball, ProofError, ball, flint
from meanfield.proof.exact import PI, Exact
from meanfield.proof.jets import Jet

_MOST = 10  # terms kept
_ORDER = 6  # of a Taylor expansion in something small
_Exponent = tuple[tuple[Fraction, Exact], ...]  # of exp(Σ β x^j), falling j


@dataclass(frozen=True, slots=True)
class Size:
    """x^a (log x)^l exp(Σ β x^j)."""

    exponent: _Exponent = ()
    power: Fraction = Fraction(0)
    logs: int = 0

    def __mul__(self, other: Size) -> Size:
        total: dict[Fraction, Exact] = dict(self.exponent)
        for j, c in other.exponent:
            total[j] = total.get(j, Exact()) + c
        kept = tuple(sorted(((j, c) for j, c in total.items() if c.terms), key=lambda pair: -pair[0]))
        return Size(kept, self.power + other.power, self.logs + other.logs)

    def inverse(self) -> Size:
        """1/self."""
        return Size(tuple((j, -c) for j, c in self.exponent), -self.power, -self.logs)

    def at(self, x: Ball) -> Ball:
        """The value at x."""
        value = x ** ball(self.power) if self.power else flint.arb(1)
        if self.logs:
            value = value * x.log() ** self.logs
        for j, c in self.exponent:
            value = value * (c.ball() * x ** ball(j)).exp()
        return value

    def growth(self) -> list[tuple[Fraction, Ball]]:
        """x·d log/dx as Σ c x^d, the logarithms aside."""
        return [(j, c.ball() * ball(j)) for j, c in self.exponent] + [(Fraction(0), ball(self.power))]


UNIT = Size()


def falls_from(size: Size, x: Ball, extra: tuple[tuple[Fraction, Ball], ...] = ()) -> bool:
    """Whether size (times exp of the extra terms) falls on all of [x, ∞), x ≥ 3: by the sign of x·d log/dx."""
    parts: dict[Fraction, Ball] = {}
    for d, c in [*size.growth(), *((j, c * ball(j)) for j, c in extra)]:
        parts[d] = parts.get(d, flint.arb(0)) + c
    if size.logs > 0:  # l/log x
        parts[Fraction(0)] = parts[Fraction(0)] + size.logs / x.log()
    known = [(d, c) for d, c in sorted(parts.items(), reverse=True) if not c.is_zero()]
    if not known:
        return True
    top, leading = known[0]
    # For x' ≥ x: Σ c x'^d ≤ x'^top (c_top + Σ_{c > 0} c x^(d − top)).
    rest = sum((c.upper() * x ** ball(d - top) for d, c in known[1:] if not c <= 0), flint.arb(0))
    return bool(leading + rest <= 0)


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A ball, and the exact number that it is, if it is one."""

    ball: Ball
    exact: Exact | None = None

    def __mul__(self, other: Coefficient) -> Coefficient:
        both = None if self.exact is None or other.exact is None else self.exact * other.exact
        return Coefficient(self.ball * other.ball if both is None else both.ball(), both)

    def __add__(self, other: Coefficient) -> Coefficient:
        both = None if self.exact is None or other.exact is None else self.exact + other.exact
        return Coefficient(self.ball + other.ball if both is None else both.ball(), both)

    def __neg__(self) -> Coefficient:
        return Coefficient(-self.ball, None if self.exact is None else -self.exact)

    @property
    def vanishes(self) -> bool:
        """Whether it is 0 for certain."""
        return not self.exact.terms if self.exact is not None else bool(self.ball.is_zero())


@dataclass(frozen=True, slots=True)
class Expansion:
    """A function on [start, ∞)."""

    start: int
    terms: tuple[tuple[Size, Coefficient], ...] = ()

    def __add__(self, other: Expansion) -> Expansion:
        return collected(self.start, [*self.terms, *other.terms])

    def __neg__(self) -> Expansion:
        return Expansion(self.start, tuple((size, -c) for size, c in self.terms))

    def __sub__(self, other: Expansion) -> Expansion:
        return self + (-other)

    def __mul__(self, other: Expansion) -> Expansion:
        return collected(self.start, [(s * t, c * d) for s, c in self.terms for t, d in other.terms])

    def scaled(self, factor: Exact) -> Expansion:
        """The function times an exact number."""
        return self * Expansion(self.start, ((UNIT, Coefficient(factor.ball(), factor)),))

    def bound_beside(self, size: Size) -> Ball:
        """A ball that holds f/size on all of [start, ∞)."""
        x, inverse = flint.arb(self.start), size.inverse()
        total = flint.arb(0)
        for other, c in self.terms:
            ratio = other * inverse
            if ratio == UNIT:
                total = total + c.ball
            elif falls_from(ratio, x):
                total = total + c.ball * ratio.at(x).union(flint.arb(0))
            else:
                raise ProofError(f"the terms far out can't be compared from x = {self.start} on")
        return total

    def leading(self) -> tuple[Size, Coefficient]:
        """The first term."""
        return self.terms[0]

    def sign(self) -> int | None:
        """The sign on all of [start, ∞); None where it is not shown."""
        if not self.terms:
            return 0
        try:
            beside = self.bound_beside(self.terms[0][0])
        except ProofError:
            return None
        return 1 if beside > 0 else -1 if beside < 0 else None

    def is_small(self) -> Ball | None:
        """A bound below 1 of |f| on [start, ∞) where f → 0; None where there is none."""
        if not self.terms:
            return flint.arb(0)
        if any(not _vanishing(size) for size, _ in self.terms):
            return None
        try:
            bound = self.bound_beside(UNIT)
        except ProofError:
            return None
        return bound if bound.abs_upper() < 1 else None


def _vanishing(size: Size) -> bool:
    return _order(size, UNIT) < 0


def _order(a: Size, b: Size) -> int:
    """1 where a grows faster than b, −1 where slower."""
    ratio = a * b.inverse()
    for _, c in ratio.exponent:
        which = c.sign()
        if which is None:
            raise ProofError("two rates far out can't be told apart")
        return which
    if ratio.power:
        return 1 if ratio.power > 0 else -1
    return (ratio.logs > 0) - (ratio.logs < 0)


def _smaller_later(a: tuple[Size, Coefficient], b: tuple[Size, Coefficient]) -> int:
    return _order(b[0], a[0])


def collected(start: int, pairs: list[tuple[Size, Coefficient]]) -> Expansion:
    """The sum of terms: like ones together, largest first, the smallest in the ball of the last one kept."""
    total: dict[Size, Coefficient] = {}
    for size, c in pairs:
        total[size] = total[size] + c if size in total else c
    terms = [(size, c) for size, c in total.items() if not c.vanishes]
    terms.sort(key=cmp_to_key(_smaller_later))
    if len(terms) <= _MOST:
        return Expansion(start, tuple(terms))
    kept, (last, c) = terms[: _MOST - 1], terms[_MOST - 1]
    rest = Expansion(start, tuple(terms[_MOST:])).bound_beside(last)
    return Expansion(start, (*kept, (last, Coefficient(c.ball + rest))))


class Expansions:
    """The field of expansions on [start, ∞)."""

    def __init__(self, start: int) -> None:
        self.start = start

    @property
    def x(self) -> Expansion:
        """The variable."""
        return Expansion(self.start, ((Size(power=Fraction(1)), _exactly(1)),))

    def constant(self, value: Exact | None, at: Ball) -> Expansion:
        if not at.is_finite():
            raise ProofError("a constant of the formula is not finite")
        c = Coefficient(at, value)
        return Expansion(self.start, () if c.vanishes else ((UNIT, c),))

    def number(self, value: Fraction | int) -> Expansion:
        return self.constant(Exact.of(value), ball(Fraction(value)))

    def divided(self, a: Expansion, b: Expansion) -> Expansion:
        return a * self.power(b, Fraction(-1), flint.arb(-1))

    def split(self, f: Expansion) -> tuple[Size, Coefficient, Expansion, Ball]:
        """f = C·size·(1 + ε): size, C, ε and its bound."""
        if not f.terms:
            raise ProofError("division by an expression that vanishes far out")
        (size, c), rest = f.terms[0], Expansion(f.start, f.terms[1:])
        inverse = c.exact.inverse() if c.exact is not None else None
        if inverse is not None:
            factor = Coefficient(inverse.ball(), inverse)
        elif c.ball > 0 or c.ball < 0:
            factor = Coefficient(1 / c.ball)
        else:
            raise ProofError("the sign of a leading term is not known far out")
        epsilon = rest * Expansion(f.start, ((size.inverse(), factor),))
        bound = epsilon.is_small()
        if bound is None:
            raise ProofError(f"one term does not dominate from x = {self.start} on")
        return size, c, epsilon, bound

    def taylor(self, coefficients: list[Coefficient], remainder: Ball, epsilon: Expansion) -> Expansion:
        """Σ h_j ε^j + remainder·ε^J."""
        total, power = Expansion(self.start), self.number(1)
        for h in coefficients:
            if not h.vanishes:
                total = total + power * Expansion(self.start, ((UNIT, h),))
            power = power * epsilon
        return total + power * Expansion(self.start, ((UNIT, Coefficient(remainder)),))

    def series(self, which: Any, c: Ball, epsilon: Expansion, bound: Ball) -> Expansion:
        """h(c + ε) by the series of h at c, with Lagrange's remainder."""
        if not epsilon.terms:
            value = which(flint.arb_series([c, 1], prec=1))[0]
            return self.constant(None, value)
        at = which(flint.arb_series([c, 1], prec=_ORDER))
        around = which(flint.arb_series([c + bound.union(flint.arb(0)), 1], prec=_ORDER + 1))
        values = [at[j] for j in range(_ORDER)]
        if not all(value.is_finite() for value in [*values, around[_ORDER]]):
            raise ProofError("a function of the formula has no expansion far out")
        return self.taylor([Coefficient(value) for value in values], around[_ORDER], epsilon)

    def power(self, g: Expansion, exponent: Fraction | None, at: Ball) -> Expansion:
        if exponent is not None and exponent.denominator == 1 and 0 <= exponent <= 64:
            result = self.number(1)
            for _ in range(int(exponent)):
                result = result * g
            return result
        if exponent is None:
            raise ProofError("a power whose exponent is not a rational number")
        size, c, epsilon, bound = self.split(g)
        if exponent.denominator != 1 and not c.ball > 0:
            raise ProofError("a root of something negative far out")
        raised = _raised(c, exponent)
        factor, binomials = Fraction(1), []
        for j in range(_ORDER):
            binomials.append(_exactly(factor))
            factor = factor * (exponent - j) / (j + 1)
        # |ε| ≤ bound: the J-th coefficient of (1 + t)^p at t between 0 and ε.
        middle = 1 + bound.union(flint.arb(0))
        remainder = ball(factor) * (middle.log() * ball(exponent - _ORDER)).exp()
        outer = Size(tuple((j, b * Exact.of(exponent)) for j, b in size.exponent), size.power * exponent, 0)
        if size.logs:
            if exponent.denominator != 1:
                raise ProofError("a root of a logarithm far out")
            outer = Size(outer.exponent, outer.power, size.logs * int(exponent))
        return self.taylor(binomials, remainder, epsilon) * Expansion(self.start, ((outer, raised),))

    def parts(self, g: Expansion) -> tuple[Expansion, Coefficient, Expansion, Ball]:
        """g = what grows + a constant + ε."""
        growing = tuple((s, c) for s, c in g.terms if _order(s, UNIT) > 0)
        constant = next((c for s, c in g.terms if s == UNIT), _exactly(0))
        epsilon = Expansion(self.start, tuple((s, c) for s, c in g.terms if _vanishing(s)))
        bound = epsilon.is_small()
        if bound is None:
            raise ProofError(f"something does not vanish fast enough from x = {self.start} on")
        return Expansion(self.start, growing), constant, epsilon, bound

    def exp(self, g: Expansion) -> Expansion:
        growing, c, epsilon, bound = self.parts(g)
        if any(s.exponent or s.logs or k.exact is None for s, k in growing.terms):
            return self.far_below(growing, c, bound)
        size = Size(tuple((s.power, k.exact) for s, k in growing.terms if k.exact is not None))
        factor = Coefficient(flint.arb(1), Exact.of(1)) if c.vanishes else Coefficient(c.ball.exp())
        terms, one = [], Fraction(1)
        for j in range(_ORDER):
            terms.append(_exactly(one))
            one = one / (j + 1)
        remainder = ball(one) * bound.union(flint.arb(0)).exp()
        inner = self.taylor(terms, remainder, epsilon)
        return inner * Expansion(self.start, ((size, factor),))

    def far_below(self, growing: Expansion, c: Coefficient, bound: Ball) -> Expansion:
        """exp of what falls faster than every −n x: a ball on exp(−n x)."""
        if growing.sign() != -1:
            raise ProofError("an exponential grows in a way that is not followed")
        x = flint.arb(self.start)
        rate = growing.bound_beside(Size(power=Fraction(1))) if _order(Size(power=Fraction(1)), growing.leading()[0]) >= 0 else None
        if rate is None:  # growing/x falls without bound
            size = growing.leading()[0] * Size(power=Fraction(-1))
            if not falls_from(size.inverse(), x):
                raise ProofError(f"an exponential is not settled from x = {self.start} on")
            rate = growing.bound_beside(growing.leading()[0]) * size.at(x)
        n = int(-float(rate.upper())) if rate.upper() < -1 else 0
        if n < 1:
            raise ProofError("an exponential falls too slowly to be followed")
        top = (c.ball + bound).exp()
        size = Size(((Fraction(1), Exact.of(-n)),))
        return Expansion(self.start, ((size, Coefficient(top.union(flint.arb(0)))),))

    def log(self, g: Expansion) -> Expansion:
        size, c, epsilon, bound = self.split(g)
        if size.logs or not c.ball > 0:
            raise ProofError("a logarithm that is not followed far out")
        terms = [(Size(power=j), Coefficient(b.ball(), b)) for j, b in size.exponent]
        if size.power:
            terms.append((Size(logs=1), _exactly(size.power)))
        if c.exact != Exact.of(1):
            terms.append((UNIT, Coefficient(c.ball.log())))
        coefficients = [_exactly(0)] + [_exactly(Fraction((-1) ** (j + 1), j)) for j in range(1, _ORDER)]
        middle = 1 + bound.union(flint.arb(0))
        remainder = flint.arb((-1) ** (_ORDER + 1)) / (_ORDER * middle**_ORDER)
        return collected(self.start, terms) + self.taylor(coefficients, remainder, epsilon)

    def bounded(self, low: int, high: int) -> Expansion:
        """Any function with values in [low, high]."""
        return Expansion(self.start, ((UNIT, Coefficient(flint.arb(low).union(flint.arb(high)))),))

    def function(self, op: str, g: Expansion, order: int) -> Jet:
        jet: Jet = getattr(self, f"_{op}")(g)
        return jet[: order + 1]

    def diverges(self, g: Expansion) -> int:
        """±1 where g → ±∞, 0 where it stays finite."""
        if not g.terms or _order(g.terms[0][0], UNIT) <= 0:
            return 0
        which = g.sign()
        if which is None:
            raise ProofError(f"where an argument goes is not settled from x = {self.start} on")
        return which

    def times(self, n: Fraction | int, f: Expansion) -> Expansion:
        return f.scaled(Exact.of(n))

    def _exp(self, g: Expansion) -> Jet:
        e = self.exp(g)
        return [e, e, e]

    def _expm1(self, g: Expansion) -> Jet:
        e = self.exp(g)
        return [e - self.number(1), e, e]

    def _log(self, g: Expansion) -> Jet:
        r = self.power(g, Fraction(-1), flint.arb(-1))
        return [self.log(g), r, -(r * r)]

    def _log1p(self, g: Expansion) -> Jet:
        return self._log(g + self.number(1))

    def _sqrt(self, g: Expansion) -> Jet:
        half = Fraction(1, 2)
        values = [self.power(g, half - k, flint.arb(0)) for k in range(3)]
        return [values[0], self.times(half, values[1]), self.times(Fraction(-1, 4), values[2])]

    def _sin(self, g: Expansion) -> Jet:
        s, c = self.wave(g)
        return [s, c, -s]

    def _cos(self, g: Expansion) -> Jet:
        s, c = self.wave(g)
        return [c, -s, -c]

    def wave(self, g: Expansion) -> tuple[Expansion, Expansion]:
        """sin g and cos g."""
        growing, c, epsilon, bound = self.parts(g)
        if growing.terms:
            return self.bounded(-1, 1), self.bounded(-1, 1)
        return self.series(lambda s: s.sin(), c.ball, epsilon, bound), self.series(lambda s: s.cos(), c.ball, epsilon, bound)

    def _tan(self, g: Expansion) -> Jet:
        return self.by_series(g, lambda s: s.tan())

    def by_series(self, g: Expansion, h: Any) -> Jet:
        """h, h', h'' of an argument that stays finite."""
        growing, c, epsilon, bound = self.parts(g)
        if growing.terms:
            raise ProofError("a function of an argument that grows is not followed")
        found = []
        for k in range(3):

            def derived(s: Any, k: int = k) -> Any:
                value = h(flint.arb_series([s[0], 1], prec=s.prec + k))
                for _ in range(k):
                    value = value.derivative()
                return value

            found.append(self.series(derived, c.ball, epsilon, bound))
        return found

    def _sinh(self, g: Expansion) -> Jet:
        e, f = self.exp(g), self.exp(-g)
        s, c = self.times(Fraction(1, 2), e - f), self.times(Fraction(1, 2), e + f)
        return [s, c, s]

    def _cosh(self, g: Expansion) -> Jet:
        s, c, _ = self._sinh(g)
        return [c, s, c]

    def _tanh(self, g: Expansion) -> Jet:
        side = self.diverges(g)
        if not side:
            # tanh has no series in python-flint: by e^(2g), whose sums have positive terms.
            e = self.exp(self.times(2, g))
            bottom = self.power(e + self.number(1), Fraction(-1), flint.arb(-1))
            t, s = (e - self.number(1)) * bottom, self.times(4, e * bottom * bottom)
        else:
            e = self.exp(self.times(-2 * side, g))
            bottom = self.power(e + self.number(1), Fraction(-1), flint.arb(-1))
            t, s = self.times(side, self.number(1) - self.times(2, e * bottom)), self.times(4, e * bottom * bottom)
        return [t, s, self.times(-2, t * s)]

    def _sigmoid(self, g: Expansion) -> Jet:
        side = self.diverges(g)
        e = self.exp(self.times(-1 if side >= 0 else 1, g))
        bottom = self.power(e + self.number(1), Fraction(-1), flint.arb(-1))
        value = bottom if side >= 0 else e * bottom
        slope = e * bottom * bottom
        half = (self.number(1) - e) * bottom if side >= 0 else (e - self.number(1)) * bottom  # tanh(g/2)
        return [value, slope, -(slope * half)]

    def _softplus(self, g: Expansion) -> Jet:
        side = self.diverges(g)
        value, slope, _ = self._sigmoid(g)
        if side > 0:
            return [g + self.log(self.exp(-g) + self.number(1)), value, slope]
        return [self.log(self.exp(g) + self.number(1)), value, slope]

    def _arctan(self, g: Expansion) -> Jet:
        side = self.diverges(g)
        r = self.power(g * g + self.number(1), Fraction(-1), flint.arb(-1))
        slopes = [r, self.times(-2, g * r * r)]
        if not side:
            growing, c, epsilon, bound = self.parts(g)
            del growing
            return [self.series(lambda s: s.atan(), c.ball, epsilon, bound), *slopes]
        small = self.power(g, Fraction(-1), flint.arb(-1))
        bound = small.is_small()
        if bound is None:
            raise ProofError(f"an arctan is not settled from x = {self.start} on")
        coefficients = [_exactly(Fraction((-1) ** (j // 2), j) if j % 2 else 0) for j in range(_ORDER)]
        around = flint.arb_series([bound.union(flint.arb(0)), 1], prec=_ORDER + 1).atan()[_ORDER]
        limit = PI * Exact.of(Fraction(side, 2))
        return [self.constant(limit, limit.ball()) - self.taylor(coefficients, around, small), *slopes]

    def _arcsinh(self, g: Expansion) -> Jet:
        side = self.diverges(g)
        square = g * g + self.number(1)
        r = self.power(square, Fraction(-1, 2), flint.arb(0))
        slopes = [r, -(g * r * r * r)]
        if not side:
            growing, c, epsilon, bound = self.parts(g)
            del growing
            return [self.series(lambda s: (s + (s * s + 1).sqrt()).log(), c.ball, epsilon, bound), *slopes]
        size = self.times(side, g)
        return [self.times(side, self.log(size + self.power(square, Fraction(1, 2), flint.arb(0)))), *slopes]

    def _arccosh(self, g: Expansion) -> Jet:
        square = g * g - self.number(1)
        r = self.power(square, Fraction(-1, 2), flint.arb(0))
        return [self.log(g + self.power(square, Fraction(1, 2), flint.arb(0))), r, -(g * r * r * r)]

    def _arcsin(self, g: Expansion) -> Jet:
        return self.by_series(g, lambda s: s.asin())

    def _arccos(self, g: Expansion) -> Jet:
        return self.by_series(g, lambda s: s.acos())

    def _arctanh(self, g: Expansion) -> Jet:
        return self.by_series(g, lambda s: ((1 + s) / (1 - s)).log() / 2)

    def _erfc(self, g: Expansion) -> Jet:
        side = self.diverges(g)
        if not side:
            return self.by_series(g, lambda s: s.erfc())
        positive = g if side > 0 else -g
        square = g * g
        bell = self.exp(-square) * self.constant(None, 1 / flint.arb.pi().sqrt())
        # √π z e^(z²) erfc z = 1 − 1/(2z²) + 3/(4z⁴) − …, each partial sum on the other side of the value.
        inverse = self.power(square, Fraction(-1), flint.arb(-1))
        total, power, factor = self.number(1), self.number(1), Fraction(1)
        for j in range(1, 4):
            power, factor = power * inverse, factor * Fraction(1 - 2 * j, 2)
            total = total + self.times(factor, power)
        power, factor = power * inverse, factor * Fraction(-7, 2)
        total = total + self.times(factor, power) * self.bounded(0, 1)
        value = bell * self.divided(total, positive)
        slope = self.times(-2, bell)
        if side < 0:
            value = self.number(2) - value
        return [value, slope, self.times(-2, g * slope)]

    def _erf(self, g: Expansion) -> Jet:
        value, slope, curvature = self._erfc(g)
        return [self.number(1) - value, -slope, -curvature]


def _exactly(value: Fraction | int) -> Coefficient:
    return Coefficient(ball(Fraction(value)), Exact.of(value))


def _raised(c: Coefficient, exponent: Fraction) -> Coefficient:
    if exponent.denominator == 1:
        n = abs(int(exponent))
        value = _exactly(1)
        for _ in range(n):
            value = value * c
        if exponent >= 0:
            return value
        inverse = value.exact.inverse() if value.exact is not None else None
        return Coefficient(1 / value.ball) if inverse is None else Coefficient(inverse.ball(), inverse)
    if exponent.denominator == 2 and c.exact is not None:
        root = c.exact.root()
        if root is not None:
            return _raised(Coefficient(root.ball(), root), Fraction(exponent.numerator))
    return Coefficient((c.ball.log() * ball(exponent)).exp())
