"""Taylor coefficients of an analytic expression, as balls."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from meanfield.activations.formula.tree import Node
from meanfield.proof.balls import Ball, ProofError, flint
from meanfield.proof.jets import program

_SERIES: dict[str, Any] = {
    "exp": lambda g: g.exp(),
    "expm1": lambda g: g.exp() - 1,
    "log": lambda g: g.log(),
    "log1p": lambda g: (g + 1).log(),
    "sqrt": lambda g: g.sqrt(),
    "sin": lambda g: g.sin(),
    "cos": lambda g: g.cos(),
    "tan": lambda g: g.tan(),
    "sinh": lambda g: (g.exp() - (-g).exp()) / 2,
    "cosh": lambda g: (g.exp() + (-g).exp()) / 2,
    "tanh": lambda g: 1 - 2 / ((2 * g).exp() + 1),
    "arctan": lambda g: g.atan(),
    "arcsin": lambda g: g.asin(),
    "arccos": lambda g: g.acos(),
    "arcsinh": lambda g: (g + (1 + g * g).sqrt()).log(),
    "arccosh": lambda g: (g + (g * g - 1).sqrt()).log(),
    "arctanh": lambda g: ((1 + g) / (1 - g)).log() / 2,
    "erf": lambda g: g.erf(),
    "erfc": lambda g: g.erfc(),
    "sigmoid": lambda g: 1 - 1 / (g.exp() + 1),
    "softplus": lambda g: (g.exp() + 1).log(),
}


def taylor(tree: Node, order: int, at: Ball = None) -> list[Ball]:
    """The coefficients of 1, t, …, t^order of φ(at + t), at 0 if nothing is said; a ball stands for every point in it."""
    centre = flint.arb(0) if at is None else at
    found: list[Any] = []
    run = program(tree)
    numbers = run.numbers()
    for index, step in enumerate(run.steps):
        args = [found[arg] for arg in step.args]
        if step.constant:
            value = flint.arb_series([numbers[index]], prec=order + 1)
        elif step.op == "x":
            value = flint.arb_series([centre, 1], prec=order + 1)
        elif step.op == "+":
            value = args[0] + args[1]
        elif step.op == "*":
            value = args[0] * args[1]
        elif step.op == "/":
            value = args[0] / args[1]
        elif step.op == "neg":
            value = -args[0]
        elif step.op == "**":
            value = _raised(args, run.exact[step.args[1]], order)
        else:
            value = _SERIES[step.op](args[0])
        found.append(value)
    coefficients = [found[-1][n] for n in range(order + 1)]
    if not all(c.is_finite() for c in coefficients):
        raise ProofError(f"φ has no Taylor series at {centre.str(6)}")
    return coefficients


def _raised(args: list[Any], known: Any, order: int) -> Any:
    p: Fraction | None = None if known is None else known.rational
    if p is None or p.denominator > 2 or abs(p) > 64:
        return (args[1] * args[0].log()).exp()
    base = args[0] if p.denominator == 1 else args[0].sqrt()
    result = flint.arb_series([1], prec=order + 1)
    for _ in range(abs(p.numerator)):
        result = result * base
    return result if p >= 0 else 1 / result
