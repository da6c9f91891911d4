"""Activations that hold no tables yet, and the number of values of φ that a call asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

import meanfield as mf
from meanfield.activations.catalogue.names import find

Array = NDArray[np.float64]

FORMULA = "x*tanh({}*log(1 + exp(x)))"
_numbers = count()


def fresh(name: str) -> mf.Activation:
    """A new object for a catalogue name, or for "formula" one with a constant not used before."""
    if name == "formula":
        return mf.activation(FORMULA.format(1 + next(_numbers) / 1024))
    entry = find(name)
    assert entry is not None
    return entry.activation(entry.checked({}))


def compile_kernels() -> None:
    """Load every kernel and module that the timed calls use, so that the first of them does not pay for it."""
    for name in ("relu", "formula"):
        act = fresh(name)
        mf.edge_of_chaos(act, sigma_b=np.linspace(0, 1, 3))
        mf.covariance(act, 1.0, 1.0, np.linspace(-1, 1, 70))
        mf.decorrelation(act, 1.0, 1e-9)


@dataclass
class Count:
    """How many values of φ and its derivatives were asked for."""

    values: int = 0


@contextmanager
def counted(act: mf.Activation) -> Iterator[Count]:
    """Count the values of φ⁽ᵏ⁾ that `act` is asked for."""
    original = act.values
    total = Count()

    def values(x: Array, k: int) -> Array:
        total.values += x.size
        return original(x, k)

    act.values = values  # type: ignore[method-assign]
    try:
        yield total
    finally:
        del act.values
