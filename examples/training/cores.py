"""Parts of a run on several cores at once. Each part has the bits that it has alone: it runs in one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")

_own = threading.local()


class Stopped(Exception):
    """The run has ended, by Ctrl-C or by an error in another part."""


def go_on() -> None:
    """To be called at each step of a part: raises Stopped once the run has ended."""
    stop: threading.Event | None = getattr(_own, "stop", None)
    if stop is not None and stop.is_set():
        raise Stopped


def side_by_side(work: Callable[[Part], Result], parts: Iterable[Part], cores: int) -> Iterator[Result]:
    """``work`` done on all parts, so many at once; results in the order of the parts.

    Threads will do: PyTorch lets go of the interpreter while it computes. At an error, or when the caller stops, the parts that
    run end at their next step and keep what they have kept.
    """
    if cores == 1:
        yield from map(work, parts)
        return
    stop = threading.Event()

    def begin() -> None:
        _own.stop = stop
        torch.set_flush_denormal(True)  # each thread has a flag of its own

    with ThreadPoolExecutor(cores, initializer=begin) as pool:
        waiting = [pool.submit(work, part) for part in parts]
        try:
            for future in waiting:
                yield future.result()
        finally:
            stop.set()
            for future in waiting:
                future.cancel()
