"""Piecewise polynomials in q by NumPy alone: the same operations in the same order as kernels.py, so the same bits.

Loading numba and the compiled kernels takes some tenths of a second. The first few small questions need not wait for them,
and a process that asks one question and ends, as the command line does, never does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from meanfield.arrays import Array, Integers

SMALL, SMALL_ALONE = 256, 4096  # values of q in one question, or in the only one; beyond that the kernels are worth their loading
PATIENCE = 500  # small questions to one table; then the kernels are loaded after all
_one_question: ContextVar[bool] = ContextVar("one_question", default=False)


@contextmanager
def one_question() -> Iterator[None]:
    """Inside, larger questions too are answered by NumPy while the kernels are not loaded."""
    token = _one_question.set(True)
    try:
        yield
    finally:
        _one_question.reset(token)


def without_kernels(size: int, asked: int) -> bool:
    """Whether a question of this size, after so many others to the same table, is answered by NumPy."""
    largest = SMALL_ALONE if _one_question.get() else SMALL
    return size <= largest and asked <= PATIENCE and "meanfield.jit" not in sys.modules


def locate(q: Array, first: int, start: Integers, pieces: Integers) -> tuple[Integers, Array]:
    """The row of coefficients for each q, and t ∈ [−1, 1) on its piece; octaves out of range are clipped."""
    bits = q.view(np.int64)
    octave = np.clip((bits >> 52) - 1023 - first, 0, pieces.size - 1)
    count = pieces[octave]
    position = (bits & 0xFFFFFFFFFFFFF) * 2.0**-52 * count
    piece = np.minimum(position.astype(np.int64), count - 1)
    t: Array = 2.0 * (position - piece) - 1.0
    return start[octave] + piece, t


def polynomial(coefficients: Array, t: Array) -> Array:
    """Σ c_k tᵏ for rows of coefficients (n, terms), even and odd powers apart."""
    last = coefficients.shape[1] - 1
    square = t * t
    even, odd = coefficients[:, last - 1], coefficients[:, last]
    for k in range(last - 3, -1, -2):
        even = even * square + coefficients[:, k]
        odd = odd * square + coefficients[:, k + 1]
    result: Array = even + t * odd
    return result


def evaluate_octaves(q: Array, first: int, state: Integers, start: Integers, pieces: Integers, coefficients: Array, out: Array) -> int:
    """As kernels.evaluate_octaves."""
    octave = (q.view(np.int64) >> 52) - 1023 - first
    inside = (octave >= 0) & (octave < state.size)
    found = np.where(inside, state[np.clip(octave, 0, state.size - 1)], 1)
    missed = (found == 1) | (found == 2)
    rows, t = locate(q, first, start, pieces)
    out[:] = np.where(missed, np.nan, np.inf)
    ready = found == 0
    if ready.any():
        out[ready] = polynomial(coefficients[rows[ready]], t[ready])
    return int(np.sum(missed))
