"""The two kinds of numbers that formulas are evaluated in: arrays of doubles, and single numbers of many digits.

Both offer the same elementary operations, so that one set of rules (jets.py) serves both.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Protocol, cast

import numpy as np

from meanfield.activations.catalogue import stable


class Field(Protocol):
    """What the rules ask of a kind of number. Values are untyped: arrays here, mpmath numbers there."""

    eps: Any
    tiny: Any
    nan: Any
    flat: Any  # exp(−v) and all that it is multiplied by is 0 beyond this v

    def rational(self, value: Fraction) -> Any:
        """The number nearest to a fraction."""

    def constant(self, name: str) -> Any:
        """π or e."""

    def function(self, name: str) -> Callable[..., Any]:
        """An elementary function by name."""

    def select(self, condition: Any, a: Any, b: Any) -> Any:
        """a where the condition holds, else b."""


class Doubles:
    """Arrays of double precision."""

    eps = np.float64(2.0**-52)
    tiny = np.float64(5e-324)
    nan = np.float64(np.nan)
    flat = np.float64(1e4)

    def rational(self, value: Fraction) -> Any:
        try:
            return np.float64(value.numerator / value.denominator)
        except OverflowError:
            return np.float64(np.inf if value > 0 else -np.inf)

    def constant(self, name: str) -> Any:
        return np.float64({"pi": np.pi, "e": np.e}[name])

    def function(self, name: str) -> Callable[..., Any]:
        return _double_function(name)

    def select(self, condition: Any, a: Any, b: Any) -> Any:
        return np.where(condition, a, b)


@functools.cache
def _double_function(name: str) -> Callable[..., Any]:
    if name in ("erf", "erfc"):
        from scipy import special

        if name == "erf":
            return cast("Callable[..., Any]", special.erf)
        return _erfc
    own: dict[str, Callable[..., Any]] = {
        "sigmoid": stable.sigmoid,
        "sigmoid_slope": stable.sigmoid_slope,
        "softplus": stable.softplus,
        "sech2": stable.sech_squared,
        "tanhshrink": stable.tanh_deficit,
        "gauss": stable.exp_minus_square,
        "logcosh": _logcosh,
        "power": np.power,
    }
    return own[name] if name in own else getattr(np, name)


def _erfc(x: Any) -> Any:
    from scipy import special

    far = np.asarray(x) > 1.0
    z = np.where(far, x, 1.0)
    return np.where(far, special.erfcx(z) * stable.exp_minus_square(z), special.erfc(x))


def _logcosh(x: Any) -> Any:
    size = np.abs(x)
    near = np.log1p(2.0 * np.sinh(0.5 * np.minimum(size, 2.0)) ** 2)
    return np.where(size < 1.0, near, size + np.log1p(np.exp(-2.0 * size)) - np.log(2.0))


class ManyDigits:
    """Single numbers of mpmath at a chosen precision. Not for use by two threads at once."""

    # Exponentials beyond e^(±10⁷) are held there: far beyond doubles, and still cheap.
    _far = 10**7

    def __init__(self) -> None:
        from mpmath import MPContext

        self.context: Any = MPContext()
        self.set_precision(160)

    def set_precision(self, bits: int) -> None:
        """Work with that many bits from now on."""
        self.context.prec = bits
        self.eps = self.context.ldexp(1, 1 - bits)
        self.tiny = self.context.mpf(0)
        self.nan = self.context.nan
        self.flat = self.context.ldexp(1, 10**12)  # a power or a logarithm may bring it back: nothing is flat but ∞

    def rational(self, value: Fraction) -> Any:
        return self.context.mpf(value.numerator) / value.denominator

    def constant(self, name: str) -> Any:
        return +self.context.pi if name == "pi" else +self.context.e

    def select(self, condition: Any, a: Any, b: Any) -> Any:
        return a if condition else b

    def function(self, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(self, f"_{name}", None) or self._guarded(name)
        return function

    def _guarded(self, name: str) -> Callable[..., Any]:
        c = self.context
        plain: Callable[..., Any] = {
            "abs": abs,
            "arcsin": c.asin,
            "arccos": c.acos,
            "arctan": c.atan,
            "arcsinh": c.asinh,
            "arccosh": c.acosh,
            "arctanh": c.atanh,
        }.get(name) or getattr(c, name)

        def guarded(v: Any) -> Any:
            if not c.isfinite(v):
                return c.nan
            if name in ("sin", "cos", "tan") and c.mag(v) > 20_000:
                return c.nan
            try:
                result = plain(v)
            except (ValueError, ZeroDivisionError):
                return c.nan
            return c.nan if isinstance(result, c.mpc) else result

        return guarded

    def _exp(self, v: Any) -> Any:
        if not self.context.isfinite(v):
            return self.context.nan
        return self.context.exp(min(max(v, -self._far), self._far))

    def _expm1(self, v: Any) -> Any:
        if not self.context.isfinite(v):
            return self.context.nan
        return self.context.expm1(v) if abs(v) < self._far else self._exp(v) - 1

    def _log(self, v: Any) -> Any:
        c = self.context
        if v == 0:
            return -c.inf
        return c.log(v) if c.isfinite(v) and v > 0 else c.nan

    def _log1p(self, v: Any) -> Any:
        c = self.context
        if not c.isfinite(v) or v <= -1:
            return -c.inf if v == -1 else c.nan
        return c.log1p(v)

    def _sqrt(self, v: Any) -> Any:
        return self.context.sqrt(v) if self.context.isfinite(v) and v >= 0 else self.context.nan

    def _sinh(self, v: Any) -> Any:
        return self.context.sinh(v) if abs(v) < self._far else (self._exp(v) - self._exp(-v)) / 2

    def _cosh(self, v: Any) -> Any:
        return self.context.cosh(v) if abs(v) < self._far else (self._exp(v) + self._exp(-v)) / 2

    def _tanh(self, v: Any) -> Any:
        return self.context.tanh(v) if abs(v) < self._far else self.context.sign(v)

    def _sech2(self, v: Any) -> Any:
        t = self._decay(2 * abs(v))
        return 4 * t / (1 + t) ** 2

    def _decay(self, v: Any) -> Any:
        """exp(−v) for v ≥ 0; beyond reach so small that no power of a held exponential brings it back."""
        return self.context.exp(-v) if v < self._far else self.context.ldexp(1, -(10**12)) if v == v else v

    def _sigmoid(self, v: Any) -> Any:
        t = self._decay(abs(v))
        return (1 if v >= 0 else t) / (1 + t)

    def _sigmoid_slope(self, v: Any) -> Any:
        t = self._decay(abs(v))
        return t / (1 + t) ** 2

    def _softplus(self, v: Any) -> Any:
        return (v if v > 0 else 0) + self.context.log1p(self._decay(abs(v)))

    def _tanhshrink(self, v: Any) -> Any:
        c = self.context
        if not c.isfinite(v) or abs(v) >= 1:
            return v - self._tanh(v)
        with c.extraprec(max(0, -3 * int(c.mag(v))) + 10 if v else 0):
            return v - c.tanh(v)

    def _logcosh(self, v: Any) -> Any:
        size = abs(v)
        if size > 1:
            return size + self.context.log1p(self._decay(2 * size)) - self.context.ln2
        return self.context.log1p(2 * self.context.sinh(size / 2) ** 2)

    def _gauss(self, v: Any) -> Any:
        return self._decay(v * v)

    def _erf(self, v: Any) -> Any:
        c = self.context
        if not c.isfinite(v) or abs(v) < 3:
            return c.erf(v) if c.isfinite(v) else c.nan
        # 1 − erfc(|v|), of which the small part needs the fewer digits the smaller it is: up to 200 times as fast.
        size = float(min(abs(v), 10**5))
        bits = c.prec - int(1.4426 * size * size) + 20
        if bits > 0:
            with c.workprec(bits):
                rest = c.erfc(abs(v))
        else:
            rest = self._decay(v * v)
        return (1 - rest) * (1 if v > 0 else -1)

    def _hypot(self, a: Any, b: Any) -> Any:
        return self.context.sqrt(a * a + b * b)

    def _power(self, v: Any, n: Any) -> Any:
        c = self.context
        if not (c.isfinite(v) and c.isfinite(n)):
            return c.nan
        if v == 0:
            return c.mpf(1) if n == 0 else c.mpf(0) if n > 0 else c.inf
        whole = n == int(n)
        if (v < 0 and not whole) or abs(n) > 10**6:
            return c.nan
        return v ** int(n) if whole else c.power(v, n)
