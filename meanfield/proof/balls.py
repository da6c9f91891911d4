"""python-flint, and what its balls lack: a clear error where it is missing, exact ends, decimal strings that enclose."""

from __future__ import annotations

import importlib
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

from meanfield.errors import MeanFieldError

try:
    flint: Any = importlib.import_module("flint")  # it has no stubs
except ImportError:  # pragma: no cover - the extra is installed where the tests run
    flint = None

Ball = Any  # flint.arb
_one_at_a_time = threading.RLock()

__all__ = ["Ball", "ProofError", "available", "ball", "decimal", "ends", "flint", "fraction", "precision", "require", "sign"]


class ProofError(MeanFieldError):
    """What was asked can't be shown: the message says why. Not a statement about the activation."""


def available() -> bool:
    """Whether python-flint is installed."""
    return flint is not None


def require() -> None:
    """Refuse to go on without python-flint."""
    if flint is None:
        raise MeanFieldError('proofs need python-flint: install the extra "proof", pip install "meanfield-nets[proof]"')


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Work with this many bits inside, and leave the context as it was. The context is all threads': one at a time."""
    with _one_at_a_time:
        before = flint.ctx.prec
        flint.ctx.prec = bits
        try:
            yield
        finally:
            flint.ctx.prec = before


def square(x: Ball) -> Ball:
    """x². FLINT's power of a ball whose middle is exactly 0 is no number."""
    return x * x


def ball(value: Fraction | int) -> Ball:
    """The ball of a rational number at the current precision."""
    if isinstance(value, int):
        return flint.arb(value)
    return flint.arb(value.numerator) / value.denominator


def fraction(dyadic: Ball) -> Fraction:
    """The exact value of a ball without a radius."""
    mantissa, exponent = dyadic.man_exp()
    mantissa, exponent = int(mantissa), int(exponent)
    return Fraction(mantissa * 2**exponent) if exponent >= 0 else Fraction(mantissa, 2**-exponent)


def ends(of: Ball) -> tuple[Fraction, Fraction]:
    """Exact rational bounds of a finite ball."""
    return fraction(of.mid()) - fraction(of.rad()), fraction(of.mid()) + fraction(of.rad())


def sign(of: Ball) -> int | None:
    """The sign that every number in the ball has; None where there is no single one."""
    if of > 0:
        return 1
    if of < 0:
        return -1
    return 0 if of.is_zero() else None


def decimal(value: Fraction, digits: int, up: bool) -> str:
    """The value rounded up or down to so many significant digits."""
    if value == 0:
        return "0"
    size = abs(value)
    exponent = math.floor((size.numerator.bit_length() - size.denominator.bit_length()) * math.log10(2)) - 1  # or up to 2 more
    while size >= Fraction(10) ** (exponent + 1):
        exponent += 1
    scaled = value * Fraction(10) ** (digits - 1 - exponent)
    whole = -((-scaled.numerator) // scaled.denominator) if up else scaled.numerator // scaled.denominator
    written = Decimal(whole).scaleb(exponent - digits + 1, Context(prec=digits + 5)).normalize(Context(prec=digits + 5))
    return format(written, "f") if -7 < written.adjusted() < digits + 5 else str(written)
