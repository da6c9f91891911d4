"""V[φ] of sums of waves: φ² = Σ a_ω cos(ωx) + odd terms gives V = Σ a_ω exp(−ω²q/2), and V rises where all a_ω, ω > 0, are ≤ 0."""

from __future__ import annotations

import cmath
from typing import TYPE_CHECKING

from meanfield.errors import ActivationError

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.activations.formula.tree import Node

Spectrum = dict[float, complex]  # coefficients of exp(iωx)
MOST = 200  # frequencies


def rising_by_its_spectrum(act: Activation) -> bool:
    """Whether φ is a sum of waves whose V[φ] never falls, for every q."""
    from meanfield.activations.formula.sympy_bridge import from_sympy

    if act.formula is None or not act.formula.free_symbols:
        return False
    try:
        found = _spectrum(from_sympy(act.formula))
    except (ActivationError, RecursionError):
        return False
    square = None if found is None else _product(found, found)
    if square is None:
        return False
    size = max(abs(a) for a in square.values())
    # cos has the real part of the coefficients; those of sin are odd and have no mean.
    return all(a.real <= 1e-14 * size for omega, a in square.items() if omega != 0.0)


def _spectrum(node: Node) -> Spectrum | None:
    if node.number is not None:
        return {0.0: complex(float(node.number))}
    args = node.args
    if node.op == "neg":
        inner = _spectrum(args[0])
        return None if inner is None else {omega: -a for omega, a in inner.items()}
    if node.op in ("+", "*"):
        first, second = _spectrum(args[0]), _spectrum(args[1])
        if first is None or second is None:
            return None
        return _added(first, second) if node.op == "+" else _product(first, second)
    if node.op == "**" and args[1].number is not None and args[1].number in (2, 3, 4):
        base = _spectrum(args[0])
        result: Spectrum | None = {0.0: 1.0 + 0.0j}
        for _ in range(int(args[1].number)):
            result = None if base is None or result is None else _product(result, base)
        return result
    if node.op in ("sin", "cos"):
        line = _line(args[0])
        if line is None:
            return None
        omega, phase = line
        forward = cmath.exp(1j * phase)
        if node.op == "cos":
            return _added({omega: 0.5 * forward}, {-omega: 0.5 * forward.conjugate()})
        return _added({omega: -0.5j * forward}, {-omega: 0.5j * forward.conjugate()})
    return None


def _line(node: Node) -> tuple[float, float] | None:
    """(a, b) of a x + b."""
    if node.number is not None:
        return 0.0, float(node.number)
    if node.op == "x":
        return 1.0, 0.0
    parts = [_line(arg) for arg in node.args]
    if node.op == "neg" and parts[0] is not None:
        return -parts[0][0], -parts[0][1]
    if len(parts) != 2 or parts[0] is None or parts[1] is None:
        return None
    (a, b), (c, d) = parts[0], parts[1]
    if node.op == "+":
        return a + c, b + d
    if node.op == "*" and (a == 0.0 or c == 0.0):
        return a * d + b * c, b * d
    return None


def _added(first: Spectrum, second: Spectrum) -> Spectrum:
    result = dict(first)
    for omega, a in second.items():
        result[omega] = result.get(omega, 0j) + a
    return result


def _product(first: Spectrum, second: Spectrum) -> Spectrum | None:
    if len(first) * len(second) > MOST**2:
        return None
    result: Spectrum = {}
    for omega, a in first.items():
        for other, b in second.items():
            result[omega + other] = result.get(omega + other, 0j) + a * b
    return result
