"""Values with two derivatives, φ, φ', φ'', in ball arithmetic, real or complex."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flint

Ball = Any  # flint.arb (real) or flint.acb (complex): the same operations on both


@dataclass(frozen=True)
class Jet:
    """φ, φ' and φ'' at one point; `analytic` asks for a refusal (a NaN ball) where a ball touches a branch cut."""

    value: Ball
    first: Ball
    second: Ball
    analytic: bool = False

    def _lift(self, other: Any) -> Jet:
        if isinstance(other, Jet):
            return other
        zero = self.value * 0
        return Jet(zero + other, zero, zero, self.analytic)

    def __add__(self, other: Any) -> Jet:
        o = self._lift(other)
        return Jet(self.value + o.value, self.first + o.first, self.second + o.second, self.analytic)

    __radd__ = __add__

    def __neg__(self) -> Jet:
        return Jet(-self.value, -self.first, -self.second, self.analytic)

    def __sub__(self, other: Any) -> Jet:
        return self.__add__(-self._lift(other))

    def __rsub__(self, other: Any) -> Jet:
        return (-self).__add__(other)

    def __mul__(self, other: Any) -> Jet:
        o = self._lift(other)
        return Jet(
            self.value * o.value,
            self.first * o.value + self.value * o.first,
            self.second * o.value + 2 * self.first * o.first + self.value * o.second,
            self.analytic,
        )

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Jet:
        return self.__mul__(reciprocal(self._lift(other)))

    def __rtruediv__(self, other: Any) -> Jet:
        return reciprocal(self).__mul__(other)

    def compose(self, g: Ball, g1: Ball, g2: Ball) -> Jet:
        """The chain rule for g(self), given g and its derivatives at self.value."""
        return Jet(g, g1 * self.first, g2 * self.first * self.first + g1 * self.second, self.analytic)


def variable(x: Ball, analytic: bool = False) -> Jet:
    """The identity at x."""
    return Jet(x, x * 0 + 1, x * 0, analytic)


def _refused(x: Jet, on_cut: Callable[[Ball], bool]) -> bool:
    return x.analytic and isinstance(x.value, flint.acb) and on_cut(x.value)


def _on_negative_axis(z: Ball) -> bool:
    return not (z.real > 0) and bool(z.imag.contains(0))


def _on_arctan_cut(z: Ball) -> bool:
    return bool(z.real.contains(0)) and not (abs(z.imag) < 1)


def _nan(x: Jet) -> Jet:
    bad = x.value * flint.arb.nan()
    return Jet(bad, bad, bad, x.analytic)


def reciprocal(x: Jet) -> Jet:
    """1/x."""
    r = 1 / x.value
    return x.compose(r, -r * r, 2 * r * r * r)


def exp(x: Jet) -> Jet:
    """e**x."""
    e = x.value.exp()
    return x.compose(e, e, e)


def log(x: Jet) -> Jet:
    """The principal logarithm."""
    if _refused(x, _on_negative_axis):
        return _nan(x)
    r = 1 / x.value
    return x.compose(x.value.log(), r, -r * r)


def sqrt(x: Jet) -> Jet:
    """The principal square root."""
    if _refused(x, _on_negative_axis):
        return _nan(x)
    s = x.value.sqrt()
    return x.compose(s, 1 / (2 * s), -1 / (4 * s * x.value))


def arctan(x: Jet) -> Jet:
    """The principal inverse tangent."""
    if _refused(x, _on_arctan_cut):
        return _nan(x)
    d = 1 / (1 + x.value * x.value)
    return x.compose(x.value.atan(), d, -2 * x.value * d * d)


def tanh(x: Jet) -> Jet:
    """The hyperbolic tangent."""
    t = x.value.tanh()
    s = x.value.sech()
    return x.compose(t, s * s, -2 * t * s * s)


def erf(x: Jet) -> Jet:
    """The error function."""
    d = 2 / flint.arb.pi().sqrt() * (-x.value * x.value).exp()
    return x.compose(x.value.erf(), d, -2 * x.value * d)


def sin(x: Jet) -> Jet:
    """The sine."""
    s, c = x.value.sin(), x.value.cos()
    return x.compose(s, c, -s)


def cos(x: Jet) -> Jet:
    """The cosine."""
    s, c = x.value.sin(), x.value.cos()
    return x.compose(c, -s, -c)


def sigmoid(x: Jet) -> Jet:
    """1/(1 + e**-x), both tails without cancellation."""
    s, t = 1 / (1 + (-x.value).exp()), 1 / (1 + x.value.exp())
    return x.compose(s, s * t, s * t * (t - s))
