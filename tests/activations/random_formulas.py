"""Random formulas from a seed: the same ones each time."""

from __future__ import annotations

import numpy as np

_UNARY = (
    "exp",
    "expm1",
    "log",
    "log1p",
    "sqrt",
    "abs",
    "sign",
    "heaviside",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
    "arcsin",
    "arccos",
    "arctan",
    "arcsinh",
    "arccosh",
    "arctanh",
    "erf",
    "erfc",
    "sigmoid",
    "softplus",
    "relu",
)
_TAME = ("tanh", "sigmoid", "softplus", "erf", "arctan", "abs", "relu", "sin", "exp")
_NUMBERS = ("0", "1", "2", "3", "0.5", "-1", "1.7", "0.044715", "pi", "e", "-0.3", "10", "1e-3", "1e3")


def random_formula(rng: np.random.Generator, depth: int) -> str:
    """A formula in x of at most that depth; any of the grammar's operations, not always defined everywhere."""
    if depth <= 0 or rng.random() < 0.1:
        return "x" if rng.random() < 0.6 else str(rng.choice(_NUMBERS))
    kind = rng.random()
    if kind < 0.4:
        name = str(rng.choice(_TAME if rng.random() < 0.7 else _UNARY))
        return f"{name}({random_formula(rng, depth - 1)})"
    if kind < 0.75:
        operator = str(rng.choice(["+", "-", "*", "/"]))
        return f"({random_formula(rng, depth - 1)} {operator} {random_formula(rng, depth - 1)})"
    if kind < 0.83:
        return f"({random_formula(rng, depth - 1)})**{rng.choice(['2', '3', '0.5', '(-1)', '4', '1.5', '7'])}"
    if kind < 0.9:
        name = str(rng.choice(["max", "min"]))
        return f"{name}({random_formula(rng, depth - 1)}, {random_formula(rng, depth - 1)})"
    if kind < 0.95:
        return f"clip({random_formula(rng, depth - 1)}, -1, {rng.choice(['1', '2.5'])})"
    comparison = str(rng.choice(["<", "<=", ">", ">="]))
    branches = ", ".join(random_formula(rng, depth - 1) for _ in range(2))
    return f"where({random_formula(rng, depth - 2)} {comparison} {random_formula(rng, depth - 2)}, {branches})"


def _smooth(rng: np.random.Generator) -> str:
    return str(rng.choice(["x", "tanh(x)", "x*sigmoid(x)", "sin(3*x)", "erf(x - 0.5)", "x**3", "exp(-x*x)", "softplus(x)", "1"]))


def _number(rng: np.random.Generator) -> str:
    return str(rng.choice(["1e3", "1e-3", "0.7312345", "-2", "5", "12", "-0.01"]))


def random_activation(rng: np.random.Generator) -> str:
    """A formula of a chosen temper: kinked, jumping, saturating, oscillating, exploding, undefined, or simply random."""
    a, b = _smooth(rng), _smooth(rng)
    s, t = _number(rng), _number(rng)
    undefined = [f"1/({a} - ({s}))", f"log({a})", f"sqrt({b} - ({t}))", f"tan({a})*({s})", f"({a})**(-2)", f"({b})**({t})"]
    templates = {
        "kinked": f"max({a}, {b}*({s})) + abs(x - ({t}))",
        "nested": f"where(x > ({s}), clip({a}, -1, 2), where({b} < ({t}), abs({a}), max({b}, {t})))",
        "jumping": f"where({a} > ({s}), {b}, {t}) + sign(x - ({s}))",
        "saturating": f"tanh(({s})*{a}) + clip({b}, -1, 1)*({t})",
        "oscillating": f"sin(({s})*{a}) + cos({b}*({t}))",
        "exploding": f"exp({a}*({s})) + {b}",
        "undefined": str(rng.choice(undefined)),
        "power": f"abs({a})**{rng.choice(['0.5', '1.5', '0.25', '2.5', '-0.3'])}*({s})",
    }
    kind = int(rng.integers(0, 12))
    return list(templates.values())[kind] if kind < len(templates) else random_formula(rng, int(rng.integers(2, 5)))
