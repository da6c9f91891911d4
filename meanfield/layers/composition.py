"""φ₂(φ₁(x)) as one activation."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from meanfield.activations import activation
from meanfield.activations.kept import Kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from meanfield.activations import Activation
    from meanfield.arrays import Array

HELD = 8  # compositions kept with an inner activation
_compositions: Kept[dict[int, tuple[Activation, Activation]]] = Kept("compositions")
_slopes: Kept[dict[int, tuple[Activation, Activation]]] = Kept("slopes of compositions")
_lock = threading.Lock()


def compose(outer: Activation, inner: Activation) -> Activation:
    """φ₂(φ₁(x)): a formula where both have one, else a callable."""
    return _held(_compositions, outer, inner, lambda: _composed(outer, inner))


def slope_of(outer: Activation, inner: Activation) -> Activation:
    """φ₂'(φ₁(x)), which is not the derivative of the composition."""

    def slope(x: Array) -> Array:
        flat = np.ascontiguousarray(np.ravel(x))
        return outer.values(inner.values(flat, 0), 1).reshape(np.shape(x))

    return _held(_slopes, outer, inner, lambda: activation(slope, name=f"derivative of {outer.name} at {inner.name}"))


def _composed(outer: Activation, inner: Activation) -> Activation:
    first, second = inner.formula, outer.formula
    if first is not None and second is not None:
        (x,) = second.free_symbols or {None}
        return activation(second if x is None else second.subs(x, first))

    def both(x: Array) -> Array:
        flat = np.ascontiguousarray(np.ravel(x))
        return outer.values(inner.values(flat, 0), 0).reshape(np.shape(x))

    return activation(both, name=f"{outer.name} of {inner.name}")


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
