"""φ(0), decided exactly where there is a formula."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import MeanFieldError

if TYPE_CHECKING:
    from meanfield.activations import Activation

DIGITS = 60
LARGEST_FORMULA = 2000  # operations that SymPy is asked to look through


@dataclass(frozen=True)
class AtZero:
    """Whether φ(0) = 0, and how that is known."""

    vanishes: bool | None
    value: float
    proof: str
    reason: str


def at_zero(act: Activation) -> AtZero:
    """Whether φ(0) = 0."""
    try:
        value = float(act.values(np.zeros(1), 0)[0])
    except MeanFieldError as error:
        return AtZero(False, math.nan, "numerical", f"φ has no value at 0: {error}")
    if not math.isfinite(value):
        return AtZero(False, value, "numerical", "φ is infinite at 0")
    return _exact(act, value) or _from_values(act, value)


def _exact(act: Activation, value: float) -> AtZero | None:
    """From the formula: x = 0 is put in, and SymPy or 60 digits say whether the number that is left is 0."""
    expression = act.formula
    if expression is None:
        return None
    import sympy

    if expression.count_ops() > LARGEST_FORMULA:
        return None
    try:
        there = expression.subs({symbol: sympy.Integer(0) for symbol in expression.free_symbols})
        zero = there.is_zero
        digits = None if zero is not None else there.evalf(DIGITS)
    except (ArithmeticError, ValueError, TypeError, AttributeError, RecursionError, NotImplementedError):
        return None  # SymPy can't; the values decide
    if zero:
        return AtZero(True, 0.0, "symbolic", "φ(0) = 0 exactly")
    if zero is False and value != 0.0:
        return AtZero(False, value, "symbolic", f"φ(0) = {value:.6g}, not 0")
    if zero is False:
        return AtZero(False, value, "symbolic", f"φ(0) = {there.evalf(6)}, not 0")
    if digits is not None and digits.is_number and digits.is_real and abs(digits) > sympy.Float(10) ** (10 - DIGITS):
        return AtZero(False, value, "numerical", f"φ(0) = {value:.6g} to {DIGITS} digits, not 0")
    return AtZero(None, value, "numerical", f"φ(0) is 0 to {DIGITS} digits, but not provably 0")


def _from_values(act: Activation, value: float) -> AtZero:
    """From the value alone: 0 is taken at its word, and anything above the rounding noise of φ nearby is not 0."""
    nearby = act.values(np.array([-1.0, -0.5, 0.5, 1.0]), 0)
    noise = 10 * act.relative_noise * float(np.max(np.abs(nearby)))
    if value == 0.0:
        return AtZero(True, 0.0, "numerical", "φ(0) = 0 as computed")
    if abs(value) > noise:
        return AtZero(False, value, "numerical", f"φ(0) = {value:.6g}, above the rounding noise {noise:.1g}")
    return AtZero(None, value, "numerical", f"φ(0) = {value:.6g} can't be told from 0: the rounding noise is {noise:.1g}")
