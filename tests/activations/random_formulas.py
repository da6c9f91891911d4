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
_NUMBERS = ("0", "1", "2", "3", "0.5", "-1", "1.7", "0.044715", "pi", "e", "-0.3", "10", "1e-3")


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
        return f"({random_formula(rng, depth - 1)})**{rng.choice(['2', '3', '0.5', '(-1)', '4'])}"
    if kind < 0.9:
        name = str(rng.choice(["max", "min"]))
        return f"{name}({random_formula(rng, depth - 1)}, {random_formula(rng, depth - 1)})"
    if kind < 0.95:
        return f"clip({random_formula(rng, depth - 1)}, -1, {rng.choice(['1', '2.5'])})"
    comparison = str(rng.choice(["<", "<=", ">", ">="]))
    branches = ", ".join(random_formula(rng, depth - 1) for _ in range(2))
    return f"where({random_formula(rng, depth - 2)} {comparison} {random_formula(rng, depth - 2)}, {branches})"
