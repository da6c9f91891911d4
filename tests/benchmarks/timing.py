"""How long a call takes, warm or in a fresh process. The machine may be shared, so the best of several runs counts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def seconds_per_call(function: Callable[[], Any], *, repeats: int = 5, at_least: float = 0.02) -> float:
    """The best of several runs of `at_least` seconds each; the first call, which may build tables, does not count."""
    function()
    start = time.perf_counter()
    function()
    once = time.perf_counter() - start
    number = max(1, int(at_least / max(once, 1e-9)))
    best = once
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(number):
            function()
        best = min(best, (time.perf_counter() - start) / number)
    return best


def seconds_once(function: Callable[[], Any]) -> float:
    """One call, the first included."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def race(
    programs: Mapping[str, Callable[[int], str]],
    *,
    repeats: int,
    environment: Mapping[str, str] | None = None,
    python: Path | str = sys.executable,
) -> dict[str, float]:
    """Wall time of each program in a fresh interpreter, the best of several rounds; programs take turns within a round.

    A program is a function of the round's number, as one that must be new each time puts that number in.

    Raises
    ------
    RuntimeError
        If a program fails.
    """
    best = dict.fromkeys(programs, float("inf"))
    for number in range(repeats):
        for name, program in programs.items():
            start = time.perf_counter()
            done = subprocess.run(
                [python, "-c", program(number)],
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                check=False,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,  # some libraries talk while they are imported
                text=True,
            )
            best[name] = min(best[name], time.perf_counter() - start)
            if done.returncode:
                raise RuntimeError(f"{name} failed:\n{done.stderr}")
    return best
