"""`enclose`: two-sided bounds of the quantities of mean-field theory, to any number of digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

from meanfield.activations import activation as find_activation
from meanfield.activations.activation import Activation, shortened
from meanfield.errors import ActivationError, DomainError
from meanfield.proof.balls import Ball, ProofError, ball, decimal, ends, flint, precision, require, square
from meanfield.proof.function import Function, function_of, one_sided
from meanfield.proof.integrals import Expectations
from meanfield.result import Result

_MOST_DIGITS = 1000
_HUGE = 12_000  # bits
_CONTEXT = Context(prec=_MOST_DIGITS + 10, Emax=10**15, Emin=-(10**15))


@dataclass(frozen=True, eq=False, repr=False)
class Enclosure(Result):
    """Two decimal numbers between which the value lies for certain.

    Attributes
    ----------
    lower, upper : str
        Decimal strings, rounded outwards to the digits that were asked for; "inf" where the value is infinite.
    """

    lower: str
    upper: str

    def __float__(self) -> float:
        return float((Fraction(self.lower) + Fraction(self.upper)) / 2) if self.lower not in ("inf", "-inf") else float(self.lower)

    def __contains__(self, value: Any) -> bool:
        if self.lower in ("inf", "-inf"):
            return float(value) == float(self.lower)
        number = rational(value, "the number", "any number")
        return Fraction(self.lower) <= number <= Fraction(self.upper)

    def __str__(self) -> str:
        return self.lower if self.lower == self.upper else f"[{self.lower}, {self.upper}]"


@dataclass(frozen=True, eq=False, repr=False)
class Enclosures(Enclosure):
    """Several values by name; as a number it is the first of them.

    Attributes
    ----------
    lower, upper : str
        Those of the first value.
    values : dict of str to Enclosure
        Also attributes of their names.
    """

    values: dict[str, Enclosure]

    def __getattr__(self, name: str) -> Enclosure:
        values = self.__dict__.get("values", {})
        if name in values:
            found: Enclosure = values[name]
            return found
        raise AttributeError(f"no value is called {name!r}; there are {', '.join(values)}")

    def __getitem__(self, name: str) -> Enclosure:
        return self.values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def _columns(self) -> dict[str, list[Any]]:
        ends = {end: [getattr(value, end) for value in self.values.values()] for end in ("lower", "upper")}
        return {"name": list(self.values), **ends}

    def keys(self) -> Any:
        """The names."""
        return self.values.keys()

    def __str__(self) -> str:
        width = max(map(len, self.values))
        return "\n".join(f"{name:<{width}}  {value}" for name, value in self.values.items())


def enclose(what: str, activation: Any, *, digits: int = 30, **arguments: Any) -> Enclosure:
    """Bounds, certain to the last digit, of an expectation, a fixed point or a point on the edge of chaos.

    Parameters
    ----------
    what : str
        With its arguments: "second_moment" (q, derivative=0), "covariance" (q1, q2, c, derivative=0), "decorrelation" (q, epsilon,
        derivative=0), "standardisation" (q="1"), "chi_1" (sigma_w, sigma_b), "fixed_point" (sigma_w, sigma_b), "c_star" (sigma_w, sigma_b),
        "edge_of_chaos" (sigma_b), "half_stable".
    activation : str, SymPy expression or Activation
        Anything `meanfield.activation` accepts that has a formula.
    digits : int
        Significant digits, 1 to 1000.
    **arguments : str, int, Fraction or float
        Decimal strings and fractions ("0.2", "1/5") mean what they say. A float is taken exactly: 0.2 is 0.200000000000000011102230246….

    Returns
    -------
    Enclosure
        Its ends differ by about one unit in the last digit. For "fixed_point" an `Enclosures` of q, variance_slope and chi_1; for
        "edge_of_chaos" of sigma_w, q and variance_slope; for "half_stable" of q, sigma_w, sigma_b, sigma_w2 and sigma_b2; for
        "standardisation" of mean, std, rms and gain.

    Raises
    ------
    MeanFieldError
        Without python-flint (the extra "proof"), or where the value can't be enclosed: the message says why.
    ActivationError
        If the activation can't be understood, or has no formula.
    DomainError
        For an argument that is missing, unknown or out of its range.

    Notes
    -----
    Integrals: Johansson (2018), rigorous integration in Arb, between the kinks and jumps of φ, with bounds of the tails. Solutions of
    equations: a sign change between two points. "fixed_point" is a fixed point of F for certain; that it is where the recursion from
    q = 1 goes, and that "edge_of_chaos" is the solution with the smallest q, is read off a grid. "c_star" is the limit of f from any c
    in [0, 1) at that fixed point: f is convex there, so that χ₁ tells whether it has a root below 1, and that there is one. φ^(k) is
    that almost everywhere; where φ^(k−1) jumps the second moment of φ^(k) is "inf".

    Examples
    --------
    >>> import meanfield as mf
    >>> "1/2" in mf.enclose("second_moment", "relu", q=1)
    True
    >>> edge = mf.enclose("edge_of_chaos", "tanh", sigma_b="0.2", digits=20)
    >>> edge.sigma_w
    Enclosure(lower='1.3041458400565114306', upper='1.3041458400565114307')
    """
    require()
    if what not in _QUESTIONS:
        raise DomainError(f"what must be one of {', '.join(_QUESTIONS)}, not {what!r}")
    if isinstance(digits, bool) or not isinstance(digits, int) or not 1 <= digits <= _MOST_DIGITS:
        raise DomainError(f"digits must be a whole number from 1 to {_MOST_DIGITS}, not {digits!r}")
    needed, optional, answer = _QUESTIONS[what]
    missing = [name for name in needed if name not in arguments]
    unknown = [name for name in arguments if name not in needed + optional]
    if missing:
        raise DomainError(f"enclose({what!r}, …) needs {', '.join(missing)}")
    if unknown:
        takes = ", ".join(needed + optional) or "nothing more"
        raise DomainError(f"enclose({what!r}, …) does not take {', '.join(unknown)}; it takes {takes}")
    act = find_activation(activation)
    if not act.has_formula:
        raise ActivationError(f"{shortened(act.name)} has no formula: what is known at samples only can't be enclosed")
    return answer(_Subject(act), digits, **arguments)


def rational(value: Any, name: str, allowed: str) -> Fraction:
    """An argument as an exact number."""
    try:
        if isinstance(value, bool):
            raise TypeError
        if isinstance(value, str):
            if len(value) > 2000:
                raise ValueError
            bare = value.strip().lower()
            if "e" in bare and abs(int(bare.partition("e")[2])) > 5000:
                raise ValueError
            return Fraction(bare)
        if hasattr(value, "numerator") and hasattr(value, "denominator"):
            return Fraction(int(value.numerator), int(value.denominator))
        return Fraction(float(value))
    except (TypeError, ValueError, OverflowError, ZeroDivisionError, ArithmeticError):
        raise DomainError(f"{name} must be {allowed}, as a decimal string, a fraction or a float, not {value!r}") from None


def positive(value: Any, name: str, zero: bool = False) -> Fraction:
    """An argument that must be > 0, or ≥ 0."""
    allowed = "a number >= 0" if zero else "a number > 0"
    number = rational(value, name, allowed)
    if number < 0 or (number == 0 and not zero):
        raise DomainError(f"{name} must be {allowed}, not {value!r}")
    return number


def order_of(derivative: Any) -> int:
    """The order of a derivative, 0, 1 or 2."""
    if derivative not in (0, 1, 2) or isinstance(derivative, bool):
        raise DomainError(f"derivative must be 0, 1 or 2, not {derivative!r}")
    return int(derivative)


class _Subject:
    """An activation with what its enclosures share."""

    def __init__(self, act: Activation) -> None:
        self.act = act
        self.function: Function = function_of(act)
        self.expectations = Expectations(self.function)

    def moment(self, k: int, q: Ball, digits: int) -> Ball:
        """V[φ^(k)](q)."""
        return self.expectations.mean(lambda jet, x: jet[k] * jet[k], k, q, digits)

    def jumps(self, k: int) -> bool:
        """Whether φ^(k−1) jumps, so that φ^(k) is no square-integrable function."""
        from meanfield.proof.jets import real

        if k == 0:
            return False
        if self.function.jumps() is None:
            raise ProofError(f"whether {self.act.name} is continuous can't be decided")
        if self.function.jumps():
            return True
        if k == 1:
            return False
        with precision(400):
            for i, cut in enumerate(self.function.pieces.cuts):
                left, right = (real(p.tree, cut.at.ball(), 1)[1] for p in self.function.pieces.pieces[i : i + 2])
                if not left.overlaps(right):
                    return True
        return False


_WHY_NOT = "an integral did not come to a finite enclosure; φ or a derivative may have a pole, or be too steep"


def enclosed(value: Ball, digits: int) -> Enclosure:
    """The decimal strings of a ball."""
    if not value.is_finite():
        raise ProofError(_WHY_NOT)
    if abs(int(value.mid().man_exp()[1])) > _HUGE:  # powers of ten that take minutes to write out as whole numbers
        middle, radius, exponent = map(int, value.mid_rad_10exp(digits + 5))
        low, high = (decimal(Fraction(end), digits, up) for end, up in ((middle - radius, False), (middle + radius, True)))
        return Enclosure(*(f"{Decimal(end).scaleb(exponent, _CONTEXT).normalize(_CONTEXT):e}" for end in (low, high)))
    lower, upper = ends(value)
    return Enclosure(decimal(lower, digits, False), decimal(upper, digits, True))


def good(value: Ball, digits: int) -> bool:
    """Whether a ball has so many digits."""
    return bool(value.rad() * flint.arb(10) ** (digits + 1) <= value.abs_lower())


_INFINITE = Enclosure("inf", "inf")


def _second_moment(subject: _Subject, digits: int, q: Any, derivative: Any = 0) -> Enclosure:
    k, variance = order_of(derivative), positive(q, "q", zero=True)
    if subject.jumps(k):
        return _INFINITE
    if variance == 0:
        with precision(int(digits * 3.4) + 60):
            return enclosed(_at_zero(subject, k), digits)
    for extra in (2, 12, 40):
        with precision(int((digits + extra) * 3.4) + 60):
            value = subject.moment(k, ball(variance), digits + extra)
            if good(value, digits) or value.is_zero() or not value.is_finite():
                break
    if value.is_finite() and not good(value, digits) and not value.is_zero():
        raise ProofError("the integral has fewer digits than were asked for: q is too small or too large for this formula")
    with precision(int((digits + extra) * 3.4) + 60):
        return enclosed(value, digits)


def _at_zero(subject: _Subject, k: int) -> Ball:
    """lim V[φ^(k)] as q → 0: the mean of both sides' squares."""
    right, left = one_sided(subject.function, 2)
    return (square(right[k]) + square(left[k])) / 2


def _covariance(subject: _Subject, digits: int, q1: Any, q2: Any, c: Any, derivative: Any = 0) -> Enclosure:
    from meanfield.proof.covariances import covariance

    k, first, second = order_of(derivative), positive(q1, "q1"), positive(q2, "q2")
    correlation = rational(c, "c", "a number in [-1, 1]")
    if not -1 <= correlation <= 1:
        raise DomainError(f"c must be a number in [-1, 1], not {c!r}")
    if k and subject.jumps(k) and abs(correlation) == 1:
        raise ProofError(f"E[φ⁽ᵏ⁾φ⁽ᵏ⁾] at |c| = 1 has no value with k = {k}: φ⁽ᵏ⁻¹⁾ jumps")
    return _refined(lambda n: covariance(subject.function, k, first, second, correlation, n), digits)


def _refined(value_to: Callable[[int], Ball], digits: int) -> Enclosure:
    """A value whose size is not known beforehand: its digits raised until they are there, or it is 0 as far as can be seen."""
    wanted = digits + 3
    for _ in range(4):
        value = value_to(wanted)
        with precision(int((wanted + 20) * 3.4) + 60):
            if not value.is_finite():
                raise ProofError(_WHY_NOT)
            if good(value, digits) or value.is_zero():
                break
            if value.contains(0):
                if wanted > 2 * digits + 20:
                    break
                wanted = 2 * digits + 24
                continue
            relative = float((value.rad() / value.abs_lower()).log() / flint.arb(10).log())
            wanted += max(int(digits + relative) + 3, 3)
    with precision(int((wanted + 20) * 3.4) + 60):
        return enclosed(value, digits)


def _decorrelation(subject: _Subject, digits: int, q: Any, epsilon: Any, derivative: Any = 0) -> Enclosure:
    import math

    from meanfield.proof.covariances import covariance

    k, variance = order_of(derivative), positive(q, "q")
    change = rational(epsilon, "epsilon", "a number in [0, 2]")
    if not 0 <= change <= 2:
        raise DomainError(f"epsilon must be a number in [0, 2], not {epsilon!r}")
    if subject.jumps(k):
        raise ProofError(f"½E[(φ⁽ᵏ⁾(u) − φ⁽ᵏ⁾(v))²] is infinite for k = {k}: φ⁽ᵏ⁻¹⁾ jumps")
    if change == 0:
        return Enclosure("0", "0")

    lost = int(-math.log10(min(float(change), 1.0))) + 2  # digits that V and C have in common

    def difference(n: int) -> Ball:
        with precision(int((n + lost + 20) * 3.4) + 60):
            return subject.moment(k, ball(variance), n + lost) - covariance(subject.function, k, variance, variance, 1 - change, n + lost)

    return _refined(difference, digits)


def _chi_1(subject: _Subject, digits: int, sigma_w: Any, sigma_b: Any) -> Enclosure:
    found = _fixed_point(subject, digits, sigma_w, sigma_b)
    chi: Enclosure = found.chi_1
    return chi


def _fixed_point(subject: _Subject, digits: int, sigma_w: Any, sigma_b: Any) -> Enclosures:
    from meanfield.proof.equations import fixed_point

    return _named(fixed_point(subject, positive(sigma_w, "sigma_w"), positive(sigma_b, "sigma_b", zero=True), digits), digits)


def _c_star(subject: _Subject, digits: int, sigma_w: Any, sigma_b: Any) -> Enclosure:
    from meanfield.proof.equations import c_star

    found = c_star(subject, positive(sigma_w, "sigma_w"), positive(sigma_b, "sigma_b", zero=True), digits)
    with precision(int((digits + 30) * 3.4) + 60):
        bounds = enclosed(found, digits)
    return Enclosure("0", bounds.upper) if bounds.lower.startswith("-") else bounds  # c* ≥ 0


def _standardisation(subject: _Subject, digits: int, q: Any = 1) -> Enclosures:
    from meanfield.proof.covariances import mean
    from meanfield.proof.sides import side_of

    variance = positive(q, "q")
    for more in (10, 40, 2 * digits + 60):
        n = digits + more
        with precision(int((n + 14) * 3.4) + 60):
            try:
                average = mean(side_of(subject.function, 0, ball(variance), False), n)
            except ProofError:  # φ outgrows the bound there; this one looks for a mean that is not 0
                average = subject.expectations.mean(lambda jet, x: jet[0], 0, ball(variance), n)
            square = subject.moment(0, ball(variance), n)
            spread = square - average * average
            if good(spread, digits) and (good(average, digits) or average.contains(0)):
                break
    if not spread > 0:
        raise ProofError(f"whether {subject.act.name} is more than a constant can't be told")
    with precision(int((n + 14) * 3.4) + 60):
        values = {"mean": average, "std": spread.sqrt(), "rms": square.sqrt(), "gain": 1 / spread.sqrt()}
    return _named(values, digits)


def _edge_of_chaos(subject: _Subject, digits: int, sigma_b: Any) -> Enclosures:
    from meanfield.proof.equations import edge_of_chaos

    return _named(edge_of_chaos(subject, positive(sigma_b, "sigma_b", zero=True), digits), digits)


def _half_stable(subject: _Subject, digits: int) -> Enclosures:
    from meanfield.proof.equations import half_stable

    return _named(half_stable(subject, digits), digits)


def _named(values: dict[str, Ball], digits: int) -> Enclosures:
    with precision(int((digits + 30) * 3.4) + 60):
        found = {name: enclosed(value, digits) for name, value in values.items()}
    first = next(iter(found.values()))
    return Enclosures(first.lower, first.upper, found)


_QUESTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[..., Enclosure]]] = {
    "second_moment": (("q",), ("derivative",), _second_moment),
    "covariance": (("q1", "q2", "c"), ("derivative",), _covariance),
    "decorrelation": (("q", "epsilon"), ("derivative",), _decorrelation),
    "standardisation": ((), ("q",), _standardisation),
    "chi_1": (("sigma_w", "sigma_b"), (), _chi_1),
    "fixed_point": (("sigma_w", "sigma_b"), (), _fixed_point),
    "c_star": (("sigma_w", "sigma_b"), (), _c_star),
    "edge_of_chaos": (("sigma_b",), (), _edge_of_chaos),
    "half_stable": ((), (), _half_stable),
}
