"""Questions that belong to a crowd: tables serve them, however few stand in one array.

A network's kernel is followed layer by layer at a few hundred pairs, thousands of pairs in all. Each array alone would be too small for
the tables of `many_pairs.covariances_at`, and a quadrature for each of its pairs takes a thousand times as long as a look-up.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_crowd: ContextVar[bool] = ContextVar("crowd", default=False)


@contextmanager
def in_a_crowd(many: bool = True) -> Iterator[None]:
    """Within, arrays of any size are looked up."""
    token = _crowd.set(many or _crowd.get())
    try:
        yield
    finally:
        _crowd.reset(token)


def is_crowd(size: int, many: int) -> bool:
    """Whether an array of this size is to be looked up; `many` is the size from which on a table pays by itself."""
    return size > many or (size > 0 and _crowd.get())
