"""The one place that owns numba's options.

Kernels are serial, release the GIL, and are compiled for stated signatures when their module is first imported (which
happens on first use, never with ``import meanfield``); numba keeps the machine code on disk, so that happens once per
installation. fastmath stays off: it would make isnan False. A kernel may allow two liberties of it: "contract", a · b + c in
one rounding, and "reassoc", sums in another order: vector registers take several terms at a time, and each partial sum
rounds less.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from numba import config, njit

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])
_logger = logging.getLogger("meanfield")
_announced = False


def kernel(*signatures: str, allow: tuple[Literal["contract", "reassoc"], ...] = ()) -> Callable[[_Kernel], _Kernel]:
    """Compile a function for the given numba signatures, with a cache on disk where one can be written."""

    def decorate(function: _Kernel) -> _Kernel:
        if config.DISABLE_JIT:  # NUMBA_DISABLE_JIT=1: plain Python, thousands of times slower, where line coverage can be measured
            return function
        options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
        if allow:
            options["fastmath"] = set(allow)
        try:
            dispatcher = njit(cache=True, **options)(function)
        except RuntimeError:  # no writable folder for the cache anywhere: works all the same, compiling in each process
            dispatcher = njit(**options)(function)
            _announce()
        else:
            folder = Path(dispatcher.stats.cache_path)
            if not any(folder.glob(f"*.{function.__name__}-*.nbi")):
                _announce()
        for signature in signatures:
            dispatcher.compile(signature)
        dispatcher.disable_compile()
        return cast(_Kernel, dispatcher)

    return decorate


def _announce() -> None:
    global _announced  # a process says it once
    if not _announced:
        _announced = True
        _logger.info("compiling meanfield's numerical kernels; this happens once after installation and takes a few seconds")


def announce_again() -> None:
    """Let the next compilation be told as the first one was: for a process that gives each question a time."""
    global _announced
    _announced = False
