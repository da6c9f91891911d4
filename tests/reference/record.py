"""Numbers as the reference files keep them: 30 digits and a claimed absolute error."""

from __future__ import annotations

from typing import Any

import flint

Record = dict[str, Any]

DIGITS = 30


def record(ball: flint.arb, scale: flint.arb | None = None, worst: float = 1e-24) -> Record:
    """A ball as {"value", "error"}; a ball of zero width against `scale` counts as 0.

    Refuses a ball wider than `worst` of its value (of `scale`, where one is given).
    """
    size = abs(ball.mid()) if scale is None else abs(scale.mid())
    if ball.contains(0) and ball.rad() <= size * worst * worst:
        return {"value": "0.0", "error": _number(ball.rad())}
    if not ball.rad() <= size * worst:
        raise ArithmeticError(f"too wide a ball: {ball.str(30)}")
    digits = str(ball.mid().str(DIGITS, radius=False)).strip("[]")
    return {"value": digits, "error": _number(ball.rad() + size * flint.arb(10) ** (1 - DIGITS))}


def _number(error: flint.arb) -> float | str:
    # a string where a JSON number would underflow
    text = str(error.mid().str(2, radius=False)).strip("[]")
    return text if 0 < error.mid() < flint.arb("1e-300") else float(text)
