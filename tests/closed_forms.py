"""Gaussian expectations of some activations in closed form, at any precision (mpmath).

Independent of the package under test. Arguments are anything mpmath reads exactly: an mpf, an int, a decimal string.
u and v are normal with variances q1, q2 and correlation c. Sources: arc-sine law for sign and erf, Cho and Saul for
relu, Stein's and Price's identities for the rest (derived beside each).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mpmath import mp, mpf

Real = Any  # mpmath.mpf; mpmath has no type hints


class ClosedForm:
    """What each activation answers; `orders` are the k with V[φ⁽ᵏ⁾] finite, `covariance_orders` those of C."""

    orders: tuple[int, ...] = (0, 1, 2)
    covariance_orders: tuple[int, ...] = (0, 1)

    def phi(self, x: Real, order: int = 0) -> Real:
        """φ⁽ᵏ⁾(x) almost everywhere, for checks by integration."""
        raise NotImplementedError

    @property
    def breaks(self) -> tuple[Real, ...]:
        """Where φ or φ' is not smooth."""
        return ()

    def covariance(self, q1: Real, q2: Real, c: Real, order: int = 0) -> Real:
        """C[φ⁽ᵏ⁾](q1, q2, c)."""
        raise NotImplementedError

    def second_moment(self, q: Real, order: int = 0) -> Real:
        """V[φ⁽ᵏ⁾](q)."""
        return self.covariance(q, q, 1, order)

    def mean(self, q: Real) -> Real:
        """E[φ(√q Z)]."""
        raise NotImplementedError

    def variance_slope(self, q: Real) -> Real:
        """dV/dq."""
        raise NotImplementedError

    def decorrelation(self, q: Real, epsilon: Real) -> Real:
        """V(q) − C(q, q, 1 − ε), with as many more digits as the subtraction takes."""
        lost = max(0, -int(mp.log10(mpf(epsilon))))
        with _more_digits(2 * lost + 10):
            return self.second_moment(q) - self.covariance(q, q, 1 - mpf(epsilon))


@contextmanager
def _more_digits(extra: int) -> Iterator[None]:
    with mp.workdps(mp.dps + extra):
        yield


def _r(q1: Real, q2: Real, c: Real) -> Real:
    return mpf(c) * mp.sqrt(mpf(q1) * mpf(q2))


def _asin(c: Real) -> Real:
    """arcsin, where rounding may have carried an argument of modulus 1 past 1."""
    return mp.asin(max(mpf(-1), min(mpf(1), mpf(c))))


@dataclass(frozen=True)
class TwoSlopes(ClosedForm):
    """right·x for x > 0, left·x for x ≤ 0: relu, leaky relu, linear, abs."""

    right: str
    left: str

    @property
    def orders(self) -> tuple[int, ...]:  # type: ignore[override]
        return (0, 1, 2) if self.right == self.left else (0, 1)

    @property
    def breaks(self) -> tuple[Real, ...]:
        return (mpf(0),)

    def phi(self, x: Real, order: int = 0) -> Real:
        slope = mpf(self.right) if x > 0 else mpf(self.left)
        return (slope * x, slope, mpf(0))[order]

    def covariance(self, q1: Real, q2: Real, c: Real, order: int = 0) -> Real:
        # φ = s·x + d·|x|; the cross terms vanish by parity
        s, d = (mpf(self.right) + mpf(self.left)) / 2, (mpf(self.right) - mpf(self.left)) / 2
        c = mpf(c)
        if order == 2:
            return mpf(0)
        if order == 1:
            return s**2 + d**2 * 2 / mp.pi * _asin(c)
        arc = 2 / mp.pi * (mp.sqrt(1 - c**2) + c * _asin(c))
        return mp.sqrt(mpf(q1) * mpf(q2)) * (s**2 * c + d**2 * arc)

    def mean(self, q: Real) -> Real:
        return (mpf(self.right) - mpf(self.left)) / 2 * mp.sqrt(2 * mpf(q) / mp.pi)

    def variance_slope(self, q: Real) -> Real:
        return (mpf(self.right) ** 2 + mpf(self.left) ** 2) / 2


@dataclass(frozen=True)
class Erf(ClosedForm):
    """erf(x)."""

    def phi(self, x: Real, order: int = 0) -> Real:
        slope = 2 / mp.sqrt(mp.pi) * mp.exp(-(x**2))
        return mp.erf(x) if order == 0 else slope if order == 1 else -2 * x * slope

    def covariance(self, q1: Real, q2: Real, c: Real, order: int = 0) -> Real:
        product, r = (1 + 2 * mpf(q1)) * (1 + 2 * mpf(q2)), _r(q1, q2, c)
        if order == 0:
            return 2 / mp.pi * mp.asin(2 * r / mp.sqrt(product))
        return 4 / mp.pi / mp.sqrt(product - 4 * r**2)

    def second_moment(self, q: Real, order: int = 0) -> Real:
        q = mpf(q)
        return 16 / mp.pi * q / (1 + 4 * q) ** mpf(1.5) if order == 2 else self.covariance(q, q, 1, order)

    def mean(self, q: Real) -> Real:
        return mpf(0)

    def variance_slope(self, q: Real) -> Real:
        q = mpf(q)
        return 4 / mp.pi / ((1 + 2 * q) * mp.sqrt(1 + 4 * q))


@dataclass(frozen=True)
class Wave(ClosedForm):
    """sin(frequency·x), or cos with `even`."""

    frequency: str = "1"
    even: bool = False

    def phi(self, x: Real, order: int = 0) -> Real:
        a = mpf(self.frequency)
        return a**order * mp.sin(a * x + (order + self.even) * mp.pi / 2)

    def covariance(self, q1: Real, q2: Real, c: Real, order: int = 0) -> Real:
        a = mpf(self.frequency)
        # e^{−a²(q1+q2)/2} sinh(a² r): as a difference of exponentials, which neither overflows nor, at tiny q, loses
        r, half = a**2 * _r(q1, q2, c), a**2 * (mpf(q1) + mpf(q2)) / 2
        even = self.even if order % 2 == 0 else not self.even
        if even:
            return a ** (2 * order) * (mp.exp(r - half) + mp.exp(-r - half)) / 2
        return a ** (2 * order) * mp.exp(-abs(r) - half) * mp.expm1(2 * abs(r)) / 2 * mp.sign(r)

    def mean(self, q: Real) -> Real:
        return mp.exp(-(mpf(self.frequency) ** 2) * mpf(q) / 2) if self.even else mpf(0)

    def variance_slope(self, q: Real) -> Real:
        a2 = mpf(self.frequency) ** 2
        return (-1 if self.even else 1) * a2 * mp.exp(-2 * a2 * mpf(q))


@dataclass(frozen=True)
class GaussianBump(ClosedForm):
    """exp(−x²)."""

    def phi(self, x: Real, order: int = 0) -> Real:
        return (1, -2 * x, 4 * x**2 - 2)[order] * mp.exp(-(x**2))

    def covariance(self, q1: Real, q2: Real, c: Real, order: int = 0) -> Real:
        r = _r(q1, q2, c)
        determinant = (1 + 2 * mpf(q1)) * (1 + 2 * mpf(q2)) - 4 * r**2
        return 1 / mp.sqrt(determinant) if order == 0 else 4 * r / determinant ** mpf(1.5)

    def second_moment(self, q: Real, order: int = 0) -> Real:
        q = mpf(q)
        if order < 2:
            return self.covariance(q, q, 1, order)
        s = q / (1 + 4 * q)  # the variance under the weight e^{−2x²}
        return (48 * s**2 - 16 * s + 4) / mp.sqrt(1 + 4 * q)

    def mean(self, q: Real) -> Real:
        return 1 / mp.sqrt(1 + 2 * mpf(q))

    def variance_slope(self, q: Real) -> Real:
        return -2 / (1 + 4 * mpf(q)) ** mpf(1.5)


@dataclass(frozen=True)
class Exponential(ClosedForm):
    """exp(x)."""

    def phi(self, x: Real, order: int = 0) -> Real:
        return mp.exp(x)

    def covariance(self, q1: Real, q2: Real, c: Real, order: int = 0) -> Real:
        return mp.exp((mpf(q1) + mpf(q2)) / 2 + _r(q1, q2, c))

    def mean(self, q: Real) -> Real:
        return mp.exp(mpf(q) / 2)

    def variance_slope(self, q: Real) -> Real:
        return 2 * mp.exp(2 * mpf(q))


@dataclass(frozen=True)
class Polynomial(ClosedForm):
    """Σ coefficients[i] xⁱ."""

    coefficients: tuple[str, ...]

    def _derivative(self, order: int) -> list[Real]:
        a = [mpf(c) for c in self.coefficients]
        for _ in range(order):
            a = [i * c for i, c in enumerate(a)][1:]
        return a

    def phi(self, x: Real, order: int = 0) -> Real:
        return mp.fsum(c * mpf(x) ** i for i, c in enumerate(self._derivative(order)))

    def covariance(self, q1: Real, q2: Real, c: Real, order: int = 0) -> Real:
        a = self._derivative(order)
        return mp.fsum(a[i] * a[j] * _mixed_moment(i, j, q1, q2, c) for i in range(len(a)) for j in range(len(a)))

    def mean(self, q: Real) -> Real:
        return mp.fsum(c * _mixed_moment(i, 0, q, q, 1) for i, c in enumerate(self._derivative(0)))

    def variance_slope(self, q: Real) -> Real:
        # dV/dq = E[φ'² + φφ'']
        a, b = self._derivative(0), self._derivative(2)
        cross = mp.fsum(a[i] * b[j] * _mixed_moment(i + j, 0, q, q, 1) for i in range(len(a)) for j in range(len(b)))
        return self.second_moment(q, 1) + cross


def _mixed_moment(i: int, j: int, q1: Real, q2: Real, c: Real) -> Real:
    """E[uⁱ vʲ], the sum over pairings with k links between u and v."""
    if (i + j) % 2:
        return mpf(0)
    total = mpf(0)
    for k in range(i % 2, min(i, j) + 1, 2):
        left, right = (i - k) // 2, (j - k) // 2
        pairings = mp.factorial(i) * mp.factorial(j) / (mp.factorial(k) * mp.factorial(left) * mp.factorial(right))
        total += pairings * mpf(c) ** k / mpf(2) ** (left + right)
    return total * mp.sqrt(mpf(q1)) ** i * mp.sqrt(mpf(q2)) ** j


@dataclass(frozen=True)
class Step(ClosedForm):
    """low for x < 0, high for x > 0: sign and heaviside. V[φ'] is infinite; C[φ'] is the density at (0, 0) times the jump squared."""

    low: str
    high: str
    orders = (0,)

    @property
    def breaks(self) -> tuple[Real, ...]:
        return (mpf(0),)

    def phi(self, x: Real, order: int = 0) -> Real:
        return (mpf(self.high) if x > 0 else mpf(self.low)) if order == 0 else mpf(0)

    def covariance(self, q1: Real, q2: Real, c: Real, order: int = 0) -> Real:
        middle, half = (mpf(self.high) + mpf(self.low)) / 2, (mpf(self.high) - mpf(self.low)) / 2
        if order == 1:
            return 2 * half**2 / (mp.pi * mp.sqrt(mpf(q1) * mpf(q2) * (1 - mpf(c) ** 2)))
        return middle**2 + half**2 * 2 / mp.pi * _asin(c)

    def mean(self, q: Real) -> Real:
        return (mpf(self.high) + mpf(self.low)) / 2

    def variance_slope(self, q: Real) -> Real:
        return mpf(0)


@dataclass(frozen=True)
class Gelu(ClosedForm):
    """x Φ(x), the exact form. With r = c√(q1 q2), P = E[Φ(u)Φ(v)], N = E[n(u)n(v)]; Stein's identity gives the rest."""

    def phi(self, x: Real, order: int = 0) -> Real:
        n = mp.npdf(x)
        return (x * mp.ncdf(x), mp.ncdf(x) + x * n, (2 - x**2) * n)[order]

    def covariance(self, q1: Real, q2: Real, c: Real, order: int = 0) -> Real:
        a, b, r = 1 + mpf(q1), 1 + mpf(q2), _r(q1, q2, c)
        determinant = a * b - r**2
        p = mpf(1) / 4 + mp.asin(r / mp.sqrt(a * b)) / (2 * mp.pi)
        n = 1 / (2 * mp.pi * mp.sqrt(determinant))
        if order == 0:
            return r * p + n * (mpf(q1) * mpf(q2) - r**2 + r**2 / a + r**2 / b)
        return p + r * n * (1 / a + 1 / b + 1 / determinant)

    def second_moment(self, q: Real, order: int = 0) -> Real:
        q = mpf(q)
        if order < 2:
            return self.covariance(q, q, 1, order)
        s = q / (1 + 2 * q)  # the variance under the weight n²
        return (4 - 4 * s + 3 * s**2) / (2 * mp.pi * mp.sqrt(1 + 2 * q))

    def mean(self, q: Real) -> Real:
        return mpf(q) / mp.sqrt(2 * mp.pi * (1 + mpf(q)))

    def variance_slope(self, q: Real) -> Real:
        # E[φ'²] + E[φφ'']; E[xΦn] and E[x³Φn] by Stein's identity
        q = mpf(q)
        n = 1 / (2 * mp.pi * mp.sqrt(1 + 2 * q))
        first = q * n / (1 + q)
        third = q / (1 + q) * (2 * first + n * q / (1 + 2 * q))
        return self.second_moment(q, 1) + 2 * first - third


@dataclass(frozen=True)
class PiecewisePolynomial(ClosedForm):
    """A polynomial between neighbouring cuts: one-input moments only, from truncated normal moments.

    `kind` is "smooth", "kink" or "jump": the highest finite k of V[φ⁽ᵏ⁾] is 2, 1 or 0.
    """

    cuts: tuple[str, ...]
    polynomials: tuple[tuple[str, ...], ...]
    kind: str = "kink"
    covariance_orders = ()

    @property
    def orders(self) -> tuple[int, ...]:  # type: ignore[override]
        return {"smooth": (0, 1, 2), "kink": (0, 1), "jump": (0,)}[self.kind]

    @property
    def breaks(self) -> tuple[Real, ...]:
        return tuple(mpf(c) for c in self.cuts)

    def phi(self, x: Real, order: int = 0) -> Real:
        return Polynomial(self.polynomials[sum(x > b for b in self.breaks)]).phi(x, order)

    def _expect(self, q: Real, power: int, order: int, times: tuple[Real, ...] = (1,)) -> Real:
        """E[φ⁽ᵏ⁾(x)^power · Σ times[i] xⁱ]; 80 more digits for what the far tail cancels."""
        with _more_digits(80):
            q = mpf(q)
            ends = (-mp.inf, *self.breaks, mp.inf)
            total = mpf(0)
            for low, high, text in zip(ends, ends[1:], self.polynomials, strict=False):
                a = [mpf(t) for t in times]
                for _ in range(power):
                    a = _product(a, Polynomial(text)._derivative(order))
                moments = _truncated_moments(low, high, q, len(a))
                total += mp.fsum(x * m for x, m in zip(a, moments, strict=False))
        return +total

    def second_moment(self, q: Real, order: int = 0) -> Real:
        return self._expect(q, 2, order)

    def mean(self, q: Real) -> Real:
        return self._expect(q, 1, 0)

    def variance_slope(self, q: Real) -> Real:
        # E[φ²(x²/q − 1)]/(2q): holds with jumps too
        with _more_digits(80):
            times = (-1 / (2 * mpf(q)), mpf(0), 1 / (2 * mpf(q) ** 2))
        return self._expect(q, 2, 0, times)


def _product(a: list[Real], b: list[Real]) -> list[Real]:
    out = [mpf(0)] * max(len(a) + len(b) - 1, 0)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            out[i + j] += x * y
    return out


def _truncated_moments(low: Real, high: Real, q: Real, count: int) -> list[Real]:
    """∫ xⁱ N(0, q) over [low, high], i < count; erfc keeps the far tails to relative accuracy."""
    scale = mp.sqrt(2 * q)
    if high <= 0:
        mass = (mp.erfc(-high / scale) - mp.erfc(-low / scale)) / 2
    elif low >= 0:
        mass = (mp.erfc(low / scale) - mp.erfc(high / scale)) / 2
    else:
        mass = (mp.erf(high / scale) - mp.erf(low / scale)) / 2

    def edge(x: Real, power: int) -> Real:
        return mpf(0) if mp.isinf(x) else x**power * mp.exp(-(x**2) / (2 * q)) / mp.sqrt(2 * mp.pi * q)

    moments = [mass]
    for i in range(1, count):
        before = (i - 1) * q * moments[i - 2] if i > 1 else mpf(0)
        moments.append(before + q * (edge(low, i - 1) - edge(high, i - 1)))
    return moments[:count]


CLOSED_FORMS: dict[str, ClosedForm] = {
    "relu": TwoSlopes("1", "0"),
    "leaky_relu_0.01": TwoSlopes("1", "0.01"),
    "leaky_relu_0.3": TwoSlopes("1", "0.3"),
    "linear": TwoSlopes("1", "1"),
    "abs": TwoSlopes("1", "-1"),
    "erf": Erf(),
    "sin": Wave(),
    "cos": Wave(even=True),
    "sin_5": Wave("5"),
    "gaussian": GaussianBump(),
    "exp": Exponential(),
    "square": Polynomial(("0", "0", "1")),
    "cube": Polynomial(("0", "0", "0", "1")),
    "quintic": Polynomial(("0.5", "-1", "0", "2", "0", "0.25")),
    "cubic": Polynomial(("0", "-3", "0", "1")),
    "sign": Step("-1", "1"),
    "heaviside": Step("0", "1"),
    "gelu": Gelu(),
    "hardtanh": PiecewisePolynomial(("-1", "1"), (("-1",), ("0", "1"), ("1",))),
    "relu6": PiecewisePolynomial(("0", "6"), ((), ("0", "1"), ("6",))),
    "softshrink_0.7": PiecewisePolynomial(("-0.7", "0.7"), (("0.7", "1"), (), ("-0.7", "1"))),
    "hardshrink": PiecewisePolynomial(("-0.5", "0.5"), (("0", "1"), (), ("0", "1")), "jump"),
    "threshold_1_-2": PiecewisePolynomial(("1",), (("-2",), ("0", "1")), "jump"),
}
