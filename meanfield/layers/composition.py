"""φ₂(φ₁(x)) as one activation."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation
from meanfield.activations.kept import Kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from meanfield.activations import Activation
    from meanfield.arrays import Array

HELD = 8  # compositions kept with an inner activation
MOST_IN_A_ROW = 4  # activations as one function: each more costs seconds
LONGEST = 400  # terms of a formula made of two; past it the composition is a callable
_compositions: Kept[dict[int, tuple[Activation, Activation]]] = Kept("compositions")
_slopes: Kept[dict[int, tuple[Activation, Activation]]] = Kept("slopes of compositions")
_in_a_row: Kept[int] = Kept("activations in a row")
_lock = threading.Lock()


def in_a_row(act: Activation) -> int:
    """How many activations one behind the other an activation stands for."""
    return _in_a_row.get(act, 1)


def compose(outer: Activation, inner: Activation) -> Activation:
    """φ₂(φ₁(x)): a formula where both have one, else a callable."""
    found = _held(_compositions, outer, inner, lambda: _composed(outer, inner))
    _in_a_row[found] = in_a_row(outer) + in_a_row(inner)
    return found


def slope_of(outer: Activation, inner: Activation) -> Activation:
    """φ₂'(φ₁(x)), which is not the derivative of the composition: a formula where both are smooth ones, else a callable."""
    first, second = inner.formula, outer.formula
    if first is not None and second is not None and second.free_symbols and not outer.breakpoints:
        whole = _substituted(second.diff(), first)
        if whole is not None:
            return _held(_slopes, outer, inner, lambda: activation(whole))

    def slope(x: Array) -> Array:
        flat = np.ascontiguousarray(np.ravel(x))
        return outer.values(inner.values(flat, 0), 1).reshape(np.shape(x))

    return _held(_slopes, outer, inner, lambda: activation(slope, name=f"derivative of {outer.name} at {inner.name}"))


def _composed(outer: Activation, inner: Activation) -> Activation:
    first, second = inner.formula, outer.formula
    if first is not None and second is not None:
        whole = _substituted(second, first)
        if whole is not None:
            return activation(whole)

    def both(x: Array) -> Array:
        flat = np.ascontiguousarray(np.ravel(x))
        return outer.values(inner.values(flat, 0), 0).reshape(np.shape(x))

    return activation(both, name=f"{outer.name} of {inner.name}")


def _substituted(outer: Any, inner: Any) -> Any:
    """outer at x = inner; None where that is too long, or constant and so no formula of x."""
    found = None
    if outer.free_symbols and inner.free_symbols and _length(outer) * _length(inner) <= LONGEST:
        (x,) = outer.free_symbols
        found = outer.subs(x, inner)
    return found if found is not None and found.free_symbols else None


def _length(formula: Any) -> int:
    """An upper bound of a formula's nodes, and of how often x is in it."""
    return 1 + int(formula.count_ops())


def _held(
    kept: Kept[dict[int, tuple[Activation, Activation]]], outer: Activation, inner: Activation, make: Callable[[], Activation]
) -> Activation:
    """What was made before of these two, or what is made now; the oldest are let go."""
    with _lock:
        held = kept.setdefault(inner, {})
        if id(outer) in held:
            return held[id(outer)][1]
    made = make()
    with _lock:
        while len(held) >= HELD:
            held.pop(next(iter(held)))
        held[id(outer)] = (outer, made)
    return made
