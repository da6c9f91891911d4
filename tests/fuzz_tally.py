"""What a fuzz run counts, and the one way in which it calls anything."""

from __future__ import annotations

import contextlib
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import meanfield as mf

SECONDS = 5.0  # of processor time: the longest that one call may take, however busy the machine is with other work
_TICK = 0.25  # seconds between two looks at the clocks


@dataclass
class Tally:
    """What came of the formulas."""

    counts: dict[str, int] = field(default_factory=dict)
    findings: list[tuple[str, str, str]] = field(default_factory=list)
    slowest: list[tuple[float, str, str]] = field(default_factory=list)

    def count(self, outcome: str) -> None:
        """One more of that outcome."""
        self.counts[outcome] = self.counts.get(outcome, 0) + 1

    def add(self, other: Tally) -> None:
        """Count what the other has counted too."""
        for outcome, times in other.counts.items():
            self.counts[outcome] = self.counts.get(outcome, 0) + times
        self.findings += other.findings
        self.slowest = sorted([*self.slowest, *other.slowest], reverse=True)[:25]

    def find(self, formula: str, call: str, what: str) -> None:
        """Something that must not be."""
        self.findings.append((formula, call, what))
        self.count("finding")


class _TooLongError(BaseException):
    """Not an Exception, so that no handler of the package swallows it."""


@contextlib.contextmanager
def _limited(working: float, waiting: float) -> Iterator[None]:
    """Break off what works longer, or takes longer by the clock without working, where the system has alarms.

    The clock rings often and the main thread reads the processor's time: the kernel may send an alarm of processor time to
    another thread, and a wait for that thread would never hear of it.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return
    began, worked = time.monotonic(), time.process_time()

    def ring(*_: object) -> None:
        if time.process_time() - worked > working or time.monotonic() - began > waiting:
            raise _TooLongError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, _TICK, _TICK)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def attempt(tally: Tally, formula: str, name: str, call: Callable[[], Any]) -> tuple[Any, bool]:
    """What a call gives (None where it raised an error of ours) and whether it warned of its accuracy."""
    began = time.process_time()
    warned: list[warnings.WarningMessage] = []
    result = None
    try:
        with _limited(2 * SECONDS, 60 * SECONDS), warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            result = call()
        tally.count("answer")
    except mf.MeanFieldError as error:
        tally.count(type(error).__name__)
        if "\n" in str(error) or not str(error).strip():
            tally.find(formula, name, f"the message is {str(error)!r}")
    except _TooLongError:
        tally.find(formula, name, "hangs")
    except Exception as error:  # what must not leak is any of them
        tally.find(formula, name, f"leaks {type(error).__name__}: {error}")
    seconds = time.process_time() - began
    tally.slowest = sorted([*tally.slowest, (seconds, formula, name)], reverse=True)[:25]
    if seconds > SECONDS:
        tally.find(formula, name, f"took {seconds:.1f} s")
    for one in warned:
        if not issubclass(one.category, mf.AccuracyWarning):
            tally.find(formula, name, f"warns {one.category.__name__}: {one.message}")
    inaccurate = any(issubclass(one.category, mf.AccuracyWarning) for one in warned)
    if inaccurate:
        tally.count("AccuracyWarning")
    return result, inaccurate
